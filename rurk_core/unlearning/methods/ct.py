"""CT: transpose every convolution kernel, and train on with the retain set."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import nn

from ...config import number
from ...models import Classifier
from ...training.loop import OnStep, steps_per_epoch
from ..base import Samples, register, trainable_copy
from ..loop import DescentConfig, cosine, epochs_of, loss_on, minimise

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CtConfig(DescentConfig):
    """Settings of CT; the defaults are those of the challenge entry."""

    epochs: int = number(3, 0, 1000, "passes over the retain samples", search=(1, 20, "linear"))
    lr: float = number(1e-3, 0.0, 10.0, "peak learning rate of SGD", search=(1e-4, 0.1, "log"))
    weight_decay: float = number(5e-4, 0.0, 1.0, "L2 pull of every trained weight towards 0")
    batch: int = number(64, 2, 65_536, "samples in a step")


@register(
    title="CT",
    letters="CT",
    place=19,
    config=CtConfig,
    needs="S_r",
    source="fifth place of the NeurIPS 2023 unlearning challenge, in Cadet et al. 2024 (arXiv 2410.01276)",
    summary="mirrors every convolution kernel at its diagonal, and trains on with the retain set",
    cost="3 epochs of S_r",
    batch_norm="train mode on retain samples only",
    presets={"source": {}, "digits": {"lr": 0.02, "epochs": 10}},
)
def ct(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: CtConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """Convolution transpose: k[o, i, x, y] ← k[o, i, y, x], then SGD on CE(S_r), the rate on a cosine over epochs.

    Agrees with the code of Cadet et al. (github.com/xcadet/deepunlearn) to 3e-5 in every weight and statistic after ten
    epochs on a small ResNet-9, given the same batches.
    """
    model = trainable_copy(original).train()
    kernels = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d) and m.weight.shape[2] == m.weight.shape[3]]
    with torch.no_grad():
        for kernel in kernels:
            kernel.copy_(kernel.transpose(2, 3).clone())
    if all(kernel.shape[2] == 1 for kernel in kernels):
        logger.warning("The network has no kernels to transpose, so CT is fine-tuning.")
    each, fall = steps_per_epoch(len(retain), config.batch), cosine(max(1, config.epochs))
    losses = (loss_on(model, retain, i) for i in epochs_of(len(retain), config.batch, config.epochs, generator))
    return minimise(
        model,
        losses,
        config.epochs * each,
        config,
        rate=lambda step: fall(step // each),
        on_step=on_step,
        name="CT",
    )
