"""What the figures of Compare share: lines with bands, letters, one highlight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from rurk_core.compare.columns import RETRAIN
from ui import figures
from ui.figures.labels import End, name_ends
from ui.figures.look import Look, faded
from ui.session import state
from ui.text import escape

SYMBOLS = {
    "circle": "●",
    "square": "■",
    "diamond": "◆",
    "triangle-up": "▲",
    "cross": "✚",
    "star": "★",
    "x": "✖",
    "hexagon": "⬢",
}
Lines = Sequence[tuple[str, Sequence[Any], dict[str, list[float | None]]]]
"""(model, x, {"mean", "low", "high"}) of every line of a figure."""
FEW = 6
"""Lines up to which a figure has a legend of its own; more of them carry letters, with their key below."""


@dataclass(frozen=True)
class View:
    """What is compared: results of all seeds, the comparison, the looks of its rows, the method that is highlighted."""

    results: list[dict[str, Any]]
    comparison: dict[str, Any]
    looks: dict[str, Look]
    chosen: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.comparison["rows"]

    @property
    def retrained(self) -> bool:
        """Whether there is any re-trained model to compare with."""
        return any(row["name"] == RETRAIN for row in self.rows)

    def name_of(self, row: dict[str, Any]) -> str:
        """What a model of one of the runs is called among all: of other settings under one label each has its own."""
        own = row["name"], row.get("config")
        return next((known["name"] for known in self.rows if (known["label"], known["config"]) == own), row["name"])

    def strength(self, name: str) -> float:
        """Opacity of a model's line: the others step back where one is highlighted."""
        return 1.0 if self.chosen in ("", name) else 0.3


def pick(name: str, chosen: str) -> None:
    """Highlight a model, or nothing where it is highlighted already."""
    state.choose("method", "" if name == chosen else name)


def picks(view: View) -> Any:
    """What happens when a point of a figure is clicked: its model is highlighted."""

    def picked(points: list[dict[str, Any]]) -> None:
        found = points[0].get("customdata") if points else None
        name = found[0] if isinstance(found, list | tuple) and found else None
        if name in view.looks:
            pick(name, view.chosen)

    return picked


def lines_of(view: View, lines: Lines, scale: float, unit: str) -> go.Figure:
    """A line with a band from its lowest to its highest value for every model."""
    figure = go.Figure()
    many = len(view.results) > 1
    order = sorted(lines, key=lambda line: line[0] == view.chosen)  # the highlighted one on top
    for name, x, values in order:
        look, strength = view.looks[name], view.strength(name)
        mean, low, high = ([None if v is None else scale * v for v in values[e]] for e in ("mean", "low", "high"))
        if (many and (len(lines) <= 2 or name == view.chosen)) or name == RETRAIN:
            figure.add_traces(figures.between(x, low, high, faded(look.colour, 0.16)))
        said = ["" if m is None else f"{m:.4g} {unit}" + (f" ({a:.4g} – {b:.4g})" if many else "")
                for m, a, b in zip(mean, low, high, strict=True)]  # fmt: skip
        figure.add_scatter(
            x=x,
            y=mean,
            name=escape(look.named),
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 3.6 if name == view.chosen else 2},
            marker={"symbol": look.symbol, "size": 9 if name == view.chosen else 6.5, "color": look.colour},
            opacity=strength,
            legendrank=list(view.looks).index(name),
            customdata=[[name, text] for text in said],
            hovertemplate=f"{escape(look.named)}: %{{customdata[1]}}<extra></extra>",
        )
    figures.finished(figure, hovermode="closest").update_layout(height=470, showlegend=len(lines) <= FEW)
    return figure


def name_lines(
    view: View,
    figure: go.Figure,
    lines: Lines,
    scale: float,
) -> None:
    """Letters at the ends of many lines; the figure has all its lines by now."""
    if len(lines) <= FEW:
        return
    ends = []
    for name, x, values in lines:
        at = max((at for at, value in enumerate(values["mean"]) if value is not None), default=None)
        if at is not None:
            look = view.looks[name]
            y = scale * (values["mean"][at] or 0.0)
            ends.append(End(x[at], y, look.letter, look.colour, view.strength(name)))
    if ends:
        name_ends(figure.update_layout(margin_t=12), ends, height=380)


def letters(view: View, names: Sequence[str]) -> None:
    """The legend of figures with many lines: letters as in the table."""
    if len(names) > FEW:
        items = "".join(
            f'<span><span style="color:{look.colour}">{SYMBOLS.get(look.symbol, "")}</span> {look.label()}</span>'
            for look in (view.looks[name] for name in names)
        )
        st.html(f'<div class="rk-key">{items}</div>')
