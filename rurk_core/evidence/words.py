"""Sentences on samples and forget sets, the same for pages, reports and the terminal."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from scipy.stats import t as student

from ..run.standing import POINTS, failed_trainings
from .findings import SAID, Finding, Findings, Settling
from .null import NEEDED
from .numbers import chance, rate_text, share_text, signed, small
from .settles import MOST_REFERENCES
from .specific import FEW_PEERS, MEMBERS

NEARLY = 2
"""A sample just misses a list where its q-value is up to so many times the false-discovery rate."""
AS_THEY = "the model remembers as they do"
MANY = 8
"""Re-trained models from which on more of them help little."""


def sample_words(found: Finding, of: Findings) -> str:
    """What is said of a sample: the finding, what it rests on, and whether it is memory of this very sample."""
    return " ".join(sample_sentences(found, of))


def sample_sentences(found: Finding, of: Findings) -> list[str]:
    """:func:`sample_words` in pieces: first the finding with the counts, then what it rests on."""
    said = SAID[found.finding]
    parts = [f"{said[0].upper()}{said[1:]}: {_counted(found, of)}."]
    if _hidden(found):
        parts.append("The counts do not show it, the log-odds do.")
    row = found.row
    if row.get("low") is not None:
        below = row["log_odds"] < row["expected"]
        p, q = (row["p_forgotten"], row["q_forgotten"]) if below else (row["p_residual"], row["q_residual"])
        parts.append(
            f"The mean log-odds of its label are {signed(row['log_odds'])}; of one more re-training they would lie "
            f"between {signed(row['low'])} and {signed(row['high'])} with 95% probability ({chance('p', p)}, among all "
            f"samples {chance('q', q)})."
        )
    parts.append(_because(found, of))
    if row.get("specific") and found.finding == "residual":
        parts.append(_memory(found, of))
    elif found.finding == "residual" and of.judged and of.judged.specific is None:
        parts.append(
            "Whether it is memory of this very sample or knowledge of its class cannot be told: there are too few "
            "held-out samples of the class."
        )
    return list(filter(None, parts))


def _hidden(found: Finding) -> bool:
    """Whether a finding is in the log-odds alone: of the copies no more, or no fewer, are recognised."""
    excess = found.excess or 0.0
    return (found.finding == "residual" and excess <= 0) or (found.finding == "over_forgotten" and excess >= 0)


def _counted(found: Finding, of: Findings) -> str:
    """How many of its copies are recognised, by the model and by re-trained ones."""
    k = len(found.references)
    who = f"the {k} re-trained models" if k > 1 else "the re-trained model"
    if found.copies == 1:
        told, too = f"its one copy is {'' if found.recognised else 'not '}recognised", sum(found.references)
        if k == 1:
            return f"{told}; the re-trained model {'recognises' if too else 'does not recognise'} it"
        return f"{told}; {too} of the {k} re-trained models recognise{'s' * (too == 1)} it" if k else told
    counted = f"{share_text(found.recognised, found.copies)} of the copies{_radii(of)} are recognised"
    if not k:
        return counted
    mean = share_text(sum(found.references), k * found.copies)
    return f"{counted}, by {who} {mean}" + (" on average" if k > 1 else "")


def _radii(of: Findings) -> str:
    return " over all radii" if of.radii > 1 else ""


def _because(found: Finding, of: Findings) -> str:
    """Why it is not called residual or over-forgotten, and what would settle it."""
    if found.finding == "clear":
        return "The Original is told from re-trainings here, and half of what it has beyond them is excluded."
    if found.finding == "nothing_to_see":
        return "Not even the Original, which saw this sample, can be told from a re-training here."
    if found.finding != "cannot_tell":
        return ""
    if of.why:
        return of.why
    judged = of.judged
    if judged is not None and (not found.row or found.row.get("low") is None or judged.references < NEEDED):
        return " ".join(judged.missing[:1])
    more = found.row.get("settles")
    if judged is None:
        return ""
    if more and more <= judged.references:
        return _missed(found, judged.rate)
    told = []
    if more:
        told.append(f"{more} re-trained models in place of {judged.references} would tell it with a chance of 80%.")
    elif judged.originals:
        told.append(f"No number of re-trained models up to {MOST_REFERENCES} is sure to tell it.")
    else:
        told.append("No other model that saw it is there, so it is not known what would tell it.")
    if (copies := found.row.get("settles_draws") or 0) > of.draws:
        told.append(f"{'So' if more else 'But'} would {copies} copies at each radius in place of {of.draws}.")
    elif judged.originals and np.isfinite(judged.drawn):
        told.append(f"No number of copies is sure to: {drawn_words(judged.drawn)}.")
    return " ".join(told)


def _missed(found: Finding, rate: float) -> str:
    """Of a sample that the re-trained models there are tell in most cases, and not in this one."""
    row = found.row
    q, side = min((row["q_residual"], "residual knowledge"), (row["q_forgotten"], "over-forgotten"))
    listed = f"the list of samples with {side}" if side == "residual knowledge" else f"the list of {side} samples"
    parts = []
    if q <= NEARLY * rate:
        parts.append(
            f"It just misses {listed}: at the chosen false-discovery rate of {rate_text(rate)} that takes q of at most "
            f"{small(rate)}, and its q is {small(q)}."
        )
    parts.append(
        "So many re-trained models settle a sample on which the Original has as much in 80% of all cases; this is one "
        "of the others."
    )
    return " ".join(parts)


def drawn_words(share: float) -> str:
    """How much of what re-trainings differ by comes of the copies that were drawn."""
    return f"the copies that were drawn make up {share:.0%} of the variance between re-trainings"


def _memory(found: Finding, of: Findings) -> str:
    said = found.row["specific"]
    if said == "shown":
        return (
            f"Memory of this very sample is shown: it is beyond what the model gains on {of.held_out} held-out samples."
        )
    if said == "not_shown":
        return "Memory of this very sample is not shown: half of what models have that saw it is excluded."
    open_ = "Whether it is memory of this very sample or knowledge of its class cannot be told"
    there, judged = of.peers.get(found.label, 0), of.judged
    if there < FEW_PEERS:
        are = "is" if there == 1 else "are"
        return f"{open_}: that takes {FEW_PEERS} held-out samples of its class, and there {are} {there}."
    if judged is None or not judged.originals:
        return f"{open_}."
    if judged.originals == 1:
        return f"{open_}: one model that saw it does not say how far such models differ; further Originals would."
    more = found.row.get("settles_members")
    if more:
        return (
            f"{open_}; {more} further Originals in place of {of.members} would show it with a chance of 80%, if "
            f"{AS_THEY}."
        )
    return f"{open_}, and no number of further Originals up to {MEMBERS[-1] - 1} is sure to show it."


def planted_words(canaries: Collection[int], sample: int, label: str) -> str:
    """A hint beside a sample that is a canary, see :func:`rurk_core.data.dataset.plant`; "" of all others."""
    return f"It is a canary, planted under the wrong label “{label}”." if sample in canaries else ""


def settling_words(one: Settling, of: Findings) -> str:
    """What would settle open samples of a set, in one sentence."""
    more = "sample" if one.samples == 1 else "samples"
    if one.what == "references":
        if one.now < NEEDED:
            return f"Findings need at least {NEEDED} re-trained models."
        return (
            f"With {one.number} re-trained models in place of {one.now} about {one.samples} more {more} would be told "
            "with a chance of 80%."
        )
    if one.what == "draws":
        assert of.judged is not None
        return (
            f"With {one.number} copies at each radius in place of {one.now} about {one.samples} more {more} would be "
            f"told with a chance of 80%: {drawn_words(of.judged.drawn)}."
        )
    if of.judged is not None and of.judged.originals == 1:
        return (
            f"Of {one.samples} {more} with residual knowledge it cannot be told whether it is memory of the very "
            f"sample: one model that saw them does not say how far such models differ; {one.number} further Originals "
            "would."
        )
    return (
        f"With {one.number} further Originals in place of {one.now} memory of the very sample would be shown of about "
        f"{one.samples} more {more} with a chance of 80%, if {AS_THEY}."
    )


def set_words(of: Findings) -> str:
    """What is said of a forget set under one model: the findings counted, and the set as a whole."""
    if of.why:
        recognised, copies = (sum(getattr(one, name) for one in of.samples) for name in ("recognised", "copies"))
        are = "is" if copies == 1 else "are"
        return f"Cannot be told: {share_text(recognised, copies)} of the copies{_radii(of)} {are} recognised. {of.why}"
    judged = of.judged
    assert judged is not None
    if judged.references < NEEDED:
        return f"Cannot be told. {judged.missing[0]}"
    parts = [_findings(of, judged.rate)]
    if hidden := sum(map(_hidden, of.samples)):
        these, are = f"{hidden} of these findings", "is" if hidden == 1 else "are"
        these = "This finding" if len(of.samples) == 1 else these
        it = "it" if hidden == 1 else "them"
        parts.append(f"{these} {are} in the log-odds alone: the copies recognised do not show {it}.")
    whole = judged.whole
    if whole is not None:
        parts.append(
            f"The set's mean log-odds are {signed(whole.excess, 2)} beyond re-trainings (95% interval "
            f"{signed(whole.low, 2)} to {signed(whole.high, 2)})."
        )
        parts.append(_share(of))
    parts.append(_beyond_class(of))
    return " ".join(filter(None, parts))


def _findings(of: Findings, rate: float) -> str:
    """The samples of a set counted by finding."""
    counts, rated = of.counts(), f"false-discovery rate {rate_text(rate)}"
    if len(of.samples) == 1:
        said = {
            "residual": "The one sample carries residual knowledge",
            "over_forgotten": "The one sample is over-forgotten",
            "clear": "The one sample is clear",
            "nothing_to_see": "On the one sample not even the Original shows",
            "cannot_tell": "Of the one sample it cannot be told",
        }[of.samples[0].finding]
        return f"{said} ({rated})."
    residual, forgotten, clear = (counts[name] for name in ("residual", "over_forgotten", "clear"))
    specific = of.judged is not None and of.judged.specific is not None
    shown = f" (memory of the very sample is shown for {of.remembered()})"
    listed = (
        f"Of {len(of.samples):,} samples {residual} {'carries' if residual == 1 else 'carry'} residual knowledge"
        f"{shown if residual and specific else ''}, {forgotten} {'is' if forgotten == 1 else 'are'} over-forgotten "
        f"({rated})"
    )
    if of.judged is not None and not of.judged.originals:  # as of the Original itself: none is left to hold it against
        open_ = counts["cannot_tell"]
        return f"{listed}, and {open_} {'is' if open_ == 1 else 'are'} not told from a re-training."
    return (
        f"{listed}, {clear} {'is' if clear == 1 else 'are'} clear, on {counts['nothing_to_see']} not even the Original "
        f"shows, and of {counts['cannot_tell']} it cannot be told."
    )


def _beyond_class(of: Findings) -> str:
    """Whether the set is remembered beyond its class, as held-out samples tell."""
    assert of.judged is not None
    specific, whole, one = of.judged.specific, of.judged.whole, len(of.samples) == 1
    classes = "classes" if len({found.label for found in of.samples}) > 1 else "class"
    these, their = ("this sample", "its") if one else ("these samples", "their")
    if specific is None:
        open_ = f"Whether it is memory of {these} or knowledge of {their} {classes} cannot be told"
        return f"{open_}: there are too few held-out samples of the {classes}." if of.counts()["residual"] else ""
    shown, why = "shown" if specific.set_low > 0 else "not shown", ""
    if shown == "shown" and whole is not None and whole.excess < 0:  # a class that was destroyed, its samples less so
        shown += ", though all lies below re-trainings: held-out samples lie lower still"
    elif shown == "shown" and whole is not None and whole.low <= 0:
        why = (
            f" That holds {'it' if one else 'them'} against held-out samples under this very model, not against "
            "re-trained models, beyond which as a whole nothing is shown."
        )
    elif of.remembered() and shown == "not shown" and not one:
        why = (
            " This is of their mean, held against how far whole re-trained models differ; that of single samples, each "
            "held against held-out ones, is counted above."
        )
    return (
        f"Held against {of.held_out} held-out samples of the {classes} under the same model, "
        f"{'it' if one else 'the mean of the set'} is {signed(specific.set_excess, 2)} standard deviations beyond "
        f"re-trainings (95% interval {signed(specific.set_low, 2)} to {signed(specific.set_high, 2)}): memory of "
        f"{these}{'' if one else ' as a set'} beyond {their} {classes} is {shown}.{why}"
    )


def _share(of: Findings) -> str:
    share, words = share_words(of)
    if share is None:
        return words
    return f"The share of what the Original has beyond re-trainings that is still there: {words}."


def share_words(of: Findings) -> tuple[float | None, str]:
    """The share of what the Original has beyond re-trainings that is still there: (value, words with its interval).

    Without a value there are words where the set lies so low that a share of 0 would have an interval of no width, and
    none where nothing is known.
    """
    whole = of.judged.whole if of.judged else None
    if of.why or whole is None:
        return None, ""
    if whole.high < 0:
        left = ": nothing of what the Original has beyond them is left" if np.isfinite(whole.share) else ""
        return None, f"As a whole it lies below re-trainings{left}."
    if not np.isfinite(whole.share):
        return None, ""
    if whole.share_high <= 0:
        return None, "As a whole it lies as low as re-trainings or lower: nothing of what the Original has shows."
    nearer = {"original": "nearer the Original", "retraining": "nearer a re-training"}.get(whole.nearer)
    nearer = nearer or "whether nearer the Original or a re-training cannot be told"
    return whole.share, f"{whole.share:.0%} (95% interval {whole.share_low:.0%} to {whole.share_high:.0%}; {nearer})"


def caveats(result: dict[str, Any]) -> list[str]:
    """What a reader must know before any number of a run: sentences for the head of a page or report."""
    found = [note for note in result.get("notes", []) if "has seen the forget set" in note]
    if found:
        found = [found[0] + " Re-trained models therefore know the samples too, and what is found is beyond that."]
    misfits = result.get("audit", {}).get("misfits", {}).values()
    found = [*misfits, *failed_trainings(result["models"]), *_unlearned_by_none(result), *found]
    k = sum(row["role"] == "reference" and bool(row.get("key")) for row in result["models"])
    if k < NEEDED:
        many = "no re-trained model" if k == 0 else "one re-trained model" if k == 1 else f"{k} re-trained models"
        found.append(f"There {'are' if k > 1 else 'is'} {many}; findings need at least {NEEDED}.")
    return found


def _unlearned_by_none(result: dict[str, Any]) -> list[str]:
    """Whether the Original lies below every re-training on what both were trained on: then it says little of either."""
    right = {
        role: [row["retain_accuracy"] for row in result["models"] if row["role"] == role and "retain_accuracy" in row]
        for role in ("original", "reference")
    }
    if not all(right.values()) or max(right["original"]) >= min(right["reference"]) - POINTS:
        return []
    least, many = 100 * min(right["reference"]), len(right["reference"]) > 1
    return [
        f"The Original is right on {100 * max(right['original']):.1f}% of the retained samples, "
        f"{'every re-trained model on at least' if many else 'the re-trained model on'} {least:.1f}%: the Original has "
        "not learned what re-training learns, so what unlearning leaves of it, or destroys, is hard to tell."
    ]


def power_words(references: int) -> str:
    """What findings with K re-trained models will rest on, before any is trained."""
    if references < NEEDED:
        many = "one re-trained model" if references == 1 else f"{references} re-trained models"
        return f"With {many} nothing can be found: findings need at least {NEEDED}."
    low, high = (reach(k) for k in (references, MANY))
    more = f", {high:.1f} with {MANY}" if references < MANY else ""
    return (
        f"With {references} re-trained models the forget set as a whole must lie {low:.1f} standard deviations between "
        f"re-trainings from their mean to stand out ({reach(None):.1f} with any number of them{more}); single samples "
        "borrow strength from each other."
    )


def reach(references: int | None) -> float:
    """Half the 95% interval of the set in standard deviations between re-trainings; None: of any number of them."""
    return 1.96 if references is None else float(student.ppf(0.975, references - 1) * np.sqrt(1 + 1 / references))


def short_words(of: Findings) -> str:
    """The finding on a set in a few words: the counts that are not 0."""
    if of.why or of.judged is None or of.judged.references < NEEDED:
        return "cannot be told"
    counts = of.counts()
    return ", ".join(f"{count} {SAID[name]}" for name, count in counts.items() if count)
