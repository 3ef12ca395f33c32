"""``resnet9``: nine layers in the shape made popular by the CIFAR-10 speed records (D. Page, 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from .base import Classifier, conv_bn_relu


class Residual(nn.Module):
    """x + two convolutions of x, at the same width."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(conv_bn_relu(width, width), conv_bn_relu(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def resnet9(input_shape: tuple[int, ...], classes: int, width: int) -> Classifier:
    """Width 16 has 0.4 million parameters, width 64 the usual 6.6 million."""
    blocks = {
        "stem": conv_bn_relu(input_shape[0], width),
        "layer1": conv_bn_relu(width, 2 * width, pool=True),
        "residual1": Residual(2 * width),
        "layer2": conv_bn_relu(2 * width, 4 * width, pool=True),
        "layer3": conv_bn_relu(4 * width, 8 * width, pool=True),
        "residual2": nn.Sequential(Residual(8 * width), nn.AdaptiveMaxPool2d(1), nn.Flatten()),
    }
    return Classifier(blocks, nn.Linear(8 * width, classes), input_shape)
