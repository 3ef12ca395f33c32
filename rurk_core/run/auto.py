"""The ceiling q of a method, found against the references: a few trials, of which the nearest to their band is kept.

More q is more forgetting, so the ratio of means falls with it. Each trial is a whole run of the method. The first takes
the q at which the ceiling is the loss that the references have on copies of the forget samples, the next ones follow
the line through the two trials nearest to the band, and it ends inside the band.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from ..measure.residual import Ints, reference_band
from ..unlearning.ceiling import AUTO

TRIALS = 3
"""Runs of the method at most: what is measured beside them is less than one more."""
DRAWS, RADII = 10, 3
"""Copies of a forget sample at each radius, and how many of the experiment's radii are looked at."""
LOWEST, HIGHEST = 0.05, 100.0
STEP = 2.0

Model = TypeVar("Model")


@dataclass(frozen=True)
class Trial:
    """One value of q and where it led: ``apart`` is the signed distance to the band, above 0 where too much is left."""

    q: float
    apart: float


def is_auto(config: Any) -> bool:
    """Whether the references are to choose the ceiling of these settings."""
    return getattr(config, "ceiling", 0.0) == AUTO


def with_auto(spec: Mapping[str, Any], label: str, *, less: bool) -> dict[str, Any] | None:
    """The same experiment with the ceiling of one method chosen against the references, as plain values.

    None where that changes nothing, or not for the better: the method has no ceiling or has it chosen already, there
    are too few references, or it should forget more (``less`` is False) and nothing holds it back.
    """
    methods = [dict(method) for method in spec["methods"]]
    mine = next((method for method in methods if method["label"] == label), None)
    now = mine["config"].get("ceiling") if mine else None
    if mine is None or now is None or now == AUTO or spec["references"] < 2 or (now == 0 and not less):
        return None
    # of another name than the one it is to stand beside
    mine |= {"label": f"{mine['method']}-auto", "config": mine["config"] | {"ceiling": AUTO}}
    return {**spec, "methods": methods}


def looked_at(taus: Sequence[float]) -> list[float]:
    """The radii that a search looks at: at most :data:`RADII` of those above 0, the largest among them.

    >>> looked_at([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), looked_at([0])
    ([0.2, 0.4, 0.6], [0])
    """
    moving = [tau for tau in taus if tau > 0] or list(taus)
    count = min(RADII, len(moving))
    return [moving[round((i + 1) * len(moving) / count) - 1] for i in range(count)]


def apart(u: Ints, v: Ints) -> float:
    """Mean over radii of the log-ratio's distance to the references' band: above 0 over it, below 0 under it.

    Args:
        u: copies recognised by the model, [N, T]; v: the same for K ≥ 2 references, [K, N, T]. Half a copy is added to
            every sum.
    """
    total, reference = u.sum(0) + 0.5, v.mean(0).sum(0) + 0.5
    low, high = (np.log(np.maximum(np.nan_to_num(edge, nan=1.0), 0.5 / reference)) for edge in reference_band(v))
    ratio = np.log(total / reference)
    return float((np.maximum(0.0, ratio - high) - np.maximum(0.0, low - ratio)).mean())


def bounded(q: float) -> float:
    """q with four digits, from :data:`LOWEST` to :data:`HIGHEST`.

    >>> bounded(0.001), bounded(1.23456), bounded(math.inf)
    (0.05, 1.235, 100.0)
    """
    return float(f"{min(HIGHEST, max(LOWEST, q)):.4g}")


def choose(
    attempt: Callable[[Any, int], Model], measure: Callable[[Model], float], config: Any, first: float
) -> tuple[Model, list[Trial]]:
    """The model of the trial nearest to the band, and all trials in order.

    Args:
        attempt: (settings, number of the trial from 0) → the model; measure: its :func:`apart`; first: the first q.
    """
    tried: list[tuple[Trial, Model]] = []
    q = bounded(first)
    while True:
        model = attempt(replace(config, ceiling=q), len(tried))
        tried.append((Trial(q, measure(model)), model))
        trials = [trial for trial, _ in tried]
        if trials[-1].apart == 0 or len(tried) == TRIALS:
            break
        q = suggested(trials)
        if any(math.isclose(q, trial.q, rel_tol=0.02) for trial in trials):
            break
    return min(tried, key=lambda entry: abs(entry[0].apart))[1], trials


def suggested(trials: Sequence[Trial]) -> float:
    """The next q: between the nearest trials on either side of the band, or a step beyond where all lie on one side.

    >>> suggested([Trial(1.0, 0.2)]), suggested([Trial(1.0, 0.2), Trial(4.0, -0.2)])
    (2.0, 2.0)
    """
    over = min((trial for trial in trials if trial.apart > 0), key=lambda trial: trial.apart, default=None)
    under = max((trial for trial in trials if trial.apart < 0), key=lambda trial: trial.apart, default=None)
    if over and under:
        share = over.apart / (over.apart - under.apart)
        share = min(0.8, max(0.2, share))
        q = math.exp((1 - share) * math.log(over.q) + share * math.log(under.q))
    elif over:
        q = max(trial.q for trial in trials) * STEP
    else:
        q = min(trial.q for trial in trials) / STEP
    return bounded(q)


def said(trials: Sequence[Trial]) -> str:
    """What came of the trials, for a reader of the result."""
    best = min(trials, key=lambda trial: abs(trial.apart))
    tried = ", ".join(f"{trial.q:g}" for trial in trials)
    side, times = "above" if best.apart > 0 else "below", math.exp(abs(best.apart))
    where = f"{side} their band by a factor of {times:.4g} on average" if best.apart else "inside their band"
    return (
        f"The ceiling q = {best.q:g} was chosen against the references on the forget set itself (tried: {tried}); with "
        f"it the copies recognised, half a one added to every sum, lay {where}."
    )
