"""GD, descent-to-delete as a baseline: keep training on the retain set."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..config import Config, number
from ..models import Classifier
from ..training import OnStep
from .base import Samples, register
from .rurk import descend


@dataclass(frozen=True)
class GdConfig(Config):
    """Settings of GD; the defaults are the paper's."""

    epochs: int = number(10, 0, 1000, "passes over the retain samples", search=(1, 20, "linear"))
    lr: float = number(0.01, 0.0, 10.0, "learning rate of SGD, constant", search=(1e-3, 0.2, "log"))
    momentum: float = number(0.9, 0.0, 0.999, "momentum")
    weight_decay: float = number(1e-4, 0.0, 1.0, "L2 pull of every weight towards 0")
    batch: int = number(128, 2, 65_536, "samples in a step")


@register(
    title="GD",
    config=GdConfig,
    needs="S_r",
    source="Neel et al. 2021 (arXiv 2007.02923), as fine-tuning on S_r",
    summary="keeps training on the retain set and hopes that the rest fades",
    cost="10 epochs of S_r",
    batch_norm="train mode on retain samples only",
    presets={
        "paper, small CIFAR-5": {},
        "paper, CIFAR-10": {},
        "paper, CIFAR-10 class": {},
        "source": {"lr": 0.02, "epochs": 5},
        "quick look": {"epochs": 2},
    },
)
def gd(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: GdConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """SGD on CE(S_r) from the Original; the forget set is not touched."""
    return descend(
        original,
        retain,
        epochs=config.epochs,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        batch=config.batch,
        generator=generator,
        on_step=on_step,
        name="GD",
    )
