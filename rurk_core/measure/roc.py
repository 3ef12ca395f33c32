"""ROC curves, the area under them, and true-positive rates at low false-positive rates."""

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
    tpr = 1 - np.searchsorted(high, thresholds) / len(high)
    fpr = 1 - np.searchsorted(low, thresholds) / len(low)
    return np.concatenate([[0.0], fpr]), np.concatenate([[0.0], tpr])


def auc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Pr[positive > negative] + ½ Pr[equal] (Mann–Whitney)."""
    high, low = np.ravel(positives), np.ravel(negatives)
    ranks = rankdata(np.concatenate([high, low]))[: len(high)]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


def tpr_at(positives: ArrayLike, negatives: ArrayLike, rate: float) -> TruePositiveRate:
    """The best true-positive rate with at most ``rate`` false positives; see :class:`TruePositiveRate`."""
    fpr, tpr = roc_curve(positives, negatives)
    count = np.size(negatives)
    within = fpr <= rate + 1e-12
    return TruePositiveRate(rate, float(fpr[within][-1]), float(tpr[within].max()), rate * count >= 1 - 1e-9)
