"""How an Original and its Re-trains are trained: plain settings, so that the entry of a data set can hold its own."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config, choice, number


@dataclass(frozen=True)
class TrainConfig(Config):
    """How an Original or a Re-train is trained."""

    epochs: int = number(30, 0, 10_000, "passes over the training samples")
    lr: float = number(0.1, 0.0, 100.0, "peak learning rate of SGD")
    momentum: float = number(0.9, 0.0, 0.999, "momentum (Nesterov)")
    weight_decay: float = number(5e-4, 0.0, 1.0, "L2 pull of every weight towards 0")
    batch: int = number(128, 2, 65_536, "samples in a step")
    schedule: str = choice("one_cycle", ("one_cycle", "cosine", "constant"), "how the learning rate moves")
    label_smoothing: float = number(0.0, 0.0, 0.9, "share of the target spread over all classes")
    augment: str = choice("none", ("none", "flip", "crop_flip"), "random changes of the training images")
    grow: float = number(0.0, 0.0, 0.9, "first share of the epochs, trained on images of 3/4 the size: cheaper")
    precision: str = choice(
        "auto",
        ("auto", "float32", "bfloat16"),
        "arithmetic; auto takes bfloat16 where the device is fast at it",
    )


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
PHOTOS = alike(TrainConfig(epochs=5, lr=0.1, batch=64, augment="flip", grow=0.4))
