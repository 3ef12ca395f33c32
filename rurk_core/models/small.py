"""Networks for digits, tables and teaching: ``linear``, ``mlp``, ``cnn``. None of them has batch statistics."""

from __future__ import annotations

from math import prod

from torch import nn

from .base import Classifier


def linear(input_shape: tuple[int, ...], classes: int, width: int) -> Classifier:
    """Softmax regression on the normalised pixels (``width`` is not used)."""
    return Classifier({"flatten": nn.Flatten()}, nn.Linear(prod(input_shape), classes), input_shape)


def mlp(input_shape: tuple[int, ...], classes: int, width: int) -> Classifier:
    """One hidden layer of ``width`` units; width 100 is the network of the paper's Figure 1."""
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), width), nn.ReLU())
    return Classifier({"hidden": hidden}, nn.Linear(width, classes), input_shape)


def cnn(input_shape: tuple[int, ...], classes: int, width: int) -> Classifier:
    """Two convolutions and one hidden layer, for 8×8 digits up to 28×28 MNIST."""
    channels, side = input_shape[0], input_shape[1]
    # plain pooling runs three times faster than adaptive pooling, which is kept for sides it does not divide
    pool = nn.MaxPool2d(side // 4) if input_shape[1] == input_shape[2] and side % 4 == 0 else nn.AdaptiveMaxPool2d(4)
    blocks = {
        "conv1": nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)),
        "conv2": nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(inplace=True), pool),
        "hidden": nn.Sequential(nn.Flatten(), nn.Linear(32 * width, 4 * width), nn.ReLU(inplace=True)),
    }
    return Classifier(blocks, nn.Linear(4 * width, classes), input_shape)
