"""Membership scores from few models, and an interval of their AUC that knows that models differ as a whole.

Pure functions of log-odds, on the samples themselves or the mean over their perturbed copies. Beside
:mod:`rurk_core.membership`, whose curves and areas they use:

* :func:`student_ratio`: LiRA (arXiv 2112.03570) with a variance of its own for every sample although models are few: a
  normal-inverse-gamma prior fitted over samples makes its densities Student's (as arXiv 2603.11799).
* :func:`rmia`: the relative attack (RMIA, arXiv 2312.03262), which compares a sample with others under the same models.
* :func:`auc_of_model`: one target model is one draw, however many samples it is judged on. How far honest re-trainings'
  own areas lie from 0.5 is what its interval is made of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t as student

from ..errors import UsageError
from ..measure.roc import auc
from .null import NEEDED, Null, compressed, fit_null, held_against_each_other

Floats = NDArray[np.floating]

GAMMA = 1.0
"""RMIA: how much likelier than another sample counts as a win."""
OFFLINE = 0.3
"""RMIA's a: p(x) = ((1 + a) p_out(x) + 1 − a) / 2, where only models that never saw x are at hand."""
EDGE = 1e-3
"""An AUC is taken to be this far from 0 and 1 at least, where its logit is asked for."""


@dataclass(frozen=True)
class ModelAuc:
    """The AUC of one model against re-trainings, as one draw among models.

    Attributes:
        auc: chance that the model's score of a sample lies above a re-training's; low, high: its 95% interval, which an
            honest re-training's holds 0.5 in 95%; NaN with fewer than three re-trainings.
        references: float64 [K], every re-training's own AUC against the others.
        missing: what is not here and why; "" where all is.
    """

    auc: float
    low: float
    high: float
    references: Floats
    missing: str = ""


def student_ratio(own: Floats, outside: Floats, inside: Floats | None = None) -> tuple[Floats, Floats]:
    """Scores of the model and of every reference in its place, from log-odds; high means "saw it".

    With two models inside or more, log p(s | in) − log p(s | out) of two moderated Student laws; else the deviate of
    the law outside (offline LiRA).

    Args:
        own: [N]; outside: [K, N] of models that never saw the samples, K at least 3; inside: [A, N] of models that did.

    Returns:
        float64 [N] and [K, N]; the latter each from the other K − 1.

    Raises:
        UsageError: fewer than three models outside.
    """
    if len(outside) < NEEDED:
        raise UsageError(f"This attack holds one re-trained model back and needs two more; there are {len(outside)}.")
    own, outside = compressed(own), compressed(outside)
    whole = fit_null(outside)
    if inside is None or len(inside) < 2:
        return whole.statistic(own), held_against_each_other(outside)[0]
    within = fit_null(compressed(inside))
    shared = {"effective": whole.effective, "variances": (whole.prior, whole.common)}
    rest = [fit_null(np.delete(outside, k, 0), **shared) for k in range(len(outside))]  # type: ignore[arg-type]
    theirs = [_density(within, row) - _density(law, row) for row, law in zip(outside, rest, strict=True)]
    return _density(within, own) - _density(whole, own), np.stack(theirs)


def rmia(own: Floats, outside: Floats, others: Floats, others_outside: Floats, *, gamma: float = GAMMA) -> Floats:
    """The share of other samples z that x beats: Pr_z[(p(x|m) / p(x)) / (p(z|m) / p(z)) ≥ γ], in [0, 1].

    Args:
        own: log-odds [N] under the model; outside: [K, N] under models that never saw the samples.
        others, others_outside: the same [Z] and [K, Z] of samples that neither has seen (held-out ones).

    Raises:
        UsageError: no models outside, or no other samples.
    """
    if not len(outside) or not len(others):
        raise UsageError("RMIA needs at least one re-trained model and other samples to compare with.")

    def relative(values: Floats, under: Floats) -> Floats:
        usual = ((1 + OFFLINE) * expit(under).mean(0) + 1 - OFFLINE) / 2
        return expit(values) / usual

    x, z = relative(np.asarray(own), np.asarray(outside)), np.sort(relative(others, others_outside))
    return np.searchsorted(z, x / gamma, side="right") / len(z)


def auc_of_model(own: Floats, references: Floats, *, level: float = 0.95) -> ModelAuc:
    """The AUC of scores [N] against those of re-trainings in the same place [K, N], see :class:`ModelAuc`.

    On the logit scale, so that no interval leaves [0, 1]: Student, K − 1 degrees, around the model's AUC, with the
    spread of the re-trainings' own. One reference has none to be compared with, and two have one degree: no interval.
    """
    k = len(references)
    area = auc(own, references)
    alone = (
        np.array([auc(row, np.delete(references, i, 0)) for i, row in enumerate(references)]) if k > 1 else np.zeros(0)
    )
    if k < NEEDED:
        said = (
            f"How far models differ as a whole is not known from {k}: an interval needs at least {NEEDED} re-trainings."
        )
        return ModelAuc(area, np.nan, np.nan, alone, said)
    places = logit(np.clip(alone, EDGE, 1 - EDGE))
    # a re-training is held against K − 1 others, the model against K
    spread = float(np.sqrt((places**2).sum() / (k - 1))) * (k - 1) / k * np.sqrt(1 + 1 / k)
    reach = student.ppf((1 + level) / 2, k - 1) * spread
    centre = logit(np.clip(area, EDGE, 1 - EDGE))
    return ModelAuc(area, float(expit(centre - reach)), float(expit(centre + reach)), alone)


def _density(law: Null, values: Floats) -> Floats:
    """log density of Student's predictive law, [N]."""
    return student.logpdf(values, law.freedom, law.centre, law.spread)
