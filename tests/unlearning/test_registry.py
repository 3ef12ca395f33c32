"""Conformance over the registry of unlearning methods: whatever is registered passes here."""

from __future__ import annotations

import copy

import pytest
import torch

from rurk_core.errors import Cancelled
from rurk_core.models import create_model
from rurk_core.training import Diverged, TrainConfig, fit
from rurk_core.unlearning import METHODS, Samples, method_config


@pytest.fixture(scope="module")
def setting():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(80) % 4
    images = torch.rand(80, 1, 8, 8, generator=generator) * 0.4 + labels[:, None, None, None] * 0.15
    forget = labels == 0
    config = TrainConfig(epochs=4, batch=16)
    original = fit(create_model("resnet9:4", (1, 8, 8), 4, seed=1), images, labels, config, seed=1)
    return original, Samples(images[~forget], labels[~forget]), Samples(images[forget], labels[forget])


def quick(method):
    """The method's settings, cut to two epochs where it has epochs."""
    names = {field for field in method.config.__dataclass_fields__}
    short = {"epochs": 2, "batch": 16}
    return method_config(method, **{name: value for name, value in short.items() if name in names})


def run(method, setting, config=None, *, seed=5, on_step=None):
    original, retain, forget = setting
    generator = torch.Generator().manual_seed(seed)
    return method.run(original, retain, forget, config or quick(method), generator=generator, on_step=on_step)


@pytest.fixture(params=sorted(METHODS))
def method(request):
    return METHODS[request.param]


def test_the_original_is_untouched(method, setting):
    original = setting[0]
    before = copy.deepcopy(original.state_dict())
    mode, grads = original.training, [p.requires_grad for p in original.parameters()]
    run(method, setting)
    assert all(torch.equal(value, before[name]) for name, value in original.state_dict().items())
    assert original.training == mode and [p.requires_grad for p in original.parameters()] == grads
    assert all(p.grad is None for p in original.parameters())


def test_same_seed_same_weights(method, setting):
    first, second = run(method, setting).state_dict(), run(method, setting).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_global_random_state_does_not_matter(method, setting):
    torch.manual_seed(1)
    first = run(method, setting).state_dict()
    torch.manual_seed(2)
    second = run(method, setting).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_result_is_a_fitting_model_in_eval_mode(method, setting):
    model = run(method, setting)
    assert not model.training
    shapes = {name: value.shape for name, value in setting[0].state_dict().items()}
    assert {name: value.shape for name, value in model.state_dict().items()} == shapes
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_progress_and_cancel(method, setting):
    seen = []
    run(method, setting, on_step=lambda step, steps, loss: seen.append((step, steps)))
    assert seen and seen[-1][0] == seen[-1][1]

    def stop(*_):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        run(method, setting, on_step=stop)


def test_a_nan_is_an_error_that_names_method_and_step(method, setting):
    original, retain, forget = setting
    broken = Samples(torch.full_like(retain.images, float("nan")), retain.labels)
    broken_forget = Samples(torch.full_like(forget.images, float("nan")), forget.labels)
    with pytest.raises(Diverged, match="step"):
        run(method, (original, broken, broken_forget))


def test_every_preset_is_valid(method):
    for preset in method.presets:
        assert isinstance(method_config(method, preset), method.config)


def test_every_setting_explains_itself(method):
    for field in method.config.__dataclass_fields__.values():
        assert field.metadata.get("help"), field.name
    assert method.source and method.summary and method.needs and method.batch_norm
