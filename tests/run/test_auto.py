"""The ceiling that is chosen against the references: closed forms of the search, and a run that uses it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from rurk_core.data import load_dataset, to_pixels
from rurk_core.errors import UsageError
from rurk_core.perturb.copies import copies
from rurk_core.run.auto import TRIALS, Trial, apart, choose, looked_at, said
from rurk_core.run.experiment import run
from rurk_core.run.plan import derived_seed
from rurk_core.run.spec import make_spec
from rurk_core.run.stored import load_model, role_of
from rurk_core.store.store import Store
from rurk_core.unlearning import METHODS, method_config


def test_words_are_numbers():
    method = METHODS["rurk"]
    assert method_config(method, ceiling="auto") == method_config(method, ceiling=-1)
    for bad in ("-2", "often", "-0.5", True):
        with pytest.raises(UsageError, match="'ceiling' must be a number"):
            method_config(method, ceiling=bad)


def test_apart_is_signed_and_nothing_inside_the_band():
    """Two references that recognise 40 and 60 of 100 copies: their band around the mean is what lies between."""
    v = np.array([[[40]], [[60]]])
    assert apart(np.array([[50]]), v) == 0
    assert apart(np.array([[99]]), v) > 0 > apart(np.array([[5]]), v)
    assert apart(np.array([[0]]), v) > -math.inf
    assert apart(np.array([[99]]), v) > apart(np.array([[90]]), v)


def test_radii_are_few_and_end_at_the_largest():
    assert looked_at([0.0, 0.1]) == [0.1] and looked_at([0.0]) == [0.0]
    for count in range(2, 30):
        taus = list(range(count))
        found = looked_at(taus)
        assert (
            len(found) == min(3, count - 1) and found[-1] == taus[-1] and 0 not in found and found == sorted(set(found))
        )


@pytest.mark.parametrize("right", [0.15, 0.5, 1.0, 2.0, 4.0])
def test_the_search_nears_the_band(right):
    """Where the log-ratio falls with log q and the band is 0.1 wide on either side of ``right``."""

    def measure(q: float) -> float:
        beyond = math.log(right / q)
        return math.copysign(max(0.0, abs(beyond) - 0.1), beyond)

    config = method_config(METHODS["rurk"], "auto")
    found, trials = choose(lambda settings, number: settings.ceiling, measure, config, 1.0)
    assert len(trials) <= TRIALS and trials[0].q == 1
    assert abs(measure(found)) == min(abs(trial.apart) for trial in trials)
    assert abs(measure(found)) <= max(0.0, abs(measure(1.0)) / 2)
    assert f"q = {found:g}" in said(trials) and ("inside" in said(trials)) == (measure(found) == 0)


def test_one_reference_has_no_band():
    with pytest.raises(UsageError, match="at least two"):
        make_spec("digits", methods="rurk@auto", references=1)
    assert make_spec("digits", methods="rurk", references=1)


def first_of(store, result, spec) -> float:
    """The mean loss of the references on copies of the forget set over that of held-out samples, counted by hand."""
    data, forgotten = load_dataset(spec.dataset), result["forget"]["indices"]
    models = {row["name"]: load_model(store, row["key"]) for row in result["models"]}
    limits, losses = [], []
    for tau in (0.1, 0.3):

        def loss(model, images, labels, tau=tau):
            numbers = {"ids": range(len(images)), "seed": derived_seed(spec.seed, "strength"), "classes": 10}
            moved = copies("gaussian", to_pixels(images), labels, tau=tau, draws=1, **numbers)[:, 0]
            with torch.no_grad():
                return cross_entropy(model(moved), labels, reduction="none")

        held_out = loss(models["original"], data.validation_images, data.validation_labels)
        for label in data.train_labels[forgotten].tolist():
            mine = held_out[data.validation_labels == label]
            limits.append((mine.sum() + 3 * held_out.mean()) / (len(mine) + 3))
        for name in models:
            if role_of(name) == "reference":
                losses.append(loss(models[name], data.train_images[forgotten], data.train_labels[forgotten]).mean())
    return float(torch.stack(losses).mean() / torch.stack(limits).mean())


@pytest.mark.slow
def test_a_run_keeps_its_trials_and_plans_them(tmp_path):
    values = {"references": 2, "taus": "0,0.1,0.3", "draws": 5, "train": {"epochs": 2}, "relearn": 0}
    spec = make_spec("digits?validation=0.1", methods="rurk@auto:epochs=1,rurk:epochs=1", **values)
    store = Store(tmp_path)
    result = run(spec, store)
    rows = {row["name"]: row for row in result["models"]}
    info = store.read_json(rows["rurk"]["key"], "info.json")
    assert 1 <= len(info["auto"]) <= TRIALS
    assert info["auto"][0]["q"] == pytest.approx(first_of(store, result, spec), rel=1e-3)
    assert any("was chosen against the references" in note for note in rows["rurk"]["notes"])
    assert "auto" not in store.read_json(rows["rurk-2"]["key"], "info.json")
    assert rows["rurk"]["config"]["ceiling"] == -1 and run(spec, store)["key"] == result["key"]


def test_a_trial_reads_well():
    assert "above their band by a factor of 1.22" in said([Trial(1.0, 0.3), Trial(2.5, 0.2)])
