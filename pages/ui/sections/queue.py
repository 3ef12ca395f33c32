"""The samples to forget as a queue: filters, how far the review is, a strip of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from rurk_core.evidence.findings import SAID, Finding, Findings
from rurk_core.evidence.reviews import Judgement, history, latest
from ui.components.tiles import sample_tiles
from ui.figures.look import looks_of
from ui.session import state
from ui.session.evidence import findings_of
from ui.session.view import choose_question

WORDS = {"clear": "Clear", "residual": "Residual", "over_forgotten": "Over-forgotten", "cannot_tell": "Cannot tell"}
UNDECIDED = "undecided"
FILTERS = {"all": "All", UNDECIDED: "Undecided", **WORDS}
EVIDENCE = {"all": "Any finding", **{name: word[0].upper() + word[1:] for name, word in SAID.items()}}
STRIP = 150


@dataclass(frozen=True)
class Queue:
    """Samples in the order they are to be looked at, those that a filter leaves, and what was said of them."""

    run: str
    method: str
    found: Findings
    shown: list[Finding]
    past: list[Judgement]
    said: dict[int, Judgement]


def choose_queue(run: str, result: dict[str, Any]) -> tuple[Queue, str]:
    """The controls above the card, and the queue they make; the attack too."""
    show = state.choice("show", "all", state.one_of(list(FILTERS)))
    evidence = state.choice("evidence", "all", state.one_of(list(EVIDENCE)))
    one, two, three, four = st.columns([1.2, 1, 1, 1], gap="medium")
    method, attack = choose_question(result, looks_of(result["models"]), (one, two))
    with three:
        state.bound(st.selectbox, "Judged", "show", show, options=list(FILTERS), format_func=lambda name: FILTERS[name])
    with four:
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

    return Queue(run, method, found, [f for f in found.samples if wanted(f)], past, said), attack


def show_progress(queue: Queue) -> None:
    """How far the review is."""
    samples = queue.found.samples
    done, whole = len([finding for finding in samples if finding.sample in queue.said]), len(samples)
    counts = [
        f"{sum(found.verdict == name for found in queue.said.values())} {word.lower()}" for name, word in WORDS.items()
    ]
    st.progress(done / whole, text=f"**{done} of {whole}** judged · {' · '.join(counts)}")


def show_strip(queue: Queue, here: int, classes: list[str], dataset: Any) -> None:
    """The queue as pictures; a click goes to one."""
    if dataset is None:
        return
    first = min(max(0, here - STRIP // 2), max(0, len(queue.shown) - STRIP))
    window = queue.shown[first : first + STRIP]
    ids = [finding.sample for finding in window]
    names = []
    for finding in window:
        found = queue.said.get(finding.sample)
        verdict = WORDS[found.verdict].lower() if found else "not judged"
        names.append(
            f"sample {finding.sample}, class {classes[finding.label]}\nfinding: {SAID[finding.finding]}\n{verdict}"
        )
    picked = sample_tiles(
        "queue",
        dataset,
        ids,
        names,
        label="Samples to review",
        side=40,
        mode="one",
        strip=True,
        selected=[queue.shown[here].sample],
        marks=np.array([[float(sample in queue.said) for sample in ids]]),
        looks=[{"colour": "#6A7484", "shape": "circle"}],
    )
    if picked is not None and picked != queue.shown[here].sample:
        state.choose("sample", picked)
        st.rerun()
