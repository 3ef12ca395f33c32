"""The figures, from counts alone. Colours of text and grid come from the theme; colours of lines belong to models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from rurk_core.compare.texts import to_csv
from ui.figures.look import GREEN, LEVEL, Look, faded
from ui.text import escape, number


@dataclass(frozen=True)
class Line:
    """One model's curve over the radii; ``hover`` says what each point was made of."""

    look: Look
    values: np.ndarray
    hover: Sequence[str]


def curve(
    taus: Sequence[float],
    lines: Sequence[Line],
    band: tuple[np.ndarray, np.ndarray] | None,
    tau: float | None,
    *,
    title: str,
    across: str,
    top: float | None = None,
    one: bool = False,
    band_name: str = "Re-trained, lowest–highest",
) -> go.Figure:
    """Values over τ for every model, the span of the re-trained models behind them, the chosen τ marked if any.

    Args:
        title: of the vertical axis; across: of the horizontal one; top: upper end of the vertical one; one: draw a line
            at 1.
    """
    # made of plain dictionaries in one call: adding trace by trace costs the server three times as long
    traces: list[dict[str, Any]] = []
    if band is not None and not np.isnan(band[0]).all():
        area = between(taus, *band, faded(GREEN, 0.3), band_name)
        traces = [trace | {"legendgroup": "band"} for trace in area]
    traces += [
        {
            "type": "scatter",
            "x": taus,
            "y": line.values,
            "name": escape(line.look.title),
            "mode": "lines+markers",
            "line": {"color": line.look.colour, "dash": line.look.dash, "width": 2.4},
            "marker": {"symbol": line.look.symbol, "size": 8, "color": line.look.colour},
            "customdata": [[escape(text)] for text in line.hover],
            "hovertemplate": "%{customdata[0]}",
        }
        for line in lines
    ]
    rule = {"type": "line", "line": {"color": LEVEL, "width": 1.5, "dash": "dot"}}
    shapes = [] if tau is None else [{**rule, "x0": tau, "x1": tau, "y0": 0, "y1": 1, "yref": "y domain"}]
    if one:
        level = {**rule, "line": {"color": LEVEL, "width": 1}}
        shapes.append({**level, "x0": 0, "x1": 1, "xref": "x domain", "y0": 1, "y1": 1})
    up: dict[str, Any] = {"title": {"text": title}, "rangemode": "tozero", "zeroline": False}
    if top is not None:
        up["range"] = [-0.02 * top, 1.04 * top]
    along = {"title": {"text": across}, "zeroline": False, "tickformat": "~g"}
    return go.Figure(traces, {**shared("x unified"), "shapes": shapes, "xaxis": along, "yaxis": up})


def between(
    x: Sequence[Any], low: Sequence[Any] | np.ndarray, high: Sequence[Any] | np.ndarray, colour: str, name: str = ""
) -> list[dict[str, Any]]:
    """The area between two lines, as traces; in the legend where it has a name."""
    edge = {"type": "scatter", "x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    area = {"fill": "tonexty", "fillcolor": colour, "name": name, "showlegend": bool(name)}
    return [{**edge, "y": high, "showlegend": False}, {**edge, "y": low, **area}]


def recognised(
    taus: Sequence[float],
    counts: Sequence[tuple[Look, np.ndarray]],
    band: tuple[np.ndarray, np.ndarray] | None,
    tau: float,
    of: int,
    **options: Any,
) -> tuple[go.Figure, list[Line]]:
    """Copies recognised in per cent of ``of``, over τ, and its lines; ``band`` is in copies too.

    Args:
        counts: look and copies recognised [T] of each model; options: for :func:`curve`, ``across`` always.
    """
    lines = [
        Line(look, 100 * values / of, [f"{look.letter}: {number(value)} of {of}" for value in values])
        for look, values in counts
    ]
    share = band and (100 * band[0] / of, 100 * band[1] / of)
    return curve(taus, lines, share, tau, title="copies recognised (%)", top=100.0, **options), lines


def span(each: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Lowest and highest [T] of several re-trained models [K, T]; None for fewer than two, which span nothing."""
    return (each.min(0), each.max(0)) if len(each) > 1 else None


def draw(
    figure: go.Figure, key: str, name: str, alt: str, *, on_pick: Callable[[list[dict[str, Any]]], None] | None = None
) -> None:
    """Show a figure; its own button saves it as SVG, or as PNG where the sidebar's settings say so.

    Args:
        on_pick: called with the points that were clicked.
    """

    def picked() -> None:
        assert on_pick is not None
        on_pick(list(st.session_state[key].selection.points))

    st.plotly_chart(
        figure,
        key=key,
        alt=alt,
        on_select=picked if on_pick else "ignore",
        selection_mode="points",
        config={
            "displaylogo": False,
            "modeBarButtons": [["toImage"]],
            "toImageButtonOptions": {
                "format": st.session_state.get("figure_format") or "svg",
                "filename": name,
                "scale": 2,
            },
        },
    )


def download(rows: Sequence[dict[str, Any]] | Callable[[], Sequence[dict[str, Any]]], name: str, key: str) -> None:
    """A button that saves the numbers of a figure; rows that a function returns are made when it is pressed."""

    def text() -> bytes:
        return to_csv(rows() if callable(rows) else rows).encode()

    st.download_button(
        "Data (CSV)",
        text,
        file_name=f"{name}.csv",
        mime="text/csv",
        key=key,
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
    )


def shared(hovermode: str) -> dict[str, Any]:
    """The size, margins and legend that all figures share."""
    return {
        "hovermode": hovermode,
        "height": 390,
        "font": {"size": 13},
        "margin": {"l": 8, "r": 8, "t": 34, "b": 8},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
    }


def finished(figure: go.Figure, hovermode: str) -> go.Figure:
    """A figure with what all figures share."""
    return figure.update_layout(**shared(hovermode))
