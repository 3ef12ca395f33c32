"""Perturbations as they happen to photographs: shift, rotation, crop, brightness, blur, JPEG, occlusion.

Each copy has random numbers of its own in [−1, 1]; what they stand for grows with τ, so the copies of a draw lie on one
path from the sample, as those along a ray do. τ is a share: 0 is the sample itself, and above 1 is as 1.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError

NUMBERS = 3
"""Random numbers of a copy."""
Transform = Callable[[Tensor, Tensor, float], Tensor]
"""(pixels float32 [N, C, H, W] in [0, 1], numbers float32 [N, 3] in [−1, 1], τ) → copies of the shape of ``pixels``."""


def transformed(transform: Transform, pixels: Tensor, numbers: Tensor, tau: float) -> Tensor:
    """Copies of samples: pixels [S, C, H, W] and numbers [S, B, 3] → [S, B, C, H, W] in [0, 1]; at τ = 0 the samples.

    Raises:
        UsageError: they are no images.
    """
    if pixels.dim() != 4:
        raise UsageError("This perturbation is one of images, and the data set is a table; choose noise or an attack.")
    repeated = pixels.unsqueeze(1).expand(-1, numbers.shape[1], -1, -1, -1)
    if tau == 0:
        return repeated.clone()
    flat = transform(repeated.reshape(-1, *pixels.shape[1:]), numbers.reshape(-1, NUMBERS), min(tau, 1.0))
    return flat.clamp(0, 1).view(repeated.shape)


def _resampled(pixels: Tensor, matrix: Tensor) -> Tensor:
    """Images seen through affine maps [N, 2, 3] of the square [−1, 1]², bilinear; borders go on outside."""
    where = F.affine_grid(matrix, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, where, mode="bilinear", padding_mode="border", align_corners=False)


def _maps(scale: Tensor, turn: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Affine maps [N, 2, 3] that turn (radians), scale, and move by shares of half a side."""
    cos, sin = scale * turn.cos(), scale * turn.sin()
    return torch.stack([torch.stack([cos, -sin, right], 1), torch.stack([sin, cos, down], 1)], 1)


def shift(pixels: Tensor, numbers: Tensor, tau: float) -> Tensor:
    """Moved by up to τ of the side, across and up; the border fills what comes into view."""
    still = torch.zeros_like(numbers[:, 0])
    return _resampled(pixels, _maps(still + 1, still, 2 * tau * numbers[:, 0], 2 * tau * numbers[:, 1]))


def rotation(pixels: Tensor, numbers: Tensor, tau: float) -> Tensor:
    """Turned about the middle by up to τ of half a turn, either way."""
    still = torch.zeros_like(numbers[:, 0])
    return _resampled(pixels, _maps(still + 1, tau * math.pi * numbers[:, 0], still, still))


def crop(pixels: Tensor, numbers: Tensor, tau: float) -> Tensor:
    """A part of the image, up to τ of its side missing, brought back to the whole size; at most 9/10 are cut away."""
    gone = min(tau, 0.9) * numbers[:, 0].abs()
    return _resampled(pixels, _maps(1 - gone, torch.zeros_like(gone), gone * numbers[:, 1], gone * numbers[:, 2]))


def brightness(pixels: Tensor, numbers: Tensor, tau: float) -> Tensor:
    """Every pixel brighter, or darker, by the same amount of up to τ."""
    return pixels + tau * numbers[:, :1, None, None]


def blur(pixels: Tensor, numbers: Tensor, tau: float) -> Tensor:
    """A Gaussian blur whose standard deviation is up to τ/4 of the side."""
    side = max(pixels.shape[2:])
    sigma = (0.25 * tau * side * numbers[:, 0].abs()).clamp(min=1e-3)
    for axis in (2, 3):
        reach = min(pixels.shape[axis] - 1, math.ceil(3 * 0.25 * tau * side))
        if reach == 0:
            continue
        at = torch.arange(-reach, reach + 1, device=pixels.device)
        kernel = torch.exp(-0.5 * (at / sigma[:, None]) ** 2)
        kernel = kernel / kernel.sum(1, keepdim=True)
        pad = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        windows = F.pad(pixels, pad, mode="replicate").unfold(axis, 2 * reach + 1, 1)
        pixels = torch.einsum("nchwk,nk->nchw", windows, kernel)
    return pixels


def jpeg(pixels: Tensor, numbers: Tensor, tau: float) -> Tensor:
    """Stored as JPEG and read again, at a quality of 100 less up to 99·τ.

    Raises:
        UsageError: the images are neither grey nor in colour.
    """
    from PIL import Image

    channels = pixels.shape[1]
    if channels not in (1, 3):
        raise UsageError(f"JPEG holds images of one or three channels, and these have {channels}.")
    bytes_ = pixels.mul(255).round().to(torch.uint8).cpu().numpy()
    out = np.empty_like(bytes_)
    quality = (100 - 99 * tau * numbers[:, 0].abs()).round().clamp(1, 100).int().tolist()
    for row, (image, level) in enumerate(zip(bytes_, quality, strict=True)):
        picture = Image.fromarray(image[0] if channels == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
        packed = io.BytesIO()
        picture.save(packed, "JPEG", quality=level)
        read = np.asarray(Image.open(packed))
        out[row] = read[None] if channels == 1 else read.transpose(2, 0, 1)
    return torch.from_numpy(out).to(pixels.device).float().div_(255)


def occlusion(pixels: Tensor, numbers: Tensor, tau: float) -> Tensor:
    """A grey square over the image, its side up to τ of the image's, its middle anywhere."""
    height, width = pixels.shape[2:]
    half = tau * numbers[:, 2].abs() / 2

    def covered(size: int, middle: Tensor) -> Tensor:
        at = (torch.arange(size, device=pixels.device) + 0.5) / size
        return (at[None] - (middle[:, None] + 1) / 2).abs() < half[:, None]

    hidden = covered(height, numbers[:, 0])[:, None, :, None] & covered(width, numbers[:, 1])[:, None, None, :]
    return torch.where(hidden, torch.full_like(pixels, 0.5), pixels)


TRANSFORMS: dict[str, Transform] = {
    found.__name__: found for found in (shift, rotation, crop, brightness, blur, jpeg, occlusion)
}
