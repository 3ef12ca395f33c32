"""Algorithm 1 and the identities between RURK, NegGrad+ and GD."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from rurk_core.data.recipes import TrainConfig
from rurk_core.models import create_model
from rurk_core.training.fit import fit
from rurk_core.unlearning import METHODS, Samples
from rurk_core.unlearning.descent import vulnerable_copies
from rurk_core.unlearning.methods.gd import GdConfig
from rurk_core.unlearning.methods.neggrad_plus import NegGradPlusConfig
from rurk_core.unlearning.methods.rurk import RurkConfig


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    """Closed forms hold to rounding in float32 only; where a CPU is fast at bfloat16 it would be taken."""
    monkeypatch.setattr("rurk_core.device.fast_bfloat16", lambda device: False)


@pytest.fixture(scope="module")
def setting():
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(120) % 3
    images = torch.rand(120, 1, 8, 8, generator=generator) * 0.5 + labels[:, None, None, None] * 0.2
    forget = torch.arange(120) < 30
    original = fit(create_model("cnn:4", (1, 8, 8), 3, seed=0), images, labels, TrainConfig(epochs=5, batch=16), seed=0)
    return original, Samples(images[~forget], labels[~forget]), Samples(images[forget], labels[forget])


def run(key, setting, config):
    model = METHODS[key].run(*setting, config, generator=torch.Generator().manual_seed(2))
    return torch.cat([value.flatten() for value in model.state_dict().values()])


COMMON = {"epochs": 3, "lr": 0.02, "momentum": 0.9, "weight_decay": 1e-4, "batch": 32}


def test_rurk_without_vulnerable_copies_is_neggrad_plus(setting):
    rurk = run("rurk", setting, RurkConfig(lambda_f=0.05, lambda_a=0.0, max_iterations=0, clip=1.0, **COMMON))
    plus = run("neggrad_plus", setting, NegGradPlusConfig(beta=0.05, schedule="cosine", clip=1.0, **COMMON))
    assert torch.equal(rurk, plus)


def test_neggrad_plus_without_forgetting_is_gd(setting):
    plus = run("neggrad_plus", setting, NegGradPlusConfig(beta=0.0, clip=0.0, **COMMON))
    assert torch.equal(plus, run("gd", setting, GdConfig(**COMMON)))


def test_rurk_without_either_term_is_gd_on_its_schedule(setting):
    rurk = run("rurk", setting, RurkConfig(lambda_f=0.0, lambda_a=0.0, max_iterations=0, clip=0.0, **COMMON))
    cosine = run("neggrad_plus", setting, NegGradPlusConfig(beta=0.0, schedule="cosine", clip=0.0, **COMMON))
    assert torch.equal(rurk, cosine)


@pytest.mark.parametrize("search", ["gaussian", "fgsm", "pgd"])
def test_one_step_is_the_formula(setting, search):
    """One SGD step without momentum moves the weights by −lr · ∇(CE_r − λ_f CE_f − λ_a mean_v CE_a)."""
    original, retain, forget = setting
    whole = {"epochs": 1, "batch": 128, "momentum": 0.0, "weight_decay": 0.0, "clip": 0.0, "lr": 0.1}
    config = RurkConfig(lambda_f=0.3, lambda_a=0.2, tau=0.05, v=3, search=search, pgd_steps=2, **whole)
    model = METHODS["rurk"].run(*setting, config, generator=torch.Generator().manual_seed(2))
    # the same copies, drawn by hand from the stream of the forget set
    stream = torch.Generator().manual_seed(2 ^ 0x5F0E)
    order = torch.randperm(30, generator=stream)
    plain = create_model("cnn:4", (1, 8, 8), 3)
    plain.load_state_dict(original.state_dict())
    copies = vulnerable_copies(config, plain, forget.images[order], forget.labels[order], stream)
    each = [
        cross_entropy(plain(part), forget.labels[order]) for part in copies.chunk(3)
    ]  # v draws, each over the whole batch
    loss = (
        cross_entropy(plain(retain.images), retain.labels)
        - 0.3 * cross_entropy(plain(forget.images), forget.labels)
        - 0.2 * sum(each) / 3
    )
    loss.backward()
    for moved, start in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(moved, start - 0.1 * start.grad, atol=2e-5)


@pytest.mark.parametrize("search", ["fgsm", "pgd"])
def test_searches_find_copies_the_model_recognises_better(setting, search):
    """FGSM and PGD minimise CE(x', y): found copies lie in the ball and have a lower loss than the samples."""
    original, _, forget = setting
    config = RurkConfig(search=search, tau=0.05)
    found = vulnerable_copies(config, original, forget.images, forget.labels, torch.Generator().manual_seed(0))
    assert (found - forget.images).abs().max() <= 0.05 + 1e-6
    assert cross_entropy(original(found), forget.labels) < cross_entropy(original(forget.images), forget.labels)


def test_rurk_raises_the_loss_on_forget_samples_and_their_copies(setting):
    original, _, forget = setting
    config = RurkConfig(lambda_f=1.0, lambda_a=1.0, tau=0.1, epochs=20, batch=32, lr=0.05)
    model = METHODS["rurk"].run(*setting, config, generator=torch.Generator().manual_seed(2))
    noise = 0.1 * torch.randn(forget.images.shape, generator=torch.Generator().manual_seed(0))
    for images in (forget.images, (forget.images + noise).clamp(0, 1)):
        assert cross_entropy(model(images), forget.labels) > cross_entropy(original(images), forget.labels)


def test_the_iteration_cap_holds(setting):
    steps = []
    METHODS["rurk"].run(
        *setting,
        RurkConfig(epochs=50, batch=16, max_iterations=7),
        generator=torch.Generator().manual_seed(0),
        on_step=lambda step, total, loss: steps.append((step, total)),
    )
    assert steps[-1] == (7, 7)


def test_paper_settings():
    config = METHODS["rurk"].config()
    assert (config.lambda_f, config.lambda_a, config.tau, config.v) == (0.03, 0.03, 0.03, 1)
    assert (config.epochs, config.max_iterations, config.lr, config.weight_decay, config.clip, config.batch) == (
        2,
        200,
        0.01,
        5e-4,
        1.0,
        128,
    )
    assert METHODS["rurk"].presets["paper, CIFAR-10"]["lambda_a"] == 0.00045
