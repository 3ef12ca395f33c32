"""The stages of some samples as a file to hand on."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.explore.scene import Scene
from rurk_core.progress import Tracker
from rurk_core.report.share import share
from ui.session import state
from ui.text import duration

AT_FIRST = 8


def share_box(scene: Scene, sample: int) -> None:
    """How many samples, the one in view first; a button that makes the file, and one that hands it over."""
    forgotten = [one.sample for one in scene.found.samples] if scene.found else scene.result["forget"]["indices"]
    others = [one for one in forgotten if one != sample]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        count = st.number_input(
            "Samples in the file",
            1,
            min(100, 1 + len(others)),
            min(AT_FIRST, 1 + len(others)),
            key="share_count",
            width=150,
            help="The one in view, and those most beyond a re-training.",
        )
        made = st.button(
            "Make a page of these",
            icon=":material/ios_share:",
            key="share_make",
            help="One HTML file in which the stage moves as it does here, without Python and without a network.",
        )
    if not made:
        return
    bar = st.progress(0.0, "Asking the models …")

    def tell(event: dict[str, Any]) -> None:
        left = "" if event["eta"] is None else f" · about {duration(event['eta'])} left"
        bar.progress(event["overall"], f"Asking the models: {event['done']} of {event['total']} samples done{left}")

    tracker = Tracker(tell)
    tracker.expect({"": 1.0})
    try:
        chosen = [sample, *others[: count - 1]]
        page = share(scene, chosen, on_sample=tracker.step)
    except RurkError as error:
        state.show(error)
        return
    bar.empty()
    st.download_button(
        f"Save the page ({len(page) / 1e6:.1f} MB)",
        page,
        file_name=f"stage-{sample}.html",
        mime="text/html",
        icon=":material/download:",
        key="share_save",
        on_click="ignore",
        type="primary",
    )
