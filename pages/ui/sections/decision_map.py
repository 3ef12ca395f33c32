"""The decision map: a flat cut through image space around a sample, one aligned panel per model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.perturbations import ATTACKS
from rurk_core.slices import (
    Plane,
    adversarial_direction,
    ball_outline,
    borders,
    decide,
    grid,
    plane,
    random_direction,
)
from ui import figures
from ui.figures.look import FILLS, INK, REFERENCES, REST
from ui.glossary import help_of, term
from ui.session import state
from ui.session.view import Copies, View, models_of
from ui.text import escape, plain

REACHES = (0.5, 1.25, 2.5, 5.0)
"""How far the map reaches, in largest radii of the run."""


@dataclass(frozen=True)
class Map:
    """A cut and what the models say on it: classes int16 and probabilities float32 [models, steps, steps]."""

    cut: Plane
    extent: float
    classes: np.ndarray
    probability: np.ndarray


@st.cache_resource(max_entries=48, show_spinner="Drawing the map …")
def decided(
    url: str,
    run: str,
    names: tuple[str, ...],
    method: str,
    sample: int,
    label: int,
    through: tuple[int, ...],
    turn: int,
    extent: float,
    _result: Any,
    _dataset: Any,
) -> Map:
    """The map through a sample, cached.

    Args:
        through: training indices of two other samples, or () for the adversarial and a random direction; turn: which
            random direction; extent: 0 for as far as the other samples lie.
    """
    from rurk_core.data import to_pixels

    x, *others = to_pixels(_dataset.train_images[[sample, *through]])
    if others:
        cut = plane(x, others[0] - x, others[1] - x)
        extent = 1.2 * float(cut.coordinates(to_pixels(_dataset.train_images[list(through)])).abs().max())
    else:
        (attacked,) = models_of(_result, (method,))
        away = adversarial_direction(attacked, x, label)
        cut = plane(x, away, random_direction(x.shape, turn, sample))
    steps = 81 if x.numel() <= 1000 else 41
    return Map(cut, extent, *decide(models_of(_result, names), cut, label, extent, steps))


def decision_map(view: View, shown: list[str], found: Copies) -> None:
    """The section of the page: choices, panels, legend."""
    if not shown:
        st.caption("Choose at least one model above.")
        return
    v = view.verdicts
    one, two, three, four = st.columns([1.5, 1, 1, 1], gap="medium", vertical_alignment="bottom")
    through, turn = _choose_cut(view, one, two, three)
    reach = 0.0
    if not through:
        with three:
            reach = state.bound(
                st.select_slider,
                "Reach",
                "reach",
                state.choice("reach", REACHES[1], state.nearest(REACHES)),
                options=REACHES,
                format_func=lambda value: f"{value:g} × largest τ",
                help="How far the map goes from the sample.",
            )
    number = 1
    if REFERENCES in shown and len(v.references) > 1:
        with four:
            number = state.bound(
                st.selectbox,
                "Re-trained model",
                "reference",
                state.choice("reference", 1, state.whole_of(range(1, len(v.references) + 1))),
                options=range(1, len(v.references) + 1),
                help=help_of("reference"),
            )
    names = tuple(v.references[number - 1] if name == REFERENCES else name for name in shown)
    extent = reach * max(float(v.taus[-1]), 1e-3)
    try:
        drawn = decided(
            state.store().url,
            view.run,
            names,
            view.method,
            view.sample,
            view.label,
            through,
            turn,
            extent,
            view.result,
            view.dataset,
        )
    except RurkError as error:
        state.show(error)
        return
    colours = class_colours(drawn.classes, view.label)
    st.html(_legend(view, colours))
    axes = ("through A", "through B") if through else ("adversarial direction", "random direction")
    for start in range(0, len(names), 3):
        columns = st.columns(3, gap="small")
        for column, at in zip(columns, range(start, min(start + 3, len(names))), strict=False):
            with column:
                look = view.looks[names[at]]
                middle = drawn.classes.shape[1] // 2
                says = escape(view.classes[int(drawn.classes[at, middle, middle])])
                st.html(
                    f'<div class="rk-panel">{look.label()} <span class="rk-quiet">takes it for “{says}”</span></div>'
                )
                figure = panel(view, drawn, at, names[at], colours, axes, found, through)
                figures.draw(figure, f"map-{at}", f"map-{view.sample}-{names[at]}", f"Decision map of {look.title}")
    st.html(f'<div class="rk-see">{_see(view, bool(through))}</div>')
    figures.download(lambda: _rows(view, drawn, names), f"map-{view.sample}", "map_csv")


def _choose_cut(view: View, one: Any, two: Any, three: Any) -> tuple[tuple[int, ...], int]:
    """(training indices of two other samples or (), which random direction)."""
    cuts = {"adversarial": "adversarial × random", "samples": "two other samples"}
    with one:
        cut = state.bound(
            st.segmented_control,
            "Cut through the sample along",
            "cut",
            state.choice("cut", "adversarial", state.one_of(list(cuts))),
            options=list(cuts),
            format_func=cuts.get,
            required=True,
            help=f"{help_of('decision map')} {help_of('adversarial direction')}",
        )
    if cut == "adversarial":
        turn = state.choice("turn", 0, state.whole_of(range(10_000)))
        with two:
            st.button(
                "Another random direction",
                on_click=lambda: state.choose("turn", (turn + 1) % 10_000),
                icon=":material/casino:",
                key="another_direction",
            )
        return (), turn
    labels = view.dataset.train_labels
    first, second = _neighbours(view)
    picked = []
    for column, name, default in ((two, "a", first), (three, "b", second)):
        with column:
            index = state.choice(name, default, state.whole_of(range(len(labels))))
            index = state.bound(
                st.number_input, f"Sample {name.upper()}", name, index, min_value=0, max_value=len(labels) - 1, step=1
            )
            st.caption(f"class “{plain(view.classes[int(labels[index])])}”")
            picked.append(int(index))
    return tuple(picked), 0


def _neighbours(view: View) -> tuple[int, int]:
    """Two samples to cut through at first: of the class the copies are most taken for, and of the sample's own."""
    counts = view.counts(REFERENCES)[view.at].astype(float).copy()
    counts[view.label] = -1
    other, labels = int(np.argmax(counts)), view.dataset.train_labels.numpy()
    if counts[other] <= 0:
        other = (view.label + 1) % len(view.classes)
    own = np.flatnonzero((labels == view.label) & (np.arange(len(labels)) != view.sample))
    return int(np.flatnonzero(labels == other)[0]), int(own[0])


def class_colours(classes: np.ndarray, own: int) -> dict[int, str]:
    """A fill for every class on the map: the sample's own first, then those with the largest regions."""
    present, cells = np.unique(classes, return_counts=True)
    others = [int(c) for c in present[np.argsort(-cells, kind="stable")] if c != own]
    return {c: FILLS[at] if at < len(FILLS) else REST for at, c in enumerate([own, *others])}


def panel(
    view: View,
    drawn: Map,
    at: int,
    name: str,
    colours: dict[int, str],
    axes: tuple[str, str],
    found: Copies,
    through: tuple[int, ...],
) -> go.Figure:
    """One model's map: regions, borders, ball, sample, and copies or other samples."""
    from rurk_core.data import to_pixels

    classes, side = drawn.classes[at], grid(drawn.extent, drawn.classes.shape[1])
    order = list(colours)
    place = np.zeros(max(order) + 1, np.uint8)
    place[order] = range(len(order))
    scale = [[edge / len(order), colours[c]] for k, c in enumerate(order) for edge in (k, k + 1)]
    names = np.array([escape(text) for text in view.classes])
    figure = go.Figure()
    figure.add_heatmap(
        x=side,
        y=side,
        z=place[classes],
        zmin=-0.5,
        zmax=len(order) - 0.5,
        colorscale=scale,
        showscale=False,
        text=names[classes],
        customdata=np.round(100 * drawn.probability[at]).astype(np.uint8),
        hovertemplate=f"%{{text}}<br>“{names[view.label]}” with %{{customdata}}%<extra></extra>",
    )
    xs, ys = borders(classes, drawn.extent)
    quiet = {"hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(x=xs, y=ys, mode="lines", line={"color": INK, "width": 1.2}, **quiet)
    outline = ball_outline(drawn.cut, ATTACKS[view.attack].ball, view.tau)
    if view.tau > 0:
        for colour, width, dash in (("#FFFFFF", 3.4, "solid"), (INK, 1.8, "dash")):
            figure.add_scatter(
                x=outline[:, 0],
                y=outline[:, 1],
                mode="lines",
                line={"color": colour, "width": width, "dash": dash},
                **quiet,
            )
    for text, x, y in _labels(classes, side, view.classes):
        figure.add_annotation(x=x, y=y, text=escape(text), showarrow=False, font={"color": INK, "size": 13})
    look, model = view.looks[name], view.verdicts.models.index(name)
    shift = found.change.reshape(len(found.change), -1).astype(np.float32)
    axis = np.stack([drawn.cut.across.numpy(), drawn.cut.up.numpy()], 1)
    dots, taken = shift @ axis / drawn.cut.scale, found.taken[model]
    figure.add_scatter(
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
    marks = [(0.0, 0.0, f"sample {view.sample}", "")]
    if through:
        for letter, index, (x, y) in zip(
            "AB",
            through,
            drawn.cut.coordinates(to_pixels(view.dataset.train_images[list(through)])).tolist(),
            strict=True,
        ):
            marks.append((x, y, f"{letter}: sample {index}", letter))
    figure.add_scatter(
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
    limits = [-drawn.extent, drawn.extent]
    figure.update_xaxes(title=f"{axes[0]} (RMS change of a pixel)", range=limits, zeroline=False, showgrid=False)
    figure.update_yaxes(
        title=axes[1], range=limits, zeroline=False, showgrid=False, scaleanchor="x", constrain="domain"
    )
    figure.update_xaxes(constrain="domain", nticks=5)
    return figures.finished(figure, hovermode="closest").update_layout(
        height=330, margin={"l": 4, "r": 4, "t": 4, "b": 4}
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


def _legend(view: View, colours: dict[int, str]) -> str:
    names = {c: escape(view.classes[c]) + (" (its own)" if c == view.label else "") for c in colours}
    chips = "".join(
        f'<span><i style="background:{colours[c]}"></i>{name}</span>' for c, name in list(names.items())[: len(FILLS)]
    )
    more = "<span>grey: further classes</span>" if len(colours) > len(FILLS) else ""
    return f'<div class="rk-key rk-chips">{chips}{more}</div>'


def _see(view: View, samples: bool) -> str:
    ball = ATTACKS[view.attack].ball
    what = {
        "gaussian": "as far from the sample as Gaussian copies typically are",
        "l2": "where the l2 ball meets the plane; in many dimensions it looks small on this scale",
        "linf": "where no pixel has moved by more than τ",
    }[ball]
    text = (
        "See: each colour is what the model calls the images there. The dashed line is the "
        f"{term('radius', 'τ-ball')}: {what}. Where the sample’s own colour fills more of it in the unlearned panel "
        "than in the re-trained one, residual knowledge lives. Dots are the copies projected onto the plane (filled: "
        "still recognised)"
    )
    return text + (
        "; A and B lie exactly on it." if samples else ": random ones hardly move along any two given directions."
    )


def _rows(view: View, drawn: Map, names: tuple[str, ...]) -> list[dict[str, Any]]:
    side = grid(drawn.extent, drawn.classes.shape[1])
    return [
        {
            "model": view.looks[name].title,
            "across": float(side[column]),
            "up": float(side[row]),
            "class": view.classes[int(drawn.classes[at, row, column])],
            "probability_of_own_class": float(drawn.probability[at, row, column]),
        }
        for at, name in enumerate(names)
        for row in range(len(side))
        for column in range(len(side))
    ]
