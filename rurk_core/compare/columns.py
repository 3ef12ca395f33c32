"""The columns of a comparison: each metric once, by name, with where a result keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Result = Mapping[str, Any]
RETRAIN = "retrained"
"""The references of all seeds, taken together, as a row."""


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Attributes:
        title, unit: for people; shares are shown in %.
        help: what it is, in one line.
        scale: from the stored number to the shown one.
        digits: shown after the point.
        sample: which samples a share is a share of (a key of :func:`sizes`), "" where it is no share of samples.
        target: whether the references' value is what a method should have; costs have no target.
        value: row of a result document, its residual entry (or None) → number or None.
    """

    title: str
    unit: str
    help: str
    value: Callable[[Result, Result | None], Any]
    scale: float = 1.0
    digits: int = 2
    sample: str = ""
    target: bool = True


def _field(name: str) -> Callable[[Result, Result | None], Any]:
    return lambda row, residual: row.get(name)


def _relearn(row: Result, residual: Result | None) -> Any:
    found = row.get("relearn")
    return None if not found else math.inf if found["epochs"] is None else found["epochs"]


def _at_largest_tau(name: str) -> Callable[[Result, Result | None], Any]:
    return lambda row, residual: residual["taus"][-1][name] if residual else None


COLUMNS: dict[str, Metric] = {
    "retain_accuracy": Metric("Retain", "%", "accuracy on S_r", _field("retain_accuracy"), 100, sample="retain"),
    "unlearn_accuracy": Metric("Unlearn", "%", "1 − accuracy on S_f", _field("unlearn_accuracy"), 100, sample="forget"),
    "test_accuracy": Metric("Test", "%", "accuracy on test samples", _field("test_accuracy"), 100, sample="test"),
    "mia_accuracy": Metric(
        "MIA", "%", "forget samples that the paper's attack calls unseen", _field("mia_accuracy"), 100, sample="mia"
    ),
    "avg_gap": Metric(
        "Avg. Gap", "%", "mean distance to Re-train over the four to the left", _field("avg_gap"), 100, target=False
    ),
    "relearn": Metric("Re-learn", "epochs", "fine-tuning on S_f until the Original's loss on it", _relearn),
    "residual": Metric(
        "r̂", "×", "residual knowledge at the largest τ, ratio of means", _at_largest_tau("ratio_of_means")
    ),
    "prevalence": Metric(
        "Prevalence",
        "%",
        "forget samples with r̂ > 1 at the largest τ, mean over references",
        _at_largest_tau("prevalence"),
        100,
        1,
    ),
    "seconds": Metric("Time", "s", "run time of the method itself", _field("seconds"), digits=1, target=False),
    "cost_share": Metric("Cost", "%", "run time, of one Re-train", _field("cost_share"), 100, 1, target=False),
    "peak_memory_mb": Metric(
        "Memory", "MB", "peak memory of the method itself", _field("peak_memory_mb"), digits=0, target=False
    ),
}
"""The columns of the table, in order; the first six are the paper's."""
