"""CF-k: fine-tune the last k blocks, keep the rest."""

from __future__ import annotations

import torch

from ...models import Classifier
from ...training.loop import OnStep
from ..base import Samples, register
from ..tail import TailConfig, check_tail, passes_of_tail, train_tail


@register(
    title="CF-k",
    letters="CF",
    place=13,
    config=TailConfig,
    needs="S_r",
    source="Goel et al. 2022 (arXiv 2201.06640), catastrophic forgetting of the last k layers",
    summary="keeps training only the last k blocks on the retain set",
    cost="10 epochs of S_r through the last k blocks; the frozen blocks run once a sample",
    batch_norm="frozen blocks in eval mode, statistics unchanged; the last k see retain samples only",
    presets={
        "paper, small CIFAR-5": {},
        "paper, CIFAR-10": {},
        "paper, CIFAR-10 class": {},
        "source": {"lr": 0.1, "epochs": 30, "weight_decay": 5e-5, "batch": 64},
        "digits": {"k": 2, "lr": 0.05},
    },
    check=check_tail,
    passes=passes_of_tail,
)
def cf_k(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: TailConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """SGD on CE(S_r) by the last k blocks from the Original; with all blocks it is GD."""
    return train_tail(original, retain, config, fresh=False, generator=generator, on_step=on_step, name="CF-k")
