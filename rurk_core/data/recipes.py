"""How an Original and its Re-trains are trained: plain settings, so that the entry of a data set can hold its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config import Config, choice, number


@dataclass(frozen=True)
class TrainConfig(Config):
    """How an Original or a Re-train is trained."""

    epochs: int = number(30, 0, 10_000, "passes over the training samples")
    optimizer: str = choice(
        "sgd", ("sgd", "muon"), "how steps are taken: SGD, or Muon for convolutions and SGD for the rest"
    )
    lr: float = number(0.1, 0.0, 100.0, "peak learning rate")
    momentum: float = number(0.9, 0.0, 0.999, "momentum (Nesterov)")
    weight_decay: float = number(5e-4, 0.0, 1.0, "L2 pull of every weight towards 0")
    batch: int = number(128, 2, 65_536, "samples in a step")
    schedule: str = choice("one_cycle", ("one_cycle", "cosine", "linear", "constant"), "how the learning rate moves")
    label_smoothing: float = number(0.0, 0.0, 0.9, "share of the target spread over all classes")
    augment: str = choice("none", ("none", "flip", "crop_flip", "alternating"), "random changes of the training images")
    grow: float = number(0.0, 0.0, 0.9, "first share of the epochs, trained on images of 3/4 the size: cheaper")
    clip: float = number(0.0, 0.0, 1e6, "largest norm of the gradient; 0 = no limit")
    precision: str = choice(
        "auto",
        ("auto", "float32", "bfloat16"),
        "arithmetic; auto takes bfloat16 where the device is fast at it",
    )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; without the optimiser where it is SGD and the largest norm where there is none: so
        trainings of versions that knew neither are the same trainings."""
        values = super().to_dict()
        if self.optimizer == "sgd":
            del values["optimizer"]
        if not self.clip:
            del values["clip"]
        return values


@dataclass(frozen=True)
class Recipe:
    """Training settings of one experiment.

    Attributes:
        train: of the Original.
        reference: of every Re-train; the same as ``train`` unless the paper says otherwise.
        pretrain: of the model both start from, where the data set names one to pre-train on.
        origin: where the settings are from, as a sentence, where they are not the data set's own.
    """

    train: TrainConfig
    reference: TrainConfig
    pretrain: TrainConfig | None = None
    origin: str = ""


def alike(train: TrainConfig) -> Recipe:
    """One recipe for the Original and every Re-train."""
    return Recipe(train, train)


TABLE = alike(TrainConfig(epochs=100, lr=0.1, batch=32))
GREY = alike(TrainConfig(epochs=20, lr=0.1, batch=64))
FAST = alike(
    TrainConfig(
        epochs=7, optimizer="muon", lr=0.1, momentum=0.6, schedule="linear", batch=250, label_smoothing=0.1,
        augment="alternating", grow=0.4,
    )
)  # fmt: skip
"""After cifar10-airbench (K. Jordan 2024, arXiv 2404.00498); see :mod:`rurk_core.training.optimiser`."""
PHOTOS = alike(TrainConfig(epochs=5, lr=0.1, batch=64, augment="flip", grow=0.4))
