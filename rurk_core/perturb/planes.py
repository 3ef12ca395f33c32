"""Flat cuts through the space of images: what a model says on a plane through a sample.

Coordinates (a, b) of a plane stand for the image clip(x + √D·(a·u + b·v), 0, 1) with u, v orthonormal and D the
number of pixel values. So a and b are root-mean-square changes per pixel value, the unit of τ: Gaussian noise of
standard deviation τ has length τ on this scale, and so has a step of τ along a signed gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..device import logits_of
from ..errors import UsageError
from .copies import input_gradient, stream


@dataclass(frozen=True)
class Plane:
    """A plane through a sample.

    Attributes:
        origin: float32 [...], the sample x in [0, 1].
        across, up: float32 [D], the orthonormal directions u and v.
    """

    origin: Tensor
    across: Tensor
    up: Tensor

    @property
    def scale(self) -> float:
        """√D, the length of one unit of the plane's coordinates in pixel space."""
        return math.sqrt(self.origin.numel())

    def images(self, at: Tensor) -> Tensor:
        """The images at coordinates [N, 2] → float32 [N, ...], clipped to [0, 1] as copies are."""
        moved = self.scale * (at[:, :1] * self.across + at[:, 1:] * self.up)
        return (self.origin.unsqueeze(0) + moved.view(-1, *self.origin.shape)).clamp(0, 1)

    def coordinates(self, images: Tensor) -> Tensor:
        """Where images [N, ...] fall when projected onto the plane → float32 [N, 2]."""
        moved = (images - self.origin).reshape(len(images), -1)
        return torch.stack([moved @ self.across, moved @ self.up], 1) / self.scale


def plane(origin: Tensor, across: Tensor, up: Tensor) -> Plane:
    """The plane through ``origin`` [...] along two directions of its shape, made orthonormal (Gram–Schmidt).

    Raises:
        UsageError: a direction is zero, or both are parallel, so that they span no plane.
    """
    first, second = across.reshape(-1).float(), up.reshape(-1).float()
    length = first.norm()
    if not length > 0 or not torch.isfinite(length):
        raise UsageError("The first direction of the cut is zero here; choose another one.")
    u = first / length
    rest = second - (second @ u) * u
    if not rest.norm() > 1e-5 * second.norm():
        raise UsageError("The two directions of the cut are the same; choose other ones.")
    v = rest / rest.norm()
    v = v - (v @ u) * u
    return Plane(origin.float(), u, v / v.norm())


def random_direction(shape: Sequence[int], seed: int, sample: int) -> Tensor:
    """A direction with every orientation alike, the same for the same seed and sample: float32 of ``shape``."""
    return torch.randn(tuple(shape), generator=stream(seed, "slice", sample))


def adversarial_direction(model: nn.Module, pixels: Tensor, label: int) -> Tensor:
    """The signed gradient of the loss of ``label`` at an image [...], as FGSM takes it: values −1, 0 or 1.

    Zero where the model is so certain that its gradient vanishes in float32.
    """
    labels = torch.tensor([label], device=pixels.device)
    return input_gradient(model, pixels.unsqueeze(0), labels)[0].sign()


def beliefs(model: nn.Module, cut: Plane, at: Tensor, *, batch: int = 64) -> Tensor:
    """What a model believes at places [N, 2] of a plane: log-probabilities float32 [N, C].

    Args:
        model: in eval mode, logits [N, C] from pixels.
    """
    return torch.cat([logits_of(model, cut.images(some)).log_softmax(1) for some in at.split(batch)])


def ball_outline(cut: Plane, ball: str, tau: float, angles: int = 361) -> NDArray[np.float32]:
    """Where the ball of radius τ around the sample meets the plane: float32 [angles, 2], a closed line.

    A circle of radius τ/√D for ``"l2"``; a circle of radius τ for ``"gaussian"``, whose copies are about τ·√D away
    from the sample; for ``"linf"`` the polygon of points whose pixels all moved by at most τ (clipping aside). None of
    these is known for ``"share"``: no points.
    """
    if ball == "share":
        return np.zeros((0, 2), np.float32)
    turn = np.linspace(0, 2 * np.pi, angles)
    ray = np.stack([np.cos(turn), np.sin(turn)], 1)
    if ball == "linf":
        both = np.stack([cut.across.numpy(), cut.up.numpy()])
        radius = tau / np.abs(ray @ both).max(1) / cut.scale
    else:
        radius = np.full(angles, tau if ball == "gaussian" else tau / cut.scale)
    return (radius[:, None] * ray).astype(np.float32)
