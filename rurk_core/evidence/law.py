"""The one law of evidence: what a model holds of every sample, and of the set, against what re-trainings do.

The model, in one paragraph. Of every sample, each model has a mean log-odds of the sample's label over its perturbed
copies. "The unlearned model is one more re-training" is the null; its law is fitted to K re-trainings with variances
moderated over samples (and over held-out samples of the classes, which no model has seen), and its tails are raised to
what happens when each re-training is handed in against the others (:mod:`rurk_core.evidence.null`). That gives one
prediction interval for one more re-training, and p-values on both sides, listed by Benjamini and Hochberg. What the
Original does under the same law says what there is to see; what the model does on held-out samples of the class is
taken off to tell memory of this sample from knowledge of the class (:mod:`rurk_core.evidence.specific`). Of copies
built on a model hand in what every model does on copies built on itself
(:func:`rurk_core.measure.verdicts.count_on_themselves`), so that the unlearned model goes through the same experiment
as its references.

Measured with ``python -m benchmarks evidence_bars``. A null that holds on the average over samples may fail for a kind
of samples; correlated samples make lists longer or shorter together, which the false-discovery rate allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, ndtri
from scipy.stats import false_discovery_control

from ..errors import UsageError
from .null import (
    BOUND,
    NEEDED,
    Calibrated,
    Null,
    Shift,
    calibrated,
    compressed,
    expanded,
    fit_null,
    held_against_each_other,
    whole_model_shift,
)
from .settles import LEVEL, POWER, more_draws, more_references
from .specific import FEW_PEERS, Specific, in_out_ratio, judge_specific
from .whole import Whole, judge_whole

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]

FINDINGS = ("residual", "over_forgotten", "clear", "nothing_to_see", "cannot_tell")
"""What is said of a sample, by code."""
RATE = 0.05
"""False-discovery rate of the lists."""
TOO_FEW_PEERS = (
    "There are too few held-out samples of these classes to tell memory of a sample apart: it takes "
    f"{FEW_PEERS} of a class."
)
LEAST_NULL = 30
"""Statistics of references (K × samples) that tails are read from, at least."""


@dataclass(frozen=True)
class Judged:
    """What can be said of a model; arrays are float64 [N] unless said, NaN where something is missing.

    Attributes:
        references: K; originals: A, models that saw the samples; rate: false-discovery rate of the lists.
        own: mean log-odds of the model; expected: of a re-training; low, high: between these lies one more
            re-training with 95% probability; all within ±12.
        deviate: standard normal deviate of ``own`` under the law.
        p_residual, p_forgotten: one-sided p-values; q_residual, q_forgotten: adjusted (Benjamini–Hochberg).
        finding: int64, index into :data:`FINDINGS`.
        ratio: log likelihood ratio, of models that saw the samples over re-trainings, where two of the former at least
            are given: the sharpest order of samples; it calls nothing. None otherwise.
        told_apart: bool, whether the Original is listed on this sample; all False without an Original.
        detectable: smallest excess in log-odds over ``expected`` that would be *listed* in 4 of 5 cases, with the
            others that are listed here; infinite where none within the bound.
        settles: int64, smallest K at which both a re-training would be clear and the Original listed in 4 of 5
            cases; 0 where none up to :data:`~rurk_core.evidence.settles.MOST_REFERENCES`, or without an Original.
        settles_draws: int64, the same of copies at each radius with the references there are; 0 also where it is not
            known what copies do; drawn: their share of the variance between re-trainings, NaN where it is not known.
        specific: the sample-specific part; None without held-out samples.
        shift: whether re-trainings are better or worse as a whole; None with fewer than three.
        whole: the set; None with fewer than two references.
        missing: sentences on what is not here and why.
    """

    references: int
    originals: int
    rate: float
    own: Floats
    expected: Floats
    low: Floats
    high: Floats
    deviate: Floats
    p_residual: Floats
    p_forgotten: Floats
    q_residual: Floats
    q_forgotten: Floats
    finding: Ints
    ratio: Floats | None
    told_apart: NDArray[np.bool_]
    detectable: Floats
    settles: Ints
    settles_draws: Ints
    drawn: float
    specific: Specific | None
    shift: Shift | None
    whole: Whole | None
    missing: tuple[str, ...]

    def findings(self) -> list[str]:
        """The finding of every sample, words of :data:`FINDINGS`."""
        return [FINDINGS[code] for code in self.finding]

    def counts(self) -> dict[str, int]:
        """How many samples have which finding."""
        return {name: int((self.finding == code).sum()) for code, name in enumerate(FINDINGS)}


def log_odds_of_counts(recognised: Ints, draws: int) -> Floats:
    """Smoothed log-odds log((u + ½) / (c − u + ½)), for tables that kept no margins; any shape.

    >>> log_odds_of_counts(np.array([0, 5, 10]), 10).round(2)
    array([-3.04,  0.  ,  3.04])
    """
    return logit((np.asarray(recognised, float) + 0.5) / (draws + 1))


@dataclass(frozen=True)
class Peers:
    """Mean log-odds on held-out samples of the same classes, under the same attack.

    Attributes:
        own: [H] of the model; references: [K, H]; originals: [A, H] of those handed in with the forget set, or None.
        labels: int64 [H]; zeros if left out.
    """

    own: Floats
    references: Floats
    originals: Floats | None = None
    labels: Ints | None = None


def judge(
    own: Floats,
    references: Floats,
    *,
    originals: Floats | None = None,
    peers: Peers | None = None,
    labels: Ints | None = None,
    draws: int = 0,
    drawn: float = np.nan,
    rate: float = RATE,
) -> Judged:
    """The finding on every sample and on the set. Pure: arrays of mean log-odds in, arrays out.

    Args:
        own: [N], mean over draws and radii above 0 of the model's log-odds; references: [K, N], of re-trainings.
        originals: [A, N] or [N], of models that saw the samples: the Original first, then siblings (other Originals
            or their unlearned copies); not the model itself.
        peers: the same models on held-out samples, about 200 of each class.
        labels: int64 [N], classes; zeros if left out.
        draws: copies behind a mean, at each radius; drawn: their share of the variance between re-trainings
            (:func:`~rurk_core.evidence.settles.share_of_draws`), for what would settle a sample.
        rate: false-discovery rate of the lists, in (0, 1).

    Raises:
        UsageError: shapes that do not fit, numbers that are not finite, no references, or a rate out of range.

    >>> rng = np.random.default_rng(0)
    >>> found = judge(np.r_[9.0, rng.normal(size=39)], rng.normal(size=(8, 40)), originals=np.full(40, 9.0))
    >>> found.findings()[0], found.counts()["residual"]
    ('residual', 1)
    """
    own, references = np.asarray(own, float), np.asarray(references, float)
    seen = None if originals is None else np.atleast_2d(np.asarray(originals, float))
    labels = np.zeros(len(own), np.int64) if labels is None else np.asarray(labels)
    _check(own, references, seen, peers, labels, rate)
    missing = _missing(len(references), seen, peers)
    if len(references) < 2:
        return _nothing(own, references, rate, tuple(missing))
    return _judged(own, references, seen, peers, labels, draws, drawn, rate, missing)


def _missing(k: int, seen: Floats | None, peers: Peers | None) -> list[str]:
    """What cannot be said for want of models or samples."""
    found = []
    if k < NEEDED:
        there = "is 1" if k == 1 else f"are {k}"
        found.append(
            f"Findings need at least {NEEDED} re-trained models, to hold each against the others; there {there}."
        )
    if seen is None:
        found.append("Without the Original it cannot be said where there is nothing to see, nor what is clear.")
    if peers is None:
        found.append("Without held-out samples of the class, memory of a sample cannot be told from its class.")
    return found


def _judged(
    own: Floats,
    references: Floats,
    seen: Floats | None,
    peers: Peers | None,
    labels: Ints,
    draws: int,
    drawn: float,
    rate: float,
    missing: list[str],
) -> Judged:
    """:func:`judge` of at least two references, once all is checked."""
    k, n = references.shape
    everything = compressed(np.concatenate([references, peers.references], 1) if peers else references)
    null = fit_null(everything)
    here = replace(null, centre=null.centre[:n], spread=null.spread[:n])
    z = null.statistic(compressed(np.concatenate([own, peers.own]) if peers else own))
    inside = None
    if seen is not None and peers is not None and peers.originals is not None:
        inside = compressed(np.concatenate([seen, peers.originals], 1))
    loo, loo_inside = held_against_each_other(everything, inside) if k >= NEEDED else (z[None, :0], None)
    law = _law(loo)
    z_seen = None if seen is None else here.statistic(compressed(seen))
    typical = None if z_seen is None else z_seen.mean(0)
    told = np.zeros(n, bool) if typical is None else false_discovery_control(law.p_above(typical)) <= rate
    p_residual, p_forgotten = law.p_above(z[:n]), law.p_below(z[:n])
    q_residual, q_forgotten = false_discovery_control(p_residual), false_discovery_control(p_forgotten)
    low, high = (here.values(law.edge((1 - LEVEL) / 2, above=above)) for above in (False, True))
    specific = None
    if peers is not None and k >= NEEDED:
        beside = (None if inside is None else null.statistic(inside), loo_inside)
        specific = _specific(z, loo, beside, labels, peers, null.centre, q_residual <= rate, rate)
        missing += [TOO_FEW_PEERS] if specific is None else []
    cut = rate * min(int((q_residual <= rate).sum()) + 1, n) / n  # with this one listed too
    finding = np.full(n, FINDINGS.index("cannot_tell"))
    if k >= NEEDED:
        finding = _called(here, law, z[:n], high, typical, told, q_residual, q_forgotten, rate)
    return Judged(
        references=k,
        originals=0 if seen is None else len(seen),
        rate=rate,
        own=own,
        expected=expanded(here.centre),
        low=expanded(low),
        high=expanded(high),
        deviate=z[:n],
        p_residual=p_residual,
        p_forgotten=p_forgotten,
        q_residual=q_residual,
        q_forgotten=q_forgotten,
        finding=finding,
        ratio=None if z_seen is None or len(z_seen) < 2 else in_out_ratio(z[:n], z_seen),
        told_apart=told,
        detectable=_detectable(here, law, cut),
        **_settled(here, k, law, typical, cut, draws, drawn),
        specific=specific,
        shift=whole_model_shift(compressed(references), here) if k >= NEEDED else None,
        whole=judge_whole(own, references, seen, here),
        missing=tuple(missing),
    )


def _specific(
    z: Floats,
    loo: Floats,
    inside: tuple[Floats | None, Floats | None],
    labels: Ints,
    peers: Peers,
    centre: Floats,
    asked: NDArray[np.bool_],
    rate: float,
) -> Specific | None:
    """:func:`judge_specific` of samples and held-out peers in one row; ``asked`` [N] of the samples alone."""
    held = np.arange(len(z)) >= len(labels)
    return judge_specific(
        z,
        loo,
        np.concatenate([labels, _labels(peers)]),
        held,
        centre,
        inside=inside[0],
        loo_inside=inside[1],
        asked=np.r_[asked, np.zeros(len(peers.own), bool)],
        rate=rate,
    )


def _called(
    null: Null,
    law: Calibrated,
    z: Floats,
    high: Floats,
    typical: Floats | None,
    told: NDArray[np.bool_],
    q_residual: Floats,
    q_forgotten: Floats,
    rate: float,
) -> Ints:
    """Findings [N] from the lists, and from what the Original does (``typical``, its deviates)."""
    found = np.full(len(z), FINDINGS.index("cannot_tell"))
    if typical is not None:
        found[law.p_above(typical) > rate] = FINDINGS.index("nothing_to_see")
        half = (null.values(typical) - null.centre) / 2
        most = null.values(z) - null.centre + high - null.centre
        found[told & (most < half)] = FINDINGS.index("clear")
    found[q_forgotten <= rate] = FINDINGS.index("over_forgotten")
    found[q_residual <= rate] = FINDINGS.index("residual")
    return found


def _settled(
    null: Null, k: int, law: Calibrated, typical: Floats | None, cut: float, draws: int, drawn: float
) -> dict[str, Any]:
    """What would settle samples; of nothing that saw them it cannot be said."""
    if typical is None:
        no = np.zeros(len(null.centre), np.int64)
        return {"settles": no, "settles_draws": no, "drawn": drawn}
    return {
        "settles": more_references(null, k, law, typical, cut),
        "settles_draws": more_draws(null, k, law, typical, cut, draws, drawn),
        "drawn": drawn,
    }


def _labels(peers: Peers) -> Ints:
    return np.zeros(len(peers.own), np.int64) if peers.labels is None else np.asarray(peers.labels)


def _law(loo: Floats) -> Calibrated:
    """Tails of the references' statistics; the law's own alone where there are too few to read any."""
    if loo.size >= LEAST_NULL:
        return calibrated(loo)
    return calibrated(ndtri((np.arange(400) + 0.5) / 400))


def _detectable(null: Null, law: Calibrated, cut: float) -> Floats:
    """Log-odds over the centre at which a model is listed in 4 of 5 cases: the edge, and its own deviation."""
    needed = null.values(law.edge(cut)) + null.values(ndtri(POWER)) - null.centre
    found = expanded(needed) - expanded(null.centre)
    return np.where(needed > compressed(np.array(BOUND)), np.inf, found)


def _nothing(own: Floats, references: Floats, rate: float, missing: tuple[str, ...]) -> Judged:
    """With one reference: what was measured, and no statistics."""
    nan, one = np.full(len(own), np.nan), np.ones(len(own))
    no = np.zeros(len(own), np.int64)
    cannot = np.full(len(own), FINDINGS.index("cannot_tell"))
    return Judged(
        references=len(references),
        originals=0,
        rate=rate,
        own=own,
        expected=np.clip(references.mean(0), -BOUND, BOUND),
        low=nan,
        high=nan,
        deviate=nan,
        p_residual=one,
        p_forgotten=one,
        q_residual=one,
        q_forgotten=one,
        finding=cannot,
        ratio=None,
        told_apart=no.astype(bool),
        detectable=np.full(len(own), np.inf),
        settles=no,
        settles_draws=no,
        drawn=np.nan,
        specific=None,
        shift=None,
        whole=None,
        missing=missing,
    )


def check_rate(rate: float) -> None:
    """UsageError where it is no false-discovery rate."""
    if not 0 < rate < 1:
        raise UsageError("The false-discovery rate must lie between 0 and 1.")


def _check(
    own: Floats, references: Floats, seen: Floats | None, peers: Peers | None, labels: Ints, rate: float
) -> None:
    n = len(own)
    if own.ndim != 1 or not n or references.ndim != 2 or not len(references) or references.shape[1] != n:
        raise UsageError("Log-odds must be [N] of the model and [K, N] of at least one reference.")
    if labels.shape != (n,) or (seen is not None and seen.shape[1] != n):
        raise UsageError("Labels must be [N], and the Original's log-odds [A, N].")
    check_rate(rate)
    arrays: list[Any] = [own, references] + ([] if seen is None else [seen])
    if peers is not None:
        if peers.own.ndim != 1 or peers.references.shape != (len(references), len(peers.own)):
            raise UsageError("Held-out log-odds must be [H] of the model and [K, H] of the same references.")
        if peers.originals is not None and (seen is None or peers.originals.shape != (len(seen), len(peers.own))):
            raise UsageError("Held-out log-odds of the Original and its siblings must be [A, H].")
        arrays += [peers.own, peers.references] + ([] if peers.originals is None else [peers.originals])
    if not all(np.isfinite(array).all() for array in arrays):
        raise UsageError("Log-odds must be finite numbers.")
