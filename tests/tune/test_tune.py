"""Tuning: the aims by hand, a search that resumes as if it had never stopped, presets that become settings."""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import os
import shutil
import signal
import time

import numpy as np
import pytest
import torch

from rurk_core.cli import main
from rurk_core.data import load_dataset
from rurk_core.errors import Cancelled, UsageError
from rurk_core.run.presets import list_presets, presets_of, save_preset
from rurk_core.run.spec import make_spec, spec_from_dict
from rurk_core.store.store import Store
from rurk_core.tune import bench
from rurk_core.tune.aims import Trial, band_distance, choose, front, halves
from rurk_core.tune.search import searched
from rurk_core.tune.tune import tune
from rurk_core.unlearning import METHODS


@pytest.fixture(scope="module")
def spec():
    return make_spec(methods="ssd", references=2, taus="0,0.2", draws=5, train={"epochs": 2})


@pytest.fixture(scope="module")
def tuned(spec, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return store, tune(spec, store, trials=8)


# --- the aims -----------------------------------------------------------------------------------------------


def test_distance_is_zero_inside_the_band_and_a_log_ratio_outside():
    """Three references recognise 8, 10, 12 of 20 copies: against the mean of the others 8/11, 10/10 and 12/9."""
    v = np.array([[[8]], [[10]], [[12]]])
    for u in (8, 10, 13):
        assert band_distance(np.array([[u]]), v) == 0
    assert band_distance(np.array([[20]]), v) == pytest.approx(math.log(20.5 / 10.5) - math.log(12 / 9))
    assert band_distance(np.array([[0]]), v) == pytest.approx(math.log(8 / 11) - math.log(0.5 / 10.5))
    both = np.concatenate([v, v], 2)
    assert band_distance(np.array([[10, 20]]), both) == pytest.approx((math.log(20.5 / 10.5) - math.log(12 / 9)) / 2)


def test_a_single_reference_is_held_against_one():
    v = np.array([[[10]]])
    assert band_distance(np.array([[10]]), v) == 0
    assert band_distance(np.array([[20]]), v) == pytest.approx(math.log(20.5 / 10.5))


def trial(number, distance, loss, failed=""):
    return Trial(number, {}, distance=distance, loss=loss, failed=failed)


def test_the_front_holds_what_nothing_beats():
    trials = [trial(0, 0.5, 0.0), trial(1, 0.0, 0.3), trial(2, 0.2, 0.1), trial(3, 0.4, 0.2), trial(4, None, None, "x")]
    assert front(trials) == [1, 2, 0]


def test_the_choice_is_inside_the_band_where_it_can_be():
    inside = [trial(0, 0.1, 0.0), trial(1, 0.0, 0.3), trial(2, 0.0, 0.2)]
    assert choose(inside).number == 2
    assert choose([trial(0, 0.5, 0.0), trial(1, 0.1, 0.1), trial(2, 0.4, 0.2)]).number == 1
    with pytest.raises(UsageError, match="Every trial failed; the first said: too long"):
        choose([trial(0, None, None, "too long")])


# --- the search ---------------------------------------------------------------------------------------------


def test_what_a_search_says(tuned, spec):
    store, result = tuned
    json.dumps(result, allow_nan=False)
    trials = result["trials"]
    assert [t["number"] for t in trials] == list(range(8)) and trials[0]["start"] == "as given"
    assert {t["start"] for t in trials} > {"default", ""}, "the presets are tried before anything is searched"
    low, high, _ = searched(METHODS["ssd"])["alpha"]
    assert all(low <= t["settings"]["alpha"] <= high for t in trials)
    best = trials[result["chosen"]]
    assert result["chosen"] in result["front"]
    assert best["distance"] <= trials[0]["distance"] or best["loss"] <= trials[0]["loss"]
    assert result["judged"][str(result["chosen"])]["ratios"] and result["halves"] == {"validation": 32, "judging": 32}
    assert {e.kind for e in store.list()} >= {"original", "reference", "tuning"}


def test_the_numbers_of_a_trial_are_those_of_the_unlearned_model(tuned, spec):
    """The chosen settings, run as an experiment of their own, have the accuracies the search saw."""
    from rurk_core.run.experiment import run

    store, result = tuned
    again = make_spec(methods="ssd@tuned-digits", presets=presets_of(store), references=2, taus="0,0.2", draws=5,
                      train={"epochs": 2}, relearn=0)  # fmt: skip
    row = next(row for row in run(again, store)["models"] if row["name"] == "ssd")
    assert row["preset"] == "tuned digits"
    chosen = result["trials"][result["chosen"]]
    assert row["retain_accuracy"] == pytest.approx(chosen["retain"], abs=1e-6)
    assert row["test_accuracy"] == pytest.approx(chosen["test"], abs=1e-6)


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(tuned, spec, tmp_path, monkeypatch):
    _, whole = tuned
    store, seen = Store(tmp_path), []
    real = bench.unlearn

    def counted(*arguments, **more):
        seen.append(len(seen))
        if len(seen) == 7:
            raise Cancelled("stop")
        return real(*arguments, **more)

    monkeypatch.setattr(bench, "unlearn", counted)
    with pytest.raises(Cancelled):
        tune(spec, store, trials=8)
    assert not store.list("tuning") and not list_presets(store)
    resumed = tune(spec, store, trials=8)
    assert len(seen) == 7 + 2 + len(resumed["judged"]), "finished trials are not run again"
    assert resumed["trials"] == whole["trials"] and resumed["chosen"] == whole["chosen"]
    seen.clear()
    assert tune(spec, store, trials=8) == resumed and not seen
    longer = tune(spec, store, trials=9)
    assert longer["trials"][:8] == whole["trials"] and len(longer["trials"]) == 9


@pytest.fixture
def started(tuned, tmp_path):
    """A store that has the Original and the references, and no search."""
    shutil.copytree(tuned[0].url, tmp_path / "store", ignore=shutil.ignore_patterns("tuning*", "presets.json"))
    return Store(tmp_path / "store")


def in_child(work):
    """Run ``work`` in a forked process."""

    def single_threaded():
        torch.set_num_threads(1)
        work()

    process = multiprocessing.get_context("fork").Process(target=single_threaded)
    process.start()
    return process


def test_two_processes_share_one_search(started, spec, tmp_path, monkeypatch):
    """Nobody tries what another one is at; together they try as many settings as were asked for."""
    real = bench.unlearn

    def noted(*arguments, **more):
        with open(tmp_path / "who.txt", "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.05)
        return real(*arguments, **more)

    monkeypatch.setattr(bench, "unlearn", noted)
    processes = [in_child(lambda: tune(spec, started, trials=10)) for _ in range(2)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    (entry,) = started.list("tuning")
    result = started.read_json(entry.key, "result.json")
    assert [t["number"] for t in result["trials"]] == list(range(10)) and not any(t["failed"] for t in result["trials"])
    who = (tmp_path / "who.txt").read_text().split()
    assert len(who) == 10 + len(result["judged"]), "no setting was tried twice, and they were judged once"
    assert set(who) == {str(process.pid) for process in processes}, "both took part"


def test_a_search_whose_process_was_killed_goes_on(tuned, started, spec, monkeypatch):
    _, whole = tuned
    real, seen = bench.unlearn, []

    def fatal(*arguments, **more):
        seen.append(1)
        if len(seen) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **more)

    monkeypatch.setattr(bench, "unlearn", fatal)
    process = in_child(lambda: tune(spec, started, trials=8))
    process.join(120)
    assert process.exitcode == -signal.SIGKILL and not started.list("tuning") and not seen
    monkeypatch.setattr(bench, "unlearn", lambda *arguments, **more: seen.append(1) or real(*arguments, **more))
    resumed = tune(spec, started, trials=8)
    assert len(seen) == 8 - 3 + len(resumed["judged"])
    assert resumed["trials"] == whole["trials"] and resumed["chosen"] == whole["chosen"]


@pytest.mark.slow
def test_what_cannot_be_tuned_is_said_in_words(spec, tmp_path):
    store = Store(tmp_path)
    with pytest.raises(UsageError, match="'processes' must be a whole number from 1 to 64, not 0"):
        tune(spec, store, processes=0)
    for methods, message in (
        ("ssd,gd", "exactly one"),
        ("rurk@auto", "a preset or a number instead"),
        ("retrain", "no settings to tune"),
    ):
        with pytest.raises(UsageError, match=message):
            tune(make_spec(methods=methods), store)
    with pytest.raises(UsageError, match="random copies"):
        tune(make_spec(methods="ssd", attacks="pgd"), store)
    with pytest.raises(UsageError, match="trials"):
        tune(spec, store, trials=0)
    few = make_spec(methods="unsir", forget="indices:1,2,3", train={"epochs": 1}, references=1, draws=1, taus="0")
    with pytest.raises(UsageError, match="whole classes"):
        tune(few, store, trials=1)


def test_halves_share_nothing_and_leave_nothing_out():
    from rurk_core.data import forget_set, load_dataset

    data = load_dataset("digits")
    chosen = forget_set(data, "class:0:0.5")
    first, second = halves(chosen, 3)
    assert not set(first) & set(second) and sorted(first + second) == sorted(chosen.indices)
    with pytest.raises(UsageError, match="four samples"):
        halves(forget_set(data, "indices:1,2,3"), 3)


# --- presets ------------------------------------------------------------------------------------------------


def entry(name="mine", **settings):
    return {"method": "gd", "name": name, "settings": settings, "dataset": "digits", "model": "cnn", "found_by": "hand"}


def test_presets_of_a_store_are_names_for_settings(tmp_path):
    store = Store(tmp_path)
    save_preset(store, entry(lr=0.5))
    save_preset(store, entry(lr=0.25))
    assert [e["settings"] for e in list_presets(store)] == [{"lr": 0.25}]
    (method,) = make_spec(methods="gd@mine", presets=presets_of(store)).methods
    assert method.config == METHODS["gd"].config(lr=0.25) and method.preset == "mine"
    changed = make_spec(methods="gd@mine:epochs=3", presets=presets_of(store)).methods[0]
    assert changed.preset == "mine, changed"
    # a job in another process knows the settings, and not the store's names
    spec = make_spec(methods="gd@mine", presets=presets_of(store))
    assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_presets_that_came_along_are_listed_and_own_names_are_kept(tmp_path):
    shipped = Store(tmp_path / "a")
    save_preset(shipped, entry())
    store = Store(tmp_path / "b", bundled=[shipped.url])
    assert [e["name"] for e in list_presets(store)] == ["mine"]
    with pytest.raises(UsageError, match="comes with GD"):
        save_preset(store, entry(name="Quick-Look"))


def test_presets_saved_by_two_processes_at_once_are_all_kept(tmp_path):
    context = multiprocessing.get_context("fork")
    together = context.Barrier(2)

    def save(which: str) -> None:
        store = Store(tmp_path)
        for number in range(30):
            together.wait(60)
            save_preset(store, entry(name=f"{which} {number}"))

    processes = [context.Process(target=save, args=(which,)) for which in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert {e["name"] for e in list_presets(Store(tmp_path))} == {f"{a} {n}" for a in "ab" for n in range(30)}
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".presets.json")]


DAMAGED = [
    *("", "{", "[1]", '[{"method": "gd"}]', '[{"method": "x", "name": "y", "settings": {}}]'),
    '[{"method": "gd", "name": "y", "settings": {"lr": 99}}]',
]


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_presets_are_passed_over(text, tmp_path):
    store = Store(tmp_path)
    (tmp_path / "presets.json").write_text(text)
    assert list_presets(store) == []


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    arguments = ["tune", "ssd", "--trials", "2", "--references", "1", "--draws", "2", "--tau", "0", "--store"]
    assert main([*arguments, str(tmp_path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["trials"]) == 2 and result["preset"]["name"] == "tuned digits"
    assert main([*arguments, str(tmp_path)]) == 0
    assert "Kept as ssd@tuned-digits" in capsys.readouterr().out
    # a helper comes too late for two settings, and is no trouble
    assert main([*arguments, str(tmp_path / "other"), "--json", "--jobs", "2"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert [t["settings"] for t in other["trials"]] == [t["settings"] for t in result["trials"]]
    assert main(["tune", "retrain", "--store", str(tmp_path)]) == 2


@pytest.mark.slow
def test_the_test_set_decides_nothing(tmp_path, monkeypatch):
    """The choice rests on the held-out part; with other test labels it is the same, but for what is reported."""
    values = {"references": 2, "taus": "0,0.2", "draws": 5, "train": {"epochs": 1}}
    spec = make_spec("digits?validation=0.1", methods="gd:epochs=1", **values)
    data = load_dataset(spec.dataset)
    other = dataclasses.replace(data, test_labels=data.test_labels.flip(0))
    found = []
    for at, seen in enumerate((data, other)):
        monkeypatch.setattr("rurk_core.tune.tune.load_dataset", lambda *_, seen=seen, **__: seen)
        found.append(tune(spec, Store(tmp_path / str(at)), trials=3))
    assert f"{len(data.validation_labels)} samples held out" in found[0]["selected_on"]
    assert [trial["loss"] for trial in found[0]["trials"]] == [trial["loss"] for trial in found[1]["trials"]]
    assert [trial["test"] for trial in found[0]["trials"]] != [trial["test"] for trial in found[1]["trials"]]
    assert found[0]["chosen"] == found[1]["chosen"]
