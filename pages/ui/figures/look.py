"""How models look on the pages (see :mod:`rurk_core.report.looks`), colours of areas, and the style of all pages."""

from __future__ import annotations

from pathlib import Path

from rurk_core.report.looks import FILLS, REFERENCES, REST, Look, looks_of

__all__ = ["CSS", "FILLS", "GREEN", "INK", "LEVEL", "REFERENCES", "REST", "Look", "faded", "looks_of"]

CSS = Path(__file__).with_suffix(".css")
"""The style of all pages, for ``st.html``."""
INK = "#14171D"
"""Lines and letters on those areas, in the light theme and in the dark one."""
GREEN = "#009E73"
"""The re-trained models."""
LEVEL = "#8B95A5"
"""Levels and marks on an axis, which belong to no model."""


def faded(colour: str, opacity: float) -> str:
    """#RRGGBB → rgba(...)."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
