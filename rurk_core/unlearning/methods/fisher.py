"""Fisher forgetting: add noise to every weight, the more the less the retain set needs it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...config import Config, choice, number
from ...errors import UsageError
from ...models import Classifier
from ...training.loop import OnStep
from ..base import Samples, register, trainable_copy
from ..importance import Passes, diagonal_importance


@dataclass(frozen=True)
class FisherConfig(Config):
    """Settings of Fisher forgetting; the defaults are the original code's."""

    alpha: float = number(
        1e-6, 0.0, 1.0, "α: the variance of the noise is α/F; 0 = no noise", search=(1e-10, 1e-4, "log")
    )
    power: float = number(1.0, 0.0, 2.0, "the variance falls as 1/F^power; 1 = the code, 0.5 = the paper's F^(-1/4)·N")
    clamp: float = number(1e3, 1e-8, 1e12, "largest 1/F^power")
    head_clamp: float = number(1e2, 1e-8, 1e12, "largest 1/F^power in the last layer")
    per_unit: str = choice("mean", ("mean", "none"), "mean: one variance per output unit, over its inputs")
    head_scale: float = number(10.0, 0.0, 1e6, "factor on the variance in the last layer")
    vector_scale: float = number(10.0, 0.0, 1e6, "factor on the variance of batch normalisation and biases elsewhere")
    class_rule: str = choice(
        "off",
        ("off", "on"),
        "for class unlearning: the last layer's rows of classes without a retain sample become pure noise",
    )
    samples: int = number(0, 0, 10_000_000, "retain samples, drawn at random, to estimate F with; 0 = all of them")


def check_fisher(original: Classifier, retain: Samples, forget: Samples, config: FisherConfig) -> str | None:
    """The class rule needs whole classes to be gone."""
    if config.class_rule == "on" and not len(lost_classes(retain, forget)):
        return "its class rule needs a forget set that takes away whole classes; switch 'class_rule' off."
    return None


@register(
    title="Fisher",
    letters="FI",
    place=15,
    config=FisherConfig,
    needs="S_r",
    source="Golatkar et al. 2020 (arXiv 1911.04933), w + (λσ²)^¼·F^(-¼)·N(0, I), as their code draws it",
    summary="adds noise to every weight, less where the retain set needs it; no training",
    cost="C backward passes of S_r, one a class",
    batch_norm="eval mode; running statistics stay, scale and shift of batch normalisation get noise as weights",
    presets={
        "paper, small CIFAR-5": {},
        "source, class unlearning": {"class_rule": "on"},
        "source": {},
        "digits": {"alpha": 4e-6},
    },
    passes=lambda config, n_r, n_f, classes: (1.0 + 2 * classes) * min(n_r, config.samples or n_r),
    check=check_fisher,
)
def fisher(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: FisherConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """w ← w + √v ⊙ N(0, I), v = α·min((F + 1e-8)^-power, clamp).

    F is the diagonal of the Fisher information on S_r, exact over the C labels and over single samples:
    F = mean over x of Σ_c p_c(x)·(∂CE(x, c)/∂w)², in eval mode; its cost is C backward passes of S_r (or of
    ``samples`` of it). The last layer is the model's head. With ``class_rule`` the rows (weights and bias) of
    the forgotten classes are 0 + √(1e-4·head_scale)·N instead.
    """
    refusal = check_fisher(original, retain, forget, config)
    if refusal:
        raise UsageError(f"Fisher: {refusal}")
    model = trainable_copy(original).eval()
    lost = lost_classes(retain, forget) if config.class_rule == "on" else None
    if config.samples and config.samples < len(retain):
        chosen = torch.randperm(len(retain), generator=generator, device=generator.device)[: config.samples]
        retain = retain.take(chosen.to(retain.labels.device))
    passes = Passes(on_step, len(retain), "Fisher forgetting")
    information = diagonal_importance(model, retain, kind="expected", passes=passes)
    head = {id(parameter) for parameter in model.head.parameters()}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            in_head = id(weight) in head
            spread = noise_variance(information[name], config, in_head=in_head)
            if in_head and lost is not None:
                weight[lost] = 0.0
                spread[lost] = 1e-4 * config.head_scale
            noise = torch.randn(weight.shape, generator=generator, device=generator.device, dtype=weight.dtype)
            weight.add_(spread.sqrt() * noise.to(weight.device))
    return model


def noise_variance(information: Tensor, config: FisherConfig, *, in_head: bool) -> Tensor:
    """The variance of every weight's noise, in the shape of ``information``, by the rules of the original code."""
    spread = (information + 1e-8).pow(-config.power).clamp(max=config.clamp)
    if in_head:
        spread = spread.clamp(max=config.head_clamp)
    spread = config.alpha * spread
    if spread.dim() > 1 and config.per_unit == "mean":
        spread = spread.mean(1, keepdim=True).expand_as(information).clone()
    if in_head:
        return spread * config.head_scale
    return spread * config.vector_scale if spread.dim() == 1 else spread


def lost_classes(retain: Samples, forget: Samples) -> Tensor:
    """The classes of the forget set of which the retain set has nothing left."""
    classes = forget.labels.unique()
    return classes[~torch.isin(classes, retain.labels)]
