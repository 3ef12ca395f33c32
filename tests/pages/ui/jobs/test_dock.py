"""The dock: what runs is there on every page; what ended is told once, on whatever page one is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ui.jobs import dock, runs
from ui.jobs.runs import time_left, where

from rurk_core.jobs.control import JobStatus

from ...looking import fine, words

EVENTS = [
    {"stage": "Original", "done": 5, "total": 460, "loss": 0.5, "accuracy": 0.9},
    {"stage": "References", "done": 10, "total": 100, "loss": 0.25},
]


def job(**more) -> JobStatus:
    spec = {"kind": "experiment", "spec": {"dataset": "digits", "forget": "class:0:0.5", "methods": ["gd", "rurk"]}}
    return JobStatus(
        **{"id": "20260101-000000-abcd", "state": "running", "spec": spec, "events": EVENTS, "progress": 0.4}
        | {"stage": "References", "eta_seconds": 150.0}
        | more
    )


@pytest.fixture
def jobs(monkeypatch):
    found: list[JobStatus] = []
    for module in (dock, runs):
        monkeypatch.setattr(module, "run_jobs", lambda store: list(found))
    return found


def test_what_runs_is_told_on_any_page_and_its_end_until_it_is_dismissed(app, jobs):
    jobs.append(job())
    test = fine(app("compare.py"))
    assert "References, 10 of 100 steps · about 2.5 min left" in test.get("progress")[-1].proto.text
    links = [link.proto.label for link in test.get("page_link")]
    assert "**Digits · half of “0” · 2 methods**" in links and any("0.250" in c.value for c in test.caption)
    jobs[0] = replace(jobs[0], state="failed")
    test.switch_page("teach.py").run()
    assert "Digits · half of “0” · 2 methods" in words(fine(test))
    test.button(key=f"dock-seen-{jobs[0].id}").click().run()
    assert "Digits · half of “0” · 2 methods" not in words(fine(test))


def test_time_left_is_not_told_before_it_is_known():
    assert time_left(job(progress=0.05)) == " · time left not known yet"
    assert time_left(job(progress=0.5)) == " · about 2.5 min left"
    assert time_left(job(eta_seconds=None)) == time_left(job(state="queued")) == ""


def test_where_it_is_counts_what_the_stage_counts():
    assert where(job()) == "References, 10 of 100 steps"
    verdicts = [{"stage": "Verdicts, gaussian", "done": 1000, "total": 5000}]
    assert where(job(events=verdicts, stage="Verdicts, gaussian")) == "Verdicts, gaussian, 1,000 of 5,000 copies"
    assert where(job(events=[], stage="", state="queued")) == "Waits until the device is free"
