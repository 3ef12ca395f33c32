"""Live accuracies: right, cheap, and without any trace in what is trained."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from rurk_core.data import load_dataset
from rurk_core.data.recipes import TrainConfig
from rurk_core.device import logits_of
from rurk_core.models import create_model
from rurk_core.training.fit import fit
from rurk_core.training.live import SHARE, Watch, accuracy, watching
from rurk_core.unlearning import METHODS, Samples


@pytest.fixture(scope="module")
def digits():
    data = load_dataset("digits")
    return data.train_images, data.train_labels


@pytest.mark.slow
def test_watching_changes_nothing_and_sees_the_model_learn(digits):
    images, labels = digits
    config, events = TrainConfig(epochs=2, lr=0.1, batch=64), []
    plain = fit(create_model("cnn", (1, 8, 8), 10, seed=1), images, labels, config, seed=1)
    watched = create_model("cnn", (1, 8, 8), 10, seed=1)
    watch = Watch(lambda done, total, loss, **more: events.append((done, total, more)), {"accuracy": digits})
    watch.model = watched
    fit(watched, images, labels, config, seed=1, on_step=watch)
    for one, two in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    assert events[0][2]["accuracy"] < 0.6 < events[-1][2]["accuracy"]
    index = torch.linspace(0, len(labels) - 1, 256).long()
    expected = (logits_of(plain, images[index]).argmax(1) == labels[index]).float().mean().item()
    assert events[-1][2]["accuracy"] == pytest.approx(expected)


def test_a_methods_own_copy_is_watched_on_both_sets(digits):
    images, labels = digits
    original = create_model("cnn", (1, 8, 8), 10, seed=1)
    retain, forget = Samples(images[:300], labels[:300]), Samples(images[300:330], labels[300:330])
    config, events = METHODS["gd"].config(epochs=1), []
    watch = Watch(
        lambda done, total, loss, **more: events.append(more), {"retain_accuracy": (retain.images, retain.labels)}
    )
    with watching(watch):
        model = METHODS["gd"].run(
            original, retain, forget, config, generator=torch.Generator().manual_seed(0), on_step=watch
        )
    assert watch.model is model and 0 <= events[-1]["retain_accuracy"] <= 1
    watch.model = None
    METHODS["gd"].run(original, retain, forget, config, generator=torch.Generator().manual_seed(0), on_step=watch)
    assert watch.model is None  # outside, nobody watches


def test_modes_are_put_back_even_if_the_model_fails():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 2)).train()
    model[1].eval()
    before = model[1].running_mean.clone()
    accuracy(model, torch.rand(8, 1, 2, 2), torch.zeros(8, dtype=torch.int64))
    assert model.training and model[2].training and not model[1].training
    assert torch.equal(model[1].running_mean, before)
    with pytest.raises(RuntimeError):
        accuracy(model, torch.rand(8, 1, 3, 3), torch.zeros(8, dtype=torch.int64))
    assert model.training and not model[1].training


def test_looking_takes_its_share_of_the_time_and_no_more(monkeypatch):
    clock, looks = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def slow(*_):
        looks.append(clock[0])
        clock[0] += 1.0
        return 0.5

    monkeypatch.setattr("rurk_core.training.live.accuracy", slow)
    watch = Watch(lambda *a, **k: None, {"a": (torch.rand(3, 2), torch.zeros(3, dtype=torch.int64))})
    watch.model = nn.Identity()
    for step in range(1000):
        clock[0] += 0.1
        watch(step, 10_000)
    assert len(looks) == pytest.approx(SHARE * clock[0], rel=0.35)


@pytest.mark.slow
def test_a_run_tells_live_accuracies_of_the_original_and_the_methods(tmp_path):
    from rurk_core.run.experiment import run
    from rurk_core.run.spec import make_spec
    from rurk_core.store.store import Store

    events: list[dict] = []
    spec = make_spec(methods="gd:epochs=1", references=1, taus="0", draws=1, train={"epochs": 1})
    run(spec, Store(tmp_path), progress=events.append)
    assert any("accuracy" in event for event in events if event["stage"] == "Original")
    last = [event for event in events if event["stage"] == "gd" and "loss" in event][-1]
    assert 0 <= last["forget_accuracy"] <= 1 and 0 <= last["retain_accuracy"] <= 1
