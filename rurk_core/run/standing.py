"""Where an unlearned model stands far from the references, in a sentence beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..perturb.copies import ATTACKS

POINTS = 0.02
"""Retained accuracy may lie so far below the lowest of the references."""
LEAST = 0.5
"""Share of what the references recognise, below which a set has been forgotten too well."""
OVER, NOTHING = "It over-forgets", "It did next to nothing"
"""How the sentences begin."""
SAME = 0.01
"""Two counts of recognised copies that differ by less than this share of all copies are as good as equal."""


def note_standing(rows: Sequence[dict[str, Any]], residual: Sequence[Mapping[str, Any]]) -> None:
    """Add to the notes of every unlearned model that over-forgets, or that is still the Original.

    What the Original has not learned either, unlearning has not destroyed.

    Args:
        rows: the models of a result document, changed in place; residual: its residual knowledge.
    """
    tables = {entry["method"]: entry["taus"] for entry in reversed(residual) if not ATTACKS[entry["attack"]].uses_model}
    usual = {
        role: [row["retain_accuracy"] for row in rows if row["role"] == role and "failed" not in row]
        for role in ("reference", "original")
    }
    original = tables.get("original")
    for row in rows:
        if row["role"] != "unlearned" or "failed" in row:
            continue
        taus = tables.get(row["name"])
        found = [*_over_forgets(row, taus, usual, original), *_did_nothing(taus, original)]
        if found:
            row["notes"] = [*row.get("notes", ()), *found]


def stands_apart(row: Mapping[str, Any]) -> list[str]:
    """Of a model of a result document, the sentences of :func:`note_standing`."""
    return [note for note in row.get("notes", ()) if note.startswith((OVER, NOTHING))]


def _over_forgets(row: Mapping[str, Any], taus: Any, usual: Mapping[str, Sequence[float]], original: Any) -> list[str]:
    found, retrained = [], usual["reference"]
    if retrained and row["retain_accuracy"] < min(*retrained, *usual["original"], 1) - POINTS:
        found.append(
            f"{OVER}: it is right on {100 * row['retain_accuracy']:.1f}% of the retained samples, every "
            f"re-trained model on at least {100 * min(retrained):.1f}%."
        )
    known = [original is None or not _low(before) for before in original or taus or ()]
    low = [at for at, knew in zip(taus or (), known, strict=True) if knew and _low(at)]
    if low:
        worst = min(low, key=lambda at: at["numerator"] / at["denominator"])
        found.append(
            f"{OVER}: at τ = {worst['tau']:g} it recognises {worst['numerator']:.0f} copies of forget "
            f"samples, re-trained models {worst['denominator']:.0f}; 'rurk tune' looks for settings that forget less."
        )
    return found


def _low(at: Mapping[str, Any]) -> bool:
    return bool(at["denominator"]) and at["numerator"] < LEAST * at["denominator"]


def _did_nothing(taus: Any, original: Any) -> list[str]:
    if not taus or not original or not any(at["numerator"] for at in original):
        return []
    apart = max(abs(a["numerator"] - b["numerator"]) / max(1, a["trials"]) for a, b in zip(taus, original, strict=True))
    if apart >= SAME:
        return []
    return [
        f"{NOTHING} to the forget set: at every radius it recognises as many copies as the Original, "
        f"within {100 * SAME:g}% of all."
    ]
