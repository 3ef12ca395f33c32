"""Two lessons in the plane: a film of an unlearning, and Figure 1 of the paper."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.data.forget import parse_indices
from rurk_core.errors import RurkError
from ui.components.field import field
from ui.jobs.runs import start, watch
from ui.sections.lesson import SHIPPED, plane_looks, said
from ui.session import state
from ui.session.forgetting import indices_rule
from ui.text import plain

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


def moons() -> None:
    from rurk_core.explore.lessons import checked_points, find_plane, lesson_key, telling_point
    from rurk_core.unlearning import METHODS

    st.subheader("Watch a model forget", anchor=False)
    plane = find_plane("moons")
    n = len(plane.labels)

    def valid(text: str) -> tuple[int, ...]:
        return checked_points(plane, parse_indices(text, limit=n))

    methods = [key for key in METHODS if key != "retrain"]
    method = state.choice("by", "gd", state.one_of(methods))
    chosen = state.choice("points", plane.forget, valid)
    one, two = st.columns([1, 2], gap="medium", vertical_alignment="bottom")
    with one:
        state.bound(
            st.selectbox,
            "Unlearning method",
            "by",
            method,
            options=methods,
            format_func=lambda key: METHODS[key].title,
            help=f"{METHODS[method].title}: {METHODS[method].summary}.",
        )
    key, spec = lesson_key({"plane": "moons", "method": method, "forget": list(chosen)})
    came = chosen == plane.forget and method in METHODS_SHOWN
    made = came or state.store().has(key)
    with two:
        ready(key, spec, made, METHODS[method].title, chosen, plane.forget)
    instead = method if method in METHODS_SHOWN else "gd"
    lesson = shipped("moons", method) if came else stored(state.store().url, key) if made else shipped("moons", instead)
    picked = field(
        "moons",
        lesson,
        plane_looks(lesson.method),
        label="Two moons in the plane, with the borders that three kinds of models draw between them",
        look_at=telling_point(lesson, NEAR),
        play=True,
        choose=True,
        chosen=chosen,
    )
    if picked is not None and tuple(picked) != chosen:
        choose_points(plane, picked)
    said(
        "the orange border leaves the blue one (Original) and moves towards the green ones (re-trained). Where it "
        "stops short, filled dots remain in the ball around a forgotten point: residual knowledge.",
        "choose NegGrad+ or RURK above and play again: which one stops short, which overshoots? Then choose other "
        "points to forget, and guess the border before you unlearn them.",
    )


def choose_points(plane: Any, picked: list[int]) -> None:
    """What was clicked in the picture becomes the choice, or a sentence says why it cannot."""
    from rurk_core.explore.lessons import checked_points

    try:
        checked_points(plane, picked)
    except RurkError as error:
        state.show(error)
        return
    state.choose("points", indices_rule(picked).removeprefix("indices:"))
    st.rerun()


def ready(
    key: str, spec: dict[str, Any], made: bool, title: str, chosen: tuple[int, ...], first: tuple[int, ...]
) -> None:
    """Whether the lesson asked for is there; a button that makes it, its progress, and a way back."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if not made and "lesson_job" not in st.session_state:
            if st.button(
                f"Unlearn these {len(chosen)} points with {title}",
                type="primary",
                icon=":material/play_arrow:",
                key="make",
            ):
                try:
                    # a queue of its own: seconds of work need not wait for an experiment
                    st.session_state["lesson_job"] = start(
                        spec | {"title": "A lesson in the plane"}, device="lesson", kind="lesson"
                    )
                except RurkError as error:
                    state.show(error)
                st.rerun()
            st.caption("A few seconds. Until then the picture shows the lesson that came with the app.")
        elif made:
            st.markdown(f"**{len(chosen)}** points forgotten with **{plain(title)}**", width="content")
        if chosen != first:
            st.button(
                "Back to the first choice",
                on_click=lambda: state.choose("points", ""),
                icon=":material/undo:",
                key="first_points",
            )
    watch("lesson_job")


def iris() -> None:
    from rurk_core.explore.lessons import telling_point

    st.subheader("Figure 1 of the paper: seven irises forgotten by gradient descent", anchor=False)
    lesson = shipped("iris", "gd")
    field(
        "iris",
        lesson,
        plane_looks("gd"),
        label="Irises by petal length and width, with the borders that three kinds of models draw between the species",
        look_at=telling_point(lesson, NEAR),
    )
    said(
        "around this forgotten iris the unlearned model still recognises more copies than any re-trained model does: "
        "residual knowledge, in a network of one hidden layer.",
        "click the other six irises with a thick ring: around which of them could nobody tell that it was ever "
        "unlearned?",
    )
    st.caption(
        "One hidden layer of 100 units on two of Iris’ four measurements, so that what is drawn is all that the "
        "network sees; seven of 150 forgotten over the three species, GD on the others."
    )
