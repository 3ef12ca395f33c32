"""Sentences on a whole forget set, the same for pages, reports and the terminal."""

from __future__ import annotations

import shlex
from typing import Any


def changes(row: dict[str, Any], rate: float) -> list[str]:
    """What unlearning did to a retained sample, in words: none, or several."""
    found = []
    if row["q_residual"] <= rate:
        found.append("recognised more firmly than after re-training")
    if row["q_forgotten"] <= rate:
        found.append("recognised less than after re-training")
    if row["q_shift"] <= rate:
        found.append(f"membership signal {'higher' if row['shift'] > 0 else 'lower'}")
    return found


def beyond_words(found: dict[str, Any], count: int) -> str:
    """How many of ``count`` samples the model holds beyond all references, by a norm's radii; "" without any."""
    if found["beyond_all"] is None:
        return ""
    return (
        f"{found['beyond_all']} of {count} samples are held more firmly than by any re-trained model; of one more "
        f"re-training that would be about {found['expected']:.1f}."
    )


def retained_words(found: dict[str, Any]) -> str:
    """How many retained samples changed, and how."""
    changed = set(found["changed"])
    rows = [row for row in found["samples"] if row["sample"] in changed]
    said = [word for row in rows for word in changes(row, found["rate"])]
    counts = ", ".join(f"{said.count(word)} {word}" for word in dict.fromkeys(said))
    return (
        f"Of the {len(found['samples'])} retained samples nearest to the forget set {len(rows)} changed beyond the "
        f"spread of {found['references']} re-trainings (false-discovery rate {found['rate']:.0%})"
        + (f": {counts}." if counts else ".")
    )


def unreferenced_words(found: dict[str, Any]) -> tuple[str, str]:
    """The weaker answer, and what it is worth where that can be measured."""
    told, agreement = [row["verdict"] for row in found["samples"]], found["agreement"]
    answer = (
        "Held-out samples of the same class, as hard to tell, in place of re-trained models: "
        f"{told.count('residual')} of {len(told)} samples are recognised more than nearly all of them, "
        f"{told.count('over_forgotten')} less, and of {told.count('cannot_tell')} nothing can be told."
    )
    if agreement is None:
        return answer, "There are too few re-trained models to say what this answer is worth here."
    # the share of equal answers alone flatters: both say nothing of most samples
    return answer, (
        f"Measured here, it gives the same answer as the re-trained models for {agreement['same']:.0%} of the samples; "
        f"it accuses {agreement['alarms']:.0%}, they accuse {agreement['alarms_calibrated']:.0%}, and "
        f"{agreement['both']:.0%} of its accusations are theirs too; the rank correlation of the two excesses is "
        f"{agreement['rank_correlation']:.2f}."
    )


def not_measured(run: str, method: str, attack: str) -> str:
    """The sentence where there is no document."""
    command = shlex.join(["rurk", "evidence", run, "--method", method, "--attack", attack, "--whole"])
    return (
        "Not measured: re-recognition radii, membership signals, retained and held-out samples; press “Measure the "
        f"whole set” on the Review page, or run: {command}"
    )
