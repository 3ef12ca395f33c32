"""What a run will cost, against the plan it is made from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rurk_core.data import forget_set, load_dataset
from rurk_core.estimate import measured_speed, missing_work, probed_speed
from rurk_core.stages import Work
from rurk_core.store import Store


def test_what_is_in_the_store_costs_nothing_and_more_copies_cost_their_passes(tiny_spec, tiny_run, tmp_path):
    data = load_dataset("digits")
    forget = forget_set(data, tiny_spec.forget)

    def missing(spec, store) -> float:
        return missing_work(Work(spec, store, data, None, torch.device("cpu"), forget=forget))

    assert missing(tiny_spec, tiny_run[0]) == 0
    cold = missing(tiny_spec, Store(tmp_path / "empty"))
    # at least 2 epochs of the Original, 2 of each of 2 references, one of each method
    assert cold > 14 * 3 * len(data.train_labels) / 3
    more = missing(replace(tiny_spec, draws=40), Store(tmp_path / "empty"))
    assert more - cold == 5 * len(forget.indices) * 3 * 20  # 5 models judge 20 copies more at 3 radii


def test_speed_comes_from_finished_runs_with_the_same_network_and_device(tiny_run):
    result = tiny_run[1]
    original = next(row for row in result["models"] if row["role"] == "original")
    expected = 3 * result["dataset"]["train"] * 2 / original["seconds"]
    assert measured_speed([result], result["spec"]["model"], "cpu (9 threads)") == pytest.approx(expected)
    assert measured_speed([result], "resnet9", result["device"]) is None
    assert measured_speed([result], result["spec"]["model"], "cuda:0 (Some GPU)") is None
    assert measured_speed([], "cnn", "cpu") is None


def test_a_probe_finds_a_larger_network_slower(tiny_spec):
    small = probed_speed(replace(tiny_spec, model="cnn"), (1, 8, 8), 10)
    large = probed_speed(replace(tiny_spec, model="resnet18"), (3, 32, 32), 10)
    assert 0 < large < small
