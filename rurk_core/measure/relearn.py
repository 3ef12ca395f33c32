"""Re-learn time: epochs of fine-tuning on the forget set until the Original's loss is reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import Images, to_pixels
from ..device import autocast, memory_format
from ..models import Classifier
from ..training.loop import epoch_batches

RELEARN_FACTOR = 1.05
RELEARN_LR, RELEARN_MOMENTUM, RELEARN_BATCH = 0.01, 0.9, 128


@dataclass(frozen=True)
class Relearned:
    """How a model learns the forget set again.

    Attributes:
        epochs: epochs until the loss on S_f was at most ``target``, 0 if it was before; None if it never was.
        limit: epochs that were tried at most: None is written "> limit".
        target: 1.05 × the Original's loss on S_f. Where the Original fits S_f to a loss near 0 this is a threshold at
            the level of noise, so look at ``losses`` too.
        losses: mean cross-entropy on S_f before the first epoch and after each.
    """

    epochs: int | None
    limit: int
    target: float
    losses: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "limit": self.limit, "target": self.target, "losses": list(self.losses)}


def relearn(
    model: Classifier, images: Images, labels: Tensor, target: float, *, limit: int = 30, seed: int = 0
) -> Relearned:
    """Re-learn time: fine-tune on S_f until CE(model, S_f) ≤ ``target``, at most ``limit`` epochs.

    The paper does not say how it fine-tunes here: this is SGD with its other baselines' rate 0.01, momentum 0.9 and
    batch 128, without weight decay, in train mode; losses are taken in eval mode. A loss that is no longer finite ends
    it: such a model has not re-learned.

    Args:
        model: changed in place; images, labels: the forget set on the model's device.
        target: a loss; the paper's is 1.05 × that of the Original.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=RELEARN_LR, momentum=RELEARN_MOMENTUM)
    generator = torch.Generator(images.device).manual_seed(seed)
    losses = [_mean_loss(model, images, labels)]
    while losses[-1] > target and len(losses) <= limit and math.isfinite(losses[-1]):
        model.train()
        for index in epoch_batches(len(images), RELEARN_BATCH, generator):
            pixels = to_pixels(images[index])
            with autocast(images.device, model.precision):
                loss = F.cross_entropy(
                    model(pixels.contiguous(memory_format=memory_format(pixels, model))), labels[index]
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        losses.append(_mean_loss(model, images, labels))
    if not math.isfinite(losses[-1]):
        losses.pop()
        return Relearned(None, limit, target, tuple(losses))
    return Relearned(len(losses) - 1 if losses[-1] <= target else None, limit, target, tuple(losses))


@torch.no_grad()
def _mean_loss(model: Classifier, images: Images, labels: Tensor) -> float:
    model.eval()
    total = torch.zeros((), dtype=torch.float64, device=labels.device)  # read once, not after every batch
    for index in torch.arange(len(images), device=images.device).split(RELEARN_BATCH):
        pixels = to_pixels(images[index])
        logits = model(pixels.contiguous(memory_format=memory_format(pixels, model))).float()
        total += F.cross_entropy(logits, labels[index], reduction="sum")
    return float(total) / len(images)
