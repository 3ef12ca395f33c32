"""Which part each method of a run plays: one that leaves knowledge, one that forgets too far, one that does neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .findings import Findings
from .null import NEEDED


@dataclass(frozen=True)
class Parts:
    """Names of methods, "" where no method plays the part.

    Attributes:
        leaves: most samples found residual; destroys: most samples over-forgotten.
        nearest: of the others, the one whose set is nearest to re-trainings.
    """

    leaves: str = ""
    destroys: str = ""
    nearest: str = ""


def parts(found: Mapping[str, Findings]) -> Parts:
    """The parts of the methods of one run under one attack; none where the references are too few to say anything."""
    told = {name: (of.counts(), of.judged.whole) for name, of in found.items() if _told(of) and of.judged}

    def most(finding: str, *without: str) -> str:
        counts = {name: count[finding] for name, (count, _) in told.items() if name not in without}
        best = max(counts, key=counts.__getitem__, default="")
        return best if best and counts[best] else ""

    leaves = most("residual")
    destroys = most("over_forgotten", leaves)
    excess = {name: abs(whole.excess) for name, (_, whole) in told.items() if whole and name not in (leaves, destroys)}
    return Parts(leaves, destroys, min(excess, key=excess.__getitem__, default=""))


def _told(of: Findings) -> bool:
    return of.judged is not None and of.judged.references >= NEEDED and of.judged.whole is not None


def part_words(of: Findings) -> str:
    """What a method did, in a few words that its own counts and its set bear out."""
    if of.why or not _told(of) or of.judged is None or of.judged.whole is None:
        return "Cannot be told"
    counts, judged, whole = of.counts(), of.judged, of.judged.whole
    if counts["residual"]:
        return "Leaves knowledge" + (", and forgets others too far" if counts["over_forgotten"] else "")
    if counts["over_forgotten"]:
        return "Forgets too far"
    if whole.low > 0 or whole.high < 0:
        return f"As a whole {'above' if whole.low > 0 else 'below'} re-trainings"
    shows = judged.told_apart.any() or np.isfinite(whole.share)
    return "Not told from a re-training" + ("" if shows or not judged.originals else ", nor is the Original")
