"""Two lessons in the plane: a film of an unlearning, and Figure 1 of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from rurk_core.data.forget import parse_indices
from rurk_core.errors import RurkError
from rurk_core.evidence.words import set_words
from ui.components.field import Picked, field
from ui.jobs.runs import start, watch
from ui.sections.lesson import SHIPPED, large, plane_looks, said
from ui.session import state
from ui.session.forgetting import indices_rule
from ui.text import escape

NEAR = 0.08
"""Radius of the ball at first, in the plane of a lesson."""
METHODS_SHOWN = ("gd", "neggrad_plus", "rurk")


@st.cache_resource(max_entries=24, show_spinner=False)
def shipped(plane: str, method: str) -> Any:
    """A lesson that came with the app."""
    from rurk_core.explore.lessons import lesson_from_bytes

    return lesson_from_bytes((SHIPPED / f"{plane}-{method}.bin").read_bytes())


@st.cache_resource(max_entries=24, show_spinner=False)
def stored(url: str, key: str) -> Any:
    """A lesson that was made on demand."""
    from rurk_core.explore.lessons import load_lesson

    return load_lesson(state.store(), key)


@st.cache_resource(max_entries=24, show_spinner=False)
def told_of(key: str, _lesson: Any) -> dict[int, list[str]]:
    """What the evidence says of the forgotten points of a lesson at every moment."""
    from rurk_core.explore.lesson_case import findings_by_frame

    return findings_by_frame(_lesson, NEAR)


def plane_of(at: str, lesson: Any, **options: Any) -> Picked | None:
    """A lesson's plane; ``at`` tells the planes of a page apart."""
    from rurk_core.explore.lessons import telling_point

    return field(
        f"moons-{at}" if at else "moons",
        lesson,
        plane_looks(lesson.method),
        label="Two moons in the plane, with the borders that three kinds of models draw between them",
        tau=NEAR,
        look_at=telling_point(lesson, NEAR),
        told=told_of(
            f"{lesson.plane}-{lesson.method}-{hash((lesson.forget, lesson.points.numpy().tobytes()))}", lesson
        ),
        group="moons",
        **options,
    )


def moons() -> None:
    from rurk_core.explore.planes import checked_points, find_plane, with_drawn
    from rurk_core.unlearning import METHODS

    st.header("Watch a model forget", anchor=False)
    plane = find_plane("moons")
    drawn = state.choice("drawn", (), read_drawn)
    n = len(plane.labels) + len(drawn)

    def valid(text: str) -> tuple[int, ...]:
        return checked_points(with_drawn(plane, drawn), parse_indices(text, limit=n))

    methods = [key for key in METHODS if key != "retrain"]
    chosen = state.choice("points", plane.forget, valid)
    names = [state.choice("by", "gd", state.one_of(methods))]
    names += [other] if (other := state.choice("and", "", state.one_of(methods))) else []
    choose_methods(methods, names)
    asked = [Asked(name, chosen, drawn, chosen == plane.forget and not drawn) for name in names]
    ready(asked, chosen != plane.forget or bool(drawn))
    for at, (column, of) in enumerate(zip(st.columns(len(asked), gap="large"), asked, strict=True)):
        lesson = of.lesson()
        with column:
            held = max(0, len(lesson.labels) - len(plane.labels))
            picked = plane_of(
                str(at or ""), lesson, choose=not at, chosen=chosen, drawn=drawn, held=held, pair=len(asked) > 1
            )
        if picked is not None and (picked.points, picked.drawn) != (chosen, drawn):
            choose_points(with_drawn(plane, picked.drawn), picked)
    said(
        "the line of the method leaves that of the Original and moves towards those of the re-trained models. Where it "
        "stops short, filled dots remain in the ball around a forgotten point.",
        "put NegGrad+ beside GD and play: which stops short, which goes too far? Then choose or draw other points, and "
        "guess the border before you unlearn them.",
    )


def choose_methods(methods: list[str], names: list[str]) -> None:
    """The method, and another beside it."""
    from rurk_core.unlearning import METHODS

    shown: Any = "collapsed" if large() else "visible"
    one, two, _ = st.columns([1, 1, 1], gap="medium")
    with one:
        state.bound(
            st.selectbox,
            "Unlearning method",
            "by",
            names[0],
            options=methods,
            format_func=lambda key: METHODS[key].title,
            label_visibility=shown,
            help=f"{METHODS[names[0]].title}: {METHODS[names[0]].summary}.",
        )
    with two:
        state.bound(
            st.selectbox,
            "Beside it",
            "and",
            names[1] if len(names) > 1 else "",
            options=["", *(key for key in methods if key != names[0])],
            format_func=lambda key: f"beside it: {METHODS[key].title}" if key else "nothing beside it",
            label_visibility=shown,
            help="A second method on the same points: film, point and radius are the same for both.",
        )


def read_drawn(text: str) -> tuple[tuple[float, float, int], ...]:
    """For :func:`state.choice`: points drawn by hand, as ``x_y_class`` with ``~`` between."""
    from rurk_core.explore.planes import find_plane, with_drawn

    rows = [tuple(map(float, part.split("_"))) for part in text.split("~")]
    with_drawn(find_plane("moons"), rows)
    return tuple((x, y, int(c)) for x, y, c in rows)


@dataclass(frozen=True)
class Asked:
    """A lesson that is asked for: a method on points, of which some may be drawn by hand.

    Attributes:
        first: whether it is the plane as it came with the app.
    """

    method: str
    chosen: tuple[int, ...]
    drawn: tuple[Any, ...]
    first: bool

    @property
    def spec(self) -> tuple[str, dict[str, Any]]:
        from rurk_core.explore.lessons import lesson_key

        about = {"plane": "moons", "method": self.method, "forget": list(self.chosen)}
        return lesson_key(about | {"drawn": [list(point) for point in self.drawn]})

    @property
    def came(self) -> bool:
        return self.first and self.method in METHODS_SHOWN

    @property
    def made(self) -> bool:
        return self.came or state.store().has(self.spec[0])

    def lesson(self) -> Any:
        """The lesson, or the one that came with the app where it is not made yet."""
        if self.made and not self.came:
            return stored(state.store().url, self.spec[0])
        return shipped("moons", self.method if self.method in METHODS_SHOWN else "gd")


def choose_points(plane: Any, picked: Picked) -> None:
    """What was clicked in the picture becomes the choice, or a sentence says why it cannot."""
    from rurk_core.explore.planes import checked_points

    try:
        checked_points(plane, picked.points)
    except RurkError as error:
        state.show(error)
        return
    state.choose("drawn", "~".join("_".join(f"{value:g}" for value in point) for point in picked.drawn))
    state.choose("points", indices_rule(picked.points).removeprefix("indices:"))
    st.rerun()


def ready(asked: list[Asked], changed: bool) -> None:
    """A button that makes the lessons that are not there yet, their progress, and a way back."""
    from rurk_core.unlearning import METHODS

    missing = [of for of in asked if not of.made]
    if missing or changed:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if missing and "lesson_job" not in st.session_state:
                titles = " and ".join(METHODS[of.method].title for of in missing)
                label = f"Unlearn these {len(missing[0].chosen)} points with {titles}"
                if st.button(label, type="primary", icon=":material/play_arrow:", key="make"):
                    make(missing)
                st.caption("A few seconds. Until then the picture shows a lesson that came with the app.")
            if changed:
                st.button("Back to the first points", on_click=back, icon=":material/undo:", key="first_points")
    watch("lesson_job")


def make(missing: list[Asked]) -> None:
    """Start the lessons in a queue of their own: seconds of work need not wait for an experiment."""
    try:
        for of in missing:
            st.session_state["lesson_job"] = start(of.spec[1] | {"title": "A lesson in the plane"}, kind="lesson")
    except RurkError as error:
        state.show(error)
    st.rerun()


def back() -> None:
    state.choose("points", "")
    state.choose("drawn", "")


def iris() -> None:
    from rurk_core.explore.lesson_case import lesson_findings
    from rurk_core.explore.lessons import telling_point

    st.header("Figure 1 of the paper: seven irises forgotten by gradient descent", anchor=False)
    lesson = shipped("iris", "gd")
    field(
        "iris",
        lesson,
        plane_looks("gd"),
        label="Irises by petal length and width, with the borders that three kinds of models draw between the species",
        tau=NEAR,
        look_at=telling_point(lesson, NEAR),
        told=told_of("iris-gd", lesson),
    )
    words = set_words(lesson_findings(lesson, NEAR))
    said(
        f"at the last step, with copies within τ = {NEAR:.3f}. {escape(words)}",
        "click the other irises with a thick ring: around which of them could nobody tell that it was ever unlearned?",
    )
    st.caption(
        "One hidden layer of 100 units on two of Iris’ four measurements, so that what is drawn is all that the "
        "network sees; seven of 150 forgotten over the three species, GD on the others."
    )
