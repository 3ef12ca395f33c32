"""Measurements of speed and memory, each a ratio of two things timed side by side in one run."""

import rurk_core  # noqa: F401 – before torch: it says how threads wait for each other
