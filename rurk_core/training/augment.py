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
    index: Tensor,
    start: int = 0,
    whole: int = 0,
) -> Tensor:
    """What the network sees of a batch in an epoch: float pixels, augmented, and smaller in the first epochs.

    Args:
        index: of the samples among those that are trained on, int64 [N]; start, whole: see :func:`augment`.
    """
    pixels = to_pixels(images)
    if config.augment == "alternating":
        pixels = flipped(pixels, (half_of(index) + epoch) % 2 == 0)
        pixels = augment(pixels, "crop", generator, pad=2, start=start, whole=whole)
    else:
        pixels = augment(pixels, config.augment, generator, start=start, whole=whole)
    if pixels.dim() == 4 and epoch < int(config.grow * config.epochs) and min(pixels.shape[-2:]) > 1:
        return F.interpolate(pixels, scale_factor=0.75, mode="bilinear")
    return pixels


def half_of(index: Tensor) -> Tensor:
    """0 or 1 for each sample, for good: which epochs show it mirrored, every second one (Jordan 2024, §3.6).

    Multiplied by a number without pattern (Knuth's), so that neighbours in a data set are dealt apart.
    """
    return (index * 2654435761 >> 16) & 1


def flipped(pixels: Tensor, which: Tensor) -> Tensor:
    """Images of a batch mirrored where ``which`` [N] says so; anything but images is returned as it is."""
    return torch.where(which[:, None, None, None], pixels.flip(-1), pixels) if pixels.dim() == 4 else pixels


def augment(
    pixels: Tensor, kind: str, generator: torch.Generator, *, pad: int = 4, start: int = 0, whole: int | None = None
) -> Tensor:
    """Random horizontal flip ("flip"), crop after padding by ``pad`` reflected pixels ("crop"), or both ("crop_flip").

    float32 N×C×H×W → the same shape, on the device of ``pixels``; every sample is drawn on its own. Where the pixels
    are the part from ``start`` on of a batch of ``whole``, what is drawn is drawn for the batch.
    """
    if kind == "none" or pixels.dim() != 4:
        return pixels
    n, _, height, width = pixels.shape
    pad = min(pad, height - 1, width - 1)  # no more than there is to reflect
    whole, mine = whole or n, slice(start, start + n)
    if kind != "crop":
        pixels = flipped(pixels, torch.rand(whole, generator=generator, device=pixels.device)[mine] < 0.5)
    if kind == "flip":
        return pixels
    windows = F.pad(pixels, (pad,) * 4, mode="reflect").unfold(2, height, 1).unfold(3, width, 1)
    shift = torch.randint(2 * pad + 1, (2, whole), generator=generator, device=pixels.device)[:, mine]
    return windows[torch.arange(n, device=pixels.device), :, shift[0], shift[1]]
