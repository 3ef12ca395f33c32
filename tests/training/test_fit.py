"""The trainer: same seed same weights, stacked equals one by one, NaN stops at once."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

from rurk_core.data.recipes import TrainConfig
from rurk_core.device import logits_of
from rurk_core.errors import Cancelled, UsageError
from rurk_core.models import create_model
from rurk_core.training import references
from rurk_core.training.augment import augment
from rurk_core.training.fit import fit
from rurk_core.training.loop import Diverged, epoch_batches, learning_rate
from rurk_core.training.references import fit_references, fit_stacked

CONFIG = TrainConfig(epochs=3, lr=0.05, batch=16)


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    """Closed forms hold to rounding in float32 only; where a CPU is fast at bfloat16 it would be taken."""
    monkeypatch.setattr("rurk_core.device.fast_bfloat16", lambda device: False)


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (60,), generator=generator)
    images = torch.rand(60, 1, 8, 8, generator=generator) * 0.5 + labels[:, None, None, None] * 0.2
    return images, labels


def build(seed):
    return create_model("resnet9:4", (1, 8, 8), 3, seed=seed)


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def test_it_learns(data):
    model = fit(build(0), *data, TrainConfig(epochs=15, lr=0.05, batch=16), seed=0)
    assert not model.training
    assert (logits_of(model, data[0]).argmax(1) == data[1]).float().mean() > 0.9


def test_same_seed_same_weights(data):
    first, same, other = (weights(fit(build(0), *data, CONFIG, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_stacked_models_equal_the_same_models_one_by_one(data):
    config = TrainConfig(epochs=2, lr=0.05, batch=16)  # later steps amplify rounding without limit
    for clip in (0.0, 0.1):
        config = dataclasses.replace(config, clip=clip)
        for seed, model in fit_stacked(build, *data, config, seeds=[3, 4]):
            alone = fit(build(seed), *data, config, seed=seed)
            assert torch.allclose(weights(model), weights(alone), atol=1e-4)
    assert (weights(alone) - weights(fit(build(4), *data, dataclasses.replace(config, clip=0.0), seed=4))).norm() > 0.1


def test_references_in_workers_equal_the_same_models_one_by_one(data):
    found = dict(fit_references(build, *data, CONFIG, seeds=[3, 4, 5], workers=2))
    assert sorted(found) == [3, 4, 5]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    try:
        for seed, model in found.items():
            assert torch.equal(weights(model), weights(fit(build(seed), *data, CONFIG, seed=seed)))
    finally:
        torch.set_num_threads(threads)


def test_references_report_and_can_be_cancelled(data):
    seen = []
    list(fit_references(build, *data, CONFIG, seeds=[3, 4], on_step=lambda *step: seen.append(step)))
    assert seen[-1][:2] == (24, 24)

    def stop(*_):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        list(fit_references(build, *data, TrainConfig(epochs=1000, batch=16), seeds=[3, 4], on_step=stop))


def test_uint8_images_train_like_their_floats(data):
    bytes_ = (data[0] * 255).to(torch.uint8)
    first = fit(build(0), bytes_, data[1], CONFIG, seed=0)
    second = fit(build(0), bytes_.float() / 255, data[1], CONFIG, seed=0)
    assert torch.equal(weights(first), weights(second))


@pytest.mark.parametrize("how", ["alone", "workers", "stacked"])
def test_divergence_is_a_sentence_with_the_step(data, how):
    hot = TrainConfig(epochs=50, lr=100.0, batch=16)
    linear = lambda seed: create_model("mlp:8", (1, 8, 8), 3, seed=seed)  # noqa: E731
    with pytest.raises(Exception, match=r"loss became (nan|inf|-inf) at step \d+ of 200") as caught:
        if how == "alone":
            fit(linear(0), data[0] * 1e30, data[1], hot, seed=0)
        else:
            run = fit_references if how == "workers" else fit_stacked
            list(run(linear, data[0] * 1e30, data[1], hot, seeds=[0, 1]))
    assert isinstance(caught.value, Diverged) or how == "workers"


def test_progress_counts_every_step(data):
    seen = []
    fit(build(0), *data, CONFIG, seed=0, on_step=lambda step, steps, loss: seen.append((step, steps)))
    assert seen == [(step, 12) for step in range(1, 13)]


def test_batches_cover_every_sample_once_in_nearly_equal_parts():
    batches = list(epoch_batches(129, 128, torch.Generator().manual_seed(0)))
    assert sorted(torch.cat(batches).tolist()) == list(range(129))
    assert sorted(map(len, batches)) == [64, 65]


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_schedules_stay_within_the_peak(schedule):
    config = TrainConfig(lr=0.4, schedule=schedule)
    rates = [learning_rate(config, step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(0.4) and min(rates) >= 0
    if schedule != "constant":
        assert rates[-1] < 0.05 * 0.4


def test_crops_are_windows_of_the_padded_image():
    images = torch.arange(2 * 1 * 6 * 6).float().view(2, 1, 6, 6)
    moved = augment(images, "crop_flip", torch.Generator().manual_seed(0), pad=2)
    padded = torch.nn.functional.pad(images, (2,) * 4, mode="reflect")
    mirrored = torch.nn.functional.pad(images.flip(-1), (2,) * 4, mode="reflect")
    for sample in range(2):
        both = [padded[sample], mirrored[sample]]
        windows = [source[:, i : i + 6, j : j + 6] for source in both for i in range(5) for j in range(5)]
        assert any(torch.equal(moved[sample], window) for window in windows)


def test_settings_are_checked():
    with pytest.raises(UsageError, match="'epochs' must be a whole number"):
        TrainConfig(epochs=1.5)
    with pytest.raises(UsageError, match="'lr' must be a number"):
        TrainConfig.from_dict({"lr": "fast"})
    with pytest.raises(UsageError, match="no setting 'speed'"):
        TrainConfig.from_dict({"speed": 3})
    with pytest.raises(UsageError, match="'schedule' must be one of"):
        TrainConfig(schedule="random")
    assert TrainConfig.from_dict({"lr": "0.5", "epochs": "4"}) == TrainConfig(lr=0.5, epochs=4)


def test_where_a_gpu_has_not_the_memory_fewer_models_are_stacked(data, monkeypatch):
    """Of five together, three and two fit: each as it is alone, and progress that only rises."""
    tried, told = [], []

    def stacked(*given, seeds, **asked):
        tried.append(list(seeds))
        if len(seeds) > 3:
            raise torch.OutOfMemoryError
        yield from fit_stacked(*given, seeds=seeds, **asked)

    monkeypatch.setattr(references, "fit_stacked", stacked)
    config = TrainConfig(epochs=1, batch=32, precision="float32")
    found = dict(references._fit_in_stacks(build, *data, config, [3, 4, 5, 6, 7], lambda *step: told.append(step[:2])))
    assert tried == [[3, 4, 5, 6, 7], [3, 4, 5], [6, 7]] and list(found) == [3, 4, 5, 6, 7]
    assert told == sorted(told) and told[-1][0] == told[-1][1]
    alone = dict(fit_stacked(build, *data, config, seeds=[6, 7]))
    assert all(torch.equal(v, found[6].state_dict()[k]) for k, v in alone[6].state_dict().items())
    monkeypatch.setattr(references, "fit_stacked", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError))
    with pytest.raises(torch.OutOfMemoryError):
        list(references._fit_in_stacks(build, *data, config, [3, 4], None))


ENDLESS = """
import os, psutil, torch
from rurk_core.data.recipes import TrainConfig
from rurk_core.models import create_model
from rurk_core.training.references import fit_references
images, labels = torch.rand(40, 1, 8, 8), torch.arange(40) % 3
def step(*_):
    print(*[child.pid for child in psutil.Process().children()], flush=True)
build = lambda seed: create_model("linear", (1, 8, 8), 3, seed=seed)
list(fit_references(build, images, labels, TrainConfig(epochs=10**4, batch=2), seeds=[1, 2], on_step=step, workers=2))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel ends children on Linux alone")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_whoever_started_them(how):
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, text=True) as parent:
        children = [int(pid) for pid in parent.stdout.readline().split()]
        parent.send_signal(how)
        parent.stdout.close()
        parent.wait(30)
    assert len(children) == 2
    limit = time.monotonic() + 30
    while left := [pid for pid in children if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]:
        assert time.monotonic() < limit, left
        time.sleep(0.05)
