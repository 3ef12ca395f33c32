"""RL: give the forget samples random labels and train on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import Config, choice, number
from ...models import Classifier
from ...training.loop import OnStep, epoch_batches, steps_per_epoch
from ..base import Samples, register, trainable_copy
from ..loop import Weights, bn_choice, logits_on, loss_on, minimise, set_mode, side_stream


@dataclass(frozen=True)
class RandomLabelConfig(Config):
    """Settings of RL; the defaults are those of the SalUn authors' code for CIFAR-10."""

    epochs: int = number(10, 0, 1000, "passes over both sets", search=(1, 15, "linear"))
    lr: float = number(0.013, 0.0, 10.0, "learning rate, constant", search=(1e-4, 0.1, "log"))
    labels: str = choice("any", ("any", "other"), "drawn among all classes, or among all but the true one")
    draw: str = choice("each epoch", ("each epoch", "once"), "how often the labels are drawn")
    order: str = choice(
        "in turn", ("in turn", "mixed"), "in an epoch: first S_f, then S_r; or one shuffled union of both"
    )
    optimizer: str = choice("sgd", ("sgd", "adam"), "how steps are taken")
    momentum: float = number(0.9, 0.0, 0.999, "momentum of SGD")
    weight_decay: float = number(5e-4, 0.0, 1.0, "L2 pull of every weight towards 0")
    batch: int = number(256, 2, 65_536, "samples in a step")
    bn: str = bn_choice("every step on S_f (order: in turn)")


PRESETS: dict[str, dict[str, Any]] = {
    "source": {},
    "source, CIFAR-100": {"order": "mixed"},
    "amnesiac": {
        "epochs": 3,
        "lr": 1e-4,
        "labels": "other",
        "draw": "once",
        "order": "mixed",
        "optimizer": "adam",
        "weight_decay": 0.0,
        "batch": 128,
    },
    "digits": {"epochs": 5, "lr": 0.02, "order": "mixed", "batch": 64},
}


@register(
    title="Random label",
    letters="RL",
    place=9,
    config=RandomLabelConfig,
    needs="S_r and S_f",
    source="Golatkar et al. 2020 (arXiv 1911.04933), Graves et al. 2021 (arXiv 2010.10981), as in the SalUn code",
    summary="trains on with random labels on the forget set and true ones on the retain set",
    cost="10 epochs of S",
    batch_norm="train mode; in turn, S_f passes alone and S_r after it; mixed, both in every batch",
    presets=PRESETS,
    passes=lambda config, n_r, n_f, classes: 3.0 * config.epochs * (n_r + n_f),
)
def random_label(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: RandomLabelConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """SGD on CE(S_f, y') and CE(S_r, y), y' uniform over the classes; every epoch ends on S_r unless mixed."""
    model = trainable_copy(original)
    return train_on_random_labels(
        model, retain, forget, config, generator=generator, on_step=on_step, name="random labels"
    )


def train_on_random_labels(
    model: Classifier,
    retain: Samples,
    forget: Samples,
    config: RandomLabelConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None,
    name: str,
    after_step: Callable[[Weights, float], None] | None = None,
) -> Classifier:
    """The loop of RL and SalUn on ``model``, in place."""
    set_mode(model, config.bn)
    classes, n_f = model.head.out_features, len(forget)
    stream = side_stream(generator, 0x4A8D)
    both = Samples.join(forget, retain)

    def losses() -> Iterator[Tensor]:
        labels = both.labels.clone()
        for epoch in range(config.epochs):
            if config.draw == "each epoch" or not epoch:
                labels[:n_f] = random_labels(forget.labels, classes, config.labels, stream)
            if config.order == "mixed":
                for index in epoch_batches(len(both), config.batch, generator):
                    yield F.cross_entropy(logits_on(model, both.images[index]), labels[index])
                continue
            for index in epoch_batches(n_f, config.batch, stream):
                yield F.cross_entropy(logits_on(model, forget.images[index]), labels[index])
            for index in epoch_batches(len(retain), config.batch, generator):
                yield loss_on(model, retain, index)

    each = (
        steps_per_epoch(len(both), config.batch)
        if config.order == "mixed"
        else steps_per_epoch(n_f, config.batch) + steps_per_epoch(len(retain), config.batch)
    )
    return minimise(
        model,
        losses(),
        config.epochs * each,
        config,
        after_step=after_step,
        on_step=on_step,
        name=name,
    )


def random_labels(labels: Tensor, classes: int, kind: str, generator: torch.Generator) -> Tensor:
    """Labels drawn uniformly among all ``classes`` ("any"), or among all but the true one ("other")."""
    if kind == "any":
        return torch.randint(classes, labels.shape, generator=generator, device=labels.device)
    return (labels + torch.randint(1, classes, labels.shape, generator=generator, device=labels.device)) % classes
