"""Means over seeds with their spread, and whether a number lies where re-trainings do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def mean_and_deviation(values: ArrayLike) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n − 1); the deviation is None for a single value.

    >>> mean_and_deviation([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    found = np.asarray(values, float)
    return float(found.mean()), float(found.std(ddof=1)) if len(found) > 1 else None


def bootstrap_interval(
    values: ArrayLike, sizes: ArrayLike | None = None, *, level: float = 0.95, rounds: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of a mean over seeds, and over samples where a value is a share of samples.

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
    generator = np.random.default_rng(seed)
    picks = generator.integers(len(found), size=(rounds, len(found)))
    drawn = found[picks]
    if sizes is not None:
        n = np.asarray(sizes)[picks]
        drawn = generator.binomial(n, np.clip(drawn, 0, 1)) / n
    low, high = np.quantile(drawn.mean(1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def reference_spread(values: ArrayLike) -> tuple[float, float] | None:
    """How far honest re-trainings differ: lowest and highest difference of one to the mean of the others.

    A difference to Re-train inside of it is no evidence of anything. None for fewer than two references.

    >>> reference_spread([0.25, 0.5])
    (-0.25, 0.25)
    """
    found = np.asarray(values, float)
    if len(found) < 2:
        return None
    apart = found - (found.sum() - found) / (len(found) - 1)
    return float(apart.min()), float(apart.max())


def within(difference: float, spread: tuple[float, float] | None) -> bool | None:
    """Whether a difference to Re-train is no larger than the references' own; None where that is not known."""
    return None if spread is None else bool(spread[0] - 1e-12 <= difference <= spread[1] + 1e-12)
