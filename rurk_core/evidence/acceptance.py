"""Whether a model is within what was declared acceptable before anybody looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .findings import Findings
from .null import NEEDED
from .reviews import Declaration, Judgement


@dataclass(frozen=True)
class Met:
    """One of the conditions: what it says, what was found, and whether it is met (None: it cannot be told)."""

    condition: str
    found: str
    met: bool | None


def against(declaration: Declaration, found: Findings) -> list[Met]:
    """The conditions of a declaration beside the findings on a model."""
    counts, n = found.counts(), len(found.samples)
    told = not found.why and found.judged is not None and found.judged.references >= NEEDED
    rows = []
    for name, most, word in (
        ("residual", declaration.residual, "carry residual knowledge"),
        ("over_forgotten", declaration.forgotten, "are over-forgotten"),
    ):
        share = counts[name] / n
        rows.append(
            Met(
                f"at most {most:.1%} of the samples {word}",
                f"{counts[name]} of {n} ({share:.1%})" if told else "cannot be told",
                share <= most if told else None,
            )
        )
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
