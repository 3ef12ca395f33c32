"""What the counts say of every sample under one model, ranked: the queue of a reviewer and the table of a report."""

from __future__ import annotations

from dataclasses import dataclass

from .residual import Verdicts

STANDINGS = {
    "above": "recognised more than by every re-trained model",
    "below": "recognised less than by every re-trained model",
    "within": "recognised as much as by some re-trained models",
    "unknown": "there is no re-trained model to compare with",
}


@dataclass(frozen=True)
class Finding:
    """One sample under one model, all radii together.

    Attributes:
        sample: training index; place: its row in the verdicts; label: its class.
        recognised: copies the model recognises, of ``copies``; references: the same for every re-trained model.
        excess: percentage points of the copies beyond the mean of the re-trained models; None without any.
        standing: a key of :data:`STANDINGS`.
    """

    sample: int
    place: int
    label: int
    recognised: int
    references: tuple[int, ...]
    copies: int
    excess: float | None
    standing: str


def findings(verdicts: Verdicts, method: str) -> list[Finding]:
    """A finding for every sample, the most recognised beyond the re-trained models first.

    Without re-trained models the order is by recognition alone.
    """
    u, v = verdicts.recognised(method).sum(1), verdicts.reference_recognised().sum(2)
    copies = verdicts.draws * len(verdicts.taus)
    found = []
    for place, (sample, label) in enumerate(zip(verdicts.samples.tolist(), verdicts.labels.tolist(), strict=True)):
        own, each = int(u[place]), tuple(v[:, place].tolist())
        excess = 100 * (own - sum(each) / len(each)) / copies if each else None
        found.append(Finding(sample, place, label, own, each, copies, excess, standing(own, each)))
    return sorted(found, key=lambda finding: -(finding.recognised if finding.excess is None else finding.excess))


def standing(own: int, each: tuple[int, ...]) -> str:
    """Where a count lies among those of the re-trained models.

    >>> standing(5, (1, 4)), standing(4, (1, 4)), standing(0, (1, 4)), standing(5, ())
    ('above', 'within', 'below', 'unknown')
    """
    if not each:
        return "unknown"
    return "above" if own > max(each) else "below" if own < min(each) else "within"
