"""MU-Mis: lower how much the logit of a forgotten sample's label hangs on its pixels."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...config import Config, number
from ...device import autocast, precision_of
from ...models import Classifier
from ...training.loop import OnStep, steps_per_epoch
from ..base import Samples, register, trainable_copy
from ..loop import bn_choice, epochs_of, minimise, prepared, set_mode, side_stream

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MuMisConfig(Config):
    """Settings of MU-Mis; rate, epochs and stop are ours: what is enough hangs on the network."""

    epochs: int = number(10, 0, 1000, "passes over the forget samples", search=(1, 50, "linear"))
    lr: float = number(1e-3, 0.0, 10.0, "learning rate of SGD, constant", search=(1e-5, 0.1, "log"))
    others: float = number(1.0, 0.0, 100.0, "weight of the sensitivity of another class, which is raised")
    stop: float = number(
        0.5, 0.0, 1.0, "stop once the label's sensitivity in a batch is below this share of its first; 0 = never"
    )
    momentum: float = number(0.9, 0.0, 0.999, "momentum")
    weight_decay: float = number(0.0, 0.0, 1.0, "L2 pull of every weight towards 0")
    clip: float = number(1.0, 0.0, 1e6, "largest norm of the gradient; 0 = no limit")
    batch: int = number(128, 2, 65_536, "samples in a step")
    bn: str = bn_choice("every step", default="eval")


@register(
    title="MU-Mis",
    letters="MM",
    place=21,
    config=MuMisConfig,
    needs="S_f",
    source="Cheng et al. 2024 (arXiv 2402.15109), ‖∇ₓf_y‖² − ‖∇ₓf_c‖² with another class c",
    summary="lowers how much the logit of a forget sample's label hangs on its pixels, and raises it for another class",
    cost="10 epochs of S_f, each step two gradients and one through both",
    batch_norm="eval mode: forget samples pass alone",
    presets={"source": {"stop": 0.0}, "digits": {"lr": 0.02, "epochs": 20, "batch": 32}},
    passes=lambda config, n_r, n_f, classes: 7.0 * n_f * config.epochs,  # if it does not stop before
)
def mu_mis(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: MuMisConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """SGD on the mean over forget samples of ‖∇ₓf_y(x)‖² − others · ‖∇ₓf_c(x)‖², f the logits, c ≠ y drawn every step.

    What a model learnt of a sample shows as a logit that hangs more on its pixels than it would have otherwise. Written
    from the paper's loss; held against no other code. Nothing bounds the loss from below, so it needs its ``stop``.
    """
    model = trainable_copy(original)
    set_mode(model, config.bn)
    stream, classes = side_stream(generator, 0x3A15), model.head.out_features
    steps = config.epochs * steps_per_epoch(len(forget), config.batch)

    def losses() -> Iterator[Tensor]:
        first = 0.0
        for step, index in enumerate(epochs_of(len(forget), config.batch, config.epochs, generator)):
            images, labels = forget.batch(index)
            away = torch.randint(1, classes, labels.shape, generator=stream, device=stream.device).to(labels.device)
            own, other = sensitivities(model, images, labels, (labels + away) % classes)
            if config.stop:
                now = own.item()
                first = first or now
                if now < config.stop * first:
                    logger.warning("MU-Mis stopped after %d of %d steps: its sensitivity fell enough.", step, steps)
                    return
            yield own - config.others * other

    return minimise(model, losses(), steps, config, on_step=on_step, name="MU-Mis")


def sensitivities(model: Classifier, images: Tensor, labels: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Means over samples of ‖∇ₓf_c(x)‖² for c = ``labels`` and c = ``others``, both with their graph."""
    with torch.enable_grad(), autocast(images.device, precision_of(model)):
        pixels = prepared(images, model).detach().requires_grad_(True)
        logits = model(pixels).float()
    found = []
    for chosen in (labels, others):
        picked = logits.gather(1, chosen[:, None]).sum()
        (gradient,) = torch.autograd.grad(picked, pixels, create_graph=True)
        found.append(gradient.flatten(1).pow(2).sum(1).mean())
    return found[0], found[1]
