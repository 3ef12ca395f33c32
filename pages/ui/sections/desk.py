"""The desk of Review: what its component shows of a queue, and keeping what is done there."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.evidence.findings import SAID, Finding
from rurk_core.evidence.reviews import MAX_AUTHOR, VERDICTS, Judgement, Note, judge, keep_note, notes
from rurk_core.evidence.words import planted_words, sample_words
from rurk_core.measure.residual import Verdicts
from rurk_core.report.units import unit_of
from ui.components.console import console
from ui.figures.finding import HUES
from ui.figures.look import REFERENCES, Look
from ui.figures.sheet import sheet_of
from ui.sections.queue import WORDS, Queue
from ui.session import state


def reviewer() -> str:
    """Who decides and writes; "" until somebody says so."""
    return st.session_state.setdefault("reviewer", "")


def reviewer_box() -> None:
    reviewer()
    st.text_input("Reviewer", key="reviewer", max_chars=MAX_AUTHOR, persist_state="session")


Desks = dict[str, tuple[str, str, set[int]]]
"""By version, what each desk of this visitor is of: (run, method, samples that may be spoken of)."""


def heard(desks: Desks, done: dict[str, Any]) -> None:
    """Keep what was done, each thing once and at its own desk, and which sample is in view.

    What was done at the desk before, and came when another was already asked for, still belongs to that one.
    """
    author, kept = reviewer(), st.session_state.setdefault("kept_at_desks", set())
    try:
        for what, keep in (("notes", _keep_note), ("decisions", _keep_decision)):
            for one in done.get(what) or []:
                run, method, samples = desks.get(str(one.get("of")), ("", "", set[int]()))
                key = (what, one.get("of"), one.get("sample"), one.get("n"))
                if one.get("sample") not in samples or key in kept:
                    continue
                if not state.store().has(run):
                    raise RurkError("The experiment is gone, deleted or moved: what was just done there is not kept.")
                keep(run, method, one, author)
                kept.add(key)
    except RurkError as error:
        state.note(str(error))
    *_, samples = desks.get(str(done.get("of")), (set[int](),))
    if done.get("at") in samples and done["of"] == list(desks)[-1]:
        state.choose("sample", done["at"])


def _keep_note(run: str, method: str, one: dict[str, Any], author: str) -> None:
    if isinstance(one.get("text"), str):
        keep_note(state.store(), run, Note(one["sample"], method, one["text"], author))


def _keep_decision(run: str, method: str, one: dict[str, Any], author: str) -> None:
    if one.get("verdict") in (*VERDICTS, ""):
        note = notes(state.store(), run).get((method, one["sample"]))
        said = Judgement(one["sample"], method, one["verdict"], note=note.note if note else "", author=author)
        judge(state.store(), run, said)


def cards_of(
    queue: Queue, window: list[Finding], classes: list[str], canaries: tuple[int, ...], verdicts: Verdicts
) -> list[dict[str, Any]]:
    """What the desk shows of every sample at hand."""
    texts = notes(state.store(), queue.run)
    each = verdicts.reference_recognised()
    models = dict.fromkeys(name for name in ("original", queue.method) if name in verdicts.models)
    own = {name: verdicts.recognised(name) for name in models}
    cards = []
    for finding in window:
        said, note = queue.said.get(finding.sample), texts.get((queue.method, finding.sample))
        planted = planted_words(canaries, finding.sample, classes[finding.label])
        counts: dict[str, list[float]] = {name: of[finding.place].tolist() for name, of in own.items()}
        if len(each):
            of = each[:, finding.place]
            counts[REFERENCES] = np.round(of.mean(0), 2).tolist()
            if len(each) > 1:
                counts |= {"low": of.min(0).tolist(), "high": of.max(0).tolist()}
        cards.append(
            {
                "id": finding.sample,
                "class": classes[finding.label],
                "finding": finding.finding,
                "words": " ".join(filter(None, [sample_words(finding, queue.found), planted])),
                "counts": counts,
                "verdict": said.verdict if said else "",
                "by": f"Decided by {said.author or 'nobody named'}, {said.time[:16].replace('T', ' ')} UTC."
                if said
                else "",
                "note": note.note if note else "",
            }
        )
    return cards


def desk(queue: Queue, result: dict[str, Any], dataset: Any, verdicts: Verdicts, looks: dict[str, Look]) -> Finding:
    """The desk on a queue that is not empty; returns the finding in view."""
    samples = [finding.sample for finding in queue.shown]
    first = queue.window(-1)[0].sample
    at = state.choice("sample", first, state.whole_of(samples))
    window = queue.window(at)
    known = set(samples) | {finding.sample for finding in queue.found.samples}
    version = f"{queue.run}-{queue.method}-{queue.attack}"
    desks: Desks = st.session_state.setdefault("desks", {})
    desks.pop(version, None)  # the one in view comes last
    desks[version] = (queue.run, queue.method, known)
    names = dict.fromkeys(["original", *([REFERENCES] if verdicts.references else []), queue.method])
    console(
        "desk",
        cards=cards_of(queue, window, result["dataset"]["classes"], dataset.canaries if dataset else (), verdicts),
        sheet=None if dataset is None else sheet_of(dataset.fingerprint, tuple(f.sample for f in window), dataset),
        at=at,
        groups=[{"name": name, "title": word, "colour": HUES[name]} for name, word in SAID.items()],
        decisions=[
            {"name": name, "title": word, "help": VERDICTS[name][0].upper() + VERDICTS[name][1:] + "."}
            for name, word in WORDS.items()
        ],
        curve={
            "taus": verdicts.taus.tolist(),
            "across": f"radius τ ({unit_of(verdicts.attack)})",
            "draws": verdicts.draws,
            "looks": {
                name: {of: getattr(looks[name], of) for of in ("colour", "letter", "ink", "title", "dash")}
                for name in names
            },
        },
        version=version,
        heard=lambda done: heard(desks, done),
    )
    return next(finding for finding in queue.shown if finding.sample == at)
