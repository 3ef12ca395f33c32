"""How models, samples and numbers are drawn: one look, one chart of curves, names where there is room."""

from ui.figures.chart import Line, between, curve, download, draw, finished, recognised, shared, span

__all__ = ["Line", "between", "curve", "download", "draw", "finished", "recognised", "shared", "span"]
