"""Was this sample in the training set? The membership attack of the paper, and the scores that attacks rest on.

This is a *population* attack: one rule for all samples. Attacks with a rule of their own for each are in
:mod:`rurk_core.evidence.membership_law`.

Everything works on −log p(y|x) per sample (``train_loss``, ``test_loss`` of the stored scores); no model is needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import Floats
from ..errors import UsageError

SVC_LIMIT = 10_000
"""Samples a side that the SVC is fitted on; more are drawn at random down to it, since its cost is quadratic."""

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
