"""The forget set as a whole: its excess, the share still known, and whether it is nearer a re-training or the Original.

Samples of one model move together, so models are what is counted: everything here is Student's t with K − 1 degrees of
freedom for one more re-training among K.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from .null import BOUND, Null, compressed

Floats = NDArray[np.floating]

LEVEL = 0.95
SEEN_SPREAD = 1.75
"""How much more models that saw the samples differ as a whole than the re-trainings do (1.6 to 1.9, small CIFAR-5)."""


@dataclass(frozen=True)
class Whole:
    """The forget set as a whole; NaN where it cannot be said.

    Attributes:
        excess: mean log-odds minus the references' mean; low, high: 95% interval for it, one more re-training taken
            off (Student, K − 1: models are what is counted); p_residual, p_forgotten: one-sided.
        share: of the forget set still known, 0 to 1: the model's mean excess over the Original's, each sample in its
            own standard deviations; share_low, share_high: 95%.
        nearer: "retraining", "original" or "cannot_tell"; a model half-way is put on either side in at most 2.5%.
    """

    excess: float
    low: float
    high: float
    p_residual: float
    p_forgotten: float
    share: float = np.nan
    share_low: float = np.nan
    share_high: float = np.nan
    nearer: str = "cannot_tell"


def judge_whole(own: Floats, references: Floats, seen: Floats | None, null: Null) -> Whole:
    """The set under a law of its samples: own [N], references [K, N] with K at least 2, seen [A, N]."""
    k = len(references)
    means = references.mean(1)
    excess, spread = float(own.mean() - means.mean()), max(float(means.std(ddof=1)), 1e-9) * np.sqrt(1 + 1 / k)
    quantile = student.ppf((1 + LEVEL) / 2, k - 1)
    reach = quantile * spread
    found = Whole(
        excess,
        max(excess - reach, -2 * BOUND),
        min(excess + reach, 2 * BOUND),
        float(student.sf(excess / spread, k - 1)),
        float(student.cdf(excess / spread, k - 1)),
    )
    if seen is None:
        return found

    def place(values: Floats) -> Floats:
        return ((compressed(values) - null.centre) / null.spread).mean(-1)

    mine, theirs, original = float(place(own)), place(references), float(place(seen).mean())
    between = max(float(theirs.std(ddof=1)), 1e-9)
    of_seen = SEEN_SPREAD * between
    shared = between**2 / k + of_seen**2 / len(seen)
    if original <= quantile * np.sqrt(shared):
        return found

    def error(at: float) -> float:
        """Of the share: the model's own deviation between the two kinds, and that of what is 0 and what is 1."""
        own_error = (1 - at) * between**2 + at * of_seen**2
        return float(np.sqrt(own_error + (1 - at) ** 2 * between**2 / k + at**2 * of_seen**2 / len(seen))) / original

    share = mine / original
    inside = min(max(share, 0.0), 1.0)
    nearer = "cannot_tell"
    if abs(share - 0.5) > quantile * error(0.5):
        nearer = "original" if share > 0.5 else "retraining"
    return replace(
        found,
        share=inside,
        share_low=float(np.clip(share - quantile * error(inside), 0, 1)),
        share_high=float(np.clip(share + quantile * error(inside), 0, 1)),
        nearer=nearer,
    )
