"""ROC curves, the area under them with intervals, and true-positive rates at low false-positive rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from ..arrays import Floats

FALSE_POSITIVE_RATES = (0.001, 0.01)

CURVE_POINTS = 101
"""Points of a ROC curve that is kept, at even false-positive rates."""


@dataclass(frozen=True)
class TruePositiveRate:
    """A point of a ROC curve, with what ``negatives`` samples can resolve.

    Attributes:
        asked: the false-positive rate asked for.
        fpr: the one reached, the largest k/n not above it; 0 where n is too small.
        tpr: the true-positive rate there.
        resolved: whether asked ≥ 1/n. If not, ``tpr`` is at no false positive among n, and the true
            false-positive rate is only known to lie below about 3/n (95%).
    """

    asked: float
    fpr: float
    tpr: float
    resolved: bool

    def to_dict(self) -> dict[str, Any]:
        return {"asked": self.asked, "fpr": self.fpr, "tpr": self.tpr, "resolved": self.resolved}


def roc_curve(positives: ArrayLike, negatives: ArrayLike) -> tuple[Floats, Floats]:
    """False- and true-positive rates at every threshold, from (0, 0) to (1, 1).

    Equal scores move together, so a score without information gives the diagonal and not a step.

    >>> roc_curve([2, 1], [1, 0])
    (array([0. , 0. , 0.5, 1. ]), array([0. , 0.5, 1. , 1. ]))
    """
    high, low = np.sort(np.ravel(positives)), np.sort(np.ravel(negatives))
    thresholds = np.unique(np.concatenate([high, low]))[::-1]
    tpr = 1 - np.searchsorted(high, thresholds, side="left") / len(high)
    fpr = 1 - np.searchsorted(low, thresholds, side="left") / len(low)
    return np.concatenate([[0.0], fpr]), np.concatenate([[0.0], tpr])


def auc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Pr[positive > negative] + ½ Pr[equal] (Mann–Whitney)."""
    high, low = np.ravel(positives), np.ravel(negatives)
    ranks = rankdata(np.concatenate([high, low]))[: len(high)]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


def auc_interval(
    positives: ArrayLike, negatives: ArrayLike, *, level: float = 0.95, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of :func:`auc` that moves samples and models together, as they are in the data.

    Both the samples (columns, with all scores they have) and the models (rows; as many of either side are pairs) are
    drawn anew: scores of one sample, or of one model, are not independent. Few models say little of how far models
    differ, so with two or three of them it is on the narrow side.

    Args:
        positives: [P, N]; negatives: [K, N]; one dimension is one model.

    Returns:
        Lower and upper quantile of the AUC over ``rounds`` draws.
    """
    high, low = np.atleast_2d(np.asarray(positives, float)), np.atleast_2d(np.asarray(negatives, float))
    (p, n), k = high.shape, len(low)
    _, place = np.unique(np.concatenate([high.ravel(), low.ravel()]), return_inverse=True)
    above, below = place[: high.size], place[high.size :]
    rng, size, areas = np.random.default_rng(seed), int(place.max()) + 1, np.empty(rounds)
    for at in range(rounds):
        columns, rows = _times(rng, n), _times(rng, k)
        own = rows if p == k else _times(rng, p)
        won = np.bincount(above, np.outer(own, columns).ravel(), size)
        lost = np.bincount(below, np.outer(rows, columns).ravel(), size)
        areas[at] = won @ (lost.cumsum() - lost / 2) / (won.sum() * lost.sum())
    edges = np.quantile(areas, [(1 - level) / 2, (1 + level) / 2])
    return float(edges[0]), float(edges[1])


def _times(rng: np.random.Generator, count: int) -> Floats:
    """How often each of ``count`` things is drawn when as many are drawn with replacement."""
    return np.bincount(rng.integers(count, size=count), minlength=count).astype(float)


def tpr_at(positives: ArrayLike, negatives: ArrayLike, rate: float) -> TruePositiveRate:
    """The best true-positive rate with at most ``rate`` false positives; see :class:`TruePositiveRate`."""
    fpr, tpr = roc_curve(positives, negatives)
    count = np.size(negatives)
    within = fpr <= rate + 1e-12
    return TruePositiveRate(rate, float(fpr[within][-1]), float(tpr[within].max()), rate * count >= 1 - 1e-9)
