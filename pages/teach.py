"""Teach: pictures for a class, each with one thing to see and one thing to try."""

from __future__ import annotations

import streamlit as st
from ui.sections.lesson import LARGE, large
from ui.sections.lesson_own import own
from ui.sections.lesson_plane import iris, moons
from ui.sections.lesson_sphere import sphere
from ui.sections.lesson_tradeoff import tradeoff
from ui.session import state

PANELS = {
    "moons": "Two moons",
    "iris": "Irises",
    "sphere": "Why it is inevitable",
    "tradeoff": "What RURK trades",
    "own": "Your own picture",
}


def main() -> None:
    st.title("Teach", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", key="teach_bar"):
        panel = state.bound(
            st.segmented_control,
            "Panel",
            "panel",
            state.choice("panel", "moons", state.one_of(list(PANELS)), always=True),
            options=list(PANELS),
            format_func=PANELS.__getitem__,
            required=True,
            label_visibility="collapsed",
            width="stretch",
        )
        big = st.toggle(
            "Projector",
            value=large(),
            key="large_type",
            help="Large type, without the sidebar. F11 gives the lesson the whole screen.",
            on_change=lambda: state.choose("type", "large" if st.session_state["large_type"] else "usual"),
        )
    if big:
        st.html(LARGE)
    {"moons": moons, "iris": iris, "sphere": sphere, "tradeoff": tradeoff, "own": own}[panel]()


main()
