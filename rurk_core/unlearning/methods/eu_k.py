"""EU-k: train the last k blocks again from random weights, keep the rest."""

from __future__ import annotations

import torch

from ...models import Classifier
from ...training.loop import OnStep
from ..base import Samples, register
from ..tail import TailConfig, check_tail, passes_of_tail, train_tail


@register(
    title="EU-k",
    letters="EU",
    place=12,
    config=TailConfig,
    needs="S_r",
    source="Goel et al. 2022 (arXiv 2201.06640), exact unlearning of the last k layers",
    summary="re-initialises the last k blocks and trains only those on the retain set",
    cost="10 epochs of S_r through the last k blocks; the frozen blocks run once a sample",
    batch_norm="frozen blocks in eval mode, statistics unchanged; the last k start afresh and see retain samples only",
    presets={
        "paper, small CIFAR-5": {},
        "paper, CIFAR-10": {},
        "paper, CIFAR-10 class": {},
        "source": {"lr": 0.1, "epochs": 62, "weight_decay": 5e-5, "batch": 64},
        "digits": {"lr": 0.05},
    },
    check=check_tail,
    passes=passes_of_tail,
)
def eu_k(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: TailConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """Random weights in the last k blocks, batch normalisation included, then SGD on CE(S_r) by them alone.

    Goel counts convolutions and linear layers where we count named blocks, and anneals the learning rate with warm
    restarts, which "source" replaces by a constant one.
    """
    return train_tail(original, retain, config, fresh=True, generator=generator, on_step=on_step, name="EU-k")
