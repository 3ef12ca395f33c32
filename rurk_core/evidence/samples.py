"""How strong is the evidence for one sample? Recognition of a model against what re-trainings do: pure functions.

Two honest re-trainings differ, so "the unlearned model recognises 80 of 100 copies" means nothing by itself. The
*null* is "the unlearned model is one more re-training". The model behind it, for one sample at one radius:

    copies recognised by re-training k    v_k ~ Binomial(c, p_k)          the uncertainty of the draws
    its recognition probability           p_k ~ Beta(μφ, (1 − μ)φ)        how far re-trainings differ, for this sample
    that law                              (μ, φ) ~ w over a fixed grid    samples are alike: w is fitted on all of them

``w`` is the non-parametric maximum-likelihood mixing law (Kiefer & Wolfowitz 1956, by EM) with a small pull to the
uniform one; it is what lets eight references say more than "beyond all eight". From the posterior of (μ, φ) given a
sample's K counts follow the predictive law of one more re-training (p-values), and the law of μ (intervals).

What is assumed, and where it is tested:

* *Samples are exchangeable*: their laws are draws from one w. :class:`Check` hands every reference in as if it were
  the unlearned model and reports how often it is accused; where that is more often than stated, every p-value is
  raised by the factor seen (:func:`inflation`). Without that assumption K references could say no more than a rank,
  1 / (K + 1) at best: too little for a list whatever the model does.
* *Beta spread and binomial draws*: :func:`posterior_predictive` compares features of the counts with replicated ones.
* *References are independent over samples*: its last feature. Where it fails p-values move together, and the list of
  Benjamini–Yekutieli, which holds under any dependence, is the one to read.
* All models judge the same copies, which makes differences *more* certain than independent draws would; this is not
  used, so intervals err on the wide side.

Over the radii: the combined column is the mean recognition over the whole τ grid, fixed beforehand, so no radius is
picked after looking. Copies along a ray share their noise over τ, hence it is counted as c draws and not as c·T.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.special import betainc, betaincinv, betaln, gammaln
from scipy.stats import t as student

from ..arrays import Floats, Ints
from ..errors import RurkError, UsageError
from ..measure.residual import Verdicts
from ..store.tensors import load_tensors, save_tensors, tensor_metadata

VERDICTS = ("residual", "over_forgotten", "clear", "cannot_tell")
"""What is said of a sample, by code; the words of :data:`rurk_core.evidence.reviews.VERDICTS`."""

RATE = 0.05
"""False-discovery rate of the lists."""
MARGIN = 0.1
"""Largest difference in recognition, as a share of the copies, that is of no interest; "clear": shown to be less."""
LEVEL = 0.95
POWER = 0.8
MAX_DRAWS = 256
"""Finest resolution of a count: with more draws counts are rounded to it, which only widens intervals."""

_EDGE = (0.001, 0.004, 0.01, 0.02, 0.035)
MEANS = np.array([*_EDGE, *np.linspace(0.06, 0.94, 23), *(1 - edge for edge in reversed(_EDGE))])
PRECISIONS = np.array([0.02, 0.2, 1.0, 4.0, 16.0, 100.0, 1000.0])
PULL = 100.0
"""Samples' worth of weight that pulls the mixing law to the uniform one, so that few samples do not decide it alone.

Chosen by simulation (benchmarks/calibration.py): intervals keep 95% from 20 samples on, and power costs little.
"""
EM_STEPS = 40
_EXCESS = np.linspace(-1, 1, 401)


@dataclass(frozen=True)
class Measured:
    """Evidence in arrays of one shape: [N] for the combined column, [N, T] for the single radii. All float64.

    Shares are of the copies, in [0, 1].

    Attributes:
        recognised: share of copies the model recognises.
        expected: μ, what a re-training recognises on average (posterior mean).
        excess: posterior mean of recognition − μ, and low, high: its 95% interval, from draws and references.
        null_low, null_high: between these lies one more re-training, with 95% probability.
        p_residual: Pr[one more re-training recognises at least as much]; p_forgotten: ... at most as much; both
            raised by :func:`inflation`.
        detectable: smallest excess over μ that would have been called at level 5% with 80% probability; NaN where no
            count could have been: whatever the model did to this sample, K references could not tell.
    """

    recognised: Floats
    expected: Floats
    excess: Floats
    low: Floats
    high: Floats
    null_low: Floats
    null_high: Floats
    p_residual: Floats
    p_forgotten: Floats
    detectable: Floats


@dataclass(frozen=True)
class Check:
    """Every reference handed in as "unlearned", against the others: what the p-values are worth here.

    Attributes:
        p_residual, p_forgotten: float64 [K, N], the predictive p-values of the combined column, not raised.
    """

    p_residual: Floats
    p_forgotten: Floats

    def false_alarms(self, level: float = 0.05) -> tuple[float, float]:
        """Share of (reference, sample) pairs with a p-value of at most ``level``: residual, over-forgotten side."""
        return float((self.p_residual <= level).mean()), float((self.p_forgotten <= level).mean())


@dataclass(frozen=True)
class SampleEvidence:
    """What can be said of every sample of a forget set under one model and attack.

    Attributes:
        model, attack: names; draws: c; references: K; rate, margin: as asked for.
        taus: float64 [T]; samples, labels: int64 [N].
        combined: mean over the τ grid, [N]; by_tau: [N, T].
        q_residual, q_forgotten: float64 [N], Benjamini–Hochberg adjusted p-values of the combined column; a sample is
            listed where q ≤ ``rate``. q_residual_any, q_forgotten_any: the same after Benjamini–Yekutieli, safe under
            any dependence between samples.
        verdict: int64 [N], index into :data:`VERDICTS`.
        check: the references judged as if they were the model.
        overall: the forget set as a whole, see :func:`overall_excess`.
    """

    model: str
    attack: str
    draws: int
    references: int
    rate: float
    margin: float
    taus: Floats
    samples: Ints
    labels: Ints
    combined: Measured
    by_tau: Measured
    q_residual: Floats
    q_forgotten: Floats
    q_residual_any: Floats
    q_forgotten_any: Floats
    verdict: Ints
    check: Check
    overall: dict[str, float | None]

    def verdicts(self) -> list[str]:
        """The verdict of every sample in words of :data:`VERDICTS`."""
        return [VERDICTS[code] for code in self.verdict]

    def counts(self) -> dict[str, int]:
        """How many samples got each verdict."""
        return {name: int((self.verdict == code).sum()) for code, name in enumerate(VERDICTS)}

    def order(self) -> Ints:
        """Positions by evidence for residual knowledge, strongest first; equal p-values by their excess."""
        return np.lexsort((-self.combined.excess, self.combined.p_residual))

    def row(self, position: int) -> dict[str, Any]:
        """One sample in plain numbers (the combined column), None where undefined."""
        measured = {f.name: _number(getattr(self.combined, f.name)[position]) for f in fields(Measured)}
        return {
            "sample": int(self.samples[position]),
            "label": int(self.labels[position]),
            "verdict": VERDICTS[self.verdict[position]],
            **measured,
            "q_residual": _number(self.q_residual[position]),
            "q_forgotten": _number(self.q_forgotten[position]),
            "q_residual_any": _number(self.q_residual_any[position]),
            "q_forgotten_any": _number(self.q_forgotten_any[position]),
        }

    def to_dict(self, *, by_tau: bool = False) -> dict[str, Any]:
        """Plain JSON values; ``by_tau`` adds the single radii, T times as much."""
        listed = {
            "residual": int((self.q_residual <= self.rate).sum()),
            "over_forgotten": int((self.q_forgotten <= self.rate).sum()),
            "residual_any_dependence": int((self.q_residual_any <= self.rate).sum()),
            "over_forgotten_any_dependence": int((self.q_forgotten_any <= self.rate).sum()),
        }
        alarms = self.check.false_alarms()
        found: dict[str, Any] = {
            "model": self.model,
            "attack": self.attack,
            "draws": self.draws,
            "references": self.references,
            "rate": self.rate,
            "margin": self.margin,
            "taus": self.taus.tolist(),
            "verdicts": self.counts(),
            "listed": listed,
            "overall": self.overall,
            "reference_false_alarms": {"level": 0.05, "residual": alarms[0], "over_forgotten": alarms[1]},
            "power": self.power(),
            "samples": [self.row(position) for position in range(len(self.samples))],
        }
        if by_tau:
            found["by_tau"] = {
                f.name: [[_number(value) for value in row] for row in getattr(self.by_tau, f.name)]
                for f in fields(Measured)
            }
        return found

    def power(self) -> dict[str, float | None]:
        """What could have been seen: the median smallest detectable excess, and the share of samples without one."""
        detectable = self.combined.detectable
        seen = detectable[np.isfinite(detectable)]
        return {
            "power": POWER,
            "median_detectable_excess": float(np.median(seen)) if len(seen) else None,
            "undetectable": float(np.isnan(detectable).mean()),
        }


def sample_evidence(
    verdicts: Verdicts,
    model: str,
    *,
    without: str = "",
    together: bool = False,
    rate: float = RATE,
    margin: float = MARGIN,
) -> SampleEvidence:
    """Evidence for every sample of a verdict table under one of its models.

    A reference may be handed in as the model; it is then left out of the null (a null experiment).

    Args:
        without: a further reference to leave out of the null.
        together: look at the mean over the radii alone, not at each of them too: a fifth of the time.
        rate: false-discovery rate of the lists, in (0, 1); margin: see :data:`MARGIN`, in (0, 1).

    Raises:
        UsageError: no such model, or fewer than two references are left: one does not say how far they differ.
    """
    if model not in verdicts.models:
        raise UsageError(f"There is no model '{model}' among {', '.join(verdicts.models)}.")
    references = [name for name in verdicts.references if name not in (model, without)]
    if len(references) < 2:
        raise UsageError(
            f"Evidence needs at least two re-trained models to see how far they differ; there are {len(references)}. "
            "Run with more references."
        )
    counts = {name: verdicts.recognised(name) for name in (model, *references)}
    if together:
        counts = {name: count.mean(1, keepdims=True) for name, count in counts.items()}
    return evidence_of_counts(
        counts[model],
        np.stack([counts[name] for name in references]),
        verdicts.draws,
        taus=verdicts.taus.mean(keepdims=True) if together else verdicts.taus,
        samples=verdicts.samples,
        labels=verdicts.labels,
        model=model,
        attack=verdicts.attack,
        rate=rate,
        margin=margin,
    )


def evidence_of_counts(
    u: Ints,
    v: Ints,
    draws: int,
    *,
    taus: Floats | None = None,
    samples: Ints | None = None,
    labels: Ints | None = None,
    model: str = "unlearned",
    attack: str = "",
    rate: float = RATE,
    margin: float = MARGIN,
) -> SampleEvidence:
    """The same from bare counts: u [N, T] of the model and v [K, N, T] of the references, of ``draws`` each.

    >>> v = np.repeat([[[0], [50]], [[2], [48]], [[1], [55]]], 20, axis=1)  # 20 unknown and 20 half-known samples
    >>> u = np.repeat([[0], [50]], 20, axis=0)
    >>> u[0] = 100
    >>> evidence_of_counts(u, v, 100).counts()["residual"]
    1
    """
    u, v = np.asarray(u), np.asarray(v)
    n, radii = u.shape
    if v.ndim != 3 or v.shape[1:] != u.shape or len(v) < 2:
        raise UsageError("Counts must be [N, T] of the model and [K, N, T] of at least two references.")
    if not (0 < rate < 1 and 0 < margin < 1):
        raise UsageError("The false-discovery rate and the margin must lie between 0 and 1.")
    c = min(draws, MAX_DRAWS)
    scale = c / draws
    columns = [_measure(_round(u[:, t] * scale), _round(v[:, :, t] * scale), c) for t in range(radii)]
    measured, check = _measure(_round(u.mean(1) * scale), _round(v.mean(2) * scale), c)
    q_residual, q_forgotten = adjusted(measured.p_residual), adjusted(measured.p_forgotten)
    return SampleEvidence(
        model=model,
        attack=attack,
        draws=draws,
        references=len(v),
        rate=rate,
        margin=margin,
        taus=np.arange(radii, dtype=float) if taus is None else np.asarray(taus, float),
        samples=np.arange(n) if samples is None else np.asarray(samples, np.int64),
        labels=np.zeros(n, np.int64) if labels is None else np.asarray(labels, np.int64),
        combined=measured,
        by_tau=Measured(**{f.name: np.stack([getattr(m, f.name) for m, _ in columns], 1) for f in fields(Measured)}),
        q_residual=q_residual,
        q_forgotten=q_forgotten,
        q_residual_any=adjusted(measured.p_residual, any_dependence=True),
        q_forgotten_any=adjusted(measured.p_forgotten, any_dependence=True),
        verdict=decide(measured, q_residual, q_forgotten, rate=rate, margin=margin),
        check=check,
        overall=overall_excess(u.mean() / draws, v.mean((1, 2)) / draws),
    )


def decide(
    measured: Measured, q_residual: Floats, q_forgotten: Floats, *, rate: float = RATE, margin: float = MARGIN
) -> Ints:
    """Verdict codes [N]: listed on a side; else clear where the interval of the excess lies within ±margin.

    "Clear" has to be shown: a sample whose interval reaches beyond the margin is one about which the references do
    not decide ("cannot tell"), however unremarkable its p-value.
    """
    shown = (measured.low >= -margin) & (measured.high <= margin)
    code = np.where(shown, VERDICTS.index("clear"), VERDICTS.index("cannot_tell"))
    code = np.where(q_forgotten <= rate, VERDICTS.index("over_forgotten"), code)
    return np.where(q_residual <= rate, VERDICTS.index("residual"), code)


def adjusted(p: Floats, *, any_dependence: bool = False) -> Floats:
    """Adjusted p-values [N]: those at most q make a list with false-discovery rate at most q.

    Benjamini & Hochberg (1995) by default: right for independent and positively dependent p-values;
    ``any_dependence``: Benjamini & Yekutieli (2001), larger by the factor 1 + 1/2 + ... + 1/N.

    >>> adjusted(np.array([0.01, 0.04, 0.03, 0.5]))
    array([0.04      , 0.05333333, 0.05333333, 0.5       ])
    """
    n = len(p)
    if not n:
        return np.zeros(0)
    order = np.argsort(p)
    factor = (1 / np.arange(1, n + 1)).sum() if any_dependence else 1.0
    raised = p[order] * n * factor / np.arange(1, n + 1)
    found = np.empty(n)
    found[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1)
    return found


def overall_excess(model: float, references: Floats, *, level: float = LEVEL) -> dict[str, float | None]:
    """The forget set as a whole: mean recognition of the model against that of K references [K].

    Student's t for one more draw from the references' law, K − 1 degrees of freedom: the references alone are the
    sample, for samples judged by one model move together. Returns excess, low, high, p (two-sided).
    """
    k = len(references)
    excess, spread = model - references.mean(), references.std(ddof=1) * np.sqrt(1 + 1 / k)
    reach = student.ppf((1 + level) / 2, k - 1) * spread
    p = 2 * student.sf(abs(excess) / spread, k - 1) if spread > 0 else None
    return {
        "excess": float(excess),
        "low": float(excess - reach),
        "high": float(excess + reach),
        "p": None if p is None else float(p),
    }


def posterior_predictive(v: Ints, draws: int, *, rounds: int = 100, seed: int = 0) -> dict[str, dict[str, float]]:
    """Do counts made anew by the fitted model look like the references' own? One column, v [K, N].

    Returns:
        Feature → ``{"seen", "low", "high", "p"}``: its value, the middle 95% of replicated ones, and the two-sided
        posterior-predictive p-value; near 0, the model does not hold in that respect.

        * ``variance``: mean over samples of the variance between references, in shares²: is the spread right?
        * ``unanimous``: share of samples on which all references have the same count: are the extremes right?
        * ``largest``: largest range between references of one sample, as a share: are the tails right?
        * ``between``: variance over references of their mean over samples: are references independent over samples?
    """
    c = min(draws, MAX_DRAWS)
    v = _round(np.asarray(v) * (c / draws))
    k, n = v.shape
    posterior = _posterior(_loglik(v, c), None)
    rng = np.random.default_rng(seed)
    a, b = _shapes()
    seen = _features(v / c)
    replicated: dict[str, list[float]] = {name: [] for name in seen}
    cumulative = posterior.cumsum(1)
    for _ in range(rounds):
        cell = (cumulative < rng.random((n, 1)) * cumulative[:, -1:]).sum(1)
        p = rng.beta(a[cell], b[cell], (k, n))
        for name, value in _features(rng.binomial(c, p) / c).items():
            replicated[name].append(value)
    found = {}
    for name, value in seen.items():
        values = np.array(replicated[name])
        above, below = (values >= value).mean(), (values <= value).mean()
        low, high = np.quantile(values, [0.025, 0.975])
        found[name] = {
            "seen": value,
            "low": float(low),
            "high": float(high),
            "p": float(min(1.0, 2 * min(above, below))),
        }
    return found


def evidence_to_bytes(evidence: SampleEvidence) -> bytes:
    """A safetensors file."""
    arrays: dict[str, Any] = {}
    about: dict[str, Any] = {}
    for field in fields(SampleEvidence):
        value = getattr(evidence, field.name)
        if isinstance(value, Measured | Check):
            arrays |= {f"{field.name}.{f.name}": getattr(value, f.name) for f in fields(value)}
        elif isinstance(value, np.ndarray):
            arrays[field.name] = value
        else:
            about[field.name] = value
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    return save_tensors(tensors, {"evidence": json.dumps(about)})


def evidence_from_bytes(data: bytes) -> SampleEvidence:
    """Read :func:`evidence_to_bytes` back.

    Raises:
        RurkError: the file is damaged or holds something else.
    """
    arrays = {name: tensor.numpy() for name, tensor in load_tensors(data).items()}
    try:
        about = json.loads(tensor_metadata(data)["evidence"])
        values: dict[str, Any] = about
        for name, kind in (("combined", Measured), ("by_tau", Measured), ("check", Check)):
            values[name] = kind(**{f.name: arrays.pop(f"{name}.{f.name}") for f in fields(kind)})
        return SampleEvidence(**values | arrays)
    except (KeyError, TypeError, ValueError):
        raise RurkError("The evidence file is damaged or of another kind; delete it and ask again.") from None


def _measure(u: Ints, v: Ints, c: int) -> tuple[Measured, Check]:
    """u [N] and v [K, N], counts of c."""
    n = np.arange(len(u))
    loglik = _loglik(v, c)
    log_weights = _mixing_law(loglik.sum(0))
    posterior = _posterior(loglik, log_weights)
    pmf, at_least = _tables(c)
    upper = np.minimum(posterior @ at_least, 1)  # [N, c + 1]: Pr[one more re-training has at least x]
    lower = np.minimum(1 - upper + posterior @ pmf, 1)
    # references in place of the model, each against the others
    total = loglik.sum(0)
    held = [_normalised(total - one + log_weights) for one in loglik]
    loo_upper = np.stack([_expected(p, at_least, count) for p, count in zip(held, v, strict=True)])
    loo_lower = 1 - loo_upper + np.stack([_expected(p, pmf, count) for p, count in zip(held, v, strict=True)])
    # μ alone, its law on the grid
    mean_law = posterior.reshape(len(u), len(MEANS), len(PRECISIONS)).sum(2)
    expected = mean_law @ MEANS
    low, high = _excess_interval(u, mean_law, c)
    tail = (1 - LEVEL) / 2
    raised_residual, raised_forgotten = inflation(loo_upper), inflation(loo_lower)
    called = upper * raised_residual <= 0.05
    critical = called.argmax(1)
    needed = betaincinv(np.maximum(critical, 1), c - critical + 1.0, POWER)
    measured = Measured(
        recognised=u / c,
        expected=expected,
        excess=(u + 0.5) / (c + 1) - expected,
        low=low,
        high=high,
        null_low=(lower > tail).argmax(1) / c,
        null_high=(c - (upper > tail)[:, ::-1].argmax(1)) / c,
        p_residual=np.minimum(upper[n, u] * raised_residual, 1),
        p_forgotten=np.minimum(lower[n, u] * raised_forgotten, 1),
        detectable=np.where(called[n, critical], np.maximum(needed - expected, 0), np.nan),
    )
    return measured, Check(loo_upper, loo_lower)


def inflation(null: Floats) -> float:
    """By how much p-values have to be raised so that the references are not accused more often than stated.

    The largest ratio of seen to stated false alarms over a few levels, those at which at least ten alarms of
    references are expected (a ratio of fewer is noise); never below 1, and 1 where there are too few to tell.

    Args:
        null: predictive p-values of the references, each judged against the others, any shape.
    """
    levels = [level for level in (0.05, 0.02, 0.01, 0.005, 0.002, 0.001) if level * null.size >= 10]
    return max([1.0, *(float((null <= level).mean() / level) for level in levels)])


def _excess_interval(u: Ints, mean_law: Floats, c: int) -> tuple[Floats, Floats]:
    """Quantiles of p − μ: p ~ Beta(u + ½, c − u + ½) (Jeffreys), μ by its law on the grid [N, means].

    Rounded outwards to 0.005, one step of :data:`_EXCESS`.
    """
    tail = (1 - LEVEL) / 2
    low, high = np.empty(len(u)), np.empty(len(u))
    for count in np.unique(u):
        here = u == count
        below = mean_law[here] @ _excess_law(int(count), c)  # Pr[p − μ ≤ x]
        low[here] = _EXCESS[np.maximum((below > tail).argmax(1) - 1, 0)]
        high[here] = _EXCESS[(below >= 1 - tail - 1e-6).argmax(1)]
    return low, high


@lru_cache(maxsize=2 * MAX_DRAWS)
def _excess_law(u: int, c: int) -> Floats:
    """Pr[p − μ ≤ x] for every μ of the grid and x of :data:`_EXCESS`, [means, 401]."""
    x = np.clip(_EXCESS + MEANS[:, None], 0, 1)
    x[:, -1] = 1.0
    return betainc(u + 0.5, c - u + 0.5, x).astype(np.float32)


def _shapes() -> tuple[Floats, Floats]:
    """Both parameters of the Beta law of every cell of the grid, μ slow and φ fast."""
    mean, precision = (grid.ravel() for grid in np.meshgrid(MEANS, PRECISIONS, indexing="ij"))
    return mean * precision, (1 - mean) * precision


@lru_cache(maxsize=8)
def _tables(c: int) -> tuple[Floats, Floats]:
    """Beta-binomial Pr[X = x] and Pr[X ≥ x], each [cells, c + 1]."""
    a, b = (shape[:, None] for shape in _shapes())
    x = np.arange(c + 1)
    choose = gammaln(c + 1) - gammaln(x + 1) - gammaln(c - x + 1)
    pmf = np.exp(choose + betaln(x + a, c - x + b) - betaln(a, b))
    pmf /= pmf.sum(1, keepdims=True)
    at_least = pmf[:, ::-1].cumsum(1)[:, ::-1]
    return np.asfortranarray(pmf, np.float32), np.asfortranarray(at_least, np.float32)


def _loglik(v: Ints, c: int) -> Floats:
    """[K, N, cells]: log probability of every reference's count in every cell."""
    return np.log(np.maximum(_tables(c)[0], 1e-30)).T[v]


def _mixing_law(loglik: Floats) -> Floats:
    """log w [cells] from loglik [N, cells]: penalised NPMLE by EM."""
    cells = loglik.shape[1]
    likelihood = np.exp(loglik - loglik.max(1, keepdims=True))
    weights = np.full(cells, 1 / cells, likelihood.dtype)
    for _ in range(EM_STEPS):
        responsibility = weights * (likelihood.T @ (1 / (likelihood @ weights)))
        weights = (responsibility + PULL / cells) / (len(loglik) + PULL)
    return np.log(weights)


def _posterior(loglik: Floats, log_weights: Floats | None) -> Floats:
    total = loglik.sum(0)
    return _normalised(total + (_mixing_law(total) if log_weights is None else log_weights))


def _normalised(log_weight: Floats) -> Floats:
    weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    return weight


def _expected(posterior: Floats, table: Floats, counts: Ints) -> Floats:
    """Mean over cells of table[cell, count], [N]."""
    return np.einsum("nc,nc->n", posterior, table.T[counts])


def _features(share: Floats) -> dict[str, float]:
    return {
        "variance": float(share.var(0, ddof=1).mean()),
        "unanimous": float((np.ptp(share, axis=0) == 0).mean()),
        "largest": float(np.ptp(share, axis=0).max()),
        "between": float(share.mean(1).var(ddof=1)),
    }


def _round(counts: Floats | Ints) -> Ints:
    return np.rint(counts).astype(np.int64)


def _number(value: Any) -> float | None:
    number = float(value)
    return None if number != number else round(number, 6)
