"""The decision map: a flat cut through image space around a sample, one aligned panel per model."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.perturb.copies import ATTACKS
from rurk_core.perturb.planes import adversarial_direction, decide, grid, plane, random_direction
from ui import figures
from ui.figures.look import FILLS, REFERENCES
from ui.glossary import help_of, term
from ui.sections.decision_panel import Map, class_colours, panel
from ui.session import state
from ui.session.view import Copies, View, models_of
from ui.text import escape, plain

REACHES = (0.5, 1.25, 2.5, 5.0)
"""How far the map reaches, in largest radii of the run."""


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
    one, two, three, four = st.columns([1.5, 1, 1, 1], gap="medium", vertical_alignment="bottom")
    through, turn = _choose_cut(view, one, two, three)
    reach = 0.0 if through else _choose_reach(three)
    names = _choose_reference(view, shown, four)
    url, extent = state.store().url, reach * max(float(view.verdicts.taus[-1]), 1e-3)
    cut = (view.method, view.sample, view.label, through, turn, extent)
    try:
        drawn = decided(url, view.run, names, *cut, view.result, view.dataset)
    except RurkError as error:
        state.show(error)
        return
    colours = class_colours(drawn.classes, view.label)
    st.html(_legend(view, colours))
    for start in range(0, len(names), 3):
        for column, at in zip(st.columns(3, gap="small"), range(start, min(start + 3, len(names))), strict=False):
            with column:
                look = view.looks[names[at]]
                middle = drawn.classes.shape[1] // 2
                says = escape(view.classes[int(drawn.classes[at, middle, middle])])
                st.html(
                    f'<div class="rk-panel">{look.label()} <span class="rk-quiet">takes it for “{says}”</span></div>'
                )
                figure = panel(view, drawn, at, names[at], colours, found, through)
                figures.draw(figure, f"map-{at}", f"map-{view.sample}-{names[at]}", f"Decision map of {look.title}")
    st.html(f'<div class="rk-see">{_see(view, bool(through))}</div>')
    figures.download(lambda: _rows(view, drawn, names), f"map-{view.sample}", "map_csv")


def _choose_reach(column: Any) -> float:
    """How far the map goes, in largest radii of the run."""
    with column:
        return state.bound(
            st.select_slider,
            "Reach",
            "reach",
            state.choice("reach", REACHES[1], state.nearest(REACHES)),
            options=REACHES,
            format_func=lambda value: f"{value:g} × largest τ",
            help="How far the map goes from the sample.",
        )


def _choose_reference(view: View, shown: list[str], column: Any) -> tuple[str, ...]:
    """The models shown, one re-trained model in place of all of them together."""
    references, number = view.verdicts.references, 1
    if REFERENCES in shown and len(references) > 1:
        with column:
            number = state.bound(
                st.selectbox,
                "Re-trained model",
                "reference",
                state.choice("reference", 1, state.whole_of(range(1, len(references) + 1))),
                options=range(1, len(references) + 1),
                help=help_of("reference"),
            )
    return tuple(references[number - 1] if name == REFERENCES else name for name in shown)


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
            format_func=cuts.__getitem__,
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
    }.get(ball)
    around = (
        f"The dashed line is the {term('radius', 'τ-ball')}: {what}. Where the sample’s own colour fills more of it in "
        "the unlearned panel than in the re-trained one, residual knowledge lives. "
    )
    text = (
        "See: each colour is what the model calls the images there. "
        + (around if what else "")
        + "Dots are the copies projected onto the plane (filled: still recognised)"
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
