"""The paper's networks: ``resnet18`` and ``vgg11`` for 32×32 images, ``resnet50`` for ImageNet-100."""

from __future__ import annotations

from typing import Any

from torch import nn

from .base import Classifier, conv_bn_relu


def _stages(block: Any, depths: tuple[int, ...], width: int) -> tuple[dict[str, nn.Module], int]:
    """The four stages of a residual network, one entry a residual block, and the feature width.

    ``block`` is torchvision's BasicBlock or Bottleneck (He et al. 2016, arXiv 1512.03385).
    """
    blocks: dict[str, nn.Module] = {}
    expansion: int = block.expansion
    inputs = width
    for stage, depth in enumerate(depths):
        planes = width * 2**stage
        for index in range(depth):
            stride = 2 if stage > 0 and index == 0 else 1
            outputs = planes * expansion
            shortcut = None
            if stride != 1 or inputs != outputs:
                shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            blocks[f"layer{stage + 1}_{index}"] = block(inputs, planes, stride, shortcut)
            inputs = outputs
    return blocks, inputs


def _residual_network(
    block: Any, depths: tuple[int, ...], input_shape: tuple[int, ...], classes: int, width: int
) -> Classifier:
    if min(input_shape[1:]) < 64:  # small images: a 3×3 stem and no max-pool keep the resolution
        stem: nn.Module = conv_bn_relu(input_shape[0], width)
    else:
        stem = nn.Sequential(
            nn.Conv2d(input_shape[0], width, 7, 2, 3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
    stages, features = _stages(block, depths, width)
    last = next(reversed(stages))
    stages[last] = nn.Sequential(stages[last], nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Classifier({"stem": stem, **stages}, nn.Linear(features, classes), input_shape)


def resnet18(input_shape: tuple[int, ...], classes: int, width: int) -> Classifier:
    """ResNet-18 with a 3×3 stem and no max-pool on small images (the paper's main network)."""
    from torchvision.models.resnet import BasicBlock

    return _residual_network(BasicBlock, (2, 2, 2, 2), input_shape, classes, width)


def resnet50(input_shape: tuple[int, ...], classes: int, width: int) -> Classifier:
    """ResNet-50 (the paper's ImageNet-100 network)."""
    from torchvision.models.resnet import Bottleneck

    return _residual_network(Bottleneck, (3, 4, 6, 3), input_shape, classes, width)


def vgg11(input_shape: tuple[int, ...], classes: int, width: int) -> Classifier:
    """VGG-11 with batch normalisation and one linear layer (Simonyan & Zisserman 2015, arXiv 1409.1556)."""
    plan = [(1, True), (2, True), (4, False), (4, True), (8, False), (8, True), (8, False), (8, True)]
    blocks: dict[str, nn.Module] = {}
    inputs, side = input_shape[0], min(input_shape[1:])
    for index, (multiple, pool) in enumerate(plan):
        pool = pool and side >= 2
        side = side // 2 if pool else side
        blocks[f"conv{index + 1}"] = conv_bn_relu(inputs, multiple * width, pool=pool)
        inputs = multiple * width
    last = next(reversed(blocks))
    blocks[last] = nn.Sequential(blocks[last], nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Classifier(blocks, nn.Linear(inputs, classes), input_shape)
