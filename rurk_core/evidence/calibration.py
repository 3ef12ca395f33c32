"""Does the evidence keep its word? Models with known truth handed in as "unlearned": re-trainings, and the Original.

Re-trainings that differ from the references in all but the forget set are handed in too, where they were trained
(:mod:`rurk_core.evidence.controls`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import UsageError
from .case import Case
from .findings import Findings, find
from .law import RATE, check_rate
from .null import NEEDED

LEVEL = 0.05


def check_calibration(references: int, rate: float) -> None:
    """UsageError where there are too few references to hold one against the others, or the rate is none."""
    if references <= NEEDED:
        raise UsageError(
            f"To hold each re-trained model against the others takes at least {NEEDED + 1}; there are {references}."
        )
    check_rate(rate)


def calibrate(case: Case, *, controls: Mapping[str, Case] | None = None, rate: float = RATE) -> dict[str, Any]:
    """Every reference against the others, where every alarm is a false one; and the Original, which saw all samples.

    Args:
        case: of any model of the run; controls: of models "brittle-1", "substitute-1", ..., which must not be accused;
            rate: false-discovery rate of the lists.

    Returns:
        Plain JSON values: ``null`` and ``planted`` of :func:`summary`, ``controls``: one for each kind of them, and
        ``models``: a row each.

    Raises:
        UsageError: too few references to hold one against the others, or nothing is said under this attack.
    """
    names = case.verdicts.references
    check_calibration(len(names), rate)
    found = {name: find(replace(case, method=name), rate=rate) for name in ("original", *names)}
    if found["original"].why:
        raise UsageError(found["original"].why)
    controlled = {name: find(of, rate=rate) for name, of in (controls or {}).items()}
    kinds = dict.fromkeys(name.partition("-")[0] for name in controlled)
    return {
        "attack": case.attack,
        "level": LEVEL,
        "rate": rate,
        "null": summary([found[name] for name in names]),
        "planted": summary([found["original"]]),
        "controls": {
            kind: summary([of for name, of in controlled.items() if name.startswith(f"{kind}-")]) for kind in kinds
        },
        "models": [{"model": name} | summary([of]) for name, of in (found | controlled).items()],
    }


def summary(results: list[Findings]) -> dict[str, Any]:
    """What became of models that were handed in: means over them.

    Returns:
        ``audits``: how many; ``residual``, ``over_forgotten``: share of (model, sample) pairs with p ≤ 0.05 on that
        side; ``findings``: share of the pairs by finding; ``specific``: share of them of which memory of the very
        sample is said to be shown; ``any_residual``, ``any_over_forgotten``: share of models with such a finding at
        all; ``set_residual``, ``set_over_forgotten``: share of models whose set has p ≤ 0.05 on that side.
    """
    judged = [found.judged for found in results if found.judged is not None]
    n = sum(len(found.samples) for found in results)
    counts = [found.counts() for found in results]
    return {
        "audits": len(results),
        "residual": sum(float((j.p_residual <= LEVEL).sum()) for j in judged) / n,
        "over_forgotten": sum(float((j.p_forgotten <= LEVEL).sum()) for j in judged) / n,
        "findings": {name: sum(each[name] for each in counts) / n for name in counts[0]},
        "specific": sum(found.remembered() for found in results) / n,
        "any_residual": sum(each["residual"] > 0 for each in counts) / len(results),
        "any_over_forgotten": sum(each["over_forgotten"] > 0 for each in counts) / len(results),
        "set_residual": sum(j.whole is not None and j.whole.p_residual <= LEVEL for j in judged) / len(results),
        "set_over_forgotten": sum(j.whole is not None and j.whole.p_forgotten <= LEVEL for j in judged) / len(results),
    }
