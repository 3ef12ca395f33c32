"""The GPU benchmark: every path of it on the CPU, tiny; and one sentence where there is no GPU."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks import gpu
from rurk_core.data import load_dataset
from rurk_core.data.recipes import TrainConfig

CPU = torch.device("cpu")


def test_without_a_gpu_it_says_so_and_measures_nothing(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="needs a CUDA device"):
        gpu.main()
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    "measure",
    [
        lambda: gpu.verdicts(CPU, "linear", samples=3, draws=4, rounds=1),
        lambda: gpu.gradients(CPU, "resnet9:2", samples=3, rounds=1),
        lambda: gpu.references(CPU, k=2, epochs=1, rounds=1),
    ],
)
def test_each_pair_is_measured_in_turn(measure):
    slow, fast = measure()
    assert len(slow) == len(fast) == 1 and all(0 < seconds < math.inf for seconds in slow + fast)


def test_original_and_re_train_are_timed_and_judged():
    found = gpu.to_accuracy(CPU, load_dataset("digits"), "cnn:8", TrainConfig(epochs=3, batch=64))
    assert [name for name, _, _ in found] == ["Original", "Re-train"]
    assert all(seconds > 0 and accuracy > 0.5 for _, seconds, accuracy in found)
