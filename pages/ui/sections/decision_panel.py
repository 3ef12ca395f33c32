"""One model's panel of a decision map: regions, borders, the τ-ball, the sample and its copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from rurk_core.perturb.copies import ATTACKS
from rurk_core.perturb.planes import Plane, ball_outline, borders, grid
from ui import figures
from ui.figures.look import FILLS, INK, REST
from ui.session.view import Copies, View
from ui.text import escape


@dataclass(frozen=True)
class Map:
    """A cut and what the models say on it: classes int16 and probabilities float32 [models, steps, steps]."""

    cut: Plane
    extent: float
    classes: np.ndarray
    probability: np.ndarray


def class_colours(classes: np.ndarray, own: int) -> dict[int, str]:
    """A fill for every class on the map: the sample's own first, then those with the largest regions."""
    present, cells = np.unique(classes, return_counts=True)
    others = [int(c) for c in present[np.argsort(-cells, kind="stable")] if c != own]
    return {c: FILLS[at] if at < len(FILLS) else REST for at, c in enumerate([own, *others])}


def panel(
    view: View, drawn: Map, at: int, name: str, colours: dict[int, str], found: Copies, through: tuple[int, ...]
) -> go.Figure:
    """One model's map: regions, borders, ball, sample, and copies or other samples."""
    classes, side = drawn.classes[at], grid(drawn.extent, drawn.classes.shape[1])
    quiet = {"mode": "lines", "hoverinfo": "skip", "showlegend": False}
    figure = go.Figure(_regions(view, drawn, at, colours, side))
    xs, ys = borders(classes, drawn.extent)
    figure.add_scatter(x=xs, y=ys, line={"color": INK, "width": 1.2}, **quiet)
    if view.tau > 0:
        outline = ball_outline(drawn.cut, ATTACKS[view.attack].ball, view.tau)
        for colour, width, dash in (("#FFFFFF", 3.4, "solid"), (INK, 1.8, "dash")):
            line = {"color": colour, "width": width, "dash": dash}
            figure.add_scatter(x=outline[:, 0], y=outline[:, 1], line=line, **quiet)
    for text, x, y in _labels(classes, side, view.classes):
        figure.add_annotation(x=x, y=y, text=escape(text), showarrow=False, font={"color": INK, "size": 13})
    figure.add_trace(_dots(view, drawn, name, found))
    figure.add_trace(_samples(view, drawn, through))
    limits = [-drawn.extent, drawn.extent]
    across, up = ("through A", "through B") if through else ("adversarial direction", "random direction")
    figure.update_xaxes(title=f"{across} (RMS change of a pixel)", range=limits, zeroline=False, showgrid=False)
    figure.update_yaxes(title=up, range=limits, zeroline=False, showgrid=False, scaleanchor="x", constrain="domain")
    figure.update_xaxes(constrain="domain", nticks=5)
    return figures.finished(figure, hovermode="closest").update_layout(
        height=330, margin={"l": 4, "r": 4, "t": 4, "b": 4}
    )


def _regions(view: View, drawn: Map, at: int, colours: dict[int, str], side: np.ndarray) -> go.Heatmap:
    """Every place of the plane in the colour of the class the model gives it."""
    order = list(colours)
    place = np.zeros(max(order) + 1, np.uint8)
    place[order] = range(len(order))
    names = _names(view)
    return go.Heatmap(
        x=side,
        y=side,
        z=place[drawn.classes[at]],
        zmin=-0.5,
        zmax=len(order) - 0.5,
        colorscale=[[edge / len(order), colours[c]] for k, c in enumerate(order) for edge in (k, k + 1)],
        showscale=False,
        text=names[drawn.classes[at]],
        customdata=np.round(100 * drawn.probability[at]).astype(np.uint8),
        hovertemplate=f"%{{text}}<br>“{names[view.label]}” with %{{customdata}}%<extra></extra>",
    )


def _names(view: View) -> np.ndarray:
    return np.array([escape(text) for text in view.classes])


def _dots(view: View, drawn: Map, name: str, found: Copies) -> go.Scatter:
    """The copies projected onto the plane, filled where the model still recognises them."""
    look, taken = view.looks[name], found.taken[view.verdicts.models.index(name)]
    shift = found.change.reshape(len(found.change), -1).astype(np.float32)
    axes = np.stack([drawn.cut.across.numpy(), drawn.cut.up.numpy()], 1)
    dots, names = shift @ axes / drawn.cut.scale, _names(view)
    return go.Scatter(
        x=dots[:, 0],
        y=dots[:, 1],
        mode="markers",
        marker={
            "symbol": look.symbol,
            "size": 6,
            "color": [look.colour if c == view.label else "#FFFFFF" for c in taken],
            "line": {"width": 1, "color": INK},
            "opacity": 0.85,
        },
        text=[f"copy {i + 1}: {names[c]}" for i, c in enumerate(taken)],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _samples(view: View, drawn: Map, through: tuple[int, ...]) -> go.Scatter:
    """The sample in the middle, and the two others that the plane goes through, if any."""
    from rurk_core.data import to_pixels

    marks = [(0.0, 0.0, f"sample {view.sample}", "")]
    if through:
        places = drawn.cut.coordinates(to_pixels(view.dataset.train_images[list(through)])).tolist()
        for letter, index, (x, y) in zip("AB", through, places, strict=True):
            marks.append((x, y, f"{letter}: sample {index}", letter))
    return go.Scatter(
        x=[mark[0] for mark in marks],
        y=[mark[1] for mark in marks],
        mode="markers+text",
        text=[f"<b>{mark[3]}</b>" for mark in marks],
        textfont={"color": "#FFFFFF", "size": 11},
        marker={
            "symbol": "circle",
            "size": [8 if not mark[3] else 17 for mark in marks],
            "color": INK,
            "line": {"width": 1.5, "color": "#FFFFFF"},
        },
        hovertext=[mark[2] for mark in marks],
        hoverinfo="text",
        showlegend=False,
    )


def _labels(classes: np.ndarray, side: np.ndarray, names: list[str]) -> list[tuple[str, float, float]]:
    """Names of regions with room for them, each where its class is widest."""
    from scipy.ndimage import distance_transform_edt

    found = []
    for c in np.unique(classes):
        inside = np.pad(classes == c, 1)
        if inside.mean() < 0.03:
            continue
        depth = distance_transform_edt(inside)[1:-1, 1:-1]
        middle = len(side) // 2
        depth[max(0, middle - 5) : middle + 6, max(0, middle - 5) : middle + 6] = 0  # the sample's mark is there
        row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
        found.append((names[int(c)], float(side[column]), float(side[row])))
    return found
