"""Laws that honest re-trainings may follow and the evidence does not assume; models are exchangeable by design."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from rurk_core.evidence.law import log_odds_of_counts
from rurk_core.evidence.null import BOUND

LAWS = {
    "normal": "Gaussian between re-trainings, every sample with a spread of its own",
    "logit-normal counts": "the same, seen through 100 draws alone",
    "t2": "tails so heavy that variances do not exist",
    "shifts": "models better or worse as a whole, a third of the variance",
    "correlated": "three factors that samples share, a third of the variance",
    "bimodal": "each re-training knows a sample or does not",
}


def draw(
    rng: np.random.Generator, law: str, models: int, samples: int = 100, spread: float = 1.5
) -> NDArray[np.floating]:
    """Mean log-odds [models, samples] of exchangeable models, by a key of :data:`LAWS`; within ±12.

    Means are N(0, 3²) over samples, spreads log-normal around ``spread``.
    """
    mean, scale = rng.normal(0, 3, samples), spread * np.exp(rng.normal(0, 0.4, samples))
    shape = (models, samples)
    normal = rng.normal(size=shape)
    if law == "logit-normal counts":
        return log_odds_of_counts(rng.binomial(100, expit(mean + scale * normal)), 100)
    noise = {
        "normal": lambda: normal,
        "t2": lambda: rng.standard_t(2, shape) / 1.5,
        "shifts": lambda: 0.8 * normal + 0.6 * rng.normal(size=(models, 1)),
        "correlated": lambda: 0.8 * normal + 0.35 * rng.normal(size=(models, 3)) @ rng.normal(size=(3, samples)),
        "bimodal": lambda: np.where(rng.random(shape) < 0.7, -1, 1) + 0.4 * normal,
    }[law]()
    return np.clip(mean + scale * noise, -BOUND, BOUND)
