"""The figures, from counts alone. Colours of text and grid come from the theme; colours of lines belong to models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from ui.look import Look
from ui.state import escape

TAU_TITLE = "radius τ (pixel units, pixels run from 0 to 1)"
OTHERS = ("#8B95A5", "#B4BCC8", "#6A7484", "#A0A9B7", "#C6CCD6", "#7A8495")


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
    tau: float,
    *,
    title: str,
    top: float | None = None,
    one: bool = False,
    band_name: str = "Re-trained, lowest–highest",
) -> go.Figure:
    """Values over τ for every model, the span of the re-trained models behind them, the chosen τ marked.

    Args:
        title: of the vertical axis; top: its upper end; one: draw a line at 1.
    """
    figure = go.Figure()
    if band is not None and not np.isnan(band[0]).all():
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "legendgroup": "band"}
        figure.add_scatter(x=taus, y=band[1], showlegend=False, **edge)
        figure.add_scatter(
            x=taus,
            y=band[0],
            fill="tonexty",
            fillcolor="rgba(0,158,115,0.20)",
            name=band_name,
            **edge,
        )
    for line in lines:
        figure.add_scatter(
            x=taus,
            y=line.values,
            name=escape(line.look.title),
            mode="lines+markers",
            line={"color": line.look.colour, "dash": line.look.dash, "width": 2.4},
            marker={"symbol": line.look.symbol, "size": 8, "color": line.look.colour},
            customdata=[[escape(text)] for text in line.hover],
            hovertemplate="%{customdata[0]}",
        )
    figure.add_vline(x=tau, line={"color": "#8B95A5", "width": 1.5, "dash": "dot"})
    if one:
        figure.add_hline(y=1, line={"color": "#8B95A5", "width": 1})
    figure.update_xaxes(title=TAU_TITLE, zeroline=False, tickformat="~g")
    figure.update_yaxes(title=title, rangemode="tozero", zeroline=False)
    if top is not None:
        figure.update_yaxes(range=[-0.02 * top, 1.04 * top])
    return finished(figure, hovermode="x unified")


def taken_for(classes: Sequence[str], own: int, bars: Sequence[tuple[Look, np.ndarray]], draws: float) -> go.Figure:
    """One bar per model: how many of the copies it takes for which class.

    The sample's own class has the model's colour; the others are grey and carry their names.
    """
    figure = go.Figure()
    names = [f"<b>{look.letter}</b> {escape(_short(look.title))}" for look, _ in bars]
    total = np.stack([counts for _, counts in bars])
    others = [c for c in np.argsort(-total.sum(0), kind="stable") if c != own and total[:, c].sum() > 0]
    for place, c in enumerate([own, *others]):
        counts = total[:, c]
        colours = [look.colour for look, _ in bars] if c == own else OTHERS[(place - 1) % len(OTHERS)]
        wide = counts >= 0.07 * draws
        figure.add_bar(
            y=names,
            x=counts,
            orientation="h",
            name=escape(classes[c]),
            marker={"color": colours, "line": {"width": 1, "color": "rgba(255,255,255,.55)"}},
            text=[
                f"{escape(_short(classes[c], 9))} {_plain(n)}" if w else "" for n, w in zip(counts, wide, strict=True)
            ],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "white" if c == own else "#14171d"},
            constraintext="none",
            hovertemplate=f"%{{y}}<br>taken for {escape(classes[c])}: %{{x:.4~g}} of {draws:g}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.32, showlegend=False)
    figure.update_xaxes(title=f"copies (of {draws:g})", range=[0, draws], zeroline=False, showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return finished(figure, hovermode="closest").update_layout(height=110 + 44 * len(bars))


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
        import csv
        import io

        found = rows() if callable(rows) else rows
        out = io.StringIO()
        writer = csv.DictWriter(out, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
        return out.getvalue().encode()

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


def finished(figure: go.Figure, hovermode: str) -> go.Figure:
    """The size, margins and legend that all figures share."""
    return figure.update_layout(
        hovermode=hovermode,
        height=390,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom", "title": None},
    )


def _plain(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


def _short(text: str, limit: int = 22) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
