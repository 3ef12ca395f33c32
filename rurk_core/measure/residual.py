"""Residual knowledge from verdict counts: pure functions of integers, no models, testable by hand.

Notation of the paper (arXiv 2601.22359): ``u`` of ``draws`` perturbed copies of a sample are still given its
label by the unlearned model m, ``v`` by the re-trained model a, and r̂ = u / v (Eq. 4 with Monte Carlo draws).
With K references, ``v`` is their mean: the paper's one reference is K = 1.

A ratio never travels alone: what returns one returns its numerator and denominator too, and an undefined ratio
(v = 0) is NaN, counted, never smoothed or dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, digamma

Ints = NDArray[np.integer]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Verdicts:
    """What every model takes the perturbed copies for.

    Attributes:
        attack: key of the attack that made the copies.
        source: the model the attack was built on, or ``""`` for random draws.
        draws: copies of a sample at each radius.
        seed: keys the draws.
        taus: float64 [T], the radii in pixel units.
        samples: int64 [N], training indices; labels: int64 [N], their classes.
        models: names of the M judging models; references: those of them that are re-trained, K names.
        counts: int32 [M, N, T, C], copies taken for each class; sums to ``draws`` over C.
        agreement: int32 [M, K, N, T], copies on which model and reference give the same class.
        margins: float32 [M, N, T], mean over the draws of the log-odds of the sample's own label, each clipped to ±12
            (:func:`rurk_core.measure.verdicts.log_odds`); None in tables of versions that did not keep them.
        halves: float32 [M, N, T], the same over the draws of even number minus that over those of odd number: by how
            much draws alone move a mean. None of one draw, of attacks that are built on a model, and of older versions.
    """

    attack: str
    source: str
    draws: int
    seed: int
    taus: Floats
    samples: Ints
    labels: Ints
    models: tuple[str, ...]
    references: tuple[str, ...]
    counts: Ints
    agreement: Ints
    margins: Floats | None = None
    halves: Floats | None = None

    def margin(self, model: str) -> Floats | None:
        """[N, T]: the mean log-odds of ``model``; None where the table has none."""
        return None if self.margins is None else self.margins[self.models.index(model)]

    def recognised(self, model: str) -> Ints:
        """[N, T]: of ``draws`` copies, how many ``model`` gives the sample's own label (u or v)."""
        return recognised(self.counts[self.models.index(model)], self.labels)

    def reference_recognised(self) -> Ints:
        """[K, N, T]: the same for every reference; K may be 0."""
        each = [self.recognised(name) for name in self.references]
        return np.stack(each) if each else np.zeros((0, *self.counts.shape[1:3]), self.counts.dtype)


def recognised(counts: Ints, labels: Ints) -> Ints:
    """Counts [N, T, C] → copies that keep their sample's label, [N, T]."""
    return np.take_along_axis(counts, labels[:, None, None], axis=2)[..., 0]


def residual_knowledge(u: Ints, v: Floats | Ints) -> Floats:
    """r̂ = u / v per sample and radius (Eq. 4); NaN where v = 0, whatever u is.

    >>> residual_knowledge(np.array([8, 3, 0]), np.array([4, 0, 0]))
    array([ 2., nan, nan])
    """
    u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
    return np.divide(u, v, out=np.full(u.shape, np.nan), where=v > 0)


def telling_radius(v: Verdicts, model: str, place: int) -> float:
    """The radius at which a model and the mean of the re-trained ones differ most on the sample in row ``place``.

    Not 0 where there is another, since copies are alike there; where nothing is re-trained, the one at which the model
    recognises most.
    """
    apart, each = v.recognised(model)[place].astype(float), v.reference_recognised()[:, place]
    if len(each):
        apart = np.abs(apart - each.mean(0))
    apart[(v.taus == 0) & (len(v.taus) > 1)] = -1
    return float(v.taus[int(np.argmax(apart))])


def mean_ratio(u: Ints, v: Floats | Ints) -> tuple[Floats, Ints]:
    """The paper's figure: r̂ averaged over the samples (axis 0) where it is defined, and how many were not.

    The mean is NaN where no sample has a ratio.
    """
    r = residual_knowledge(u, v)
    undefined = np.isnan(r).sum(0)
    defined = r.shape[0] - undefined
    total = np.nansum(r, axis=0)
    return np.divide(total, defined, out=np.full(total.shape, np.nan), where=defined > 0), undefined


def ratio_of_means(u: Ints, v: Floats | Ints) -> Floats:
    """Σᵢ uᵢ / Σᵢ vᵢ over the samples (axis 0): defined as soon as any reference recognises any copy."""
    return residual_knowledge(np.asarray(u).sum(0), np.asarray(v).sum(0))


def prevalence(u: Ints, v: Floats | Ints) -> Floats:
    """Share of samples (axis 0) with r̂ > 1 (Table C.6), counted as u > v.

    So a sample whose references recognise nothing counts when the model recognises anything (r̂ = ∞) and does
    not when neither does (0/0).
    """
    return (np.asarray(u) > np.asarray(v)).mean(0)


def mean_prevalence(u: Ints, v: Ints) -> Floats:
    """The mean over references of the prevalence against each: u [N, T], v [K, N, T] → [T].

    Against the *mean* of K references an honest re-training's grows with K, since a mean lies between: copies that it
    alone recognises lie above. Against each alone it does not, and one reference is the paper's.
    """
    return np.mean([prevalence(u, each) for each in v], axis=0)


def disagreement(agreement: Ints, draws: int) -> Floats:
    """k_τ = Pr[m(x') ≠ a(x')], per radius: agreement [K, N, T] → [T], mean over references and samples."""
    return 1 - agreement.mean((0, 1)) / draws


def unlearn_accuracy(u: Ints, draws: int) -> Floats:
    """1 − accuracy on the perturbed forget set (Table C.8): u [N, T] → [T]."""
    return 1 - np.asarray(u).mean(0) / draws


def log_ratio_posterior(
    u: Ints, draws_u: int, v: Ints, draws_v: int, *, level: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """log(p_m / p_a) of one sample given u of ``draws_u`` and v of ``draws_v``: posterior mean, low, high.

    Both shares get Jeffreys' prior Beta(½, ½), so it is defined for every count, zero included. The draws are
    taken as independent; the models judge the same copies, which makes the interval wide rather than narrow
    when they tend to agree. It holds the uncertainty of the draws alone: how far two re-trainings differ is
    another matter, shown by the band of the references.

    Args:
        u, v: counts of any (broadcastable) shape.

    Returns:
        Three float64 arrays of that shape; ``exp`` of them is on the scale of r̂.
    """
    u, v = np.broadcast_arrays(np.asarray(u), np.asarray(v))
    pairs, where = np.unique(np.stack([u.ravel(), v.ravel()]), axis=1, return_inverse=True)
    a, b = pairs[0] + 0.5, draws_u - pairs[0] + 0.5
    c, d = pairs[1] + 0.5, draws_v - pairs[1] + 0.5
    mean = digamma(a) - digamma(a + b) - digamma(c) + digamma(c + d)
    # P(log A − log B ≤ t) = E_B[F_A(B·eᵗ)], the expectation over equally likely quantiles of B
    quantiles = (np.arange(64) + 0.5) / 64
    log_b = np.log(np.maximum(betaincinv(c[:, None], d[:, None], quantiles), 1e-300))

    def solve(probability: float) -> Floats:
        low, high = np.full(a.shape, -40.0), np.full(a.shape, 40.0)
        for _ in range(40):
            t = (low + high) / 2
            scaled = np.exp(np.minimum(log_b + t[:, None], 0))
            below = betainc(a[:, None], b[:, None], scaled).mean(1) < probability
            low, high = np.where(below, t, low), np.where(below, high, t)
        return (low + high) / 2

    tail = (1 - level) / 2
    shape = u.shape
    return (
        mean[where].reshape(shape),
        solve(tail)[where].reshape(shape),
        solve(1 - tail)[where].reshape(shape),
    )


def among_references(v: Ints) -> dict[str, Floats]:
    """The figures that compare, of every reference held against the others as a model is against all: [K, T] each.

    v [K, N, T] → ``ratio_of_means`` and ``r_mean`` against the mean of the others, ``prevalence`` the mean over the
    others of that against each. NaN with a single reference, which has nothing to be compared with.
    """
    k = v.shape[0]
    if k < 2:
        empty = np.full((k, v.shape[2]), np.nan)
        return {"ratio_of_means": empty, "r_mean": empty, "prevalence": empty}
    others = (v.sum(0) - v) / (k - 1)
    return {
        "ratio_of_means": np.stack([ratio_of_means(v[i], others[i]) for i in range(k)]),
        "r_mean": np.stack([mean_ratio(v[i], others[i])[0] for i in range(k)]),
        "prevalence": np.stack([mean_prevalence(v[i], np.delete(v, i, 0)) for i in range(k)]),
    }


def reference_band(v: Ints) -> tuple[Floats, Floats]:
    """How far honest re-trainings differ: each reference's ratio of means against the mean of the others.

    v [K, N, T] → lowest and highest [T]; NaN with a single reference, which has nothing to be compared with.
    """
    if len(v) < 2:
        empty = np.full(v.shape[2], np.nan)
        return empty, empty
    ratios = among_references(v)["ratio_of_means"]
    return ratios.min(0), ratios.max(0)


def summarise(verdicts: Verdicts, model: str) -> list[dict]:
    """One dictionary a radius, for tables and JSON; undefined numbers are None.

    ``numerator`` and ``denominator`` are copies recognised over the whole forget set, of ``trials`` each; with
    K references the denominator is their mean, and ``prevalence`` is the mean of that against each. ``per_reference``
    holds the paper's figures against each alone, ``among_references`` what :func:`among_references` gives, by figure.

    ``r_mean``, the paper's, is biased: samples that no reference recognises are left out, and where a reference
    recognises few copies by chance the ratio is large. An honest re-training's is not 1, so it is to be read against
    its own band (``among_references``), never against 1.

    Without references (an audit may have none) everything that compares is None.
    """
    u = verdicts.recognised(model)
    references = verdicts.reference_recognised()
    agreement = verdicts.agreement[verdicts.models.index(model)]
    average = references.mean(0) if len(references) else np.full(u.shape, np.nan)
    pooled = _figures(u, average, agreement, verdicts.draws)
    if len(references):
        pooled["prevalence"] = mean_prevalence(u, references)
    apart = among_references(references)
    alone = [_figures(u, reference, agreement[k : k + 1], verdicts.draws) for k, reference in enumerate(references)]
    band = reference_band(references)
    rows = []
    for t, tau in enumerate(verdicts.taus):
        row: dict[str, Any] = {"tau": float(tau), **{name: _plain(values[t]) for name, values in pooled.items()}}
        row["reference_band"] = [_plain(edge[t]) for edge in band]
        row["among_references"] = {name: [_plain(each[t]) for each in values] for name, values in apart.items()}
        row["per_reference"] = [
            {"reference": name} | {key: _plain(values[t]) for key, values in figures.items()}
            for name, figures in zip(verdicts.references, alone, strict=True)
        ]
        rows.append(row)
    return rows


def _figures(u: Ints, v: Floats | Ints, agreement: Ints, draws: int) -> dict[str, Floats | Ints]:
    """All figures of one row; NaN where they need a reference and there is none (``v`` NaN, ``agreement`` empty)."""
    mean, undefined = mean_ratio(u, v)
    nothing = np.full(u.shape[1], np.nan)
    return {
        "numerator": u.sum(0),
        "denominator": v.sum(0),
        "trials": np.full(u.shape[1], u.shape[0] * draws),
        "r_mean": mean,
        "r_undefined": undefined,
        "ratio_of_means": ratio_of_means(u, v),
        "prevalence": prevalence(u, v) if len(agreement) else nothing,
        "disagreement": disagreement(agreement, draws) if len(agreement) else nothing,
        "unlearn_accuracy": unlearn_accuracy(u, draws),
    }


def _plain(value: Any) -> int | float | None:
    """A JSON number; None for NaN; whole numbers without a fraction."""
    number = value.item()
    if number != number:
        return None
    return int(number) if isinstance(number, float) and number.is_integer() and abs(number) > 1 else number
