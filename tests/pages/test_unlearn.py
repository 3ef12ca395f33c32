"""The Unlearn page: presets, the plan, experiments and their names."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

from rurk_core.jobs.control import JobStatus
from rurk_core.run.experiment import run
from rurk_core.store.store import Store

from .looking import fine, words


def test_a_preset_of_other_data_offers_them_and_replaces_nothing(app):
    test = fine(app("unlearn.py", data="digits"))
    test.segmented_control(key="preset").set_value("Paper, small CIFAR-5").run()
    assert not test.exception and test.query_params["data"] in ("digits", ["digits"])
    test.button(key="use_preset_data").click().run()
    assert not test.exception and test.query_params["data"] in ("small_cifar5", ["small_cifar5"])


def test_an_experiment_nobody_named_has_the_title_a_person_would_give(app):
    test = fine(app("unlearn.py", data="digits"))
    assert test.text_input(key="title").placeholder == "Handwritten digits, 8×8 · half of “0” · 3 methods"


def test_the_plan_counts_and_says_how_long(app):
    test = fine(app("unlearn.py", data="digits", forget="class:3:0.25:2"))
    test.segmented_control(key="preset").set_value("Quick look").run()
    plan = next(e.body for e in fine(test).get("html") if "rk-plan" in e.body)
    # 33 samples × 6 radii × 10 copies × (Original, 2 methods, 1 re-trained)
    assert "<b>7,920</b>" in plan and "33 samples × 6 " in plan
    assert re.search(r"<b>[\d.]+ \w+ to [\d.]+ \w+</b>", plan) and "from a trial of the network" in plan


def test_what_is_in_the_store_takes_no_time_and_an_impossible_plan_cannot_be_started(app):
    test = fine(app("unlearn.py", data="digits"))
    test.multiselect(key="methods-Thorough").set_value([]).run()
    assert not test.exception and "method" in test.error[0].value
    assert test.button(key="start").disabled


def test_experiments_of_one_title_stay_apart(app, tiny_run, tiny_spec, tmp_path):
    """The words of a selectbox are all it remembers: equal ones would bring the other experiment into view."""
    store = Store(shutil.copytree(tiny_run[0].url, tmp_path / "store"))
    other = run(replace(tiny_spec, seed=tiny_spec.seed + 1, draws=10), store)["key"]
    first = tiny_run[1]["key"]
    for key in (first, other):
        test = fine(app("compare.py", store, bundled=False, run=key))
        names = test.sidebar.selectbox[0].options
        assert set(names) == {f"seed {tiny_spec.seed + at} · Tiny digits" for at in (0, 1)}
        fine(test.pills[0].set_value("gd").run())
        assert test.query_params["run"] in (key, [key]) and test.sidebar.selectbox[0].value == key


def test_a_run_is_renamed(app, tiny_run, tmp_path):
    store, result = tiny_run
    shutil.copytree(store.url, tmp_path / "copy")
    test = fine(app("unlearn.py", store=tmp_path / "copy"))
    test.text_input(key=f"title-{result['key']}").set_value("Another <b>name</b>").run()
    test.button(key=f"rename-{result['key']}").click().run()
    assert "Another \\<b\\>name\\</b\\>" in words(fine(test))


def test_a_run_that_is_opened_is_in_view_in_neighbourhood(app, tiny_run):
    store, result = tiny_run
    test = app("unlearn.py", store=store, method="rurk")
    test.button(key=f"open-{result['key']}").click().run()
    assert fine(test).title[0].value == "Neighbourhood" and test.query_params["run"] == result["key"]


def test_the_plan_names_what_is_waited_for_and_the_same_run_is_not_started_twice(app, monkeypatch):
    from ui.jobs import line

    test = fine(app("unlearn.py", data="digits"))
    started: list[dict] = []
    monkeypatch.setattr("ui.jobs.runs.start_job", lambda store, about, runner: started.append(about) or "gone")
    fine(test.button(key="start").click().run())
    (about,) = started
    jobs = [
        JobStatus("2", "queued", about),
        JobStatus("1", "running", {"kind": "wholeset", "spec": {"title": "The whole forget set: GD"}}),
        JobStatus("0", "running", {"kind": "embedding", "device": "map", "spec": {"title": "A map"}}),
    ]
    monkeypatch.setattr(line, "list_jobs", lambda store: jobs)
    plan = next(e.body for e in fine(test.run()).get("html") if "rk-plan" in e.body)
    assert "under way already" in plan and test.button(key="start").disabled
    jobs.pop(0)
    plan = next(e.body for e in fine(test.run()).get("html") if "rk-plan" in e.body)
    assert "once “The whole forget set: GD” is over" in plan and not test.button(key="start").disabled


def test_training_and_pre_training_can_be_cut_and_only_what_differs_is_in_the_run(app, monkeypatch):
    started: list[dict] = []
    monkeypatch.setattr("ui.jobs.runs.start_job", lambda store, about, runner: started.append(about) or "gone")
    test = fine(app("unlearn.py", data="digits"))
    fine(test.button(key="start").click().run())
    epochs = next(box for box in test.number_input if str(box.key).startswith("train-epochs-"))
    assert not any("pre-training" in box.label for box in test.number_input)
    fine(epochs.set_value(2).run())
    fine(test.button(key="start").click().run())
    assert [about["spec"]["train"] for about in started] == [{}, {"epochs": 2}]


def test_what_takes_most_of_a_long_run_is_said_with_what_would_make_it_short():
    from ui.sections.plan import heaviest_words

    from rurk_core.run.plan import Stage

    stages = [
        Stage("pretrained", "Pre-training", "pretrained", {"code": ""}, cost=780),
        Stage("original", "Original", "original", {"code": ""}, cost=220),
    ]
    (sentence,) = heaviest_words(stages, {"": 1.0})
    assert sentence.startswith("Pre-training takes 78% of it; fewer epochs of it, or none,")
    assert heaviest_words(stages, {"": 10.0}) == [], "a short run needs no words"
