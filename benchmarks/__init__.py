"""Measurements of speed and memory, each a ratio of two things timed side by side in one run."""
