"""The one shape every network has: pixels in [0, 1] → normalise → named blocks → features → linear head."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """A classifier made of named blocks and a linear head.

    Normalisation is the first thing the network does, so a perturbation radius is always in pixels, and it
    uses fixed constants (0.5 and 0.25), never statistics of the data: those would carry a trace of the forget
    set into a re-trained model. The constants travel with the weights (buffers ``mean`` and ``std``), so a
    checkpoint trained elsewhere with other constants keeps its own.

    Attributes:
        precision: the arithmetic of training loops, as for :func:`~rurk_core.device.autocast`; not part of the weights.

    Args:
        blocks: name → module, in the order they run; the last one returns features of shape N×F.
        head: the linear layer F → classes.
        input_shape: (C, H, W) of an image or (D,) of a table row.
    """

    mean: Tensor
    std: Tensor
    precision: str = "auto"

    def __init__(self, blocks: Mapping[str, nn.Module], head: nn.Linear, input_shape: tuple[int, ...]):
        super().__init__()
        per_channel = (input_shape[0], *[1] * (len(input_shape) - 1))
        self.register_buffer("mean", torch.full(per_channel, 0.5))
        self.register_buffer("std", torch.full(per_channel, 0.25))
        self.blocks = nn.ModuleDict(blocks)
        self.head = head

    @property
    def block_names(self) -> tuple[str, ...]:
        """The blocks from input to output, the head last (EU-k and CF-k count from the end)."""
        return (*self.blocks, "head")

    def block(self, name: str) -> nn.Module:
        """The module called ``name`` in :attr:`block_names`."""
        return self.head if name == "head" else self.blocks[name]

    def features(self, pixels: Tensor) -> Tensor:
        """float32 pixels N×C×H×W (or N×D) in [0, 1] → the N×F input of the head."""
        hidden = (pixels - self.mean) / self.std
        for block in self.blocks.values():
            hidden = block(hidden)
        return hidden

    def forward(self, pixels: Tensor) -> Tensor:
        """float32 pixels in [0, 1] → logits N×classes."""
        return self.head(self.features(pixels))


class Pool(nn.MaxPool2d):
    """2×2 max-pooling; a map of one row or column, which images of few pixels lead to, is returned as it is."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) if min(input.shape[-2:]) > 1 else input


def conv_bn_relu(inputs: int, outputs: int, *, pool: bool = False) -> nn.Sequential:
    """3×3 convolution, batch normalisation, ReLU and, where asked, 2×2 max-pooling."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers, *([Pool()] if pool else []))
