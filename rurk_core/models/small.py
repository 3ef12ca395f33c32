"""Networks for digits, tables and teaching: ``linear``, ``mlp``, ``cnn``, ``lenet``. None has batch statistics."""

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


def lenet(input_shape: tuple[int, ...], classes: int, width: int) -> Classifier:
    """LeNet-5 (LeCun et al. 1998) as it is built today, with ReLU: two 5×5 convolutions and three dense layers.

    The first convolution takes every second pixel, where the original averages four: half the cost of a pass. Images
    under 9 pixels a side are padded before the second one too.
    """
    channels, *sides = input_shape
    pad = 2 if min(sides) < 9 else 0
    flat = 2 * width * prod(((side + 1) // 2 + 2 * pad - 3) // 2 for side in sides)
    blocks = {
        "conv1": nn.Sequential(nn.Conv2d(channels, width, 5, stride=2, padding=2), nn.ReLU(inplace=True)),
        "conv2": nn.Sequential(
            nn.Conv2d(width, 2 * width, 5, padding=pad), nn.MaxPool2d(2, ceil_mode=True), nn.ReLU(inplace=True)
        ),
        "dense1": nn.Sequential(nn.Flatten(), nn.Linear(flat, 15 * width), nn.ReLU(inplace=True)),
        "dense2": nn.Sequential(nn.Linear(15 * width, 21 * width // 2), nn.ReLU(inplace=True)),
    }
    return Classifier(blocks, nn.Linear(21 * width // 2, classes), input_shape)
