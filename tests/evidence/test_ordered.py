"""Orders of forgotten samples, from losses that are made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rurk_core.errors import UsageError
from rurk_core.evidence.ordered import ORDERS, ordered
from rurk_core.store.store import Store
from rurk_core.store.tensors import save_tensors


def stored(place, losses: dict[str, list[float]]) -> tuple[Store, dict]:
    """An experiment that forgot training samples 10, 11, …, of models with these losses on them."""
    store, rows = Store(place), []
    for name, values in losses.items():
        key = store.key("scores", {"model": name})
        whole = torch.cat([torch.ones(10), torch.tensor(values)])
        store.put(key, {"model": name}, {"scores.safetensors": save_tensors({"train_loss": whole})})
        rows.append({"name": name, "role": "reference" if "ref" in name else "original", "scores": key})
    return store, {"models": rows, "forget": {"indices": [10 + i for i in range(len(next(iter(losses.values()))))]}}


def test_memorised_is_the_gain_in_probability(tmp_path):
    """p of the Original .9, .5, .9 and of the re-trained ones .1, .4, .9 on average: gains .8, .1, 0."""
    losses = {
        "original": -np.log([0.9, 0.5, 0.9]),
        "reference-1": -np.log([0.05, 0.45, 0.9]),
        "reference-2": -np.log([0.15, 0.35, 0.9]),
    }
    store, result = stored(tmp_path, {name: values.tolist() for name, values in losses.items()})
    assert ordered(store, result, "most_memorised") == [10, 11, 12]
    assert ordered(store, result, "least_memorised") == [12, 11, 10]


def test_vulnerable_lies_beyond_what_re_trainings_do(tmp_path):
    """Re-trainings that agree make a small gain plain; 11 is where the Original is one more of them."""
    rng = np.random.default_rng(0)
    references = rng.normal(0, 0.3, (6, 5))
    own = references.mean(0) + np.array([2.0, 0.0, 1.0, 3.0, -0.5])
    losses = {"original": own, **{f"reference-{k}": row for k, row in enumerate(references)}}
    store, result = stored(tmp_path, {name: np.log1p(np.exp(-row)).tolist() for name, row in losses.items()})
    assert ordered(store, result, "vulnerable") == [13, 10, 12, 11, 14]
    assert ordered(store, result, "protected")[:2] == [11, 14]


def test_without_models_on_both_sides_it_is_refused_in_a_sentence(tmp_path):
    store, result = stored(tmp_path, {"original": [1.0], "reference-1": [1.0]})
    with pytest.raises(UsageError, match="at least two re-trained models"):
        ordered(store, result, "vulnerable")
    with pytest.raises(UsageError, match="no order 'x'"):
        ordered(store, result, "x")


@pytest.mark.parametrize("order", ORDERS)
def test_a_finished_run_has_them_all(tiny_run, order):
    store, result = tiny_run
    assert sorted(ordered(store, result, order)) == result["forget"]["indices"]
