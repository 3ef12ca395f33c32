"""What tuning aims at: distance to the references' band, and the trials no other beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..data import ForgetSet
from ..errors import UsageError
from ..measure.residual import Floats, Ints, reference_band


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Attributes:
        settings: what was searched, name → value; start: name of the preset it is, if it is one.
        distance, loss: the two aims, see above; None where the method failed, with the sentence in ``failed``.
        ratios: ratio of means at every τ on the validation half; retain, test: accuracies.
    """

    number: int
    settings: dict[str, Any]
    start: str = ""
    distance: float | None = None
    loss: float | None = None
    ratios: tuple[float | None, ...] = ()
    retain: float | None = None
    test: float | None = None
    failed: str = ""


def band_distance(u: Ints, v: Ints) -> float:
    """How far the ratio of means lies outside the references' band: mean over radii of |log ratio| beyond its edge.

    Args:
        u: copies recognised by the model, [N, T]; v: the same for K references, [K, N, T].

    Half a copy is added to every sum, so that a model that recognises nothing has a distance too. A single
    reference has no band; the ratio is then held against 1.
    """
    total, reference = u.sum(0) + 0.5, v.mean(0).sum(0) + 0.5
    low, high = reference_band(v) if len(v) > 1 else (np.ones(u.shape[1]), np.ones(u.shape[1]))
    ratio, floor = np.log(total / reference), 0.5 / reference
    low, high = (np.log(np.maximum(np.nan_to_num(edge, nan=1.0), floor)) for edge in (low, high))
    return float(np.maximum(0.0, np.maximum(low - ratio, ratio - high)).mean())


def front(trials: Sequence[Trial]) -> list[int]:
    """Numbers of the trials that no other beats in one aim without losing in the other, by rising distance."""
    ended = [trial for trial in trials if trial.distance is not None and trial.loss is not None]
    best, kept = math.inf, []
    for trial in sorted(ended, key=lambda trial: (trial.distance, trial.loss, trial.number)):
        if trial.loss is not None and trial.loss < best:
            best = trial.loss
            kept.append(trial.number)
    return kept


def choose(trials: Sequence[Trial]) -> Trial:
    """Inside the band the trial with the least loss; where none is inside, that with the least sum of both aims.

    Raises:
        UsageError: no trial ended.
    """
    ended = [trial for trial in trials if trial.distance is not None and trial.loss is not None]
    if not ended:
        raise UsageError("Every trial failed; the first said: " + next((t.failed for t in trials), "nothing"))
    inside = [trial for trial in ended if trial.distance == 0]
    return min(inside or ended, key=lambda trial: ((trial.distance or 0.0) + (trial.loss or 0.0), trial.number))


def against_references(result: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, float]:
    """Retain and test accuracy of what was measured less the references' mean, in percentage points; lost is below 0.

    >>> against_references({"references": {"retain": 1.0, "test": 0.75}}, {"retain": 0.5, "test": 0.875})
    {'retain': -50.0, 'test': 12.5}
    """
    return {part: 100 * (measured[part] - result["references"][part]) for part in ("retain", "test")}


def halves(forget: ForgetSet, seed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The forget set at random in two halves, each rising.

    Raises:
        UsageError: it has fewer than four samples.
    """
    if len(forget.indices) < 4:
        raise UsageError("Tuning needs at least four samples to forget: half to search with, half to judge by.")
    order = torch.randperm(len(forget.indices), generator=torch.Generator().manual_seed(seed)).tolist()
    middle = len(order) // 2
    first, second = (tuple(sorted(forget.indices[i] for i in part)) for part in (order[:middle], order[middle:]))
    return first, second


def plain(value: Floats | float) -> float | None:
    return float(value) if math.isfinite(value) else None
