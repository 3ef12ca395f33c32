"""Is it memory of *this* sample? What a model gains on a sample beyond what it gains on held-out ones of its class.

A model may recognise forget samples more than re-trainings do because it knows the class better (it was trained on
more of it), or less because it is brittle. Both show on held-out samples of the class, which no model has seen. So the
specific part of a sample's statistic is what is left after the median of its held-out peers under the same model is
taken off, in units of their spread where that is larger than re-trainings have it (1.4826 MAD, never below 1).

Chosen by measurement on small CIFAR-5 (``benchmarks evidence_bars``): regressing on difficulty, and taking off the
references' leading factors, find less at 5% false positives. With further models that saw the samples (siblings) it is
the in/out likelihood ratio of specific parts, whose Gaussian laws have moderated variances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, norm
from scipy.stats import t as student

from .null import LEAST_SPREAD, calibrated, fit_tail, variance_law
from .settles import POWER

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]

SPECIFIC = ("shown", "not_shown", "cannot_tell")
"""What is said of the specific part, by code."""
MEMBERS = (2, 4, 8, 16, 32)
"""Models that saw the samples, in all, of which it is asked what so many would show."""
STEPS = 20
FEW_PEERS = 20
"""Held-out samples of a class below which nothing is said of its samples."""


@dataclass(frozen=True)
class Specific:
    """The sample-specific part of every sample, and of the set.

    Attributes:
        deviate: float64 [N], in standard deviations of honest re-trainings; NaN where the class has too few peers.
        p, q: float64 [N], that a re-training, or a held-out sample under this model, has as much; adjusted
            (Benjamini–Hochberg); 1 where there are too few peers.
        said: int64 [N], index into :data:`SPECIFIC`.
        ratio: float64 [N], log likelihood ratio in/out with siblings; None without.
        settles: int64 [N], of samples found residual how many models that saw them, in all, would show memory in 4 of 5
            cases, see :func:`more_members`; None with fewer than two such models.
        set_excess: mean deviate of the forget set beyond that of peers as hard, and beyond what re-trainings have, in
            standard deviations; set_low, set_high: its 95% interval, one more re-training taken off; set_p: one-sided.
        held_out: how many peers.
    """

    deviate: Floats
    p: Floats
    q: Floats
    said: Ints
    ratio: Floats | None
    settles: Ints | None
    set_excess: float
    set_low: float
    set_high: float
    set_p: float
    held_out: int


def specific_parts(deviates: Floats, labels: Ints, held: NDArray[np.bool_]) -> Floats:
    """Statistics [..., N + H] → their specific parts, the same shape; ``held`` [N + H] says which are held-out peers.

    Class by class: minus the peers' median, over 1.4826 times their median absolute deviation where that is above 1.
    NaN in a class with fewer than :data:`FEW_PEERS` peers.
    """
    found = np.full(deviates.shape, np.nan)
    for label in np.unique(labels[~held]):
        mine = labels == label
        peers = deviates[..., mine & held]
        if peers.shape[-1] < FEW_PEERS:
            continue
        centre = np.median(peers, axis=-1, keepdims=True)
        spread = np.maximum(1.4826 * np.median(np.abs(peers - centre), axis=-1, keepdims=True), 1)
        found[..., mine] = (deviates[..., mine] - centre) / spread
    return found


def in_out_ratio(parts: Floats, inside: Floats, spread: float = 1.0) -> Floats:
    """log p(part | in) − log p(part | out): parts [..., N], of siblings inside [A, N], A at least 2.

    In: Gaussian with the siblings' mean and moderated variance, widened by 1 + 1/A for one more of them. Out: mean 0,
    standard deviation ``spread``.
    """
    return _ratio(parts, inside.mean(0), _moderated(inside) * (1 + 1 / len(inside)), spread)


def _ratio(parts: Floats, mean: Floats, variance: Floats, spread: float) -> Floats:
    return norm.logpdf(parts, mean, np.sqrt(variance)) - norm.logpdf(parts, 0, spread)


def _moderated(inside: Floats) -> Floats:
    """Variances [N] between models that saw the samples, [A, N], A at least 2, drawn to what they have in common."""
    own = len(inside) - 1
    variance = np.maximum(inside.var(0, ddof=1), LEAST_SPREAD**2)
    prior, common = variance_law(variance, own)
    return np.full_like(variance, common) if np.isinf(prior) else (prior * common + own * variance) / (prior + own)


def more_members(theirs: Floats, peers: Floats, seen: Floats, asked: NDArray[np.bool_], rate: float) -> Ints:
    """How many models that saw the samples would show memory in 4 of 5 cases, if a model remembers as they do.

    In all; int64 [N]; 0 where none of :data:`MEMBERS`, or it is not asked. What one more such model has of a sample is
    Gaussian about what those there are have, drawn to the mean of the samples asked as far as they agree. The list is
    as long as what is shown makes it.

    Args:
        theirs: specific parts of re-trainings, [K, N]; peers: of held-out samples under the model, [H]; seen: of models
            that saw the samples, [A, N], A at least 2: one does not say how far such models differ; asked: bool [N];
            rate: false-discovery rate of the list.
    """
    found = np.zeros(len(asked), np.int64)
    if not asked.any():
        return found
    within, mean, spread = _moderated(seen), seen.mean(0), float(theirs.std())
    doubt = within / len(seen)
    between = max(float(mean[asked].var() - doubt[asked].mean()), 0.0)
    kept = between / (between + doubt)
    centre = mean[asked].mean() + kept * (mean - mean[asked].mean())
    deviates = norm.ppf((np.arange(STEPS) + 0.5) / STEPS)[:, None]
    for count in reversed([count for count in MEMBERS if count > len(seen)]):
        variance = within * (1 + 1 / count)
        at = _ratio(centre + deviates * np.sqrt(variance + kept * doubt), centre, variance, spread)
        null = (fit_tail(_ratio(each, centre, variance, spread)) for each in (theirs, peers[:, None]))
        p = np.maximum(*(tail.sf(at) for tail in null))
        power = asked.astype(float)
        for _ in deviates:  # a shorter list has a stricter cut, which makes it shorter: until it stays
            power = (p <= rate * max(power.sum(), 1) / len(mean)).mean(0) * asked
        found[power >= POWER] = count
    return found


def judge_specific(
    own: Floats,
    loo: Floats,
    labels: Ints,
    held: NDArray[np.bool_],
    difficulty: Floats,
    *,
    inside: Floats | None = None,
    loo_inside: Floats | None = None,
    asked: NDArray[np.bool_] | None = None,
    rate: float = 0.05,
) -> Specific | None:
    """The specific part from statistics of one law (:mod:`rurk_core.evidence.null`); None where peers are too few.

    Args:
        own: of the model, [N + H], samples and held-out peers, which ``held`` tells apart; labels: their classes;
            difficulty: what re-trainings make of them on average.
        loo: of every reference against the others, [K, N + H].
        inside: of models that saw the samples, [A, N + H]; loo_inside: the same under the laws of ``loo``,
            [K, A, N + H].
        asked: bool [N + H], samples of which it is to be said what more models that saw them would show; all without.
    """
    parts, null = (specific_parts(values, labels, held) for values in (own, loo))
    told = np.isfinite(parts) & ~held
    if not told.any():
        return None
    mine, theirs, ratio, settles = parts[told], null[:, told], None, None
    law, peers = calibrated(theirs), parts[held & np.isfinite(parts)]
    seen = None if inside is None else specific_parts(inside, labels, held)[:, told]
    p, q = np.ones(len(own)), np.ones(len(own))
    if seen is not None and loo_inside is not None and len(seen) >= 2:
        spread = float(theirs.std())
        ratio, settles = np.full(len(own), np.nan), np.zeros(len(own), np.int64)
        settles[told] = more_members(theirs, peers, seen, told[told] if asked is None else asked[told], rate)
        ratio[told] = in_out_ratio(mine, seen, spread)
        every = specific_parts(loo_inside, labels, held)[:, :, told]
        ratios = np.stack([in_out_ratio(one, with_it, spread) for one, with_it in zip(theirs, every, strict=True)])
        # and every sample with the parts of held-out ones under this very model
        swapped = in_out_ratio(peers[:, None], seen, spread)
        p[told] = np.maximum(fit_tail(ratios).sf(ratio[told]), fit_tail(swapped).sf(ratio[told]))
    else:
        p[told] = np.maximum(law.p_above(mine), fit_tail(peers).sf(mine))
    q[told] = false_discovery_control(p[told])
    said = np.full(len(own), SPECIFIC.index("cannot_tell"))
    if seen is not None:
        typical = seen.mean(0)
        apart = false_discovery_control(law.p_above(typical)) <= rate
        less = apart & (mine - law.edge(0.025, above=False) < typical / 2)
        said[np.flatnonzero(told)[less]] = SPECIFIC.index("not_shown")
    said[q <= rate] = SPECIFIC.index("shown")
    return Specific(
        deviate=parts[~held],
        p=p[~held],
        q=q[~held],
        said=said[~held],
        ratio=None if ratio is None else ratio[~held],
        settles=None if settles is None else settles[~held],
        **_set(own, loo, labels, held, difficulty),
        held_out=int(held.sum()),
    )


def _set(own: Floats, loo: Floats, labels: Ints, held: NDArray[np.bool_], difficulty: Floats) -> dict[str, float]:
    """Mean specific part of the set, its 95% interval with one more re-training taken off, one-sided p (Student).

    A model's set is what its samples have beyond the line through its held-out peers over their difficulty, class by
    class: a brittle model loses more on hard samples than on easy ones, and a set may be harder than its class. (Of
    single samples the line finds less than the median does; of sets it accuses brittle models in 0 to 4%, not 14 to
    27%.)
    """
    k, beyond = len(loo), np.full((len(loo) + 1, len(labels)), np.nan)
    models = np.concatenate([own[None], loo])
    for label in np.unique(labels[~held]):
        peers, mine = held & (labels == label), ~held & (labels == label)
        if peers.sum() >= FEW_PEERS:
            line = np.polyfit(difficulty[peers], models[:, peers].T, 1 if np.ptp(difficulty[peers]) > 0 else 0)
            beyond[:, mine] = models[:, mine] - np.stack([np.polyval(each, difficulty[mine]) for each in line.T])
    places = np.nanmean(beyond[:, ~held], axis=1)
    theirs = places[1:]
    excess, spread = float(places[0] - theirs.mean()), max(float(theirs.std(ddof=1)), 1e-9) * np.sqrt(1 + 1 / k)
    reach = student.ppf(0.975, k - 1) * spread
    p = float(student.sf(excess / spread, k - 1))
    return {"set_excess": excess, "set_low": excess - reach, "set_high": excess + reach, "set_p": p}
