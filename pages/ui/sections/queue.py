"""The samples to forget as a queue: what is asked, which filters leave which samples, how far the review is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from rurk_core.evidence.findings import SAID, Finding, Findings
from rurk_core.evidence.reviews import Judgement, history, latest
from ui.figures.look import looks_of
from ui.session import state
from ui.session.evidence import findings_of
from ui.session.view import choose_question

WORDS = {"clear": "Clear", "residual": "Residual", "over_forgotten": "Over-forgotten", "cannot_tell": "Cannot tell"}
UNDECIDED = "undecided"
FILTERS = {"all": "All", UNDECIDED: "Undecided", **WORDS}
EVIDENCE = {"all": "Any finding", **{name: word[0].upper() + word[1:] for name, word in SAID.items()}}
WINDOW = 300
"""Samples that are at hand at once; a longer queue goes on where the reviewer is."""


@dataclass(frozen=True)
class Queue:
    """Samples in the order they are to be looked at, those that a filter leaves, and what was said of them."""

    run: str
    method: str
    attack: str
    found: Findings
    shown: list[Finding]
    past: list[Judgement]
    said: dict[int, Judgement]

    def window(self, sample: int) -> list[Finding]:
        """The samples at hand around the one in view, by finding, the strongest evidence of each first."""
        order = list(SAID)
        grouped = sorted(self.shown, key=lambda finding: order.index(finding.finding))
        here = next((at for at, finding in enumerate(grouped) if finding.sample == sample), 0)
        first = min(max(0, here - WINDOW // 2), max(0, len(grouped) - WINDOW))
        return grouped[first : first + WINDOW]


def choose_queue(run: str, result: dict[str, Any], columns: Sequence[Any]) -> Queue:
    """Four selects in four columns, and the queue they make."""
    show = state.choice("show", "all", state.one_of(list(FILTERS)))
    evidence = state.choice("evidence", "all", state.one_of(list(EVIDENCE)))
    method, attack = choose_question(result, looks_of(result["models"]), columns[:2])
    with columns[2]:
        state.bound(
            st.selectbox, "Decided", "show", show, options=list(FILTERS), format_func=lambda name: FILTERS[name]
        )
    with columns[3]:
        state.bound(
            st.selectbox,
            "Finding",
            "evidence",
            evidence,
            options=list(EVIDENCE),
            format_func=lambda name: EVIDENCE[name],
            help="What is said of the sample, against how far re-trainings differ.",
        )
    past = history(state.store(), run)
    said = {sample: found for (of, sample), found in latest(past).items() if of == method}
    found = findings_of(run, method, attack)

    def wanted(finding: Finding) -> bool:
        judgement = said.get(finding.sample)
        verdict = judgement.verdict if judgement else UNDECIDED
        return show in ("all", verdict) and evidence in ("all", finding.finding)

    return Queue(run, method, attack, found, [f for f in found.samples if wanted(f)], past, said)


def progress_words(queue: Queue) -> str:
    """How far the review is."""
    counts = [
        f"{count} {word.lower()}"
        for name, word in WORDS.items()
        if (count := sum(found.verdict == name for found in queue.said.values()))
    ]
    return f"**{len(queue.said)} of {len(queue.found.samples)}** decided" + "".join(f" · {each}" for each in counts)
