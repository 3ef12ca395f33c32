"""How models, samples and numbers are drawn: one look, one chart of curves, names where there is room."""

from ui.figures.chart import TAU_TITLE, Line, curve, download, draw, finished, shared

__all__ = ["TAU_TITLE", "Line", "curve", "download", "draw", "finished", "shared"]
