"""What would settle what cannot be told: more re-trained models, or more copies of every sample.

Both say the same of a sample: with so many, the Original would be listed on it and a re-training would be clear, each
in 4 of 5 cases. More re-trained models make the interval narrower and its law surer. More copies take away what
they alone put between re-trainings; the two halves of the draws tell how much it is: often next to nothing, and then no
number of copies helps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from .null import NEEDED, Calibrated, Null, compressed

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]

LEVEL = 0.95
POWER = 0.8
MOST_REFERENCES = 64
"""Beyond which "more references" is not called an answer."""
MOST_DRAWS = 1000
"""The same of copies at each radius."""


def more_references(null: Null, k: int, law: Calibrated, typical: Floats, cut: float) -> Ints:
    """The smallest number of re-trained models that settles each sample, 0 where none up to :data:`MOST_REFERENCES`.

    Tails are taken to stay as far beyond Student's as they are.

    Args:
        null: of the K re-trained models there are; law: their tails.
        typical: float64 [N], what the Original has, as deviates of ``null``; cut: p-value at which a sample is listed.
    """
    effect = _effect(null, k, typical)
    found = np.zeros(len(effect), np.int64)
    for more in range(MOST_REFERENCES, NEEDED - 1, -1):
        weight = 1.0 if np.isinf(null.prior) else null.prior / (null.prior + more - 1)
        freedom = 1 / (1 / (null.prior + more - 1) + weight**2 / ((more - 1) * null.effective))
        found[effect >= _needed(law, freedom, cut) * np.sqrt(1 + 1 / more)] = more
    return found


def more_draws(null: Null, k: int, law: Calibrated, typical: Floats, cut: float, draws: int, drawn: float) -> Ints:
    """The smallest number of copies at each radius that settles each sample with the K re-trained models there are.

    0 where none up to :data:`MOST_DRAWS`, or where it is not known what copies do. Of the variance between re-trainings
    a share ``drawn`` goes with one over their number, and the rest stays.

    Args:
        draws: copies that there are; drawn: :func:`share_of_draws`, NaN where it is not known. Else as
            :func:`more_references`.
    """
    if not np.isfinite(drawn):
        return np.zeros(len(typical), np.int64)
    room = (_effect(null, k, typical) / (_needed(law, null.freedom, cut) * np.sqrt(1 + 1 / k))) ** 2
    settled = (room > 1 - drawn) & (typical > 0)
    needed = np.ceil(drawn * draws / np.where(settled, room - (1 - drawn), 1.0))
    return np.where(settled & (needed <= MOST_DRAWS), np.maximum(needed, 1), 0).astype(np.int64)


def share_of_draws(values: Floats, halves: Floats, draws: int) -> float:
    """How much of the variance between re-trainings comes of the copies that were drawn, 0 to 1.

    All models see the same copies, so only by how much these move one model more than another counts: the spread
    between models of the difference between two halves of the draws. One share for all samples: those that vary more
    between re-trainings vary more between copies.

    Args:
        values: [K, N], mean log-odds; halves: [K, N], mean over the draws of even number minus that over the others.

    >>> rng = np.random.default_rng(0)
    >>> copies = rng.normal(0, 1, (8, 2000, 1)) + rng.normal(0, 3, (8, 2000, 20))  # 1 + 9/20: 31% of the variance
    >>> halves = copies[..., ::2].mean(-1) - copies[..., 1::2].mean(-1)
    >>> abs(share_of_draws(copies.mean(-1) / 99, halves / 99, 20) - 9 / 29) < 0.02
    True
    """
    odd, even = draws // 2, draws - draws // 2
    apart = compressed(values + halves * odd / draws) - compressed(values - halves * even / draws)
    noise = apart.var(0, ddof=1).sum() * odd * even / draws**2
    return float(np.clip(noise / max(compressed(values).var(0, ddof=1).sum(), 1e-12), 0, 1))


def _effect(null: Null, k: int, typical: Floats) -> Floats:
    """What the Original has beyond re-trainings, in their standard deviations."""
    return (null.values(typical) - null.centre) / (null.spread / np.sqrt(1 + 1 / k))


def _needed(law: Calibrated, freedom: float, cut: float) -> float:
    """The effect, in predictive standard deviations, that is listed and of which half is excluded, in 4 of 5 cases."""
    lists, clears = (-stdtrit(freedom, ndtr(-law.edge(p))) for p in (cut, (1 - LEVEL) / 2))
    return float(max(lists + ndtri(POWER), 2 * (clears + ndtri(POWER))))
