"""MSG, CT and AMUN held against their algorithms in plain loops, as their public code has them."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rurk_core.unlearning import METHODS, Samples
from rurk_core.unlearning.methods.amun import nearest_adversarial

from .helpers import flat, run, trained

EPOCHS, LR = 5, 0.01


@pytest.fixture(scope="module")
def setting():
    """As many retained as forgotten samples, so that neither the choice nor the order of a batch matters."""
    original, retain, forget = trained("resnet9:4", epochs=1)
    return original, Samples(retain.images[: len(forget)], retain.labels[: len(forget)]), forget


def plainly(model: nn.Module, samples: Samples, rates: list[float], factors: dict | None = None) -> nn.Module:
    """SGD on whole batches, a rate an epoch; ``factors`` are multiplied to gradients."""
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9, weight_decay=5e-4)
    for rate in rates:
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        F.cross_entropy(model(samples.images), samples.labels).backward()
        for weight, factor in (factors or {}).items():
            weight.grad.mul_(factor)
        optimiser.step()
    return model


def open_copy(original: nn.Module) -> nn.Module:
    return copy.deepcopy(original).train().requires_grad_(True)


def kernels(model: nn.Module) -> list[nn.Parameter]:
    return [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]


def test_ct(setting):
    """Kernels swapped over their last two sides; cosine annealing to 0 over the epochs."""
    plain = open_copy(setting[0])
    for kernel in kernels(plain):
        kernel.data = kernel.data.swapaxes(2, 3).contiguous()
    rates = [LR * (1 + torch.cos(torch.tensor(torch.pi * epoch / EPOCHS)).item()) / 2 for epoch in range(EPOCHS)]
    plainly(plain, setting[1], rates)
    model = run("ct", setting, epochs=EPOCHS, lr=LR)
    assert torch.allclose(flat(model), flat(plain), atol=1e-4) and (flat(model) - flat(setting[0])).abs().max() > 0.01


def test_msg(setting):
    """Gradients of S_r less those of S_f, each a whole batch; 30% of least size anew, the rest a tenth as fast; rates
    of 1/3, 2/3, 3/3, 2/3, 1/3."""
    original, retain, forget = setting
    plain = open_copy(original)
    F.cross_entropy(plain(retain.images), retain.labels).backward()
    (-F.cross_entropy(plain(forget.images), forget.labels)).backward()
    drawn, factors = kernels(run("msg", setting, epochs=0)), {}
    for kernel, fresh in zip(kernels(plain), drawn, strict=True):
        chosen, size = fresh != kernel, kernel.grad.abs()
        assert chosen.sum() == round(0.3 * kernel.numel())
        assert size[chosen].max() <= size[~chosen].min() * 1.001 + 1e-9, "but for rounding at the edge"
        anew = fresh.data[chosen]
        fan_out = kernel.shape[0] * kernel[0, 0].numel()
        assert anew.numel() < 500 or anew.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15)
        kernel.data = fresh.data.clone()
        factors[kernel] = torch.where(chosen, 1.0, 0.1)
    plainly(plain, retain, [LR * step / 3 for step in (1, 2, 3, 2, 1)], factors)
    model = run("msg", setting, epochs=EPOCHS, lr=LR)
    assert torch.allclose(flat(model), flat(plain), atol=1e-4)


@pytest.mark.slow
def test_amun(setting):
    """One sample at a time: steps of a tenth of the radius up the loss, into the ball and the cube; the radius is
    doubled after every 50, from where it is, until the class is another."""
    original, _, forget = setting
    model = copy.deepcopy(original).eval().requires_grad_(False)
    config = METHODS["amun"].config(radius=0.3, steps=50)
    found, said = nearest_adversarial(original, forget.images[:6], forget.labels[:6], config)
    for image, label, expected, other in zip(forget.images, forget.labels, found, said, strict=False):
        moved, radius, step = image[None].clone(), 0.3, 0
        while model(moved).argmax(1) == label:
            radius, step = radius * (2 if step and step % 50 == 0 else 1), step + 1
            moved.requires_grad_(True)
            (up,) = torch.autograd.grad(F.cross_entropy(model(moved), label[None]), moved)
            delta = moved.detach() + radius / 10 * up / up.norm() - image
            moved = (image + delta * min(1.0, radius / delta.norm())).clamp(0, 1)
        assert torch.allclose(moved[0], expected, atol=1e-4) and model(moved).argmax(1) == other
