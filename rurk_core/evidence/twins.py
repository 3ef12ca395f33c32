"""Near neighbours among the samples that stayed: is a forgotten sample recognised because a twin of it was kept?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data import Images, to_pixels

CANDIDATES = 4000
"""Retained samples that are looked at; those of the sample's own class first."""
BATCH = 500


@dataclass(frozen=True)
class Twins:
    """The nearest retained samples under one model.

    Attributes:
        samples: int64 [k], training indices, the nearest first.
        distances: float64 [k], from 0 (same direction of features) to 2.
        usual: the median distance between a retained sample of the class and the nearest other retained one, NaN where
            there is none.
    """

    samples: NDArray[np.integer]
    distances: NDArray[np.floating]
    usual: float

    @property
    def close(self) -> bool:
        """Whether the nearest retained sample is as near as retained samples of the class usually are."""
        return bool(len(self.distances) and self.distances[0] <= self.usual)


def candidates(labels: Tensor, forget: Tensor, label: int, limit: int = CANDIDATES) -> Tensor:
    """Retained training indices to look at: the class's own first, then others at even steps; int64, sorted."""
    stays = torch.ones(len(labels), dtype=torch.bool)
    stays[forget] = False
    own = (stays & (labels == label)).nonzero()[:, 0]
    others = (stays & (labels != label)).nonzero()[:, 0]
    own = own[_even(len(own), limit)]
    return torch.cat([own, others[_even(len(others), limit - len(own))]]).sort().values


def unit_features(model: nn.Module, images: Images) -> Tensor:
    """float32 [N, F] of length 1: what the head takes, for uint8 or float32 images, in batches.

    Args:
        model: with a method ``features``, in eval mode.
    """
    with torch.no_grad():
        found = [model.features(to_pixels(images[at : at + BATCH])) for at in range(0, len(images), BATCH)]  # type: ignore[operator]
    return nn.functional.normalize(torch.cat(found).flatten(1).float(), dim=1)


def nearest(own: Tensor, others: Tensor, indices: Tensor, labels: Tensor, label: int, k: int = 6) -> Twins:
    """The ``k`` nearest of ``others`` by cosine distance.

    Args:
        own: [F], of length 1; others: [M, F], likewise, of the training samples ``indices`` [M] with classes
            ``labels`` [M]; label: the sample's class.
    """
    distance = (1 - others @ own).clamp(min=0)
    order = distance.argsort(stable=True)[:k]
    same = (labels == label).nonzero()[:, 0]
    same = same[_even(len(same), 500)]
    between = 1 - others[same] @ others.T
    between[torch.arange(len(same)), same] = torch.inf  # not itself
    usual = between.min(1).values.clamp(min=0).median().item() if len(same) and len(others) > 1 else torch.nan
    return Twins(indices[order].numpy(), distance[order].double().numpy(), float(usual))


def _even(count: int, limit: int) -> Tensor:
    """At most ``limit`` of ``count`` places, at even steps."""
    if count <= limit:
        return torch.arange(count)
    return torch.linspace(0, count - 1, max(0, limit)).round().long()
