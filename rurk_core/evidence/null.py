"""The law of one more re-training, sample by sample, from K re-trainings: moderated, and held against itself.

Log-odds of one sample differ between honest re-trainings, by how much differs between samples, and K re-trainings say
little about it. So variances are moderated (empirical Bayes: Smyth 2004, the ``limma`` of genetics): each is drawn to
the common one as far as samples are alike, and the statistic of one more re-training is Student's

    t = (y − x̄) / (s̃ √(1 + 1/K)),    s̃² = (d₀ s₀² + (K − 1) s²) / (d₀ + K − 1)

on log-odds compressed by arsinh(m / 2), on which their spread hardly depends on their size. Two things are not assumed:

* *Samples need not be independent.* Re-trainings that are better or worse as a whole, or on kinds of samples, make the
  common variance less certain than N·(K − 1) numbers would; how many samples' worth they are is read from the K × K
  matrix of the models' products (:func:`effective_samples`) and lowers the degrees of freedom.
* *Tails need not be Student's, nor alike on both sides.* Every reference is handed in against the others; a p-value is
  the larger of Student's and of the share of those statistics beyond, continued past the last by a generalised Pareto
  tail (:class:`Tail`). Neither the model nor any reference is treated otherwise than the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, ndtr, ndtri, polygamma, stdtr, stdtrit
from scipy.stats import chi2

from ..errors import UsageError

Floats = NDArray[np.floating]

BOUND = 12.0
"""Log-odds lie within ± this, see :data:`rurk_core.measure.verdicts.LOG_ODDS_BOUND`."""
LEAST_SPREAD = 0.05
"""Least standard deviation between re-trainings that is believed, in compressed units: draws and arithmetic alone."""
NEEDED = 3
"""References without which nothing is called: one has no spread, and of two neither can be held against a spread."""
TAIL_SHARE = 0.05
"""Share of the references' own statistics that the tail is fitted to, at least :data:`TAIL_LEAST` of them."""
TAIL_LEAST = 10
TAIL_SHAPES = (0.05, 0.9)
"""Range of the tail's shape ξ: never lighter than nearly exponential."""


def compressed(log_odds: Floats) -> Floats:
    """arsinh(m / 2), any shape: about m / 2 near 0, about ± log |m| far out."""
    return np.arcsinh(np.clip(np.asarray(log_odds, float), -BOUND, BOUND) / 2)


def expanded(values: Floats) -> Floats:
    """Back to log-odds, within ±:data:`BOUND`."""
    return np.clip(2 * np.sinh(np.clip(values, -5, 5)), -BOUND, BOUND)


@dataclass(frozen=True)
class Null:
    """The predictive law of one more re-training, on compressed log-odds.

    Attributes:
        centre: float64 [N], mean of the references; spread: [N], predictive standard deviation s̃ √(1 + 1/K).
        freedom: degrees of freedom of Student's t.
        prior: d₀, references' worth of what all samples say about the spread of one; infinite where all are alike;
            common: s₀², what they say.
        effective: samples' worth of independent ones.
    """

    centre: Floats
    spread: Floats
    freedom: float
    prior: float
    common: float
    effective: float

    def statistic(self, values: Floats) -> Floats:
        """Values [..., N] as standard normal deviates of the law, which keep Student's p-values."""
        return normal_deviate((values - self.centre) / self.spread, self.freedom)

    def values(self, deviate: Floats | float) -> Floats:
        """The values [N] at a standard normal deviate."""
        deviate = np.asarray(deviate, float)
        t = -np.sign(deviate) * stdtrit(self.freedom, ndtr(-np.abs(deviate)))
        return self.centre + t * self.spread


def fit_null(
    references: Floats, *, effective: float | None = None, variances: tuple[float, float] | None = None
) -> Null:
    """The law from references [K, N], compressed.

    Args:
        effective: of :func:`effective_samples`, and variances: of :func:`variance_law`, where they are known already.

    Raises:
        UsageError: fewer than two references.
    """
    k, n = references.shape
    if k < 2:
        raise UsageError("One re-trained model does not say how far re-trainings differ; two at least do.")
    own = k - 1
    variance = np.maximum(references.var(0, ddof=1), LEAST_SPREAD**2)
    prior, common = variances or variance_law(variance, own)
    if np.isinf(prior):
        pooled, freedom, weight = np.full(n, common), np.inf, 1.0
    else:
        pooled = (prior * common + own * variance) / (prior + own)
        freedom, weight = prior + own, prior / (prior + own)
    if effective is None:
        effective = effective_samples(references, np.sqrt(pooled))
    # relative variance of s̃², 2 / freedom: of the sample's own, and of the common one it is drawn to
    freedom = 1 / (1 / freedom + weight**2 / (own * effective))
    return Null(references.mean(0), np.sqrt(pooled * (1 + 1 / k)), freedom, prior, common, effective)


def variance_law(variance: Floats, freedom: int) -> tuple[float, float]:
    """(d₀, s₀²) of the scaled inverse-χ² law of variances [N] of ``freedom`` each (Smyth 2004, section 6.2).

    From mean and variance of log s² over samples. d₀ is infinite where they are no more apart than variances of so few
    are anyway, and 0 for fewer than three samples, which say nothing about each other.
    """
    if len(variance) < 3:
        return 0.0, 1.0
    half = freedom / 2
    logs = np.log(variance) - digamma(half) + np.log(half)
    beyond = logs.var(ddof=1) - polygamma(1, half)
    if beyond < 1e-3:
        return np.inf, float(np.exp(logs.mean()))
    prior = 2 * brentq(lambda x: polygamma(1, x) - beyond, 1e-3, 1e4) if beyond < polygamma(1, 1e-3) else 2e-3
    return float(prior), float(np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2)))


def effective_samples(references: Floats, spread: Floats) -> float:
    """How many independent samples' worth the N samples are, from 1 to N.

    W = R Rᵀ / N of the references' standardised residuals R [K, N] would have (K − 1) equal eigenvalues for many
    independent samples. tr W² / (tr W)² says how many there are as it does for a Wishart matrix; two references have
    one eigenvalue, which says nothing: 1.
    """
    k, n = references.shape
    p = k - 1
    if p < 2:
        return 1.0
    residual = (references - references.mean(0)) / spread
    w = residual @ residual.T / n
    ratio = p * np.trace(w @ w) / max(np.trace(w) ** 2, 1e-300)
    return float(np.clip((p + 1 - 2 * ratio / p) / max(ratio - 1, 1e-9), 1, n))


def normal_deviate(t: Floats, freedom: float) -> Floats:
    """Student's t as the standard normal deviate with the same tail probability."""
    tail = np.maximum(stdtr(freedom, -np.abs(t)), 1e-300)
    return -np.sign(t) * ndtri(tail)


def held_against_each_other(references: Floats, inside: Floats | None = None) -> tuple[Floats, Floats]:
    """Every reference handed in against the others: its statistics [K, N], and those of models that saw the samples,
    ``inside`` [A, N], under the law of the others, [K, A, N]; K at least 3. What all samples say about the spread of
    one is taken from all references: of few it would be too rough."""
    whole = fit_null(references)
    inside = np.zeros((0, references.shape[1])) if inside is None else inside
    found, seen = [], []
    for k, row in enumerate(references):
        law = fit_null(np.delete(references, k, 0), effective=whole.effective, variances=(whole.prior, whole.common))
        found.append(law.statistic(row))
        seen.append(law.statistic(inside))
    return np.stack(found), np.stack(seen)


@dataclass(frozen=True)
class Tail:
    """How often null statistics lie beyond a value, on one side: as seen, then a generalised Pareto tail.

    Attributes:
        seen: float64, sorted; where: the value from which the tail is used; share: of those beyond it.
        shape, scale: ξ and β of the tail; sf = share · (1 + ξ (z − where) / β)^(−1/ξ).
    """

    seen: Floats
    where: float
    share: float
    shape: float
    scale: float

    def sf(self, z: Floats) -> Floats:
        """Upper tail probability of z, any shape, in (0, 1]."""
        beyond = len(self.seen) - np.searchsorted(self.seen, z, side="left")
        counted = (beyond + 1) / (len(self.seen) + 1)
        over = np.maximum(z - self.where, 0) / self.scale
        return np.where(z > self.where, self.share * (1 + self.shape * over) ** (-1 / self.shape), counted)

    def isf(self, p: float) -> float:
        """The value with that upper tail probability."""
        if p < self.share:
            return self.where + self.scale / self.shape * ((p / self.share) ** -self.shape - 1)
        return float(np.quantile(self.seen, 1 - p))


def fit_tail(null: Floats) -> Tail:
    """A :class:`Tail` from null statistics of any shape, by probability-weighted moments (Hosking & Wallis 1987)."""
    z = np.sort(np.ravel(null))
    n = len(z)
    m = min(max(TAIL_LEAST, round(TAIL_SHARE * n)), n // 2)
    where, over = z[n - m - 1], z[n - m :] - z[n - m - 1]
    mean = max(over.mean(), 1e-6)
    weighted = (over * (np.arange(m)[::-1] + 0.35) / m).mean()
    shape = float(np.clip(2 - mean / max(mean - 2 * weighted, 1e-9), *TAIL_SHAPES))
    return Tail(z, float(where), m / n, shape, mean * (1 - shape))


@dataclass(frozen=True)
class Calibrated:
    """Tails on both sides: a p-value is the larger of the law's own and of what the references did."""

    upper: Tail
    lower: Tail

    def p_above(self, z: Floats) -> Floats:
        """Pr[one more re-training ≥ z], any shape."""
        return np.maximum(ndtr(-z), self.upper.sf(z))

    def p_below(self, z: Floats) -> Floats:
        """Pr[one more re-training ≤ z]."""
        return np.maximum(ndtr(z), self.lower.sf(-z))

    def edge(self, p: float, *, above: bool = True) -> float:
        """The deviate at which the p-value of that side is p: positive above, negative below."""
        return max(-ndtri(p), self.upper.isf(p)) if above else -max(-ndtri(p), self.lower.isf(p))


def calibrated(null: Floats) -> Calibrated:
    """From null statistics of any shape, at least 20 of them."""
    return Calibrated(fit_tail(null), fit_tail(-np.asarray(null)))


@dataclass(frozen=True)
class Shift:
    """Are re-trainings better or worse as a whole?

    Attributes:
        share: of the variance between re-trainings that is common to all samples, 0 to 1.
        p: of as much by chance, were samples independent.
    """

    share: float
    p: float


def whole_model_shift(references: Floats, null: Null) -> Shift:
    """Test of the references' means [K] against what independent samples would give (χ², K − 1 degrees)."""
    k, n = references.shape
    residual = (references - null.centre) / (null.spread / np.sqrt(1 + 1 / k))
    found = n * float((residual.mean(1) ** 2).sum())
    own = (residual**2).sum() / n
    share = (found / max(own, 1e-12) - 1) / max(n - 1, 1)
    return Shift(float(np.clip(share, 0, 1)), float(chi2.sf(found, k - 1)))
