"""l1-sparse: keep training on the retain set while an L1 penalty makes weights vanish."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...config import choice, number
from ...models import Classifier
from ...training.loop import OnStep, epoch_batches, steps_per_epoch
from ..base import Samples, register, trainable_copy
from ..loop import DescentConfig, loss_on, minimise

logger = logging.getLogger(__name__)
SMALL = 1e-3


@dataclass(frozen=True)
class L1SparseConfig(DescentConfig):
    """Settings of l1-sparse; lr and epochs are the authors' code's, α torchunlearn's (the code's own is unusable)."""

    alpha: float = number(1e-5, 0.0, 10.0, "α: weight of the L1 norm of all weights", search=(1e-6, 1e-2, "log"))
    decay: str = choice("linear", ("linear", "constant"), "α falls to 0 over the epochs, or stays")
    plain_epochs: int = number(0, 0, 1000, "last epochs without the penalty")
    weight_decay: float = number(5e-4, 0.0, 1.0, "L2 pull of every weight towards 0")


@register(
    title="l1-sparse",
    letters="L1",
    place=10,
    config=L1SparseConfig,
    needs="S_r",
    source="Jia et al. 2023 (arXiv 2304.04934), CE(S_r) + α_t·|w|₁",
    summary="keeps training on the retain set under an L1 penalty on all weights that fades out",
    cost="10 epochs of S_r",
    batch_norm="train mode on retain samples only; scale and shift of batch normalisation are penalised as weights",
    presets={"source": {"batch": 256}, "digits": {"alpha": 2e-3, "lr": 0.05}},
)
def l1_sparse(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: L1SparseConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """SGD on CE(S_r) + α_t·|w|₁, α_t = α·(1 − e/(E − plain_epochs)) in epoch e of E, then 0; GD at α = 0.

    The norm is a sum, so what an α does grows with the number of weights. How many ended below 0.001 is noted.
    """
    model = trainable_copy(original).train()
    weights = list(model.parameters())
    penalised = config.epochs - config.plain_epochs

    def losses() -> Iterator[Tensor]:
        for epoch in range(config.epochs):
            alpha = config.alpha if epoch < penalised else 0.0
            if config.decay == "linear" and alpha:
                alpha *= 1 - epoch / penalised
            for index in epoch_batches(len(retain), config.batch, generator):
                loss = loss_on(model, retain, index)
                yield loss + alpha * torch.stack([weight.abs().sum() for weight in weights]).sum() if alpha else loss

    minimise(
        model,
        losses(),
        config.epochs * steps_per_epoch(len(retain), config.batch),
        config,
        on_step=on_step,
        name="l1-sparse",
    )
    small = int(torch.stack([(weight.detach().abs() < SMALL).sum() for weight in weights]).sum())
    logger.warning("%.1f%% of the weights are below %g.", 100 * small / sum(w.numel() for w in weights), SMALL)
    return model
