"""Re-train: the gold reference, a fresh network that never sees the forget set."""

from __future__ import annotations

from typing import Any

import torch

from ...data.recipes import TrainConfig
from ...models import Classifier
from ...training.fit import fit
from ...training.loop import OnStep
from ..base import Samples, register
from ..loop import reinitialised


@register(
    title="Re-train",
    letters="RT",
    place=17,
    config=TrainConfig,
    needs="S_r",
    source="a = A(S_r), the definition of unlearning",
    summary="starts again from random weights on the retain set alone; exact, and as dear as training",
    cost="a whole training on S_r",
    batch_norm="starts afresh",
    presets={"quick look": {"epochs": 5}},
)
def retrain(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: Any,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """A network of the Original's shape, re-initialised (batch statistics included) and trained on S_r."""
    seed = generator.initial_seed()
    fresh = reinitialised(original, seed)
    return fit(fresh, retain.images, retain.labels, config, seed=seed, on_step=on_step)
