"""Every fault of the table in docs/reliability.md once; ``python -m benchmarks faults`` does each many times."""

from __future__ import annotations

import random

import pytest
import torch

from benchmarks.faults import FAULTS
from rurk_core.data import load_dataset
from rurk_core.errors import RurkError
from rurk_core.measure.verdicts import count_verdicts
from rurk_core.models import create_model

ELSEWHERE = ("A user's method that raises", "A user's method that returns no model")  # the conformance of methods


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FAULTS if name not in ELSEWHERE])
def test_nothing_is_lost(name, tmp_path):
    FAULTS[name](tmp_path, random.Random(name))


class Small(torch.nn.Module):
    """A classifier on a device with memory for ``room`` copies."""

    def __init__(self, model, room):
        super().__init__()
        self.model, self.room = model, room

    def forward(self, pixels):
        if len(pixels) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.model(pixels)


@pytest.mark.parametrize("attack", ["gaussian", "fgsm", "pgd"])
def test_out_of_memory_halves_the_pass_and_changes_no_count(attack):
    data = load_dataset("digits")
    models = {name: create_model("cnn", data.input_shape, 10, seed=seed) for seed, name in enumerate("ab")}
    notes: list[str] = []

    def count(models, **more):
        return count_verdicts(
            models, ["b"], data.train_images[:9], data.train_labels[:9], range(9), attack=attack, taus=(0, 0.2),
            draws=12, seed=1, classes=10, source="a", **more,
        )  # fmt: skip

    plenty = count(models)
    scarce = count({name: Small(model, 16) for name, model in models.items()}, batch=64, on_note=notes.append)
    assert (scarce.counts == plenty.counts).all() and (scarce.agreement == plenty.agreement).all()
    assert notes == [f"Out of memory on cpu: going on with {n} copies in a pass." for n in (32, 16)][: len(notes)]
    assert notes
    with pytest.raises(RurkError, match="a single copy"):
        count({name: Small(model, 0) for name, model in models.items()})
