"""AMUN: train on with the nearest adversarial examples of the forget samples, under the labels they are taken for."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import choice, number
from ...data import to_pixels
from ...models import Classifier
from ...training.loop import OnStep, steps_per_epoch
from ..base import Samples, register, trainable_copy
from ..loop import DescentConfig, epochs_of, loss_on, minimise

logger = logging.getLogger(__name__)
DOUBLINGS = 8
"""How often the radius of the search is doubled before a sample is given up."""


@dataclass(frozen=True)
class AmunConfig(DescentConfig):
    """Settings of AMUN; the defaults are the authors', with fewer steps of the attack."""

    epochs: int = number(10, 0, 1000, "passes over all samples", search=(1, 20, "linear"))
    lr: float = number(
        0.01, 0.0, 10.0, "learning rate of SGD, a tenth of it over the second half", search=(1e-4, 0.1, "log")
    )
    radius: float = number(0.1, 1e-4, 100.0, "first L2 radius of the search, doubled until the class changes")
    steps: int = number(20, 1, 1000, "steps of projected gradient ascent at each radius")
    forget_labels: str = choice("kept", ("kept", "left out"), "whether forget samples are trained on, as what they are")
    weight_decay: float = number(5e-4, 0.0, 1.0, "L2 pull of every trained weight towards 0")


@register(
    title="AMUN",
    letters="AM",
    place=20,
    config=AmunConfig,
    needs="S_r and S_f",
    source="Ebrahimpour-Boroojeny et al. 2025 (arXiv 2503.00917)",
    summary="trains on with adversarial examples next to the forget samples, labelled as the Original takes them",
    cost="an attack on S_f and 10 epochs of S_r and twice S_f",
    batch_norm="train mode on batches mixed of all sets; the attack is in eval mode",
    presets={"source": {"steps": 50}, "digits": {"epochs": 5, "lr": 0.02, "batch": 64}},
    passes=lambda config, n_r, n_f, classes: 3.0 * (config.epochs * (n_r + 2 * n_f) + DOUBLINGS * config.steps * n_f),
)
def amun(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: AmunConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """SGD on CE over S_r, S_f and S_a = {(x + δ, ŷ)}: δ the smallest found that changes the Original's class, to ŷ.

    It lowers confidence near the forget samples alone, where the Original itself already says something else.
    """
    pixels, labels = nearest_adversarial(original, to_pixels(forget.images[:]), forget.labels, config)
    found = labels != forget.labels
    if not found.all():
        logger.warning("No adversarial example was found of %d of %d forget samples.", int((~found).sum()), len(found))
    kept = Samples(pixels[found], labels[found])
    sets = [_as_pixels(part) for part in (retain, *([forget] if config.forget_labels == "kept" else []))]
    everything = Samples.join(*sets, kept)
    model = trainable_copy(original).train()
    each = steps_per_epoch(len(everything), config.batch)
    return minimise(
        model,
        (loss_on(model, everything, i) for i in epochs_of(len(everything), config.batch, config.epochs, generator)),
        config.epochs * each,
        config,
        rate=lambda step: 1.0 if 2 * step < config.epochs * each else 0.1,
        on_step=on_step,
        name="AMUN",
    )


def _as_pixels(samples: Samples) -> Samples:
    return Samples(to_pixels(samples.images[:]), samples.labels)


def nearest_adversarial(model: Classifier, pixels: Tensor, labels: Tensor, config: AmunConfig) -> tuple[Tensor, Tensor]:
    """Images float32 [N, ...] in [0, 1] that ``model`` takes for another class, and that class, int64 [N].

    Projected gradient ascent of the loss, a tenth of the radius a step, in an L2 ball whose radius starts at
    ``config.radius`` and is doubled for samples whose class has not changed, which go on from where they are; where it
    never changes they are returned as they were. The first step that changes a class ends it. With 50
    steps the classes are those of the authors' code (github.com/Ali-E/AMUN, 2025) and the images its own to 4e-5, on
    three networks and two radii.
    """
    model = trainable_copy(model).eval().requires_grad_(False)
    found, said = pixels.clone(), model(pixels).argmax(1)
    open_ = (said == labels).nonzero()[:, 0]
    start, moved, radius = pixels[open_], pixels[open_].clone(), config.radius
    for _ in range(DOUBLINGS):
        for _ in range(config.steps):
            with torch.enable_grad():
                at = moved.detach().requires_grad_(True)
                (gradient,) = torch.autograd.grad(F.cross_entropy(model(at), labels[open_], reduction="sum"), at)
            delta = moved + 0.1 * radius * _unit(gradient) - start
            far = delta.flatten(1).norm(dim=1).clamp_min(1e-12)
            shrink = (radius / far).clamp(max=1.0).view(-1, *[1] * (pixels.dim() - 1))
            moved = (start + shrink * delta).clamp(0, 1)
            now = model(moved).argmax(1)
            changed = now != labels[open_]
            # places and not masks: each mask would have a GPU waited for, anew for every tensor
            hit, left = changed.nonzero()[:, 0], (~changed).nonzero()[:, 0]
            found[open_[hit]], said[open_[hit]] = moved[hit], now[hit]
            open_, moved, start = open_[left], moved[left], start[left]
            if not len(open_):
                return found, said
        radius *= 2
    return found, said


def _unit(gradient: Tensor) -> Tensor:
    norm = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)
    return gradient / norm.view(-1, *[1] * (gradient.dim() - 1))
