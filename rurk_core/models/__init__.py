"""The networks: ``create_model("resnet9:16", (3, 32, 32), 10, seed=0)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from ..errors import UsageError
from .base import Classifier
from .large import resnet18, resnet50, vgg11
from .libraries import is_library, library_network
from .resnet9 import resnet9
from .small import cnn, lenet, linear, mlp


@dataclass(frozen=True)
class Architecture:
    """One registered network.

    Attributes:
        build: (input_shape, classes, width) → Classifier.
        width: the default width; ``0`` where the network has none.
        images_only: whether it needs C×H×W input.
        any_size: whether one network takes images of any size, so that it can begin its training on smaller ones.
        summary: one line for lists and forms.
    """

    build: Callable[[tuple[int, ...], int, int], Classifier]
    width: int
    images_only: bool
    any_size: bool
    summary: str


MODELS: dict[str, Architecture] = {
    "linear": Architecture(linear, 0, False, False, "softmax regression on pixels"),
    "mlp": Architecture(mlp, 100, False, False, "one hidden layer; width = hidden units"),
    "cnn": Architecture(cnn, 16, True, False, "two convolutions, for digits; width = first channels"),
    "lenet": Architecture(lenet, 8, True, False, "LeNet-5 of today, for 28×28 pixels; width = first channels"),
    "resnet9": Architecture(resnet9, 16, True, True, "nine layers; width 16 = 0.4M, 64 = 6.6M parameters"),
    "resnet18": Architecture(resnet18, 64, True, True, "the paper's main network, 11.2M parameters"),
    "vgg11": Architecture(vgg11, 64, True, False, "VGG-11 with batch normalisation, 9.2M parameters"),
    "resnet50": Architecture(resnet50, 64, True, True, "the paper's ImageNet-100 network, 23.5M parameters"),
}


def parse_model(name: str) -> tuple[Architecture, int]:
    """``"resnet9:32"`` → (its architecture, width 32); ``"resnet9"`` takes the default width.

    ``"torchvision/resnet18"`` and ``"timm/resnet18"`` are networks of these libraries.

    Raises:
        UsageError: an unknown name, or a width that is not a positive whole number.
    """
    if not isinstance(name, str):
        raise UsageError(f"Name a model, for example 'resnet9', not {name!r}.")
    if is_library(name):
        return Architecture(partial(_of_library, name), 0, True, False, "a network of a library, to be audited"), 0
    key, _, text = name.partition(":")
    if key not in MODELS:
        raise UsageError(f"There is no model '{key}'; choose one of {', '.join(MODELS)}.")
    architecture = MODELS[key]
    if not text:
        return architecture, architecture.width
    if not architecture.width:
        raise UsageError(f"The model '{key}' has no width; write '{key}' alone.")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 4096):
        raise UsageError(f"The width in '{name}' must be a whole number from 1 to 4096, as in '{key}:32'.")
    return architecture, int(text)


def _of_library(name: str, input_shape: tuple[int, ...], classes: int, width: int) -> Classifier:
    return library_network(name, input_shape, classes)


def create_model(name: str, input_shape: tuple[int, ...], classes: int, *, seed: int = 0) -> Classifier:
    """A freshly initialised network.

    Args:
        name: a key of :data:`MODELS`, with a width after a colon if wanted.
        input_shape: (C, H, W) or (D,).
        classes: number of classes, at least 2.
        seed: equal seeds give equal weights; the global random state is left alone.

    Raises:
        UsageError: the name is unknown or the network cannot take this input.

    >>> create_model("resnet9", (3, 32, 32), 10).block_names
    ('stem', 'layer1', 'residual1', 'layer2', 'layer3', 'residual2', 'head')
    """
    architecture, width = parse_model(name)
    if architecture.images_only and len(input_shape) != 3:
        raise UsageError(f"The model '{name}' needs images; for table data choose 'linear' or 'mlp'.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture.build(tuple(input_shape), classes, width)


__all__ = ["MODELS", "Architecture", "Classifier", "create_model", "is_library", "parse_model"]
