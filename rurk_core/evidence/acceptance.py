"""Whether a model is within what was declared acceptable before anybody looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .findings import Findings
from .null import NEEDED
from .reviews import Declaration, Judgement

RULE = (
    "A condition on samples is met where it would be even if all samples that cannot be told broke it, and not met "
    "where those found already do; between the two it cannot be told. A sample with nothing to see counts as keeping "
    "it: the model is not told from a re-training there, and not even the Original shows anything that could be left."
)


@dataclass(frozen=True)
class Met:
    """One of the conditions: what it says, what was found, and whether it is met (None: it cannot be told)."""

    condition: str
    found: str
    met: bool | None


def against(declaration: Declaration, found: Findings) -> list[Met]:
    """The conditions of a declaration beside the findings on a model.

    Those on samples follow :data:`RULE`.
    """
    counts, n = found.counts(), len(found.samples)
    told = not found.why and found.judged is not None and found.judged.references >= NEEDED
    rows = []
    for name, most, word in (
        ("residual", declaration.residual, "carry residual knowledge"),
        ("over_forgotten", declaration.forgotten, "are over-forgotten"),
    ):
        condition = f"at most {most:.1%} of the samples {word}"
        listed, open_ = counts[name], counts["cannot_tell"]
        met = False if listed / n > most else True if (listed + open_) / n <= most else None
        rows.append(Met(condition, _found(counts, name, n), met) if told else Met(condition, "cannot be told", None))
    whole = found.judged.whole if told and found.judged else None
    known = whole is not None and np.isfinite(whole.share)
    rows.append(
        Met(
            f"at most {declaration.left:.0%} of what the Original has beyond re-trainings is left (upper end, 95%)",
            f"up to {whole.share_high:.0%}" if known and whole else "cannot be told",
            bool(whole.share_high <= declaration.left) if known and whole else None,
        )
    )
    return rows


def _found(counts: dict[str, int], name: str, n: int) -> str:
    """Samples with a finding, those of which it is open, and those where there is nothing to see; what is 0 unsaid."""
    parts = [f"{counts[name]} of {n} ({counts[name] / n:.1%})"]
    if open_ := counts["cannot_tell"]:
        parts.append(f"{open_} ({open_ / n:.1%}) cannot be told")
    if unseen := counts["nothing_to_see"]:
        parts.append(f"nothing to see on {unseen}")
    return "; ".join(parts)


def before_looking(declaration: Declaration, judgements: Sequence[Judgement]) -> bool:
    """Whether it was declared before the first decision on the run."""
    return all(declaration.time <= one.time for one in judgements)


def declared_words(declared: Sequence[Declaration], judgements: Sequence[Judgement]) -> str:
    """When and by whom the conditions were declared; "" where there are none."""
    if not declared:
        return ""
    last = declared[-1]
    when = "before the first decision" if before_looking(last, judgements) else "after decisions had been made"
    again = f"; it is declaration number {len(declared)}" if len(declared) > 1 else ""
    who = f" by {last.author}" if last.author else ""
    return f"Declared{who} on {last.time[:16].replace('T', ' ')} UTC, {when}{again}." + (
        f" Why: {last.why}" if last.why else ""
    )
