"""The stages of some samples as a file to hand on, made in the background."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.explore.scene import Scene
from rurk_core.jobs.control import JobStatus, list_jobs
from rurk_core.run.titles import data_words, model_words
from ui.jobs.reports import page_button, page_of
from ui.jobs.runs import start, watch
from ui.session import state
from ui.text import plain

AT_FIRST = 8


def share_box(scene: Scene, sample: int) -> None:
    """How many samples, the one in view first; a button that has the file made, one that saves it."""
    forgotten = [one.sample for one in scene.found.samples] if scene.found else scene.result["forget"]["indices"]
    others = [one for one in forgotten if one != sample]
    asked = {"run": scene.result["key"], "method": scene.method, "attack": scene.attack}
    job = _latest(asked)
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
            disabled=job is not None and job.alive,
            help="One HTML file in which the stage moves as it does here, without Python and without a network. It is "
            "made in the background: the page may be left meanwhile.",
        )
        if job is not None and page_of(job):
            page_button(job, "share-")
    if made:
        samples = [sample, *others[: count - 1]]
        of = f"{len(samples)} sample{'s' * (len(samples) > 1)} of {data_words(scene.result['dataset']['name'])}"
        title = f"A page of {of}, {model_words(scene.method)}"
        try:
            start(asked | {"samples": samples, "title": title}, kind="share")
        except RurkError as error:
            state.show(error)
            return
        st.rerun()
    if job is not None and job.alive:
        st.session_state["share_job"] = job.id
        watch("share_job")
    elif job is not None and job.state in ("failed", "killed"):
        st.caption(plain(job.message or "It ended without a word."))


def _latest(asked: dict[str, Any]) -> JobStatus | None:
    """The latest job that was to make a page of this model under this attack."""
    jobs = (job for job in list_jobs(state.store()) if job.spec.get("kind") == "share")
    return next((job for job in jobs if asked.items() <= (job.spec.get("spec") or {}).items()), None)
