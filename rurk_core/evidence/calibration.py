"""Does the evidence keep its word? On counts with known truth, and on a real experiment's references and Original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, expit, logit

from ..errors import UsageError
from ..measure.residual import Verdicts
from .samples import MARGIN, RATE, VERDICTS, SampleEvidence, evidence_of_counts, posterior_predictive, sample_evidence

LEVEL = 0.05


@dataclass(frozen=True)
class Calibration:
    """What happened when models with known truth were handed in.

    Attributes:
        null: one result per reference, judged against the other K − 1: nothing was left, every alarm is a false one. Of
            all radii together, as one column.
        planted: the Original against the same number of references, one result for each that is left out: it saw
            all samples, every alarm is a right one.
        checks: :func:`~rurk_core.evidence.samples.posterior_predictive` of the combined column.
    """

    null: tuple[SampleEvidence, ...]
    planted: tuple[SampleEvidence, ...]
    checks: dict[str, dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        return {
            "level": LEVEL,
            "null": summary(self.null),
            "planted": summary(self.planted),
            "checks": self.checks,
            "models": [row(evidence) for evidence in (*self.null, *self.planted)],
        }


def calibrate(
    verdicts: Verdicts, *, planted: str = "original", rate: float = RATE, margin: float = MARGIN
) -> Calibration:
    """The null and the planted experiment on one verdict table.

    Args:
        verdicts: of random draws, which belong to no model, with at least three references.

    Raises:
        UsageError: fewer than three references, or an attack that was built on a model: copies that fool one model
            treat the references alike but not that model.
    """
    if verdicts.source:
        raise UsageError(f"Calibration needs random draws; '{verdicts.attack}' is built on one of the models.")
    if len(verdicts.references) < 3:
        raise UsageError(
            f"Calibration hands one re-trained model in and needs two more; there are {len(verdicts.references)}. "
            "Run with more references."
        )

    def judged(model: str, without: str) -> SampleEvidence:
        return sample_evidence(verdicts, model, without=without, together=True, rate=rate, margin=margin)

    return Calibration(
        null=tuple(judged(name, name) for name in verdicts.references),
        planted=tuple(judged(planted, name) for name in verdicts.references),
        checks=posterior_predictive(verdicts.reference_recognised().mean(2), verdicts.draws),
    )


@dataclass(frozen=True)
class Synthetic:
    """Counts whose truth is known.

    Attributes:
        u: int64 [N, 1], v: int64 [K, N, 1]; draws: c.
        excess: float64 [N], recognition of the model minus μ, what a re-training recognises on average.
        planted: bool [N], samples that the model still knows; all others are as in one more re-training.
    """

    u: NDArray[np.integer]
    v: NDArray[np.integer]
    draws: int
    excess: NDArray[np.floating]
    planted: NDArray[np.bool_]


def synthetic_audit(
    rng: np.random.Generator,
    *,
    samples: int = 100,
    references: int = 8,
    draws: int = 100,
    planted: float = 0.2,
    means: tuple[float, float] = (0.8, 0.8),
    precision: float = 8.0,
    together: float = 0.0,
) -> Synthetic:
    """Draw an audit from laws that are not those of the evidence's model (continuous means, log-normal precisions).

    Args:
        planted: share of samples for which the model's recognition is drawn from Beta(30, 1) instead.
        means: Beta law of μ over samples; precision: median of φ, which is log-normal with deviation 1.
        together: standard deviation, in logits, of a shift that all samples of one model share: above 0 the models are
            better or worse as a whole, which the evidence assumes not to be.
    """
    mean = np.clip(rng.beta(*means, samples), 1e-3, 1 - 1e-3)
    phi = np.exp(rng.normal(np.log(precision), 1, samples))
    p = rng.beta(mean * phi, (1 - mean) * phi, (references + 1, samples))
    p = expit(logit(np.clip(p, 1e-9, 1 - 1e-9)) + rng.normal(0, together, (references + 1, 1)))
    is_planted = rng.random(samples) < planted
    p[0] = np.where(is_planted, rng.beta(30, 1, samples), p[0])
    counts = rng.binomial(draws, p)[..., None]
    return Synthetic(counts[0], counts[1:], draws, p[0] - mean, is_planted)


@dataclass(frozen=True)
class Score:
    """How one synthetic audit went.

    Attributes:
        covered: share of samples whose true excess lies in its interval.
        alarms: share of samples without residual knowledge with p ≤ 0.05.
        false_discoveries: share of the list that does not belong there, 0 for an empty list; over many audits its
            mean is the false-discovery rate.
        found: share of the planted samples that are listed; NaN where none is planted.
        wrongly_clear: share of the planted samples called clear although their excess is beyond the margin.
    """

    covered: float
    alarms: float
    false_discoveries: float
    found: float
    wrongly_clear: float


def score_synthetic(audit: Synthetic) -> Score:
    """Judge an audit and hold it against the truth."""
    found = evidence_of_counts(audit.u, audit.v, audit.draws)
    listed = found.q_residual <= found.rate
    planted, clear = audit.planted, found.verdict == VERDICTS.index("clear")
    inside = (found.combined.low <= audit.excess) & (audit.excess <= found.combined.high)
    known = planted & (audit.excess > found.margin)
    return Score(
        covered=float(inside.mean()),
        alarms=float((found.combined.p_residual[~planted] <= LEVEL).mean()) if not planted.all() else float("nan"),
        false_discoveries=float((listed & ~planted).sum() / max(1, listed.sum())),
        found=float(listed[planted].mean()) if planted.any() else float("nan"),
        wrongly_clear=float(clear[known].mean()) if known.any() else float("nan"),
    )


def summary(results: tuple[SampleEvidence, ...]) -> dict[str, Any]:
    """Shares over all handed-in models and their samples, see :func:`row`; ``false_discoveries`` is the share of the
    models with any sample listed as residual, which under the null is the false-discovery rate."""
    rows = [row(evidence) for evidence in results]
    names = ("alarms_residual", "alarms_forgotten", "listed_residual", "listed_forgotten", "cannot_tell", "clear")
    found: dict[str, Any] = {name: float(np.mean([one[name] for one in rows])) for name in names}
    found["models"] = len(rows)
    found["set_alarms"] = sum(one["set_p"] is not None and one["set_p"] <= LEVEL for one in rows)
    anything = sum(one["listed_residual"] > 0 for one in rows)
    found["lists_with_residual"] = anything
    # samples of one model move together: the models are what is counted
    found["lists_with_residual_interval"] = [
        float(betaincinv(anything, len(rows) - anything + 1, 0.025)) if anything else 0.0,
        float(betaincinv(anything + 1, len(rows) - anything, 0.975)) if anything < len(rows) else 1.0,
    ]
    return found


def row(evidence: SampleEvidence) -> dict[str, Any]:
    """One handed-in model: shares of samples with p ≤ 0.05 on either side, listed at the rate, and per verdict."""
    counts, n = evidence.counts(), len(evidence.samples)
    return {
        "model": evidence.model,
        "references": evidence.references,
        "samples": n,
        "alarms_residual": float((evidence.combined.p_residual <= LEVEL).mean()),
        "alarms_forgotten": float((evidence.combined.p_forgotten <= LEVEL).mean()),
        "listed_residual": float((evidence.q_residual <= evidence.rate).mean()),
        "listed_forgotten": float((evidence.q_forgotten <= evidence.rate).mean()),
        "listed_residual_any": float((evidence.q_residual_any <= evidence.rate).mean()),
        "clear": counts["clear"] / n,
        "cannot_tell": counts["cannot_tell"] / n,
        "excess": evidence.overall["excess"],
        "set_p": evidence.overall["p"],
        "median_detectable": evidence.power()["median_detectable_excess"],
        "undetectable": evidence.power()["undetectable"],
    }
