"""SSD, selective synaptic dampening: shrink the weights that matter to the forget set more than to the rest."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from ...config import Config, choice, number
from ...models import Classifier
from ...training.loop import OnStep
from ..base import Samples, register, trainable_copy
from ..importance import Passes, diagonal_importance

logger = logging.getLogger(__name__)

INFINITE = 1e30


@dataclass(frozen=True)
class SsdConfig(Config):
    """Settings of SSD; the defaults are the paper's for small CIFAR-5 with the original code's importance."""

    alpha: float = number(
        100.0,
        0.0,
        INFINITE,
        "α: a weight is dampened where I_f > α·I_D; 1e30 = ∞, nothing is",
        search=(0.5, 200.0, "log"),
    )
    dampening: float = number(
        1.0, 0.0, 1e6, "λ: a dampened weight is multiplied by min(λ·I_D/I_f, 1)", search=(0.05, 5.0, "log")
    )
    importance: str = choice(
        "batched",
        ("batched", "per-sample"),
        "squares of batch-mean gradients (original code; the paper's α belongs to it) or of each sample's gradient",
    )
    reference: str = choice("S", ("S", "S_r"), "I_D over all training samples (original code) or the retain set")
    order: str = choice(
        "shuffled", ("shuffled", "original"), "order of the samples in batches; original = S_r, then S_f"
    )
    batch: int = number(128, 2, 65_536, "samples in a batch of the batched importance")


def passes_of_ssd(config: SsdConfig, n_r: int, n_f: int, classes: int) -> float:
    """S_f and the reference once each; single samples of S_f need not pass twice."""
    again = config.reference == "S" and config.importance == "batched"
    return 3.0 * (n_f + n_r + (n_f if again else 0))


@register(
    title="SSD",
    letters="SSD",
    place=4,
    config=SsdConfig,
    needs="S_r and S_f",
    source="Foster et al. 2024 (arXiv 2308.07707), selection I_f > α·I_D and dampening β = min(λ·I_D/I_f, 1)",
    summary="shrinks the weights that matter much more to the forget set than to the rest; one pass, no training",
    cost="one forward and backward pass of S_f and one of the reference",
    batch_norm="eval mode; running statistics stay, scale and shift of batch normalisation are dampened as weights",
    presets={
        # with I_D over S the paper's α = 100 selects next to nothing, with S_r it gives about the paper's numbers
        "paper, small CIFAR-5": {"reference": "S_r"},
        "paper, CIFAR-10": {"alpha": 10.0, "reference": "S_r"},
        "paper, CIFAR-10 class": {"alpha": 10.0, "reference": "S_r"},
        "source": {"alpha": 10.0, "order": "original"},
        # λ = α: what is selected is dampened by how far it lies beyond the threshold, not at once by α
        "digits": {"alpha": 30.0, "dampening": 30.0},
    },
    passes=passes_of_ssd,
)
def ssd(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: SsdConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """w ← w·min(λ·I_D/I_f, 1) where I_f > α·I_D.

    I_f and I_D are the mean squared gradients of the cross-entropy (true labels, eval mode) over the forget set
    and over the reference. One forward and backward pass of S_f and one of the reference, no more. Per-sample
    importances obey I_f/I_S ≤ n/n_f, so an α from there on does nothing; batched ones have no such bound once
    the samples are shuffled.
    """
    model = trainable_copy(original).eval()
    seed = generator.initial_seed()
    selections = dampening_of(model, retain, forget, config, generator=generator, on_step=on_step)
    selected = int(torch.stack([(factor < 1).sum() for factor in selections.values()]).sum())
    weights = sum(factor.numel() for factor in selections.values())
    order = f", in batches shuffled by seed {seed}" if _shuffles(config) else ""
    logger.warning(
        "SSD dampened %s of %s weights (%.3g%%)%s%s.",
        *(f"{selected:,}", f"{weights:,}", 100 * selected / weights, order),
        "" if selected else ", so it changed nothing; a smaller α selects more",
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(selections[name])
    return model


def _shuffles(config: SsdConfig) -> bool:
    """Whether what is selected hangs on a random order."""
    return config.importance == "batched" and config.order == "shuffled"


def dampening_of(
    model: Classifier,
    retain: Samples,
    forget: Samples,
    config: SsdConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> dict[str, Tensor]:
    """parameter name → the factor in [0, 1] of every weight; 1 where it is not selected."""
    ours, reference = _importances(model, retain, forget, config, generator, on_step)
    factors = {}
    for name, of_forget in ours.items():
        of_all = reference[name]
        # where I_f = 0 nothing is selected, so 0/0 never enters; I_D = 0 < I_f is selected for every finite α
        selected = (of_forget > config.alpha * of_all) & (config.alpha < INFINITE)
        ratio = (config.dampening * of_all / of_forget).clamp(max=1)
        factors[name] = torch.where(selected, ratio, torch.ones_like(ratio))
    return factors


def _importances(
    model: Classifier,
    retain: Samples,
    forget: Samples,
    config: SsdConfig,
    generator: torch.Generator,
    on_step: OnStep | None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(I_f, I_D)."""
    n_f, n_r = len(forget), len(retain)
    if config.importance == "per-sample":
        passes = Passes(on_step, n_f + n_r, "SSD")
        ours = diagonal_importance(model, forget, passes=passes)
        rest = diagonal_importance(model, retain, passes=passes)
        if config.reference == "S":  # means of single samples mix, so the forget set need not pass twice
            rest = {name: (n_f * ours[name] + n_r * rest[name]) / (n_f + n_r) for name in ours}
        return ours, rest
    everything = retain
    if config.reference == "S":
        everything = Samples.join(retain, forget)
    passes = Passes(on_step, n_f + len(everything), "SSD")
    found = []
    for samples in (forget, everything):
        order = torch.arange(len(samples), device=samples.labels.device)
        if _shuffles(config):
            order = torch.randperm(len(samples), generator=generator, device=generator.device).to(order.device)
        found.append(diagonal_importance(model, samples, batch=config.batch, order=order, passes=passes))
    return found[0], found[1]
