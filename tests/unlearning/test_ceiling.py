"""The ceiling of methods that raise a loss: off it is the paper's method, on it holds the loss where it should."""

from __future__ import annotations

import logging
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from rurk_core.data.recipes import TrainConfig
from rurk_core.models import create_model
from rurk_core.training.fit import fit
from rurk_core.unlearning import METHODS, Samples, method_config, unlearn
from rurk_core.unlearning.ceiling import OTHERS, held_at, limits, losses_of

from .helpers import flat

HAVE = [key for key, method in METHODS.items() if "ceiling" in {field.name for field in method.config.settings()}]
PAPER = {
    "rurk": (0.03, 0.03, 0.03, 2, 200, "train"),
    "neggrad_plus": (0.001, 1, "train"),
    "ga": (1e-5, 1, "train"),
    "scrub": (5e-4, 3, "train"),
}


@pytest.fixture(scope="module")
def setting():
    """An Original that knows its noisy training samples better than held-out ones: (Original, S_r, S_f, held out)."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(180) % 3
    images = torch.rand(180, 1, 8, 8, generator=generator) * 0.6 + labels[:, None, None, None] * 0.1
    trained, gone = torch.arange(180) < 120, torch.arange(180) < 30
    config = TrainConfig(epochs=40, batch=16, lr=0.05, weight_decay=0.0)
    original = fit(create_model("cnn:8", (1, 8, 8), 3, seed=0), images[trained], labels[trained], config, seed=0)
    parts = (trained & ~gone, gone, ~trained)
    return original, *(Samples(images[part], labels[part]) for part in parts)


def loss_of(model, samples: Samples) -> float:
    with torch.no_grad():
        return cross_entropy(model(samples.images), samples.labels).item()


def run(key, setting, preset="default", **settings):
    original, retain, forget, held_out = setting
    config = method_config(METHODS[key], preset, **settings)
    return METHODS[key](
        original, retain, forget, config, validation=held_out, generator=torch.Generator().manual_seed(2)
    )


def test_the_methods_that_raise_a_loss_have_one():
    assert set(HAVE) == set(PAPER)
    for key in HAVE:
        method = METHODS[key]
        assert method.validates and method.presets["safe"]["ceiling"] == 1 and method.presets["safe"]["bn"] == "eval"
        for preset in method.presets:
            if preset not in ("safe", "auto"):
                assert method_config(method, preset).ceiling == 0, "settings of others have no ceiling"


@pytest.mark.slow
@pytest.mark.parametrize("key", HAVE)
def test_without_a_ceiling_held_out_samples_change_no_bit(key, setting):
    original, retain, forget, _ = setting
    for preset in [name for name in METHODS[key].presets if name not in ("safe", "auto")]:
        config = method_config(METHODS[key], preset)
        alone = METHODS[key].run(original, retain, forget, config, generator=torch.Generator().manual_seed(2))
        assert torch.equal(flat(alone), flat(run(key, setting, preset))), preset


def test_the_papers_settings_are_as_they_were():
    assert tuple(
        getattr(method_config(METHODS["rurk"], "paper, small CIFAR-5"), name)
        for name in ("lambda_f", "lambda_a", "tau", "epochs", "max_iterations", "bn")
    ) == PAPER["rurk"]  # fmt: skip
    for key, strength in (("neggrad_plus", "beta"), ("ga", "lr"), ("scrub", "lr")):
        config = method_config(METHODS[key], "paper, small CIFAR-5")
        assert (getattr(config, strength), config.epochs, config.bn) == PAPER[key]


def drawn_together(original, held_out: Samples, label: int) -> float:
    """The held-out loss of a class, and of all as if they were three more of it."""
    of_class = held_out.take((held_out.labels == label).nonzero()[:, 0])
    n, own, of_all = len(of_class), loss_of(original, of_class) if len(of_class) else 0, loss_of(original, held_out)
    return (n * own + 3 * of_all) / (n + 3)


def test_limits_are_the_held_out_loss_of_the_class_drawn_towards_that_of_all(setting):
    original, retain, forget, held_out = setting
    assert OTHERS == 3
    found = limits(original, retain, forget, held_out, 2.0, name="RURK")
    for label in range(3):
        assert found[label].item() == pytest.approx(2 * drawn_together(original, held_out, label), rel=1e-4)
    assert limits(original, retain, forget, held_out, 0.0, name="RURK") is None
    perturbed = limits(original, retain, forget, held_out, 2.0, lambda pixels, labels: 1 - pixels, name="RURK")
    upside_down = Samples(1 - held_out.images, held_out.labels)
    for label in range(3):
        assert perturbed[label].item() == pytest.approx(2 * drawn_together(original, upside_down, label), rel=1e-4)


def test_a_class_of_which_none_is_held_out_has_the_loss_of_all_others(setting, caplog):
    original, retain, forget, held_out = setting
    others = held_out.take((held_out.labels != 0).nonzero()[:, 0])
    assert limits(original, retain, forget, others, 1.0, name="RURK")[0].item() == pytest.approx(
        loss_of(original, others), rel=1e-4
    )
    assert "held out" not in caplog.text


def test_the_loss_of_a_sample_is_the_mean_of_its_copies(setting):
    original, _, forget, _ = setting
    each = losses_of(original, forget, lambda pixels, labels: torch.cat([pixels, 1 - pixels]))
    down = losses_of(original, Samples(1 - forget.images, forget.labels))
    assert torch.allclose(each, (losses_of(original, forget) + down) / 2, atol=1e-5) and each.shape == (30,)


@pytest.mark.slow
def test_a_whole_class_is_held_at_chance(setting):
    original, retain, forget, held_out = setting
    zeros = Samples(forget.images[forget.labels == 0], forget.labels[forget.labels == 0])
    others = retain.take((retain.labels != 0).nonzero()[:, 0])
    assert limits(original, others, zeros, held_out, 1.5, name="RURK")[0].item() == pytest.approx(1.5 * math.log(3))
    for key, settings in (("rurk", {"lr": 0.05, "epochs": 60}), ("ga", {"lr": 0.01, "epochs": 200})):
        model = run(key, (original, others, zeros, held_out), "safe", **settings)
        assert loss_of(original, zeros) < 0.5 * math.log(3) < loss_of(model, zeros) < 1.6 * math.log(3), key
        assert loss_of(model, others) < math.log(3)


def test_where_nothing_is_held_out_retained_samples_set_it_and_that_is_said(setting, caplog):
    original, retain, forget, _ = setting
    with caplog.at_level(logging.WARNING, "rurk_core.unlearning"):
        found = limits(original, retain, forget, None, 1.0, name="RURK")
    assert "RURK: no samples are held out" in caplog.text and "validation=0.1" in caplog.text
    assert found[0].item() == pytest.approx(drawn_together(original, retain, 0), rel=1e-4)


def test_the_gradient_turns_round_at_the_limit():
    labels, limit = torch.tensor([0, 1]), torch.tensor([1.0, 3.0])
    for value, slope in ((0.5, 1.0), (5.0, -1.0)):
        loss = torch.tensor(value, requires_grad=True)
        kept = held_at(loss, labels, limit)
        kept.backward()
        assert loss.grad.item() == slope and kept.item() == 2 - abs(value - 2)
    loss = torch.tensor(7.0)
    assert held_at(loss, labels, None) is loss


@pytest.mark.slow
def test_rurk_without_a_ceiling_ruins_what_the_ceiling_saves(setting):
    """Strong settings: the loss of the forget set ends at the held-out one, and not far beyond."""
    original, _, forget, held_out = setting
    strong = {"lambda_f": 2.0, "lambda_a": 2.0, "epochs": 40, "lr": 0.05, "max_iterations": 0}
    aim = loss_of(original, held_out)
    free, kept = (run("rurk", setting, **strong, ceiling=q) for q in (0.0, 1.0))
    assert loss_of(original, forget) < 0.7 * aim, "there is something to forget"
    assert loss_of(free, forget) > 3 * aim and 0.7 * aim < loss_of(kept, forget) < 1.6 * aim


@pytest.mark.slow
@pytest.mark.parametrize("key", ["rurk", "neggrad_plus"])
def test_more_q_is_more_forgetting(key, setting):
    strength = {"beta": 1.0} if key == "neggrad_plus" else {"lambda_f": 1.0, "lambda_a": 1.0, "tau": 0.05}
    losses = [loss_of(run(key, setting, ceiling=q, epochs=30, lr=0.05, **strength), setting[2]) for q in (0.5, 4, 20)]
    assert losses == sorted(losses) and losses[0] < losses[2]


def test_a_method_of_the_old_signature_is_not_given_them(setting):
    original, retain, forget, held_out = setting
    assert not METHODS["gd"].validates
    config = method_config(METHODS["gd"], epochs=1)
    model, _ = unlearn(
        METHODS["gd"], original, retain, forget, config, validation=held_out, generator=torch.Generator().manual_seed(0)
    )
    alone = METHODS["gd"].run(original, retain, forget, config, generator=torch.Generator().manual_seed(0))
    assert torch.equal(flat(model), flat(alone))
