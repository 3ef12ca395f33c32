"""CR, NTK, SSD and Fisher against solutions that are known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from rurk_core.models import Classifier
from rurk_core.unlearning import METHODS, Samples, method_config
from rurk_core.unlearning.base import MethodFailed, unlearn
from rurk_core.unlearning.methods import cr as cr_module
from rurk_core.unlearning.methods.cr import fit_binary, newton_removal, objective
from rurk_core.unlearning.methods.fisher import FisherConfig, noise_variance
from rurk_core.unlearning.methods.ntk import demand, trapezium

from .helpers import flat, run, split, trained

# --- CR: l2-regularised logistic regression -----------------------------------------------------------------


def regression(n: int = 400, d: int = 8):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64) / math.sqrt(2 * d)
    y = torch.where(
        x @ torch.arange(1.0, d + 1, dtype=torch.float64) + 0.3 * torch.randn(n, generator=generator) > 0, 1.0, -1.0
    )
    return x, y.double()


def test_the_fit_is_the_minimiser():
    x, y = regression()
    weights = fit_binary(x, y, 0.01).requires_grad_(True)
    (gradient,) = torch.autograd.grad(objective(weights, x, y, 0.01), weights)
    assert gradient.norm() < 1e-7
    by_hand = softplus(-y * (x @ weights)).sum() + 0.5 * 0.01 * len(x) * weights.square().sum()
    assert torch.isclose(objective(weights, x, y, 0.01), by_hand)


def test_the_gap_of_cr_to_exact_retraining_falls_four_times_when_the_forget_set_halves():
    """Samples that pull the same way: m of them move the gradient and the Hessian by m, so the gap goes with m²."""
    x, y = regression()
    gaps = []
    for size in (32, 16, 8):
        x, y = x.clone(), y.clone()
        x[:size], y[:size] = x[0], y[0]
        x[size:32], y[size:32] = x[100 : 132 - size], y[100 : 132 - size]
        full = fit_binary(x, y, 0.01)
        kept = slice(size, None)
        moved = newton_removal(full, x[kept], y[kept], 0.01)
        exact = fit_binary(x[kept], y[kept], 0.01)
        gaps.append((moved - exact).norm().item())
        assert gaps[-1] < 0.2 * (full - exact).norm(), "the step must come much nearer than doing nothing"
    assert 3 < gaps[0] / gaps[1] < 5.5 and 3 < gaps[1] / gaps[2] < 5.5


def test_cr_on_a_network_moves_the_head_only_and_scores_as_the_regressions():
    setting = trained()
    original, retain, forget = setting
    model = run("cr", setting, l2=0.01)
    for name, value in model.state_dict().items():
        assert torch.equal(value, original.state_dict()[name]) == (not name.startswith("head.")), name
    with torch.no_grad():
        x_r, x_f = (original.features(part.images).double() for part in (retain, forget))
    radius = torch.cat([x_r, x_f]).norm(dim=1).max().item()
    x_r, x_f = (cr_module.bounded(part, radius, True) for part in (x_r, x_f))
    k = 1
    y_r, y_f = ((part.labels == k).double() * 2 - 1 for part in (retain, forget))
    exact = fit_binary(x_r, y_r, 0.01)
    moved = newton_removal(fit_binary(torch.cat([x_r, x_f]), torch.cat([y_r, y_f]), 0.01), x_r, y_r, 0.01)
    assert torch.allclose(model(retain.images)[:, k].double(), x_r @ moved, atol=1e-4)
    assert (moved - exact).norm() < (fit_binary(torch.cat([x_r, x_f]), torch.cat([y_r, y_f]), 0.01) - exact).norm()


def test_cr_without_a_linear_head_is_refused_in_words():
    original, retain, forget = trained(epochs=0)
    original.head = nn.Sequential(nn.Linear(original.head.in_features, 3))
    method = METHODS["cr"]
    assert "linear" in method.check(original, retain, forget, method.config())
    with pytest.raises(MethodFailed, match="last layer"):
        unlearn(method, original, retain, forget, method.config(), generator=torch.Generator())


# --- NTK: ridge regression ----------------------------------------------------------------------------------


def ridge(anchor: str):
    """Relative distance of NTK's model from the exact one on least squares with an L2 penalty to 0."""
    generator = torch.Generator().manual_seed(1)
    n, d, classes, decay = 60, 6, 3, 0.05
    x = torch.rand(n, d, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (n,), generator=generator)
    retain, forget = split(x, labels, torch.arange(n) < 20)
    blocks = {"flatten": nn.Flatten()}
    original = Classifier(blocks, nn.Linear(d, classes, bias=True), (d,)).double()

    def exact(samples: Samples):
        features = torch.cat([(samples.images - 0.5) / 0.25, torch.ones(len(samples), 1, dtype=torch.float64)], 1)
        targets = nn.functional.one_hot(samples.labels, classes).double()
        penalty = decay * len(samples) * torch.eye(d + 1, dtype=torch.float64)
        return torch.linalg.solve(features.T @ features + penalty, features.T @ targets).T

    def put(model, solution):
        with torch.no_grad():
            model.head.weight.copy_(solution[:, :-1])
            model.head.bias.copy_(solution[:, -1])

    everything = Samples(x, labels)
    put(original, exact(everything))
    model = run("ntk", (original, retain, forget), loss="mse", weight_decay=decay, anchor=anchor)
    found = torch.cat([model.head.weight, model.head.bias[:, None]], 1).detach()
    return ((found - exact(retain)).norm() / (exact(everything) - exact(retain)).norm()).item()


def test_ntk_is_exact_on_ridge_regression():
    assert ridge("zero") < 1e-9


def test_the_form_of_the_original_code_is_not():
    assert 1e-3 < ridge("original") < 1.0


def test_ntk_in_blocks_is_ntk_at_once(monkeypatch):
    from rurk_core.unlearning.methods import ntk as module

    setting = trained(epochs=2)
    at_once = flat(run("ntk", setting, weight_decay=0.01))
    whole = module._demand

    def small(*arguments):
        return module.Demand(**{**vars(whole(*arguments)), "block": 7})

    monkeypatch.setattr(module, "_demand", small)
    assert torch.allclose(flat(run("ntk", setting, weight_decay=0.01)), at_once, rtol=1e-4, atol=1e-5)


def test_ntk_says_what_it_needs_and_refuses_what_does_not_fit():
    original, retain, forget = trained(epochs=0)
    method = METHODS["ntk"]
    assert "GB for the kernel of 120 samples × 3 classes" in method.estimate(original, retain, forget, method.config())
    assert method.check(original, retain, forget, method.config()) is None
    # ResNet-18 with 1,000 samples and five classes fits in 24 GB, CIFAR-10 does not fit anywhere
    assert demand(1_000, 5, 11_200_000, 4, 24 * 10**9).block >= 20
    assert demand(40_000, 10, 11_200_000, 4, 500 * 10**9).block == 0
    many = Samples(retain.images[:1].expand(10**6, -1, -1, -1), retain.labels[:1].expand(10**6))
    assert "max_samples" in method.check(original, many, forget, method.config())
    assert "blocks" in method.check(original, retain, forget, method.config(layers=99))


def test_the_trapezium_rule():
    """A step of length 1 at 60° to an error of length 3 becomes 1 + 2·3·cos 60° = 4 times as long."""
    step = torch.tensor([1.0, 0.0], dtype=torch.float64)
    error = 3 * torch.tensor([math.cos(math.pi / 3), math.sin(math.pi / 3)], dtype=torch.float64)
    assert trapezium(error, torch.zeros(2, dtype=torch.float64), step, 30.0) == pytest.approx(4.0)
    assert trapezium(error, torch.zeros(2, dtype=torch.float64), step, 2.0) == 2.0


# --- SSD ----------------------------------------------------------------------------------------------------


def two_paths():
    """A linear network in which S_f (class 0) only uses the first pixel and S_r only the other two."""
    model = Classifier({"flatten": nn.Flatten()}, nn.Linear(3, 2), (3,))
    with torch.no_grad():
        model.mean.zero_()
        model.std.fill_(1.0)
        model.head.weight.copy_(torch.tensor([[1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]))
        model.head.bias.zero_()
    retain = Samples(torch.tensor([[0.0, 1.0, 0.2], [0.0, 0.1, 1.0]] * 4), torch.tensor([0, 1] * 4))
    forget = Samples(torch.tensor([[1.0, 0.0, 0.0]] * 4), torch.tensor([0] * 4))
    return model, retain, forget


@pytest.mark.parametrize("importance", ["batched", "per-sample"])
def test_ssd_zeroes_exactly_the_weights_that_only_the_forget_set_uses(importance):
    """I_D = 0 < I_f on the first pixel: selected for every α and multiplied by 0; I_f = 0 elsewhere: untouched."""
    setting = two_paths()
    model = run("ssd", setting, alpha=1e-6, reference="S_r", importance=importance, batch=2, dampening=0.0)
    assert torch.equal(model.head.weight[:, 0], torch.zeros(2))
    assert torch.equal(model.head.weight[:, 1:], setting[0].head.weight[:, 1:])
    kept = run("ssd", setting, alpha=1e6, reference="S_r", importance=importance, batch=2)
    assert torch.equal(kept.head.weight[:, 0], torch.zeros(2)), "λ·0/I_f is 0 whatever λ is"
    assert torch.equal(kept.head.bias, setting[0].head.bias)


def test_ssd_with_infinite_alpha_is_the_original():
    setting = trained()
    assert torch.equal(flat(run("ssd", setting, alpha=1e30)), flat(setting[0]))


def test_ssd_dampens_by_the_formula():
    """One weight, one sample each: gradients known by hand."""
    model = Classifier({"flatten": nn.Flatten()}, nn.Linear(1, 2, bias=False), (1,))
    with torch.no_grad():
        model.mean.zero_()
        model.std.fill_(1.0)
        model.head.weight.zero_()  # p = ½, so ∂CE/∂w_k = (½ − 1[k = y])·x and its square is x²/4
        model.head.weight += torch.tensor([[1e-4], [1e-4]])
    retain = Samples(torch.tensor([[0.5], [0.5]]), torch.tensor([0, 1]))
    forget = Samples(torch.tensor([[1.0], [1.0]]), torch.tensor([0, 1]))
    settings = {"importance": "per-sample", "reference": "S_r"}
    ratio = 0.25  # I_r / I_f = (0.5/1)²
    for alpha, dampening, expected in ((3.9, 1.0, ratio), (4.1, 1.0, 1.0), (1.0, 2.0, 2 * ratio), (1.0, 9.0, 1.0)):
        found = run("ssd", (model, retain, forget), alpha=alpha, dampening=dampening, **settings).head.weight
        assert torch.allclose(found, expected * model.head.weight), (alpha, dampening)


# --- Fisher -------------------------------------------------------------------------------------------------


def test_fisher_without_noise_is_the_original():
    setting = trained(epochs=1)
    assert torch.equal(flat(run("fisher", setting, alpha=0.0)), flat(setting[0]))


def test_the_variance_of_the_noise_follows_the_rules_of_the_code():
    config = FisherConfig(alpha=1e-3, clamp=1e3, head_clamp=1e2)
    information = torch.tensor([[1.0, 0.01, 0.0]])  # 1/F: 1, 100 and clamped to 1e3
    assert torch.allclose(noise_variance(information, config, in_head=False), torch.tensor(1e-3 * (1 + 100 + 1000) / 3))
    plain = FisherConfig(alpha=1e-3, clamp=1e3, per_unit="none")
    assert torch.allclose(
        noise_variance(information, plain, in_head=False), 1e-3 * torch.tensor([[1.0, 100.0, 1000.0]]), rtol=1e-4
    )
    head = noise_variance(information, plain, in_head=True)
    assert torch.allclose(head, 1e-2 * torch.tensor([[1.0, 100.0, 100.0]]), rtol=1e-4)
    vector = noise_variance(torch.tensor([1.0, 0.0]), plain, in_head=False)
    assert torch.allclose(vector, 1e-2 * torch.tensor([1.0, 1000.0]), rtol=1e-4)


def test_fisher_noise_has_the_variance_it_should():
    """In a network whose samples all leave one unit dead, that unit's weights get the clamped, largest noise."""
    setting = trained("mlp:64", epochs=1)
    original, retain, _ = setting
    model = run("fisher", setting, alpha=1e-6, per_unit="none")
    information = loop_free_information(original, retain)
    change = (model.blocks["hidden"][1].weight - original.blocks["hidden"][1].weight).detach()
    expected = noise_variance(information, FisherConfig(alpha=1e-6, per_unit="none"), in_head=False)
    assert (change.square() / expected).mean() == pytest.approx(1.0, abs=0.1)


def loop_free_information(model, samples):
    from rurk_core.unlearning.importance import diagonal_importance

    return diagonal_importance(model, samples, kind="expected")["blocks.hidden.1.weight"]


def test_the_class_rule_makes_the_rows_of_a_lost_class_noise_around_zero():
    setting = trained("mlp:200", whole_class=True, epochs=1)
    rows = run("fisher", setting, class_rule="on").head.weight[0].detach()
    assert rows.abs().mean() < 0.1 and rows.std() == pytest.approx(math.sqrt(1e-3), rel=0.2)
    method = METHODS["fisher"]
    half = trained(epochs=0)
    assert "whole classes" in method.check(*half, method_config(method, class_rule="on"))
