"""Random changes of training images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import to_pixels
from ..data.recipes import TrainConfig


def seen(
    images: Tensor,
    config: TrainConfig,
    epoch: int,
    generator: torch.Generator,
    start: int = 0,
    whole: int = 0,
) -> Tensor:
    """What the network sees of a batch in an epoch: float pixels, augmented, and smaller in the first epochs."""
    pixels = augment(to_pixels(images), config.augment, generator, start=start, whole=whole)
    if pixels.dim() == 4 and epoch < int(config.grow * config.epochs) and min(pixels.shape[-2:]) > 1:
        return F.interpolate(pixels, scale_factor=0.75, mode="bilinear")
    return pixels


def augment(
    pixels: Tensor, kind: str, generator: torch.Generator, *, pad: int = 4, start: int = 0, whole: int | None = None
) -> Tensor:
    """Random horizontal flip and, for ``crop_flip``, a random crop after padding by ``pad`` reflected pixels.

    float32 N×C×H×W → the same shape, on the device of ``pixels``; every sample is drawn on its own. Where the pixels
    are the part from ``start`` on of a batch of ``whole``, what is drawn is drawn for the batch.
    """
    if kind == "none" or pixels.dim() != 4:
        return pixels
    n, _, height, width = pixels.shape
    pad = min(pad, height - 1, width - 1)  # no more than there is to reflect
    whole, mine = whole or n, slice(start, start + n)
    flip = torch.rand(whole, generator=generator, device=pixels.device)[mine] < 0.5
    pixels = torch.where(flip[:, None, None, None], pixels.flip(-1), pixels)
    if kind == "flip":
        return pixels
    windows = F.pad(pixels, (pad,) * 4, mode="reflect").unfold(2, height, 1).unfold(3, width, 1)
    shift = torch.randint(2 * pad + 1, (2, whole), generator=generator, device=pixels.device)[:, mine]
    return windows[torch.arange(n, device=pixels.device), :, shift[0], shift[1]]
