"""GD, descent-to-delete as a baseline: keep training on the retain set."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...models import Classifier
from ...training.loop import OnStep
from ..base import Samples, register
from ..descent import descend
from ..loop import DescentConfig


@dataclass(frozen=True)
class GdConfig(DescentConfig):
    """Settings of GD: those of every descent."""


@register(
    title="GD",
    letters="GD",
    place=1,
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
        forget,
        config,
        generator=generator,
        on_step=on_step,
        name="GD",
    )
