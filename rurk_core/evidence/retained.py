"""What unlearning did to samples that were to stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import false_discovery_control

from ..arrays import Floats, Ints
from ..data import Dataset
from ..errors import UsageError
from ..measure.membership import logit_confidence
from ..measure.verdicts import OnChunk
from ..run.stored import stored_scores
from .case import Case, verdicts_on
from .findings import STATISTICS, plain
from .law import Judged, judge
from .tables import over_all_radii
from .twins import candidates, unit_features


@dataclass(frozen=True)
class Retained:
    """What unlearning did to samples that stay, those nearest to the forget set first.

    Attributes:
        samples, labels: int64 [N], training indices and their classes.
        evidence: as for the forget set; its references were trained on these samples, so "residual" reads "more firmly
            recognised than re-training makes it" and "over_forgotten" "damaged".
        distance: float64 [N], cosine distance of the Original's features to the nearest sample of the forget set.
        nearest: int64 [N], that sample.
        shift: float64 [N], log-odds of the unperturbed sample, in deviations of one more re-training;
            q_shift: [N], adjusted (Benjamini–Hochberg) two-sided p-values of it.
    """

    samples: Ints
    labels: Ints
    evidence: Judged
    distance: Floats
    nearest: Ints
    shift: Floats
    q_shift: Floats

    def changed(self) -> Ints:
        """Positions whose recognition or membership signal is beyond the references' spread, at the evidence's rate."""
        recognition = np.minimum(self.evidence.q_residual, self.evidence.q_forgotten)
        return np.flatnonzero(np.minimum(recognition, self.q_shift) <= self.evidence.rate)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``changed`` holds the training indices of :meth:`changed`."""
        rows = [
            {
                "sample": int(sample),
                "label": int(self.labels[at]),
                **{s.name: plain(s.of(self.evidence, at)) for s in STATISTICS},
                "distance": round(float(self.distance[at]), 6),
                "nearest": int(self.nearest[at]),
                "shift": plain(self.shift[at]),
                "q_shift": float(self.q_shift[at]),
            }
            for at, sample in enumerate(self.samples)
        ]
        return {
            "references": self.evidence.references,
            "rate": self.evidence.rate,
            "samples": rows,
            "changed": self.samples[self.changed()].tolist(),
        }


RETAINED = 100
"""Retained samples that are looked at, the nearest to the forget set."""


def retained_of(
    case: Case, data: Dataset, *, count: int = RETAINED, device: str = "cpu", on_chunk: OnChunk | None = None
) -> Retained:
    """The evidence for the ``count`` retained samples nearest to the forget set, under the settings of the run.

    Nearest in the Original's features, among at most 4,000 candidates of every forgotten class. Verdicts are counted
    once (count × radii × draws × models copies) and kept; it is work for a background job.

    Raises:
        UsageError: fewer than two references.
    """
    data = case.of(data)
    if len(case.references) < 2:
        raise UsageError("What changed beyond the spread of re-trainings can be told with at least two of them.")
    rows = {row["name"]: row for row in case.result["models"] if row.get("key")}
    forget = torch.tensor(case.result["forget"]["indices"])
    original = case.model("original")
    pool = torch.cat(
        [candidates(data.train_labels, forget, int(label)) for label in data.train_labels[forget].unique()]
    ).unique()
    similarity = unit_features(original, data.train_images[pool]) @ unit_features(original, data.train_images[forget]).T
    closest, which = (1 - similarity).clamp(min=0).min(1)
    order = closest.argsort(stable=True)[:count]
    samples = pool[order]
    table = verdicts_on(case, data, data.train_images[samples], data.train_labels[samples], samples, device, on_chunk)

    def confidences(name: str) -> Floats:
        return logit_confidence(stored_scores(case.store, rows[name]["scores"])["train_loss"][samples].numpy())

    def judged(of: Callable[[str], Floats]) -> Judged:
        return judge(of(case.method), np.stack([of(name) for name in case.references]))

    shift = judged(confidences)
    p = 2 * np.minimum(np.minimum(shift.p_residual, shift.p_forgotten), 0.5)
    return Retained(
        table.samples,
        table.labels,
        judged(lambda name: over_all_radii(table, name)),
        closest[order].double().numpy(),
        forget[which[order]].numpy(),
        shift.deviate,
        false_discovery_control(p),
    )
