"""Where an unlearned model stands far from the references, in a sentence beside its numbers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ..perturb.copies import ATTACKS

POINTS = 0.02
"""Retained accuracy may lie so far below the lowest of the references."""
LEAST = 0.5
"""Share of what the references recognise, below which a set has been forgotten too well."""
LEARNED = 0.75
"""Share of the others' retained accuracy, below which a training has failed."""
OVER, NOTHING, MORE = "It over-forgets", "It did next to nothing", "It knows more than the Original"
"""How the sentences begin."""
LESS = "; 'rurk tune' looks for settings that forget less."
"""What helps a method; a model that was made elsewhere has no settings here."""
SAME = 0.01
"""Two counts of recognised copies that differ by less than this share of all copies are as good as equal."""


def count_words(value: float) -> str:
    """A count, or a mean of counts, which is not said to be 0 where it is not.

    >>> count_words(1490.0), count_words(1489.6), count_words(54.25), count_words(1 / 64)
    ('1490', '1490', '54.2', '0.016')
    """
    if value >= 100 or float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 0.1 else f"{value:.2g}"


def note_standing(rows: Sequence[dict[str, Any]], residual: Sequence[Mapping[str, Any]]) -> None:
    """Add to the notes of every unlearned model that over-forgets, that is still the Original, or that knows more.

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
        found = _over_forgets(row, taus, usual, original) + _did_nothing(taus, original) + _knows_more(taus, original)
        if found:
            row["notes"] = [*row.get("notes", ()), *found]


def failed_trainings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for every Re-train that has learned far less than the other Re-trains and the Original.

    Args:
        rows: the models of a result document.
    """
    trained = [row for row in rows if row["role"] in ("original", "reference") and "retain_accuracy" in row]
    said = []
    for row in trained:
        right = row["retain_accuracy"]
        usual = statistics.median([other["retain_accuracy"] for other in trained if other is not row] or [0.0])
        if row["role"] == "reference" and right < LEARNED * usual:
            number = row["name"].removeprefix("reference-")
            others = "the others and the Original reach a median of" if len(trained) > 2 else "the other model reaches"
            said.append(
                f"Re-trained model {number} is right on {100 * right:.1f}% of the retained samples, where "
                f"{others} {100 * usual:.1f}%: its training seems to have failed, and what is said here counts it all "
                "the same. A lower learning rate or a limit for gradients (clip) may help."
            )
    return said


def stands_apart(row: Mapping[str, Any]) -> list[str]:
    """Of a model of a result document, the sentences of :func:`note_standing`."""
    return [note for note in row.get("notes", ()) if note.startswith((OVER, NOTHING, MORE))]


def _over_forgets(row: Mapping[str, Any], taus: Any, usual: Mapping[str, Sequence[float]], original: Any) -> list[str]:
    found, retrained = list[str](), usual["reference"]
    if retrained and row["retain_accuracy"] < min(*retrained, *usual["original"], 1) - POINTS:
        theirs = "every re-trained model on at least" if len(retrained) > 1 else "the re-trained model on"
        found.append(
            f"it is right on {100 * row['retain_accuracy']:.1f}% of the retained samples, {theirs} "
            f"{100 * min(retrained):.1f}%"
        )
    known = [original is None or not _low(before) for before in original or taus or ()]
    low = [at for at, knew in zip(taus or (), known, strict=True) if knew and _low(at)]
    if low:
        worst = min(low, key=lambda at: at["numerator"] / at["denominator"])
        copies = "copy" if worst["numerator"] == 1 else "copies"
        theirs = "re-trained models on average" if len(retrained) > 1 else "the re-trained model"
        found.append(
            f"at τ = {worst['tau']:g} it recognises {worst['numerator']:.0f} {copies} of forget samples, "
            f"{theirs} {count_words(worst['denominator'])}"
        )
    less = LESS if low and "method" in row else "."
    return [f"{OVER}: {'; '.join(found)}{less}"] if found else []


def _low(at: Mapping[str, Any]) -> bool:
    """Whether far fewer copies are recognised than by the references, and not by a few copies alone."""
    theirs = at["denominator"] or 0
    return at["numerator"] < LEAST * theirs and theirs - at["numerator"] >= max(1, SAME * at["trials"])


def _did_nothing(taus: Any, original: Any) -> list[str]:
    """Where re-trained models recognise as many copies as the Original there is nothing that a method should do."""
    if not taus or not original or not any(at["numerator"] for at in original):
        return []
    if _apart(taus, original) >= SAME or _apart(original, original, "denominator") < SAME:
        return []
    every = "every radius" if len(taus) > 1 else f"τ = {taus[0]['tau']:g}"
    return [
        f"{NOTHING} to the forget set: at {every} it recognises as many copies as the Original, within "
        f"{100 * SAME:g}% of all."
    ]


def _knows_more(taus: Any, original: Any) -> list[str]:
    """Where more copies are recognised than by the Original, which already recognises more than re-trained models."""
    pairs = zip(taus, original, strict=True) if taus and original else ()
    more = [
        (at["numerator"] - before["numerator"], f"{at['tau']:g}", at["numerator"], before["numerator"])
        for at, before in pairs
        if before["denominator"] is not None
        and before["numerator"] > before["denominator"]
        and at["numerator"] - before["numerator"] >= SAME * at["trials"]
    ]
    if not more:
        return []
    _, tau, own, theirs = max(more)
    return [f"{MORE}: at τ = {tau} it recognises {own:.0f} copies of forget samples, the Original {theirs:.0f}."]


def _apart(taus: Any, original: Any, count: str = "numerator") -> float:
    """The largest difference between counts and what the Original recognises, as a share of all copies; 0 without."""
    pairs = [(at[count], before) for at, before in zip(taus, original, strict=True) if at[count] is not None]
    return max((abs(a - b["numerator"]) / max(1, b["trials"]) for a, b in pairs), default=0.0)
