"""What the figures on the whole forget set share."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from ui import figures

KINDS = {"strong": "by search", "random": "along random directions"}
GREY = "#7D8796"


def figure_of(traces: list[dict[str, Any]], across: str, up: str, hovermode: str, **axes: Any) -> go.Figure:
    """A figure of the section: its traces, titles of the axes, and what else holds for both axes."""
    titled = {
        side: {"title": {"text": title}, "zeroline": False, **axes}
        for side, title in (("xaxis", across), ("yaxis", up))
    }
    return go.Figure(traces, figures.shared(hovermode) | titled)


def diagonal(low: float, high: float) -> dict[str, Any]:
    """The line on which both axes have the same value."""
    return {
        "type": "scatter",
        "x": [low, high],
        "y": [low, high],
        "mode": "lines",
        "line": {"color": GREY, "width": 1},
        "showlegend": False,
        "hoverinfo": "skip",
    }
