"""SalUn: random labels, but only the weights that matter to the forget set may move."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import number
from ...models import Classifier
from ...training.loop import OnStep
from ..base import Samples, register, trainable_copy
from ..loop import Weights, prepared
from .random_label import PRESETS, RandomLabelConfig, train_on_random_labels


@dataclass(frozen=True)
class SalunConfig(RandomLabelConfig):
    """Settings of SalUn: those of RL and the share of weights that move; defaults of the authors' code."""

    share: float = number(0.5, 0.0, 1.0, "ρ: share of all weights that may move; 1 = RL", search=(0.05, 1.0, "linear"))


@register(
    title="SalUn",
    letters="SA",
    place=7,
    config=SalunConfig,
    needs="S_r and S_f",
    source="Fan et al. 2024 (arXiv 2310.12508), mask 1[|∇CE(S_f)| ≥ γ] with γ the quantile 1 − ρ",
    summary="random labels, moving only the weights with the largest gradients on the forget set",
    cost="one forward and backward pass of S_f, then 10 epochs of S",
    batch_norm="as RL; the mask holds weights only, running statistics move freely",
    presets=PRESETS,
    passes=lambda config, n_r, n_f, classes: 3.0 * (n_f + config.epochs * (n_r + n_f)),
)
def salun(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: SalunConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """RL with the weights outside the mask held at the Original's value, bit for bit.

    They are written back after every step: with their gradient set to zero alone, weight decay and momentum would
    still move them.
    """
    model = trainable_copy(original)
    masks = saliency_masks(model, forget, config.share, config.batch)
    start = [weight.detach().clone() for weight in model.parameters()]

    def hold(weights: Weights, lr: float) -> None:
        with torch.no_grad():
            for weight, mask, value in zip(weights, masks, start, strict=True):
                weight.copy_(torch.where(mask, weight, value))

    return train_on_random_labels(
        model, retain, forget, config, generator=generator, on_step=on_step, name="SalUn", after_step=hold
    )


def saliency_masks(model: Classifier, forget: Samples, share: float, batch: int) -> list[Tensor]:
    """For each parameter a mask of its weights among the global top ``share`` by |Σ_batches ∇CE(S_f)|, eval mode.

    The signed sum comes first and the size after it, as in the authors' code.
    """
    model.eval()
    weights = list(model.parameters())
    total = [torch.zeros_like(weight) for weight in weights]
    for index in torch.arange(len(forget), device=forget.labels.device).split(batch):
        images, labels = forget.batch(index)
        loss = F.cross_entropy(model(prepared(images, model)), labels)
        for sum_, gradient in zip(total, torch.autograd.grad(loss, weights, materialize_grads=True), strict=True):
            sum_ += gradient
    sizes = torch.cat([gradient.abs().flatten() for gradient in total])
    chosen = torch.zeros_like(sizes, dtype=torch.bool)
    chosen[sizes.topk(round(share * len(sizes))).indices] = True
    parts = chosen.split([weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]
