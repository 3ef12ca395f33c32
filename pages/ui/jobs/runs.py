"""Starting experiments and watching them."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.jobs.control import (
    JobStatus,
    cancel_job,
    delete_job,
    job_status,
    list_jobs,
    read_log,
    resume_job,
    start_job,
)
from rurk_core.jobs.files import RUNNER
from rurk_core.run.titles import loss_words, stage_words
from rurk_core.store.store import Store
from ui.jobs.line import time_left, title_of, waits_words
from ui.jobs.reports import page_button, page_of
from ui.session import state
from ui.text import plain

STATES = {
    "queued": ("waiting", "gray", ":material/hourglass_empty:"),
    "running": ("running", "blue", ":material/autorenew:"),
    "done": ("finished", "green", ":material/check:"),
    "failed": ("failed", "red", ":material/error:"),
    "cancelled": ("stopped", "orange", ":material/stop_circle:"),
    "killed": ("killed", "red", ":material/power_off:"),
}


RUNNERS = {
    "experiment": RUNNER,
    "audit": "rurk_core.run.audit:audit_job",
    "embedding": "rurk_core.explore.maps:embedding_job",
    "lesson": "rurk_core.explore.lessons:lesson_job",
    "share": "rurk_core.report.share:share_job",
    "tuning": "rurk_core.tune.tune:tune_job",
    "wholeset": "rurk_core.evidence.whole_set:whole_set_job",
}
"""What runs a job, by its kind."""
FOUND_IN = {
    "tuning": "The result is in the list of tuned settings.",
    "share": "The file is saved with the button, or where it was asked for.",
}
OWN_LINE = {"embedding": "map", "lesson": "lesson", "share": "page"}
"""Kinds that are little work on the CPU, and the line they stand in: none waits for an experiment."""
OWN_PLACE = ("embedding", "lesson", "wholeset")
"""Kinds that are watched on the page that asked for them; what holds up runs is in the list of runs meanwhile."""


def start(spec: dict[str, Any], device: str = "auto", *, kind: str = "experiment", **more: Any) -> str:
    """Start an experiment, an audit, a map, a lesson, … in the background; ``more`` is for its runner."""
    where = {"root": state.data_root() or None, "device": OWN_LINE.get(kind, device)}
    about = {"kind": kind, "spec": spec, **where, **more}
    return start_job(state.store(), about, runner=RUNNERS[kind])


def resume(store: Store, job: JobStatus) -> None:
    """Go on with a job that has ended, with what ran it."""
    resume_job(store, job.id, runner=RUNNERS.get(job.spec.get("kind", ""), RUNNER))


def start_digits() -> None:
    """The digits experiment with its defaults; a seed that is not in the store yet, so that it really runs."""
    from rurk_core.run.spec import make_spec

    try:
        recent = {found["seed"] for entry in state.runs(RECENT) if (found := _readable(entry.key))}
        # with no more runs than numbers below it, a seed beyond them all is free, or one of the next
        first = 7 if len(recent) < RECENT else 7 + state.store().count("run")
        seed = next(number for number in itertools.count(first) if number not in recent)
        title = f"Handwritten digits, half of the zeros forgotten (seed {seed})"
        start(make_spec("digits", seed=seed, title=title).to_dict())
    except RurkError as error:
        state.note(str(error))


def digits_button(key: str, *, primary: bool = False) -> None:
    """One button that trains, unlearns and measures on digits, and leads to where it can be watched."""
    if st.button(
        "Run the digits experiment",
        key=key,
        type="primary" if primary else "secondary",
        icon=":material/play_arrow:",
        help="An Original, re-trained models and unlearned ones on handwritten digits: about a minute on two cores.",
    ):
        start_digits()
        st.switch_page("unlearn.py")


def empty_state() -> None:
    """What a page shows while there is no experiment at all."""
    with st.container(horizontal_alignment="center", key="empty"):
        st.html(
            '<div class="rk-empty"><h2>No experiment yet</h2><p>An experiment trains a model, makes it forget some '
            "samples, and measures what it still knows around them. The one on handwritten digits takes about a minute "
            "on two cores and needs no download.</p></div>"
        )
        digits_button("empty_digits", primary=True)
        st.page_link("forget.py", label="Or choose your own samples to forget", icon=":material/ink_eraser:")


def running(jobs: list[JobStatus]) -> list[JobStatus]:
    """Jobs that run or wait, the running one first."""
    return sorted((job for job in jobs if job.alive), key=lambda job: (job.state != "running", job.id))


def run_jobs(store: Store) -> list[JobStatus]:
    """Jobs that are listed on the Unlearn page, newest first: runs, and whatever else runs wait for."""
    return [job for job in list_jobs(store) if (kind := job.spec.get("kind")) not in OWN_PLACE or _holds_up(job, kind)]


def _holds_up(job: JobStatus, kind: str) -> bool:
    return job.alive and kind not in OWN_LINE


def watch(key: str) -> None:
    """Progress of the job whose id is kept in the session under ``key``, with a button that stops it.

    Once it is finished the page runs again without it; how it failed is said once, in a sentence.
    """
    store, job = state.store(), st.session_state.get(key)
    if job is None:
        return

    @st.fragment(run_every=0.5)
    def live() -> None:
        try:
            found = job_status(store, job)
        except RurkError:  # deleted in another tab
            found = None
        if found is None or not found.alive:
            if found is not None and found.state != "done":
                state.note(found.message or "It ended without a word.")
            st.session_state.pop(key, None)
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            with st.container():
                _progress(found)
            stop_button(found, f"stop-{job}")

    live()


def jobs_panel(kind: str = "") -> None:
    """Every job (or those of a kind) that has not been put away: progress, time left, loss; stop, resume, open, …"""
    store = state.store()
    jobs = [job for job in run_jobs(store) if not kind or job.spec.get("kind") == kind]
    jobs = [job for job in jobs if job.alive or job.id not in st.session_state.get("put_away", ())]
    jobs = running(jobs) + [job for job in jobs if not job.alive][:8]
    if jobs:
        show_jobs(jobs)


def show_jobs(jobs: list[JobStatus]) -> None:
    """A card for every job, kept up to date; the page runs again once none of them is under way any more."""
    store = state.store()
    alive = any(job.alive for job in jobs)
    ids = [job.id for job in jobs]

    @st.fragment(run_every=1.0 if alive else None)
    def live() -> None:
        found = []
        for name in ids:
            try:
                found.append(job_status(store, name))
            except RurkError:
                continue  # deleted in another tab
        for status in found:
            job_card(status)
        if alive != any(job.alive for job in found):
            st.rerun()  # there is a new result, or one was taken up again

    live()


def job_card(job: JobStatus) -> None:
    store = state.store()
    word, colour, icon = STATES.get(job.state, (job.state, "gray", ":material/help:"))
    with st.container(border=True, key=f"job-{job.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(word, icon=icon, color=colour)  # type: ignore[arg-type]
            st.markdown(f"**{plain(title_of(job))}**", width="stretch")
            _buttons(job)
        if job.alive:
            _progress(job)
        elif job.state == "done":
            st.caption(FOUND_IN.get(job.spec.get("kind", ""), "The result is in the list of experiments."))
        else:
            st.caption(plain(job.message or "It ended without a word."))
            if job.state in ("failed", "killed"):
                log = read_log(store, job.id, last=4000)
                if log.strip():
                    with st.expander("Log of the run", icon=":material/article:"):
                        st.code(log, language=None, wrap_lines=True)


RECENT = 60
"""Runs that are looked into for what this machine does."""
UNITS = {"Verdicts": "copies", "Radii": "searches"}
"""What a stage counts, by how its name begins."""


def where(job: JobStatus) -> str:
    """The stage that is under way, with what it counts."""
    last = job.events[-1] if job.events else {}
    total, done = last.get("total"), last.get("done")
    stage = stage_words(job.stage) or (waits_words(job) if job.state == "queued" else "Starting")
    if isinstance(total, int) and isinstance(done, int) and total > 1:
        unit = next((unit for of, unit in UNITS.items() if stage.startswith(of)), "steps")
        stage += f", {done:,} of {total:,} {unit}"
    return stage


def _progress(job: JobStatus) -> None:
    if job.state == "queued":
        st.caption(plain(f"{waits_words(job)}."))
        return
    st.progress(job.progress, text=plain(f"{job.progress:.0%} · {where(job)}{time_left(job)}"))
    live_curves(job)


LIVE = {
    "loss": (loss_words, "{:.3f}"),
    "accuracy": (lambda stage: "training accuracy", "{:.0%}"),
    "retain_accuracy": (lambda stage: "retain accuracy", "{:.0%}"),
    "forget_accuracy": (lambda stage: "forget accuracy", "{:.0%}"),
}
"""What the events of a training stage tell, by name: stage → title, and format."""


def live_curves(job: JobStatus) -> None:
    """Loss and live accuracies of the stage that trains now, or trained last."""
    trained = [event for event in job.events if isinstance(event.get("loss"), int | float)]
    if not trained:
        return
    stage = str(trained[-1].get("stage"))
    here = [event for event in trained if event.get("stage") == stage]
    with st.container(horizontal=True, gap="medium", key=f"live-{job.id}"):
        for name, (title, form) in LIVE.items():
            values = [event[name] for event in here if isinstance(event.get(name), int | float)]
            if values:
                help = None if name == "loss" else "On at most 256 samples of the set, a look now and then."
                st.metric(
                    plain(f"{stage_words(stage)}: {title(stage)}"),
                    form.format(values[-1]),
                    chart_data=values[-300:],
                    width=260,
                    help=help,
                )


def safely(work: Any, *args: Any) -> None:
    """Do it, or say in a sentence at the top of the page why not."""
    try:
        work(*args)
    except RurkError as error:
        state.note(str(error))


def stop_button(job: JobStatus, key: str, type: Literal["secondary", "tertiary"] = "secondary") -> None:
    """A way to stop a job; it says that it was heard, since a job ends at the next step of its work."""
    st.button(
        "Stopping …" if job.stopping else "Stop",
        key=key,
        type=type,
        icon=":material/stop:",
        disabled=job.stopping,
        on_click=safely,
        args=(cancel_job, state.store(), job.id),
    )


def _buttons(job: JobStatus) -> None:
    store = state.store()
    if job.alive:
        stop_button(job, f"stop-{job.id}")
        return
    if job.state == "done" and job.result.startswith("run-") and store.has(job.result):
        if st.button("Look at it", key=f"open-{job.id}", type="primary", icon=":material/blur_on:"):
            state.open_run(job.result)
    elif page_of(job):
        page_button(job)
    elif job.state != "done":
        st.button(
            "Resume",
            key=f"resume-{job.id}",
            icon=":material/resume:",
            help="Finished stages are kept; it goes on from there.",
            on_click=safely,
            args=(resume, store, job),
        )
    st.button(
        "Dismiss",
        key=f"dismiss-{job.id}",
        type="tertiary",
        icon=":material/close:",
        help="Take it off this list; results stay.",
        on_click=safely,
        args=(delete_job, store, job.id),
    )


def speeds_known(model: str) -> dict[str, float] | None:
    """The same from finished runs alone: nothing is timed for it."""
    from rurk_core.device import default_device, device_name
    from rurk_core.run.estimate import measured_speeds

    own = (found for entry in state.runs(RECENT) if not entry.bundled and (found := _readable(entry.key)))
    return measured_speeds(own, model, device_name(default_device()))


def speeds_here(model: str, input_shape: tuple[int, ...], classes: int) -> tuple[dict[str, float] | None, str]:
    """Forward passes a second of a network on this machine, for each kind of work, and how that is known.

    None where nothing tells.
    """
    from rurk_core.device import default_device

    if speeds := speeds_known(model):
        return speeds, "from your finished runs of this network"
    if default_device().type == "cuda":
        return None, "no experiment with this network has finished on this GPU yet"
    return _probed(model, input_shape, classes), "from a trial of the network"


@st.cache_resource(max_entries=64, show_spinner=False)
def _probed(model: str, input_shape: tuple[int, ...], classes: int) -> dict[str, float]:
    from rurk_core.run.estimate import probed_speeds

    return probed_speeds(model, input_shape, classes)


def _readable(key: str) -> dict[str, Any] | None:
    try:
        return state.result_of(key)
    except RurkError:  # damaged; the list says so
        return None
