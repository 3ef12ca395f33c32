"""Sentences on what is measured of a forget set as a whole, the same for pages, reports and the terminal."""

from __future__ import annotations

import shlex
from typing import Any

from .law import RATE
from .numbers import rate_text, signed


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
        f"{_of(found['beyond_all'], count)} held more firmly than by any re-trained model; of one more re-training "
        f"that would be about {found['expected']:.1f}."
    )


def _of(some: int, count: int) -> str:
    """``some`` of ``count`` samples, and the verb that goes with them."""
    return f"{some} of {count} sample{'s' * (count != 1)} {'is' if 1 in (some, count) else 'are'}"


def retained_words(found: dict[str, Any]) -> str:
    """How many retained samples changed, and how."""
    changed, n, k = set(found["changed"]), len(found["samples"]), found["references"]
    rows = [row for row in found["samples"] if row["sample"] in changed]
    said = [word for row in rows for word in changes(row, found["rate"])]
    counts = ", ".join(f"{said.count(word)} {word}" for word in dict.fromkeys(said))
    samples = f"{n} retained samples" if n > 1 else "one retained sample"
    return (
        f"Of the {samples} nearest to the forget set {len(rows)} changed beyond the spread of {k} re-trainings "
        f"(false-discovery rate {rate_text(found['rate'])})" + (f": {counts}." if counts else ".")
    )


def unreferenced_words(found: dict[str, Any], rate: float = RATE) -> tuple[str, str]:
    """The weaker answer at the level ``rate``, and what it is worth where that can be measured."""
    told, agreement = [row["verdict"] for row in found["samples"]], found["agreement"]
    answer = (
        "Held-out samples of the same class, as hard to tell, in place of re-trained models: "
        f"{_of(told.count('residual'), len(told))} recognised more than nearly all of them, "
        f"{told.count('over_forgotten')} less, and of {told.count('cannot_tell')} nothing can be told."
    )
    if agreement is None:
        return answer, "There are too few re-trained models to say what this answer is worth here."
    # the share of equal answers alone flatters: both say nothing of most samples
    worth = (
        f"Measured here, it gives the same answer as the re-trained models for {agreement['same']:.0%} of the samples. "
        f"Both are taken for every sample by itself at a level of {rate_text(rate)} on either side, not corrected for "
        "many samples as findings are, so they may name more samples than there are findings: held-out samples name "
        f"{agreement['alarms']:.0%} of the samples as recognised more or less than they should be, re-trained models "
        f"{agreement['alarms_calibrated']:.0%} (of one more re-training that would be about {rate_text(2 * rate)})"
    )
    if agreement["alarms"]:
        worth += f"; of those that held-out samples name, re-trained models name {agreement['both']:.0%} too"
    if agreement["rank_correlation"]:  # exactly 0 where there is none, of samples that are all alike
        worth += f"; the rank correlation of the two excesses is {signed(agreement['rank_correlation'], 2)}"
    return answer, f"{worth}."


def not_measured(run: str, method: str, attack: str) -> str:
    """The sentence where there is no document."""
    command = shlex.join(["rurk", "evidence", run, "--method", method, "--attack", attack, "--whole"])
    return (
        "Not measured: re-recognition radii, membership signals, retained and held-out samples; press “Measure the "
        f"whole set” on the Review page, or run: {command}"
    )


def siblings_words(then: int, now: int) -> str:
    """Of a document that was made when there were other numbers of models of other seeds."""
    return (
        f"Measured when the store held {then} other model{'s' * (then != 1)} of this method and settings with another "
        f"seed; now it holds {now}. That decides nothing but the membership attacks that learn from such models "
        "(LiRA); measured again, they learn from those there are now."
    )
