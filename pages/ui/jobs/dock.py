"""The dock: what is running, wherever one is, and a notice when it is done, for a while."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import streamlit as st

from rurk_core.jobs.control import JobStatus
from rurk_core.run.titles import stage_words
from ui.jobs.line import time_left, title_of
from ui.jobs.reports import page_button, page_of
from ui.jobs.runs import LIVE, STATES, run_jobs, running, stop_button, where
from ui.session import state
from ui.text import plain

NEWS = 60.0
"""Seconds that a notice is news: whatever is done on the pages after that takes it away."""


def dock() -> None:
    """Below every page while something runs, or has ended a moment ago."""
    store = state.store()
    alive = bool(running(run_jobs(store)))
    watched: set[str] = st.session_state.setdefault("watched", set())
    told: dict[str, float] = st.session_state.setdefault("told", {})
    watched.difference_update(id for id, since in told.items() if time.monotonic() - since > NEWS)
    if not alive and not watched:
        return

    @st.fragment(run_every=2.0 if alive else None)
    def live() -> None:
        jobs = run_jobs(store)
        now = running(jobs)
        watched.update(job.id for job in now)
        for job in now:
            told.pop(job.id, None)  # taken up again, its next end is news again
        watched.intersection_update(job.id for job in jobs if job.state != "cancelled")  # some were put away
        ended = news(job for job in jobs if job.id in watched and not job.alive)
        for job in ended:
            told.setdefault(job.id, time.monotonic())
        if alive and not now:
            st.rerun()  # there is a new result: lists on the page hold it now
        with st.container(key="dock", gap=None):
            if ended:
                notice(ended[0], len(ended) - 1, watched)
            if now:
                under_way(now[0], len(now) - 1)

    live()


def news(ended: Iterable[JobStatus]) -> list[JobStatus]:
    """What ended, finished ones first, the latest of them first of all."""
    return sorted(sorted(ended, key=lambda job: job.id, reverse=True), key=lambda job: job.state != "done")


def under_way(job: JobStatus, waiting: int) -> None:
    """Title, stage, time left; what the training says now and the stages behind it, folded; a way to stop it."""
    more = f" · {waiting} waiting" if waiting else ""
    with row("now"):
        st.page_link("unlearn.py", label=f"**{plain(title_of(job))}**{more}")
        st.progress(job.progress, text=plain(f"{job.progress:.0%} · {where(job)}{time_left(job)}"))
        with st.popover("Details", type="tertiary"):
            details(job)
        stop_button(job, f"dock-stop-{job.id}", "tertiary")


def details(job: JobStatus) -> None:
    """What the training says now, and the stages so far."""
    told: dict[str, Any] = next((event for event in reversed(job.events) if "loss" in event), {})
    said = [
        f"{title(str(told.get('stage')))} **{form.format(told[name])}**"
        for name, (title, form) in LIVE.items()
        if isinstance(told.get(name), int | float)
    ]
    if said:
        st.caption(f"{plain(stage_words(str(told.get('stage'))))}: {' · '.join(said)}")
    stages = list(dict.fromkeys(str(event["stage"]) for event in job.events if event.get("stage")))
    for stage in stages:
        mark = "▸" if stage == stages[-1] else "✓"
        st.markdown(f":small[{mark} {plain(stage_words(stage))}]")
    if not stages:
        st.caption("It has not begun yet.")


def notice(job: JobStatus, others: int, watched: set[str]) -> None:
    """How it ended, and a way to the result; dismissing it keeps the job where it is listed."""
    word, colour, icon = STATES.get(job.state, (job.state, "gray", ":material/help:"))
    more = f" · {others} more ended" if others else ""
    with row("ended"):
        st.badge(word, icon=icon, color=colour)  # type: ignore[arg-type]
        st.markdown(f"**{plain(title_of(job))}**{more}", width="stretch")
        found = job.state == "done" and job.result.startswith("run-") and state.store().has(job.result)
        if found and st.button("Look at it", key=f"dock-open-{job.id}", type="primary"):
            watched.discard(job.id)
            state.open_run(job.result)
        if page_of(job):
            page_button(job, "dock-")
        st.button(
            "Dismiss this notice",
            key=f"dock-seen-{job.id}",
            type="tertiary",
            icon=":material/close:",
            on_click=watched.discard,
            args=(job.id,),
        )


def row(name: str) -> Any:
    """A row of the dock; the style of all pages keeps as much room free for it."""
    return st.container(key=f"dock_{name}", horizontal=True, vertical_alignment="center", gap="small")
