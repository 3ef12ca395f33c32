"""The dock: what runs is there on every page; what ended is told once, on whatever page one is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ui.jobs import dock, line, runs
from ui.jobs.line import over_words, time_left
from ui.jobs.runs import where

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
    assert "Re-trained models, 10 of 100 steps · about 2.5 min left" in test.get("progress")[-1].proto.text
    links = [link.proto.label for link in test.get("page_link")]
    assert any("Handwritten digits, 8×8 · half of “0” · 2 methods" in label for label in links)
    assert any("0.250" in caption.value for caption in test.caption)
    jobs[0] = replace(jobs[0], state="failed")
    test.switch_page("teach.py").run()
    assert "Handwritten digits, 8×8 · half of “0” · 2 methods" in words(fine(test))
    test.button(key=f"dock-seen-{jobs[0].id}").click().run()
    assert "Handwritten digits, 8×8 · half of “0” · 2 methods" not in words(fine(test))


def test_time_left_is_not_told_before_it_is_known():
    assert time_left(job(progress=0.05)) == " · time left not known yet"
    assert time_left(job(progress=0.5)) == " · about 2.5 min left"
    assert time_left(job(eta_seconds=None)) == time_left(job(state="queued")) == ""


def test_where_it_is_counts_what_the_stage_counts():
    assert where(job()) == "Re-trained models, 10 of 100 steps"
    verdicts = [{"stage": "Verdicts, gaussian", "done": 1000, "total": 5000}]
    assert where(job(events=verdicts, stage="Verdicts, gaussian")) == "Verdicts, gaussian, 1,000 of 5,000 copies"


def test_what_a_job_waits_for_is_named_with_its_time(monkeypatch):
    first = job()
    own = job(id="20260101-000001-abcd", events=[], stage="", state="queued")
    monkeypatch.setattr(line, "list_jobs", lambda store: [own, first])
    assert where(own) == "Waits until “Handwritten digits, 8×8 · half of “0” · 2 methods” is over · about 2.5 min left"
    lesson = replace(own, spec={"kind": "embedding", "device": "map", "spec": {}})
    assert where(lesson) == "It begins in a moment", "a line of its own"
    others = [replace(first, id=f"2025010{n}-000000-abcd", spec={"spec": {"title": f"Run {n}"}}) for n in range(4)]
    assert over_words([]) == "" and over_words(others[:1]) == "“Run 0” is over"
    assert over_words(others[:2]) == "“Run 0” and “Run 1” are over"
    assert over_words(others) == "“Run 0”, “Run 1” and 2 others are over"
    assert over_words([others[0], others[0]]) == "“Run 0” and 1 other are over", "a title is said once"


def test_a_run_that_finished_is_told_before_what_failed_and_a_stop_is_no_news(app, jobs, monkeypatch):
    done, failed, stopped = (job(id=f"20260101-00000{n}-abcd") for n in range(3))
    jobs += [stopped, failed, done]
    test = fine(app("teach.py"))
    jobs[:] = [replace(stopped, state="cancelled"), replace(failed, state="failed"), replace(done, state="done")]
    fine(test.run())
    seen = [button.key for button in test.button if str(button.key).startswith("dock-seen-")]
    assert seen == [f"dock-seen-{done.id}"] and "1 more ended" in words(test)
    monkeypatch.setattr(dock, "NEWS", 0.0)
    assert "more ended" not in words(fine(test.run())), "what was told a while ago is no news"
    jobs[:] = [job(id=failed.id)]
    fine(test.run())
    jobs[:] = [replace(failed, state="done")]
    assert f"dock-seen-{failed.id}" in [button.key for button in fine(test.run()).button], "taken up again, it is"


@pytest.mark.parametrize(
    ("stage", "loss"),
    [("Original", "training loss (cross-entropy)"), ("RURK", "the method’s own objective")],
)
def test_a_negative_objective_is_not_called_a_cross_entropy(app, jobs, stage, loss):
    name = "rurk" if stage == "RURK" else stage
    jobs.append(job(stage=name, events=[{"stage": name, "done": 1, "total": 2, "loss": -0.231}]))
    test = fine(app("teach.py"))
    assert any(f"{stage}: {loss} **-0.231**" in caption.value for caption in test.caption)
