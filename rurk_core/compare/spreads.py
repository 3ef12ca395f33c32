"""Means over seeds with their spread, and whether a number lies where re-trainings do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

LEVEL = 0.95
"""How often an interval holds what it is for; of one more re-training, its difference to the mean of the references."""
ROUNDS = 2000
"""Draws of a bootstrap."""


def mean_and_deviation(values: ArrayLike) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n − 1); the deviation is None for a single value.

    >>> mean_and_deviation([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    found = np.asarray(values, float)
    return float(found.mean()), float(found.std(ddof=1)) if len(found) > 1 else None


def bootstrap_interval(values: ArrayLike, sizes: ArrayLike | None = None) -> tuple[float, float] | None:
    """95% percentile bootstrap interval of a mean over seeds, and over samples where a value is a share of samples.

    Seeds are drawn with replacement. With ``sizes``, value i is a share of ``sizes[i]`` samples, and every drawn share
    is drawn anew from the binomial distribution it stands for, so that one seed already has an interval and three
    seeds do not look surer than their samples allow.

    Returns:
        (low, high), or None for a single value without a size, which says nothing about its own spread.

    >>> bootstrap_interval([0.5, 0.5])
    (0.5, 0.5)
    """
    found = np.asarray(values, float)
    if sizes is None and len(found) < 2:
        return None
    generator = np.random.default_rng(0)
    picks = generator.integers(len(found), size=(ROUNDS, len(found)))
    drawn = found[picks]
    if sizes is not None:
        n = np.asarray(sizes)[picks]
        drawn = generator.binomial(n, np.clip(drawn, 0, 1)) / n
    low, high = np.quantile(drawn.mean(1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def reference_spread(values: ArrayLike) -> tuple[float, float] | None:
    """How far one more honest re-training would lie from the mean of K: ± t s √(1 + 1/K), Student with K − 1 degrees.

    A difference to Re-train inside of it is no evidence of anything: an honest re-training has it in :data:`LEVEL` of
    all cases (as far as they are normal). None for fewer than two references.

    >>> low, high = reference_spread([0.25, 0.5])
    >>> round(high, 2)
    2.75
    """
    found = np.asarray(values, float)
    if len(found) < 2:
        return None
    reach = student.ppf((1 + LEVEL) / 2, len(found) - 1) * found.std(ddof=1) * np.sqrt(1 + 1 / len(found))
    return -float(reach), float(reach)


def spread_of_apart(apart: ArrayLike) -> tuple[float, float] | None:
    """:func:`reference_spread` of values that are K references' differences to the mean of the others."""
    found = np.asarray(apart, float)
    # the difference to the mean of the others is K / (K − 1) times that to the mean of all
    return reference_spread(found * (len(found) - 1) / len(found)) if len(found) > 1 else None


def within(difference: float, spread: tuple[float, float] | None) -> bool | None:
    """Whether a difference to Re-train is no larger than the references' own; None where that is not known."""
    return None if spread is None else bool(spread[0] - 1e-12 <= difference <= spread[1] + 1e-12)
