"""Which part each method of a run plays: one that leaves knowledge, one that forgets too far, one that does neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .findings import Findings
from .null import NEEDED


@dataclass(frozen=True)
class Parts:
    """Names of methods, "" where no method plays the part.

    Attributes:
        leaves: most samples found residual; destroys: most samples over-forgotten.
        nearest: of the others, the one whose set is nearest to re-trainings; alike: whether it cannot be told from one
            more re-training as a set, with no more samples named than the rate allows by chance.
    """

    leaves: str = ""
    destroys: str = ""
    nearest: str = ""
    alike: bool = False


def parts(found: Mapping[str, Findings]) -> Parts:
    """The parts of the methods of one run under one attack; none where the references are too few to say anything."""
    told = {
        name: (of.counts(), of.judged.whole)
        for name, of in found.items()
        if of.judged is not None and of.judged.references >= NEEDED and of.judged.whole is not None
    }

    def most(finding: str, *without: str) -> str:
        counts = {name: count[finding] for name, (count, _) in told.items() if name not in without}
        best = max(counts, key=counts.__getitem__, default="")
        return best if best and counts[best] else ""

    leaves = most("residual")
    destroys = most("over_forgotten", leaves)
    rest = {name: told[name] for name in told if name not in (leaves, destroys)}
    nearest = min(rest, key=lambda name: abs(rest[name][1].excess), default="")
    if not nearest:
        return Parts(leaves, destroys)
    counts, whole = rest[nearest]
    named = counts["residual"] + counts["over_forgotten"]
    judged = found[nearest].judged
    assert judged is not None
    alike = whole.low <= 0 <= whole.high and named <= judged.rate * sum(counts.values())
    return Parts(leaves, destroys, nearest, alike)
