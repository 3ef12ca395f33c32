"""A plane with all that networks believe on it: borders, a film of the unlearning, and the copies around one point.

Everything that moves, moves in the browser: the film, the radius and the verdicts on the copies are read off the grids
of a lesson, without asking the server.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from rurk_core.evidence.findings import SAID
from rurk_core.explore.lesson_case import disc
from rurk_core.explore.lessons import FLOOR, STEPS, Lesson
from ui.components.assets import component
from ui.figures.look import FILLS, Look

_HTML = """
<div class="rk-field">
  <div class="rk-plane"><canvas tabindex="0" role="application"></canvas></div>
  <div class="rk-side">
    <div class="rk-modes" role="radiogroup" aria-label="What a click does"></div>
    <div class="rk-lines"></div>
    <div class="rk-film">
      <button type="button" class="rk-play"></button>
      <input type="range" class="rk-scrub" min="0" step="1" aria-label="Moment of the unlearning">
    </div>
    <div class="rk-moment" aria-live="off"></div>
    <label class="rk-radius"><span></span><input type="range" min="0" max="0.2" step="0.005"></label>
    <div class="rk-counts" role="status"></div>
    <div class="rk-legend"></div>
  </div>
</div>
"""


@dataclass(frozen=True)
class Picked:
    """What was done on a plane: indices of points to forget, and (x, y, class) of those drawn by hand."""

    points: tuple[int, ...]
    drawn: tuple[Any, ...]


_field = component("rurk_field", _HTML, "field.js", "field.css")


def field(
    key: str,
    lesson: Lesson,
    looks: dict[str, Look],
    *,
    label: str,
    tau: float = 0.08,
    look_at: int | None = None,
    told: Mapping[int, Sequence[str]],
    group: str = "",
    choose: bool = False,
    chosen: Sequence[int] = (),
    drawn: Sequence[Sequence[float]] = (),
    held: int = 0,
    pair: bool = False,
) -> Picked | None:
    """The plane of a lesson, its film at the first moment; returns what was chosen once it was changed in the browser.

    Args:
        looks: of "original", "references" and "unlearned"; label: what the picture is, in words.
        look_at: the point around which copies are shown at first, a forgotten one unless told otherwise.
        told: forgotten point → its finding at every moment, with copies within ``tau``.
        group: planes of one group are at the same moment, point and radius.
        choose: whether points can be chosen and drawn; chosen: those to forget; drawn: those drawn by hand,
            of which the lesson was made with the first ``held``.
        pair: whether another plane stands beside it: what is said goes below, and is less.
    """
    found: Any = _field(
        key=key,
        data={
            **_about(lesson, looks),
            "label": label,
            "chosen": list(chosen),
            "seen": st.session_state.get(f"{key}-turn", 0),
            "drawn": [list(point) for point in drawn],
            "held": held,
            "pair": pair,
            "told": {str(point): list(each) for point, each in told.items()},
            "group": group,
            "choose": choose,
            "look": lesson.forget[0] if look_at is None else look_at,
            "tau": tau,
            "at": tau,
        },
        on_chosen_change=lambda: None,
    )
    state = found.get("chosen") if choose else None
    points = state.get("points") if isinstance(state, dict) else None
    if not isinstance(points, list) or not all(type(i) is int and 0 <= i < len(lesson.labels) for i in points):
        return None
    assert isinstance(state, dict)
    st.session_state[f"{key}-turn"] = int(state.get("turn") or 0)
    own = state.get("drawn")
    return Picked(tuple(sorted(set(points))), tuple(map(tuple, own)) if isinstance(own, list) else tuple(drawn))


def _about(lesson: Lesson, looks: dict[str, Look]) -> dict[str, Any]:
    """What of a lesson is drawn, whatever the page does with it."""
    encoded = {name: base64.b64encode(value.numpy().tobytes()).decode() for name, value in lesson.fields.items()}
    return {
        "version": f"{lesson.plane}-{lesson.method}-{lesson.seed}-{hash((lesson.forget, len(lesson.labels)))}",
        "steps_grid": STEPS,
        "floor": FLOOR,
        "classes": list(lesson.classes),
        "fills": [FILLS[0], FILLS[1], FILLS[4]][: len(lesson.classes)],
        "axes": list(lesson.axes),
        "points": [[round(x, 4), round(y, 4)] for x, y in lesson.points.tolist()],
        "labels": lesson.labels.tolist(),
        "forget": list(lesson.forget),
        "draws": [[round(x, 5), round(y, 5)] for x, y in disc().tolist()],
        "said": SAID,
        "steps": lesson.steps.tolist(),
        "accuracy": [[round(a, 4), round(b, 4)] for a, b in lesson.accuracy.tolist()],
        "fields": encoded,
        "looks": {
            name: {"colour": look.colour, "ink": look.ink, "letter": look.letter, "title": look.title}
            for name, look in looks.items()
        },
    }
