"""What is known of every sample under one model, ranked: the queue of a reviewer and the table of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..measure.residual import Verdicts
from .samples import VERDICTS, SampleEvidence, sample_evidence

CANNOT_TELL = "cannot_tell"
SAID = {
    "residual": "residual knowledge",
    "over_forgotten": "over-forgotten",
    "clear": "clear",
    "cannot_tell": "cannot be told",
}
"""The verdicts of the evidence in words."""
NEEDED = 2
"""Re-trained models that evidence needs: one alone does not say how far they differ."""


@dataclass(frozen=True)
class Finding:
    """One sample under one model, all radii together.

    Attributes:
        sample: training index; place: its row in the verdicts; label: its class.
        recognised: copies the model recognises, of ``copies``; references: the same for every re-trained model.
        excess: percentage points of the copies beyond what a re-training recognises; None without any.
        verdict: of the evidence, of :data:`~rurk_core.evidence.samples.VERDICTS`; "cannot_tell" where there is none.
        evidence: :meth:`SampleEvidence.row`, or None with fewer than two re-trained models.
    """

    sample: int
    place: int
    label: int
    recognised: int
    references: tuple[int, ...]
    copies: int
    excess: float | None
    verdict: str
    evidence: dict[str, Any] | None


@dataclass(frozen=True)
class Findings:
    """All samples, those with the strongest evidence for residual knowledge first, and the evidence as a whole."""

    samples: list[Finding]
    evidence: SampleEvidence | None

    def counts(self) -> dict[str, int]:
        """How many samples have which verdict."""
        return {name: sum(found.verdict == name for found in self.samples) for name in VERDICTS}


def find(verdicts: Verdicts, method: str) -> Findings:
    """Findings on every sample under ``method``.

    With fewer than two re-trained models there is no evidence; samples are then ordered by what is recognised beyond
    the one there is, or by recognition alone.
    """
    u, v = verdicts.recognised(method).sum(1), verdicts.reference_recognised().sum(2)
    evidence = sample_evidence(verdicts, method) if len(v) >= NEEDED else None
    copies = verdicts.draws * len(verdicts.taus)
    found = []
    for place, (sample, label) in enumerate(zip(verdicts.samples.tolist(), verdicts.labels.tolist(), strict=True)):
        own, each = int(u[place]), tuple(v[:, place].tolist())
        row = evidence.row(place) if evidence else None
        excess = 100 * row["excess"] if row else 100 * (own - sum(each)) / copies if each else None
        verdict = row["verdict"] if row else CANNOT_TELL
        found.append(Finding(sample, place, label, own, each, copies, excess, verdict, row))
    if evidence:
        return Findings([found[place] for place in evidence.order()], evidence)
    return Findings(sorted(found, key=lambda f: -(f.recognised if f.excess is None else f.excess)), None)


def in_words(found: Finding) -> str:
    """One sentence on a sample: what the evidence says, how much, and how sure."""
    if found.evidence is None:
        why = (
            "one re-trained model does not say how far re-trainings differ"
            if found.references
            else "there is no re-trained model to compare with"
        )
        beyond = f", {found.excess:+.1f} percentage points beyond the one there is" if found.references else ""
        return f"Cannot be told, because {why}: {found.recognised:,} of {found.copies:,} copies are recognised{beyond}."
    row = found.evidence
    said = SAID[found.verdict]
    below = row["excess"] < 0
    p, q = (row["p_forgotten"], row["q_forgotten"]) if below else (row["p_residual"], row["q_residual"])
    seen = (
        "with these references no count could have been told from a re-training"
        if row["detectable"] is None
        else f"taken alone, an excess of {100 * row['detectable']:.0f} points would be seen in 4 of 5 cases"
    )
    return (
        f"{said[0].upper()}{said[1:]}: {100 * row['recognised']:.1f}% of the copies are recognised, a re-training is "
        f"expected to recognise {100 * row['expected']:.1f}%; the difference is {100 * row['excess']:+.1f} percentage "
        f"points (95% interval {100 * row['low']:+.1f} to {100 * row['high']:+.1f}, p = {p:.3g}, among all samples "
        f"q = {q:.3g}); {seen}."
    )
