"""NGD: descent on the retain set with noise in every step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ...config import choice, number
from ...models import Classifier
from ...training.loop import OnStep
from ..base import Samples, register
from ..descent import descend
from ..loop import DescentConfig, Weights, side_stream


@dataclass(frozen=True)
class NgdConfig(DescentConfig):
    """Settings of NGD; the defaults are the paper's for small CIFAR-5."""

    sigma: float = number(0.03, 0.0, 10.0, "σ: size of the noise; 0 = GD, the control", search=(1e-4, 0.1, "log"))
    noise: str = choice(
        "gradient",
        ("gradient", "langevin", "weights"),
        "where the noise goes: gradient = ∇ + σN, langevin = w + √(2·lr)·σN after the step, weights = w + σN after it",
    )
    clip: float = number(0.0, 0.0, 1e6, "largest norm of the gradient before the noise; 0 = no limit")
    lr: float = number(0.1, 0.0, 10.0, "learning rate of SGD, constant", search=(1e-3, 0.3, "log"))


@register(
    title="NGD",
    letters="NG",
    place=6,
    config=NgdConfig,
    needs="S_r",
    source="Chien et al. 2024 (arXiv 2401.10371), w ← w − η(∇f + λw) + √(2ησ²)·N(0, I)",
    summary="keeps training on the retain set with Gaussian noise in every step",
    cost="10 epochs of S_r",
    batch_norm="train mode on retain samples only; no noise on the running statistics",
    presets={
        "paper, small CIFAR-5": {},
        "paper, CIFAR-10": {"epochs": 2},
        "paper, CIFAR-10 class": {"epochs": 2},
        "source": {"noise": "langevin", "momentum": 0.0, "clip": 1.0},
        "digits": {"epochs": 5},
    },
)
def ngd(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: NgdConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """SGD on CE(S_r) with N(0, σ²) noise; the same steps as GD, and GD itself at σ = 0.

    The paper says "N(0, σ²) noise on each step" and leaves open where it goes; at its lr = 0.1 the three readings
    lie a factor of ten apart (a step moves a weight by 0.003, 0.013 or 0.03), and only "gradient" leaves a network
    standing after 80 steps. The authors of the method clip the gradient of every single sample; ``clip`` here
    clips that of the batch.
    """
    stream = side_stream(generator, 0x1A9E)

    def add_noise(weights: Weights, scale: float, *, on_gradient: bool) -> None:
        for weight in weights:
            target = weight.grad if on_gradient else weight
            if target is not None:
                noise = torch.randn(weight.shape, generator=stream, device=weight.device, dtype=weight.dtype)
                target.data.add_(noise, alpha=scale)

    def on_gradient(weights: Weights) -> None:
        if config.sigma and config.noise == "gradient":
            add_noise(weights, config.sigma, on_gradient=True)

    def after_step(weights: Weights, lr: float) -> None:
        if config.sigma and config.noise != "gradient":
            factor = math.sqrt(2 * lr) if config.noise == "langevin" else 1.0
            add_noise(weights, factor * config.sigma, on_gradient=False)

    return descend(
        original,
        retain,
        forget,
        config,
        on_gradient=on_gradient,
        after_step=after_step,
        generator=generator,
        on_step=on_step,
        name="NGD",
    )
