"""Several processes that train one model end where one process ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from rurk_core.data.recipes import TrainConfig
from rurk_core.errors import UsageError
from rurk_core.models import create_model
from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store
from rurk_core.store.tensors import load_tensors
from rurk_core.training.augment import augment
from rurk_core.training.fit import fit
from rurk_core.training.shared import Share

KINDS = ("original", "reference")


def weights_of(store: Store) -> dict[tuple[str, str], torch.Tensor]:
    """(kind of entry, name) → its weights and statistics."""
    return {
        (entry.kind, name): value
        for entry in store.list()
        if entry.kind in KINDS
        for name, value in load_tensors(store.read(entry.key, "model.safetensors")).items()
    }


@pytest.mark.parametrize("samples", [7, 8, 9])
def test_parts_of_a_batch_are_the_batch_and_their_weights_make_the_mean(samples):
    shares = [Share(rank, 3) for rank in range(3)]
    batch, losses = torch.arange(samples), torch.rand(samples, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat([share.of(batch) for share in shares]), batch)
    assert [share.start(samples) for share in shares] == [int(share.of(batch)[0]) for share in shares]
    mean = sum(share.weight(samples) * losses[share.of(batch)].mean() for share in shares) / 3
    assert torch.allclose(mean, losses.mean())


def test_the_parts_of_an_augmented_batch_are_those_of_the_whole():
    pixels = torch.rand(7, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = augment(pixels, "crop_flip", torch.Generator().manual_seed(1))
    parts = []
    for share in (Share(0, 2), Share(1, 2)):
        generator = torch.Generator().manual_seed(1)
        parts.append(augment(share.of(pixels), "crop_flip", generator, start=share.start(7), whole=7))
    assert torch.equal(torch.cat(parts), whole)


def test_batches_too_small_to_be_dealt_out_are_refused():
    model = create_model("linear", (1, 4, 4), 2)
    with pytest.raises(UsageError, match="Batches of 4 samples cannot be dealt out to 3 processes"):
        fit(model, torch.rand(8, 1, 4, 4), torch.arange(8) % 2, TrainConfig(batch=4), seed=0, share=Share(0, 3))


def test_the_engine_needs_torchrun(tmp_path, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UsageError, match="torchrun --nproc-per-node 2"):
        run(make_spec(methods="gd", references=1), Store(tmp_path), engine="torchrun")


@pytest.mark.slow
def test_two_processes_make_the_models_of_one(tmp_path):
    """A network with batch normalisation, augmentation, unequal parts: the same weights up to rounding."""
    train = {"epochs": 1, "batch": 113, "augment": "crop_flip", "lr": 0.02, "precision": "float32"}
    options = {"model": "resnet9:2", "methods": "gd:epochs=1:lr=0.001", "references": 1, "taus": "0", "draws": 1}
    spec = make_spec(**options, relearn=0, train=train)
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_dict()))
    run(spec, Store(tmp_path / "one"), device="cpu")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    rurk = ["-m", "rurk_core", "run", "--engine", "torchrun"]
    arguments = ["--device", "cpu", "--spec", tmp_path / "spec.json", "--store", tmp_path / "two", "--json"]
    done = subprocess.run(
        [*command, *rurk, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ours, theirs = weights_of(Store(tmp_path / "two")), weights_of(Store(tmp_path / "one"))
    assert ours.keys() == theirs.keys() and {kind for kind, _ in ours} == set(KINDS)
    apart = {name: float((ours[name] - theirs[name]).abs().max()) for name in ours}
    assert max(apart.values()) < 1e-3, sorted(apart.items(), key=lambda item: -item[1])[:5]
