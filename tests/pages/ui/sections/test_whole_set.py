"""The forget set as a whole on the Review page: offered, under way, failed, shown; and who stayed, in Neighbourhood."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from ui.jobs import runs
from ui.sections import whole_set
from ui.session.stages import scene_of

from rurk_core.data import load_dataset
from rurk_core.evidence.case import open_case
from rurk_core.evidence.whole_set import make_whole_set
from rurk_core.jobs.control import JobStatus, job_status, list_jobs
from rurk_core.measure import radius
from rurk_core.run.experiment import run
from rurk_core.store.store import Store

SCRIPT = "<script>alert(1)</script> *b*"


@pytest.fixture(scope="module")
def measured(tiny_spec, tmp_path_factory):
    """A store with a small run of three references, and the document on its model, found by coarse searches."""
    store = Store(tmp_path_factory.mktemp("section"))
    result = run(replace(tiny_spec, forget="class:0:0.04", references=3, methods=tiny_spec.methods[:1]), store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(radius, "ATTEMPTS", 2)
        patch.setattr(radius, "DIRECTIONS", 16)
        document = make_whole_set(open_case(store, result["key"], method="gd"), load_dataset("digits"))
    return store, result, document


@pytest.fixture(autouse=True)
def fresh():
    st.cache_resource.clear()


def said(test) -> str:
    found = [*test.markdown, *test.caption, *test.get("html")]
    return " ".join(element.value for element in found if element.value).replace("\\", "")


def charts(test) -> list[str]:
    return [json.loads(chart.proto.spec)["layout"]["xaxis"]["title"]["text"] for chart in test.get("plotly_chart")]


def job(state: str, result, **more) -> JobStatus:
    asked = {"run": result["key"], "method": "gd", "attack": "gaussian", "title": "The whole forget set: " + SCRIPT}
    return JobStatus("20261125t000000000000-abcdef", state, {"kind": "wholeset", "spec": asked}, **more)


def test_a_job_that_was_asked_to_stop_says_so(app, tiny_store, tiny_run, monkeypatch):
    asked = job("running", tiny_run[1], stopping=True)
    monkeypatch.setattr(whole_set, "list_jobs", lambda store: [asked])
    monkeypatch.setattr(runs, "job_status", lambda store, name, **_: asked)
    test = app("review.py", tiny_store, run=tiny_run[1]["key"], more="whole")
    button = test.button(key=f"stop-{asked.id}")
    assert (button.label, button.disabled) == ("Stopping …", True)


def test_it_is_offered_with_an_estimate_and_starts_in_the_background(app, tiny_store, tiny_run):
    key = tiny_run[1]["key"]
    test = app("review.py", tiny_store, run=key, more="whole")
    assert "Re-recognition radii" in said(test) and "At most about" in said(test)
    test.button(key="wholeset_start").click().run()
    assert not test.exception and not test.error
    (found,) = list_jobs(tiny_store)
    assert found.spec["kind"] == "wholeset" and found.spec["spec"]["run"] == key
    assert (found.spec["spec"]["method"], found.spec["spec"]["attack"]) == ("gd", "gaussian")
    assert "wholeset_start" not in [button.key for button in test.button]
    assert test.button(key=f"stop-{found.id}")
    # a page opened anew finds it again, and another model's section does not
    again = app("review.py", tiny_store, run=key, more="whole")
    assert again.button(key=f"stop-{found.id}")
    other = app("review.py", tiny_store, run=key, method="rurk", more="whole")
    assert other.button(key="wholeset_start")
    again.button(key=f"stop-{found.id}").click().run()
    for _ in range(100):
        if not job_status(tiny_store, found.id, grace=1.0).alive:
            break
        time.sleep(0.1)
    stopped = app("review.py", tiny_store, run=key, more="whole")
    assert stopped.button(key=f"resume-{found.id}") and "stopped]" in said(stopped)


@pytest.mark.parametrize(
    ("state", "more", "expected"),
    [
        ("queued", {}, "It begins in a moment"),
        ("failed", {"message": "The disk is full <b>now</b>."}, "The disk is full <b>now</b>."),
        ("killed", {"message": "The process ended without a word"}, "ended without a word"),
    ],
)
def test_a_job_under_way_or_ended_is_shown_instead(app, tiny_store, tiny_run, monkeypatch, state, more, expected):
    found = job(state, tiny_run[1], **more)
    monkeypatch.setattr(whole_set, "list_jobs", lambda store: [found])
    monkeypatch.setattr(runs, "job_status", lambda store, name, **_: found)
    monkeypatch.setattr(runs, "read_log", lambda store, name, **_: "")
    test = app("review.py", tiny_store, run=tiny_run[1]["key"], more="whole")
    assert expected in said(test) and not test.error
    assert SCRIPT in said(test) and not any("<script" in element.value for element in test.get("html"))
    keys = [button.key for button in test.button]
    assert "wholeset_start" not in keys
    assert (f"resume-{found.id}" in keys) == (state != "queued") == (f"dismiss-{found.id}" in keys)


def test_progress_says_how_far_it_is(app, tiny_store, tiny_run, monkeypatch):
    events = [{"ev": "step", "stage": "Radii, l2", "done": 3, "total": 21, "overall": 0.2, "eta": 40.0}]
    found = job("running", tiny_run[1], events=events, stage="Radii, l2", progress=0.2, eta_seconds=40.0)
    monkeypatch.setattr(whole_set, "list_jobs", lambda store: [found])
    monkeypatch.setattr(runs, "job_status", lambda store, name, **_: found)
    test = app("review.py", tiny_store, run=tiny_run[1]["key"], more="whole")
    texts = [bar.proto.text for bar in test.get("progress")]
    assert any("3 of 21 searches" in text and "about 40 s left" in text for text in texts)


def test_more_seeds_leave_what_was_measured_and_offer_to_measure_again(app, measured, monkeypatch):
    store, result, _ = measured
    monkeypatch.setattr("rurk_core.evidence.whole_set.siblings", lambda *_: {"unlearned-0123456789abcdef": "scores-0"})
    test = app("review.py", store, run=result["key"], more="whole")
    assert not test.error and charts(test)
    assert "held 0 other models of this method" in said(test) and "now it holds 1." in said(test)
    assert test.button(key="wholeset_start").label == "Measure again"


def test_what_was_measured_is_shown(app, measured):
    store, result, document = measured
    test = app("review.py", store, run=result["key"], more="whole")
    assert not test.error and "wholeset_start" not in [button.key for button in test.button]
    titles = charts(test)
    assert any("l2 length of the change" in title for title in titles)
    assert any("samples accused" in title for title in titles)
    assert any("distance to the nearest forgotten sample" in title for title in titles)
    assert any("beyond re-trained models (log-odds" in title for title in titles)
    text = said(test)
    assert text.count("See:") >= 4 and "Of the 100 retained samples" in text
    assert f"{document['membership'][0]['auc']:.2f}" in text and "0 in, 2 out" in text
    test.segmented_control(key="view_change").set_value("linf").run()
    assert any("largest change of a pixel" in title for title in charts(test)) and not test.exception
    assert test.query_params["change"] == "linf"


def test_a_sample_that_stays_opens_in_neighbourhood_and_only_if_it_was_looked_at(app, measured):
    store, result, document = measured
    sample = document["retained"]["samples"][5]["sample"]
    test = app("neighbourhood.py", store, run=result["key"], method="gd", attack="gaussian", sample=str(sample))
    assert not test.error and not test.warning
    assert test.query_params["sample"] == str(sample)
    # the counts are those of the document: same copies, same models
    row = document["retained"]["samples"][5]
    scene = scene_of(result["key"], "gd", "gaussian", load_dataset("digits"))[1]
    assert "This sample stays" in scene.said(sample)[0]
    counts = scene.table(sample)
    assert counts.margin("gd")[:, counts.taus > 0].mean() == pytest.approx(row["log_odds"], abs=1e-4)
    assert "report_sample" not in [getattr(e, "key", None) for e in test.get("download_button")]
    kept = {row["sample"] for row in document["retained"]["samples"]} | set(result["forget"]["indices"])
    far = next(index for index in range(1000) if index not in kept)
    left_out = app("neighbourhood.py", store, run=result["key"], method="gd", attack="gaussian", sample=str(far))
    assert any("does not exist here" in warning.value for warning in left_out.warning)


def test_parts_that_are_missing_say_why_and_names_are_text(app, measured, forge, tmp_path):
    source, result, document = measured
    shutil.copytree(Path(source.url) / "runs", tmp_path / "own" / "runs")
    store = Store(tmp_path / "own")
    changed = json.loads(json.dumps(document))
    row = changed["retained"]["samples"][0]
    changed["retained"]["changed"], row["q_forgotten"] = [row["sample"]], 0.0
    changed |= {"membership": None, "unreferenced": None}
    changed["missing"] = {"membership": f"No signal {SCRIPT}", "unreferenced": f"No test samples {SCRIPT}"}
    named = json.loads(json.dumps(result))
    named["dataset"]["classes"] = [SCRIPT] * 10
    forge(store, document["key"], "wholeset.json", changed)
    forge(store, result["key"], "result.json", named)
    test = app("review.py", store, run=result["key"], more="whole")
    assert not test.error and f"No signal {SCRIPT}" in said(test) and f"No test samples {SCRIPT}" in said(test)
    assert not any("<script" in element.value for element in test.get("html"))
    assert "recognised less than after re-training" in said(test)


def test_a_damaged_document_is_offered_anew(app, measured, tmp_path):
    source, result, document = measured
    shutil.copytree(Path(source.url) / "runs", tmp_path / "own" / "runs")
    (tmp_path / "own" / "runs" / document["key"] / "wholeset.json").write_text("{")
    test = app("review.py", tmp_path / "own", run=result["key"], more="whole")
    assert not test.error and test.button(key="wholeset_start")
