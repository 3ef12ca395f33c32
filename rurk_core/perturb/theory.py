"""Why disagreement is everywhere in high dimension, in closed form (arXiv 2601.22359, Prop. 1 and Prop. 2).

Distances on the unit sphere are angles: two points are τ apart when the arc between them has length τ, from 0 to π.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincinv

from ..arrays import Floats
from ..errors import UsageError


def cap_share(d: int, angle: ArrayLike) -> Floats:
    """Share of the unit sphere in ``d`` ≥ 2 dimensions within ``angle`` (0 to π) of one point.

    With I the regularised incomplete beta function, ½·I((d−1)/2, ½; sin² angle) up to the equator, its mirror image
    beyond (S. Li, "Concise formulas for the area and volume of a hyperspherical cap", 2011).

    >>> float(cap_share(3, np.pi / 2))
    0.5
    """
    _check_dimension(d)
    within = np.clip(np.asarray(angle, float), 0, np.pi)
    half = 0.5 * betainc((d - 1) / 2, 0.5, np.sin(within) ** 2)
    return np.where(within <= np.pi / 2, half, 1 - half)


def cap_angle(d: int, share: ArrayLike) -> Floats:
    """The inverse of :func:`cap_share`: the angle of the cap that holds ``share`` (0 to 1) of the sphere."""
    _check_dimension(d)
    held = np.clip(np.asarray(share, float), 0, 1)
    near = np.arcsin(np.sqrt(betaincinv((d - 1) / 2, 0.5, 2 * np.minimum(held, 1 - held))))
    return np.where(held <= 0.5, near, np.pi - near)


def share_near_disagreement(d: int, tau: ArrayLike, disagree: float = 0.5) -> Floats:
    """Share of the sphere within τ of a point where two models disagree, at least.

    Of all sets of the same size a cap has the smallest neighbourhood (Lévy's isoperimetric inequality), so this is
    exact when the disagreement fills a cap and a lower bound for every other shape.

    Args:
        d: dimensions of the space, at least 2; tau: angles of at least 0; disagree: share of the sphere on which the
            models disagree, above 0 and at most 1.

    >>> float(share_near_disagreement(2, np.pi / 4)), round(float(share_near_disagreement(3, np.pi / 6)), 12)
    (0.75, 0.75)
    """
    if not 0 < disagree <= 1:
        raise UsageError("The share of the sphere on which models disagree must be above 0 and at most 1.")
    return cap_share(d, cap_angle(d, disagree) + np.maximum(np.asarray(tau, float), 0))


def share_near_disagreement_bound(d: int, tau: ArrayLike) -> Floats:
    """Prop. 2: once models disagree on half the sphere, this share of it at least is within τ of a disagreement.

    1 − √(π/8)·exp(−(d−1)τ²/2), which is below :func:`share_near_disagreement` for every d ≥ 2 and τ ≥ 0.
    """
    _check_dimension(d)
    return 1 - np.sqrt(np.pi / 8) * np.exp(-(d - 1) * np.asarray(tau, float) ** 2 / 2)


def adversarial_failure(epsilon: ArrayLike, delta: ArrayLike) -> Floats:
    """Prop. 1: how likely adversarial examples of (ε, δ)-indistinguishable models break even the bound of 2ε.

    2δ / (1 − e^−ε), at most 1; ε above 0, δ from 0 to 1.

    >>> float(adversarial_failure(np.log(2), 0.01))
    0.04
    """
    failure = 2 * np.asarray(delta, float) / -np.expm1(-np.asarray(epsilon, float))
    return np.minimum(1.0, failure)


def _check_dimension(d: Any) -> None:
    if not (isinstance(d, int | np.integer) and d >= 2):
        raise UsageError(f"A sphere to walk on needs a whole number of at least 2 dimensions, not {d}.")
