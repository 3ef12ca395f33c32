"""NegGrad+: descend on the retain set and, weakly, ascend on the forget set."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...config import Config, choice, number
from ...models import Classifier
from ...training.loop import OnStep
from ..base import Samples, register
from ..ceiling import ceiling_setting
from ..descent import descend
from ..loop import bn_choice
from .rurk import passes_of_descent


@dataclass(frozen=True)
class NegGradPlusConfig(Config):
    """Settings of NegGrad+; the defaults are the paper's for sample unlearning."""

    beta: float = number(0.001, 0.0, 100.0, "β: weight of the forget loss that is raised", search=(1e-4, 1.0, "log"))
    epochs: int = number(1, 0, 1000, "passes over the retain samples", search=(1, 10, "linear"))
    lr: float = number(0.01, 0.0, 10.0, "learning rate of SGD", search=(1e-3, 0.1, "log"))
    momentum: float = number(0.9, 0.0, 0.999, "momentum")
    weight_decay: float = number(1e-4, 0.0, 1.0, "L2 pull of every weight towards 0")
    schedule: str = choice("constant", ("constant", "cosine"), "how the learning rate moves")
    clip: float = number(1.0, 0.0, 1e6, "largest norm of the gradient; 0 = no limit")
    batch: int = number(128, 2, 65_536, "samples in a step, of the retain and of the forget set each")
    bn: str = bn_choice("each forget batch")
    ceiling: float = ceiling_setting()


@register(
    title="NegGrad+",
    letters="N+",
    place=2,
    config=NegGradPlusConfig,
    needs="S_r and S_f",
    source="Kurmanji et al. 2023 (arXiv 2302.09880), Eq. 2, in the form CE_r − β·CE_f",
    summary="fine-tunes on the retain set while raising the loss on the forget set",
    cost="1 epoch of S_r with two forward and backward passes a step",
    batch_norm="train mode; every step passes a retain batch and then a forget batch through the network",
    presets={
        "safe": {"beta": 0.3, "epochs": 3, "bn": "eval", "ceiling": 1.0},
        "paper, small CIFAR-5": {},
        "paper, CIFAR-10": {},
        "paper, CIFAR-10 class": {"epochs": 3},
        "source": {"beta": 0.053, "momentum": 0.0, "epochs": 5, "clip": 0.0},
        "digits": {"beta": 0.1, "epochs": 5},
    },
    passes=lambda config, n_r, n_f, classes: passes_of_descent(config, n_r, n_f, bool(config.beta)),
)
def neggrad_plus(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: NegGradPlusConfig,
    *,
    validation: Samples | None = None,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """SGD on CE(S_r) − β·CE(S_f) from the Original; RURK with λ_a = 0 and λ_f = β.

    The authors write α·CE_r − (1 − α)·CE_f, so β = (1 − α)/α: their α = 0.95 is β = 0.053 ("source"), without
    their L2 pull to the start.
    """
    return descend(
        original,
        retain,
        forget,
        config,
        lambda_f=config.beta,
        schedule=config.schedule,
        validation=validation,
        generator=generator,
        on_step=on_step,
        name="NegGrad+",
    )
