"""GA: ascend the loss on the forget set."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...config import Config, number
from ...models import Classifier
from ...training.loop import OnStep, steps_per_epoch
from ..base import Samples, register, trainable_copy
from ..ceiling import ceiling_setting, limits
from ..loop import bn_choice, epochs_of, loss_on, minimise, set_mode

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GaConfig(Config):
    """Settings of GA; the defaults are the paper's for sample unlearning."""

    epochs: int = number(1, 0, 1000, "passes over the forget samples", search=(1, 20, "linear"))
    lr: float = number(1e-5, 0.0, 10.0, "learning rate of SGD, constant", search=(1e-5, 0.1, "log"))
    stop: float = number(
        0.0, 0.0, 1e6, "stop once the loss of a forget batch passes this many times ln C, that of guessing; 0 = never"
    )
    momentum: float = number(0.9, 0.0, 0.999, "momentum")
    weight_decay: float = number(1e-4, 0.0, 1.0, "L2 pull of every weight towards 0")
    clip: float = number(1.0, 0.0, 1e6, "largest norm of the gradient; 0 = no limit")
    batch: int = number(128, 2, 65_536, "samples in a step")
    bn: str = bn_choice("every step")
    ceiling: float = ceiling_setting()


@register(
    title="GA",
    letters="GA",
    place=5,
    config=GaConfig,
    needs="S_f",
    source="Graves et al. 2021 (arXiv 2010.10981), Jang et al. 2023 (arXiv 2210.01504), w ← w + η∇CE(S_f)",
    summary="raises the loss on the forget set and looks at nothing else",
    cost="1 epoch of S_f",
    batch_norm="train mode on forget samples alone: the running statistics drift towards S_f, which forgets by itself",
    presets={
        "safe": {"lr": 1e-3, "epochs": 10, "bn": "eval", "ceiling": 1.0},
        "paper, small CIFAR-5": {},
        "paper, CIFAR-10": {},
        "paper, CIFAR-10 class": {"epochs": 3},
        "source": {"lr": 1e-3, "epochs": 10, "clip": 0.0, "weight_decay": 5e-4, "batch": 256},
        "digits": {"lr": 0.02, "epochs": 30, "batch": 32, "stop": 0.3},
    },
    passes=lambda config, n_r, n_f, classes: 3.0 * n_f * config.epochs,  # if it does not stop before
)
def ga(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: GaConfig,
    *,
    validation: Samples | None = None,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """SGD on −CE(S_f). The loss has no upper bound: without ``stop`` and ``clip`` a few steps ruin the network.

    With lr = 0 only the batch statistics move (``bn`` = "train"): the control that shows their share. With ``ceiling``
    above 0 (ours) it stops once a batch of forget samples has the loss of held-out ones.
    """
    model = trainable_copy(original)
    set_mode(model, config.bn)
    steps = config.epochs * steps_per_epoch(len(forget), config.batch)
    limit = config.stop * math.log(model.head.out_features)
    ceiling = limits(original, retain, forget, validation, config.ceiling, name="GA")

    def losses() -> Iterator[Tensor]:
        for step, index in enumerate(epochs_of(len(forget), config.batch, config.epochs, generator)):
            loss = loss_on(model, forget, index)
            if config.stop or ceiling is not None:
                most = loss if ceiling is None else ceiling[forget.labels[index]].mean()
                now, most = torch.stack([loss.detach(), most.detach()]).tolist()  # the one wait of a step
                if config.stop and step and now > limit:
                    logger.warning(
                        "GA stopped after %d of %d steps: the loss on the forget set is %.3g, above %.3g "
                        "(%.3g · ln C).",
                        *(step, steps, now, limit, config.stop),
                    )
                    return
                if ceiling is not None and now >= most:
                    logger.info("GA stopped after %d of %d steps at its ceiling, a loss of %.3g.", step, steps, most)
                    return
            yield -loss

    return minimise(
        model,
        losses(),
        steps,
        config,
        on_step=on_step,
        name="GA",
    )
