"""Perturbations: closed forms, seeds, and parity with torchattacks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from rurk_core.errors import UsageError
from rurk_core.models import create_model
from rurk_core.perturb.copies import (
    ATTACKS,
    DRAW_BLOCK,
    copies,
    fgsm,
    input_gradient,
    pgd,
    random_directions,
    wrong_labels,
)

CPU = torch.device("cpu")
CLASSES = 4


@pytest.fixture(scope="module")
def model():
    return create_model("cnn:4", (1, 8, 8), CLASSES, seed=3).eval()


@pytest.fixture(scope="module")
def samples():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(5, 1, 8, 8, generator=generator)
    return pixels, torch.tensor([0, 1, 2, 3, 1])


def make(attack, samples, model, *, ids=(7, 8, 9, 10, 11), tau=0.1, draws=45, seed=1):
    pixels, labels = samples
    return copies(attack, pixels, labels, ids=ids, tau=tau, draws=draws, seed=seed, classes=CLASSES, model=model)


@pytest.mark.parametrize("attack", ATTACKS)
class TestEveryAttack:
    """Conformance over the registry."""

    def test_shape_and_range(self, attack, samples, model):
        moved = make(attack, samples, model)
        assert moved.shape == (5, 45, 1, 8, 8) and moved.dtype == torch.float32
        assert moved.min() >= 0 and moved.max() <= 1

    def test_radius(self, attack, samples, model):
        distance = (make(attack, samples, model) - samples[0].unsqueeze(1)).flatten(2)
        if ATTACKS[attack].ball == "linf":
            assert distance.abs().max() <= 0.1 + 1e-6
        elif ATTACKS[attack].ball == "l2":
            assert distance.norm(dim=2).max() <= 0.1 + 1e-6

    def test_same_seed_same_copies(self, attack, samples, model):
        assert torch.equal(make(attack, samples, model), make(attack, samples, model))

    def test_zero_radius_is_the_sample(self, attack, samples, model):
        moved = make(attack, samples, model, tau=0.0)
        assert torch.equal(moved, samples[0].unsqueeze(1).expand_as(moved))

    def test_a_samples_copies_do_not_depend_on_its_company(self, attack, samples, model):
        pixels, labels = samples
        alone = make(attack, (pixels[2:3], labels[2:3]), model, ids=(9,))
        together = make(attack, samples, model)
        assert torch.allclose(alone[0], together[2], atol=1e-6)

    def test_the_model_is_left_alone(self, attack, samples, model):
        make(attack, samples, model)
        assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("attack", [name for name, attack in ATTACKS.items() if not attack.uses_model])
def test_seed_and_sample_change_random_draws(attack, samples, model):
    base = make(attack, samples, model)
    assert not torch.equal(base, make(attack, samples, model, seed=2))
    pixels, labels = samples
    twin = torch.stack([pixels[0], pixels[0]]), labels[:1].repeat(2)
    moved = make(attack, twin, model, ids=(1, 2))
    assert not torch.equal(moved[0], moved[1])


def test_more_draws_begin_with_the_fewer(samples, model):
    few, many = make("gaussian", samples, model, draws=7), make("gaussian", samples, model, draws=50)
    assert torch.equal(few, many[:, :7])


@pytest.mark.parametrize("attack,step", [("gaussian", 1), ("gaussian_pairs", 2)])
def test_gaussian_is_standard_normal(attack, step):
    delta = random_directions(attack, range(40), 0, (3, 16, 16), 5, CPU)[:, ::step]  # one of a pair says the other
    n = delta.numel()
    assert abs(delta.mean()) < 5 / math.sqrt(n)
    assert abs(delta.var() - 1) < 5 * math.sqrt(2 / n)


def test_uniform_l2_fills_the_ball_evenly():
    """In d dimensions a share ρ^d of the ball lies within ρ of its centre."""
    delta = random_directions("uniform_l2", range(200), 0, (2,), 5, CPU).reshape(-1, 2)
    radius = delta.norm(dim=1)
    n = len(radius)
    for rho in (0.3, 0.5, 0.8):
        share = (radius <= rho).double().mean().item()
        assert abs(share - rho**2) < 5 * math.sqrt(rho**2 * (1 - rho**2) / n)


def test_wrong_labels_are_wrong_and_uniform():
    labels = torch.tensor([0, 3] * 50)
    drawn = wrong_labels(labels, range(100), 200, CLASSES, seed=0)
    assert (drawn != labels[:, None]).all()
    counts = torch.bincount(drawn[::2].flatten(), minlength=CLASSES)
    assert counts[0] == 0
    expected = 50 * 200 / 3
    assert ((counts[1:] - expected).abs() < 5 * math.sqrt(expected)).all()


def test_input_gradient_of_a_linear_model():
    """∇ₓ CE = Wᵀ (softmax − onehot) for logits W x."""
    layer = nn.Linear(6, 3)
    pixels, labels = torch.rand(4, 6), torch.tensor([0, 1, 2, 0])
    residual = layer(pixels).softmax(1) - nn.functional.one_hot(labels, 3)
    assert torch.allclose(input_gradient(layer, pixels, labels), residual @ layer.weight, atol=1e-6)


def test_fgsm_copies_stand_for_the_targets_drawn(samples, model):
    """Weighted targets must be the very copies that drawing target by target gives."""
    pixels, labels = samples
    moved = make("fgsm", samples, model, draws=3 * DRAW_BLOCK)
    drawn = wrong_labels(labels, (7, 8, 9, 10, 11), 3 * DRAW_BLOCK, CLASSES, seed=1)
    for sample in range(5):
        repeated = pixels[sample : sample + 1].expand(drawn.shape[1], -1, -1, -1)
        expected = fgsm(model, repeated, drawn[sample], 0.1, targeted=True)
        assert torch.allclose(moved[sample].flatten(1).sort(0).values, expected.flatten(1).sort(0).values, atol=1e-6)


def test_an_attack_on_nothing_is_refused(samples):
    with pytest.raises(UsageError, match="built against a model"):
        make("fgsm", samples, None)
    with pytest.raises(UsageError, match="no attack 'foo'"):
        make("foo", samples, None)


class TestParityWithTorchattacks:
    """Our attacks against the usual library, on fixed inputs in float64, where rounding cannot flip a sign."""

    @pytest.fixture(scope="class")
    def setting(self):
        torchattacks = pytest.importorskip("torchattacks")
        network = create_model("resnet9:4", (3, 16, 16), CLASSES, seed=1).double().eval()
        pixels = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        return torchattacks, network, pixels, torch.tensor([0, 1, 2, 3, 0, 1])

    def test_fgsm(self, setting):
        torchattacks, network, pixels, labels = setting
        theirs = torchattacks.FGSM(network, eps=8 / 255)(pixels, labels)
        assert torch.allclose(fgsm(network, pixels, labels, 8 / 255, targeted=False), theirs, atol=1e-12)

    def test_targeted_fgsm(self, setting):
        torchattacks, network, pixels, labels = setting
        attack = torchattacks.FGSM(network, eps=8 / 255)
        attack.set_mode_targeted_by_function(lambda images, y: (y + 1) % CLASSES)
        target = (labels + 1) % CLASSES
        assert torch.allclose(fgsm(network, pixels, target, 8 / 255, targeted=True), attack(pixels, labels), atol=1e-12)

    def test_pgd(self, setting):
        torchattacks, network, pixels, labels = setting
        theirs = torchattacks.PGD(network, eps=8 / 255, alpha=2 / 255, steps=10, random_start=False)(pixels, labels)
        assert torch.allclose(pgd(network, pixels, labels, 8 / 255, targeted=False), theirs, atol=1e-12)

    def test_targeted_pgd(self, setting):
        torchattacks, network, pixels, labels = setting
        attack = torchattacks.PGD(network, eps=8 / 255, alpha=2 / 255, steps=10, random_start=False)
        attack.set_mode_targeted_by_function(lambda images, y: (y + 1) % CLASSES)
        target = (labels + 1) % CLASSES
        assert torch.allclose(pgd(network, pixels, target, 8 / 255, targeted=True), attack(pixels, labels), atol=1e-12)

    def test_gaussian_noise(self, setting):
        torchattacks, network, pixels, labels = setting
        torch.manual_seed(0)
        theirs = torchattacks.GN(network, std=0.1)(pixels, labels)
        torch.manual_seed(0)
        noise = torch.randn_like(pixels)
        assert torch.allclose((pixels + 0.1 * noise).clamp(0, 1), theirs, atol=1e-12)


def test_pairs_are_opposite_and_a_linear_score_has_no_error():
    """Of a score s(x) = a·x the mean over pairs is a·x itself, whatever was drawn; independent draws miss it."""
    generator = torch.Generator().manual_seed(0)
    pixels, slope = torch.full((3, 1, 8, 8), 0.5), torch.randn(1, 8, 8, generator=generator)
    asked = {"ids": (1, 2, 3), "tau": 0.05, "draws": 30, "seed": 2, "classes": CLASSES}  # no pixel is clipped
    paired, plain = (copies(name, pixels, torch.zeros(3).long(), **asked) for name in ("gaussian_pairs", "gaussian"))
    assert torch.allclose(paired[:, ::2] + paired[:, 1::2], 2 * pixels.unsqueeze(1), atol=1e-6)
    truth = (slope * pixels).sum((1, 2, 3))
    errors = [((slope * moved.mean(1)).sum((1, 2, 3)) - truth).abs().max() for moved in (paired, plain)]
    assert errors[0] < 1e-5 < 1e-2 < errors[1]
