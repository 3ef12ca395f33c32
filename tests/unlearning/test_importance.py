"""Gradients of single samples and the importances made of them, against loops that anyone can read."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from rurk_core.models import Classifier
from rurk_core.unlearning import Samples
from rurk_core.unlearning.importance import diagonal_importance, sample_gradients
from rurk_core.unlearning.methods.ssd import SsdConfig, dampening_of

from .helpers import trained


def loop(model, samples, weight_of=None):
    """Mean over samples of Σ_c weight(c)·(∂CE(x, c)/∂w)², one sample and one class at a time."""
    weights = list(model.parameters())
    total = [torch.zeros_like(weight) for weight in weights]
    for image, label in zip(samples.images, samples.labels, strict=True):
        share = model(image[None]).softmax(1)[0].detach()
        for c in range(len(share)) if weight_of == "expected" else [int(label)]:
            loss = cross_entropy(model(image[None]), torch.tensor([c]))
            factor = share[c] if weight_of == "expected" else 1.0
            for sum_, gradient in zip(total, torch.autograd.grad(loss, weights), strict=True):
                sum_ += factor * gradient.square()
    return {name: value / len(samples) for (name, _), value in zip(model.named_parameters(), total, strict=True)}


@pytest.fixture(scope="module", params=["resnet9:2", "cnn:4", "mlp:5"])
def model_and_samples(request):
    original, retain, _ = trained(request.param, epochs=1)
    return original.eval().double(), Samples(retain.images[:7].double(), retain.labels[:7])


@pytest.mark.parametrize("kind", ["empirical", "expected"])
def test_per_sample_importance_is_the_loop(model_and_samples, kind):
    model, samples = model_and_samples
    found = diagonal_importance(model, samples, kind=kind)
    for name, value in loop(model, samples, kind).items():
        assert torch.allclose(found[name], value, rtol=1e-7, atol=1e-14), name


def test_batched_importance_squares_the_gradients_of_batch_means(model_and_samples):
    model, samples = model_and_samples
    found = diagonal_importance(model, samples, batch=3, order=torch.tensor([6, 0, 3, 2, 5, 1, 4]))
    weights, expected = list(model.parameters()), None
    for index in ([6, 0, 3], [2, 5, 1], [4]):
        loss = cross_entropy(model(samples.images[index]), samples.labels[index])
        squares = [gradient.square() for gradient in torch.autograd.grad(loss, weights)]
        expected = squares if expected is None else [a + b for a, b in zip(expected, squares, strict=True)]
    for value, total in zip(found.values(), expected, strict=True):
        assert torch.allclose(value, total / 3, rtol=1e-7, atol=1e-14)


def test_layers_without_a_rule_give_the_same_gradients_one_by_one():
    """A grouped convolution has no rule: the samples then go through the network one at a time or under vmap."""
    blocks = {"conv": nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.ReLU(inplace=True), nn.Flatten())}
    model = Classifier(blocks, nn.Linear(4 * 36, 3), (2, 8, 8)).eval()
    pixels, labels = torch.rand(4, 2, 8, 8), torch.tensor([0, 1, 2, 0])
    seeds = torch.eye(3)
    _, each = sample_gradients(model, pixels, lambda logits: seeds.expand(len(logits), -1, -1))
    together = list(each)
    for i in range(4):
        logits = model(pixels[i : i + 1])
        for c in range(3):
            alone = torch.autograd.grad(logits[0, c], list(model.parameters()), retain_graph=True)
            for value, found in zip(alone, together[c].values(), strict=True):
                assert torch.allclose(found[i], value, atol=1e-6)
    assert torch.equal(diagonal_importance(model, Samples(pixels, labels))["head.bias"] >= 0, torch.ones(3).bool())


def test_per_sample_ratio_of_importances_never_exceeds_n_over_n_f():
    """So SSD with per-sample importance over S does nothing from α = n/n_f on."""
    original, retain, forget = trained()
    limit = (len(retain) + len(forget)) / len(forget)
    for alpha, expected in ((1.0, True), (limit * 1.0001, False)):
        config = SsdConfig(alpha=alpha, importance="per-sample", reference="S")
        factors = dampening_of(original, retain, forget, config, generator=torch.Generator().manual_seed(0))
        assert any((factor < 1).any() for factor in factors.values()) is expected
