"""Was this sample in the training set? Membership attacks on arrays of losses, and how to read their curves.

An attack gives a score to every (sample, model) pair, high where the model seems to have been trained on the
sample. Two kinds are here, in the words of Hayes et al. (U-LiRA, arXiv 2403.01218): a *population* attack has one
rule for all samples (:func:`svc_attack`, the one of the paper), a *per-sample* attack has a rule of its own for
each (:func:`per_sample_attack`), and is much the stronger of the two.

Everything works on −log p(y|x) per sample (``train_loss``, ``test_loss`` of the stored scores); no model is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from scipy.stats import norm

from ..arrays import Floats
from ..errors import UsageError
from .roc import CURVE_POINTS, FALSE_POSITIVE_RATES, auc, auc_interval, roc_curve, tpr_at

SVC_LIMIT = 10_000
"""Samples a side that the SVC is fitted on; more are drawn at random down to it, since its cost is quadratic."""

OWN_VARIANCE = 64
"""With fewer models than this, all samples share one variance (the advice of LiRA, arXiv 2112.03570, section VI)."""

SMALLEST_LOSS = 2.0**-24
"""Half the spacing of float32 below 1: a probability that rounds to 1 is taken to be this far from it."""


def confidence(loss: ArrayLike) -> Floats:
    """Loss −log p(y|x) → p(y|x), the confidence in the correct class; any shape."""
    return np.exp(-np.asarray(loss, float))


def logit_confidence(loss: ArrayLike) -> Floats:
    """Loss −log p(y|x) → log p/(1 − p), any shape: near Gaussian over trainings (LiRA, arXiv 2112.03570, Eq. 3).

    Computed from the loss, so it keeps its digits where p is close to 1. float32 cannot tell p from 1 beyond
    about 16.6, where it is cut off.

    >>> logit_confidence(np.log(2.0))  # p = 1/2
    np.float64(0.0)
    """
    nats = np.maximum(np.asarray(loss, float), SMALLEST_LOSS)
    return -nats - np.log(-np.expm1(-nats))


# --- the attack of the paper --------------------------------------------------------------------------------------


def svc_attack(
    seen: ArrayLike, unseen: ArrayLike, judged: ArrayLike, *, limit: int = SVC_LIMIT, seed: int = 0
) -> float:
    """MIA accuracy of the paper: the share of ``judged`` that an SVC calls unseen, in [0, 1].

    The SVC (C = 3, gamma = 'auto', rbf) is fitted on the confidence in the correct class of samples the model was
    trained on (1) and was not (0). Both sides get the same number, as in the code the paper builds on (SalUn),
    drawn at random rather than by index order, which would be by class in a sorted data set.

    * Sample unlearning: ``svc_attack(retain, test, forget)``.
    * Class unlearning: ``svc_attack(retain, forget, held-out samples of the forgotten class)``.

    Args:
        seen, unseen, judged: confidences in [0, 1], 1-D, see :func:`confidence`.
        limit: most samples a side.

    Raises:
        UsageError: a side is empty, or holds something other than confidences.
    """
    return float((svc_decision(seen, unseen, judged, limit=limit, seed=seed) <= 0).mean())


def svc_decision(
    seen: ArrayLike, unseen: ArrayLike, judged: ArrayLike, *, limit: int = SVC_LIMIT, seed: int = 0
) -> Floats:
    """The decision value behind :func:`svc_attack`, float64 [judged]: above 0 where the SVC says "seen"."""
    from sklearn.svm import SVC

    sides = [np.asarray(side, float).ravel() for side in (seen, unseen, judged)]
    for side in sides:
        if not len(side) or not ((side >= 0) & (side <= 1)).all():
            raise UsageError("The membership attack needs confidences from 0 to 1 on every side, at least one each.")
    rng = np.random.default_rng(seed)
    count = min(limit, len(sides[0]), len(sides[1]))
    fitted = [rng.choice(side, count, replace=False) for side in sides[:2]]
    svc = SVC(C=3, gamma="auto", kernel="rbf")
    svc.fit(np.concatenate(fitted)[:, None], np.repeat([1, 0], count))
    return svc.decision_function(sides[2][:, None])


# --- attacks with a rule per sample ---------------------------------------------------------------------------


def gaussian_log_likelihood(points: Floats, models: Floats) -> Floats:
    """log density of ``points`` [..., N] under one Gaussian per sample fitted to ``models`` [A, N].

    With fewer than :data:`OWN_VARIANCE` models all samples share the pooled variance Σ(s − s̄)² / (N·(A − 1)), for
    a variance from a handful of models would decide more than the sample does.
    """
    return norm.logpdf(points, models.mean(0), _spread(models))


def kernel_log_likelihood(points: Floats, models: Floats) -> Floats:
    """The same under a Gaussian kernel density per sample, as RULI does (arXiv 2506.13009, section 5).

    The bandwidth is Silverman's 1.06·σ·A^(−1/5), with σ as in :func:`gaussian_log_likelihood`.
    """
    width = 1.06 * _spread(models) * len(models) ** -0.2
    return logsumexp(norm.logpdf(points[..., None, :], models, width), axis=-2) - np.log(len(models))


DENSITIES = {"gaussian": gaussian_log_likelihood, "kernel": kernel_log_likelihood}


def likelihood_ratio(points: Floats, inside: Floats | None, outside: Floats, *, density: str = "gaussian") -> Floats:
    """log p(s | in) − log p(s | out) per sample: the per-sample attack of U-LiRA (arXiv 2403.01218).

    Args:
        points: scores s of the models in question, [..., N]; usually :func:`logit_confidence`.
        inside: scores [A, N] of models that did see the samples (and unlearned them by the same method), none of
            them among those in question. None or fewer than two: nothing is known of that side, and the score is
            the one-sided log Pr[out ≤ s] − log Pr[out > s] instead (LiRA's offline attack).
        outside: scores [K, N] of models that never saw them: references, K at least 2.
        density: "gaussian", or "kernel" as in RULI.

    Returns:
        float64, the shape of ``points``; positive where "in" explains the score better.

    Raises:
        UsageError: fewer than two models outside, or no such density.
    """
    if density not in DENSITIES:
        raise UsageError(f"There is no density '{density}'; choose one of {', '.join(DENSITIES)}.")
    if len(outside) < 2:
        raise UsageError("A per-sample membership attack needs at least two re-trained models to compare with.")
    points = np.asarray(points, float)
    if inside is not None and len(inside) >= 2:
        return DENSITIES[density](points, inside) - DENSITIES[density](points, outside)
    if density == "kernel":
        width = 1.06 * _spread(outside) * len(outside) ** -0.2
        below, above = (
            logsumexp(side(points[..., None, :], outside, width), axis=-2) for side in (norm.logcdf, norm.logsf)
        )
        return below - above
    centre, spread = outside.mean(0), _spread(outside)
    return norm.logcdf(points, centre, spread) - norm.logsf(points, centre, spread)


@dataclass(frozen=True)
class MembershipSignal:
    """How well a score tells a model that once saw a sample from models that never did.

    Attributes:
        name: of the score.
        positives: float64 [P, N], scores of the model in question; negatives: float64 [K, N], of references, each
            judged as if it were the model in question. High means "saw it".
        inside, outside: how many models that saw the samples, and that never did, the attack's rule rests on; 0 and 0
            for one rule for all samples.
    """

    name: str
    positives: Floats
    negatives: Floats
    inside: int = 0
    outside: int = 0

    def auc(self) -> float:
        """Area under the ROC curve: the chance that a positive scores above a negative; 0.5 when nothing leaks."""
        return auc(self.positives, self.negatives)

    def curve(self, points: int = CURVE_POINTS) -> tuple[Floats, Floats]:
        """The ROC curve at ``points`` even false-positive rates from 0 to 1, each float64 [points]."""
        fpr, tpr = roc_curve(self.positives, self.negatives)
        even = np.linspace(0, 1, points)
        at = np.searchsorted(fpr, even + 1e-12, side="right") - 1  # the best at no more false positives
        return even, tpr[at]

    def to_dict(self) -> dict[str, Any]:
        """AUC with its 95% interval and the true-positive rates at low false-positive rates, for tables and JSON."""
        low, high = auc_interval(self.positives, self.negatives)
        return {
            "name": self.name,
            "auc": self.auc(),
            "low": low,
            "high": high,
            "inside": self.inside,
            "outside": self.outside,
            "positives": self.positives.size,
            "negatives": self.negatives.size,
            "smallest_fpr": 1 / self.negatives.size,
            "tpr": [tpr_at(self.positives, self.negatives, rate).to_dict() for rate in FALSE_POSITIVE_RATES],
        }


def per_sample_attack(
    target: Floats, references: Floats, inside: Floats | None = None, *, density: str = "gaussian", name: str = ""
) -> MembershipSignal:
    """The likelihood-ratio attack on one model, with every reference in turn as the model that must not be accused.

    Reference k and the target are both judged against the other K − 1 references, so under the null ("the target is
    one more reference") their scores are exchangeable and the AUC is 0.5 on average, whatever the samples.

    Taken from U-LiRA: per-sample densities of models that unlearned a sample and of models that never saw it. From
    RULI (``density="kernel"``): kernel densities in place of Gaussians, and its efficacy question, unlearned against
    *re-trained*. Neither's dozens of shadow models: what is here works on the models an experiment has, and says less.

    Args:
        target: scores [N] of the unlearned model; references: [K, N], K at least 3; inside: [A, N] or None, as in
            :func:`likelihood_ratio`.

    Raises:
        UsageError: fewer than three references.
    """
    k = len(references)
    if k < 3:
        raise UsageError(f"This attack holds one re-trained model back and needs two more; there are {k}, ask for 3.")
    positives, negatives = [], []
    for held in range(k):
        outside = np.delete(references, held, axis=0)
        pair = likelihood_ratio(np.stack([target, references[held]]), inside, outside, density=density)
        positives.append(pair[0])
        negatives.append(pair[1])
    used = len(inside) if inside is not None and len(inside) >= 2 else 0
    name = name or f"likelihood ratio, {density}"
    return MembershipSignal(name, np.stack(positives), np.stack(negatives), used, k - 1)


def plain_signal(target: Floats, references: Floats, *, name: str) -> MembershipSignal:
    """A score used as it is, one rule for all samples: target [N] against references [K, N]."""
    return MembershipSignal(name, np.asarray(target, float)[None], np.asarray(references, float))


def signals(
    losses: dict[str, Floats], target: str, references: Sequence[str], inside: Sequence[str] = ()
) -> list[MembershipSignal]:
    """The signals one experiment has for one model: loss (population), and both per-sample attacks.

    Args:
        losses: model → −log p(y|x) of the samples in question [N]; target, references: names in it; inside: those of
            models that saw the samples and unlearned them by the same method, used where there are at least two.
    """
    scores = {name: logit_confidence(loss) for name, loss in losses.items()}
    others = np.stack([scores[name] for name in references])
    within = np.stack([scores[name] for name in inside]) if inside else None
    found = [plain_signal(scores[target], others, name="confidence")]
    if len(references) >= 3:
        found += [
            per_sample_attack(scores[target], others, within, name="U-LiRA"),
            per_sample_attack(scores[target], others, within, density="kernel", name="RULI"),
        ]
    return found


def _spread(models: Floats) -> Floats:
    """Standard deviation per sample [N] of scores [A, N], shared by all samples where models are few; never 0."""
    models = np.asarray(models, float)
    own = models.var(0, ddof=1)
    shared = own if len(models) >= OWN_VARIANCE else np.full_like(own, own.mean())
    return np.sqrt(np.maximum(shared, 1e-12))
