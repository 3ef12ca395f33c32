"""What reviewers say of a run and its samples: appended, never changed, the last one counts.

    <store>/reviews/<run key>.jsonl              one judgement a line
    <store>/reviews/<run key>.notes.jsonl        one note a line, as it was typed
    <store>/reviews/<run key>.declared.jsonl     what will be accepted, declared before looking
    <store>/reviews/<run key>.signed.jsonl       who signed the review of which model off

A line is written in one go under a lock, so that two tabs at once, a full disk or a crash in the middle cost at
most the line that was being written, never one that was there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..errors import UsageError
from ..store.names import clean_title
from ..store.store import Store
from .kept_lines import all_of, append, lines_of, path_of

VERDICTS = {
    "clear": "nothing of it is left beyond what retraining leaves",
    "residual": "the model still recognises it where retraining would not",
    "over_forgotten": "the model recognises it less than retraining would",
    "cannot_tell": "the evidence does not decide",
}
WITHDRAWN = ""
"""In the place of a verdict: the one before no longer counts."""
MAX_NOTE = 2000
MAX_AUTHOR = 80


@dataclass(frozen=True)
class Judgement:
    """What somebody said of one sample under one model.

    Attributes:
        sample: training index; method: the model's name in the run.
        verdict: a key of :data:`VERDICTS`, or :data:`WITHDRAWN`.
        note: plain text of at most ``MAX_NOTE`` characters, whatever it looks like; author: one line.
        time: UTC in ISO format.
    """

    sample: int
    method: str
    verdict: str
    note: str = ""
    author: str = ""
    time: str = ""


def judge(store: Store, run: str, judgement: Judgement) -> Judgement:
    """Keep a judgement, with the time it was made; returns it as it is kept.

    Raises:
        UsageError: there is no such verdict, or the run's name is none.
        RurkError: it cannot be written; what was kept before is untouched.
    """
    if judgement.verdict not in (*VERDICTS, WITHDRAWN):
        raise UsageError(f"There is no verdict '{judgement.verdict[:40]}'; choose one of {', '.join(VERDICTS)}.")
    kept = Judgement(
        sample=int(judgement.sample),
        method=str(judgement.method),
        verdict=judgement.verdict,
        note=_plain(judgement.note),
        author=clean_title(judgement.author)[:MAX_AUTHOR],
        time=_now(),
    )
    append(path_of(store, run), kept, "The judgement")
    return kept


def history(store: Store, run: str) -> list[Judgement]:
    """All judgements of a run in the order they were made; lines that cannot be read are passed over.

    Raises:
        RurkError: the file cannot be read at all.
    """
    return [found for line in lines_of(path_of(store, run)) if (found := _read(line))]


def latest(judgements: Iterable[Judgement]) -> dict[tuple[str, int], Judgement]:
    """(method, sample) → the judgement that counts: the last one, unless it was withdrawn."""
    found = {(judgement.method, judgement.sample): judgement for judgement in judgements}
    return {key: judgement for key, judgement in found.items() if judgement.verdict != WITHDRAWN}


@dataclass(frozen=True)
class Note:
    """What somebody wrote of one sample under one model, decided or not; the last one counts, and "" takes it away."""

    sample: int
    method: str
    note: str
    author: str = ""
    time: str = ""


def keep_note(store: Store, run: str, note: Note) -> None:
    """Keep a note as it stands now; raises as :func:`judge` does."""
    kept = replace(note, note=_plain(note.note), author=clean_title(note.author)[:MAX_AUTHOR], time=_now())
    append(path_of(store, run, ".notes"), kept, "The note")


def notes(store: Store, run: str) -> dict[tuple[str, int], Note]:
    """(method, sample) → the note that stands; those of judgements where nothing was written since."""
    found = {
        (one.method, one.sample): Note(one.sample, one.method, one.note, one.author, one.time)
        for one in history(store, run)
        if one.note
    }
    for one in all_of(path_of(store, run, ".notes"), Note):
        if (one.method, one.sample) not in found or found[one.method, one.sample].time <= one.time:
            found[one.method, one.sample] = one
    return {key: one for key, one in found.items() if one.note}


@dataclass(frozen=True)
class Declaration:
    """What will be accepted, said before looking: shares of the forget set, from 0 to 1.

    Attributes:
        residual: the most samples that may be found residual; forgotten: over-forgotten.
        left: the most that the share of what the Original has beyond re-trainings may be, at the upper end of its 95%
            interval.
        why: one line.
    """

    residual: float
    forgotten: float
    left: float
    why: str = ""
    author: str = ""
    time: str = ""


def declare(store: Store, run: str, declaration: Declaration) -> None:
    """Keep a declaration; those before stay.

    Raises:
        UsageError: a share is none.
        RurkError: it cannot be written.
    """
    if not all(0 <= share <= 1 for share in (declaration.residual, declaration.forgotten, declaration.left)):
        raise UsageError("What is accepted is a share from 0 to 1.")
    kept = replace(
        declaration,
        why=clean_title(declaration.why)[:MAX_NOTE],
        author=clean_title(declaration.author)[:MAX_AUTHOR],
        time=_now(),
    )
    append(path_of(store, run, ".declared"), kept, "The declaration")


def declarations(store: Store, run: str) -> list[Declaration]:
    """All declarations on a run, in the order they were made; the last one counts."""
    return all_of(path_of(store, run, ".declared"), Declaration)


@dataclass(frozen=True)
class Signature:
    """The end of a review: what somebody concludes of one model.

    Attributes:
        accepted: whether the model may be used as unlearned; decided: samples with a decision then, of ``samples``.
    """

    method: str
    accepted: bool
    decided: int
    samples: int
    note: str = ""
    author: str = ""
    time: str = ""


def sign(store: Store, run: str, signature: Signature) -> None:
    """Keep a signature; raises UsageError without a name, RurkError where it cannot be written."""
    author = clean_title(signature.author)[:MAX_AUTHOR]
    if not author:
        raise UsageError("A review is signed with a name; give one under “Reviewer”.")
    kept = replace(signature, note=_plain(signature.note), author=author, time=_now())
    append(path_of(store, run, ".signed"), kept, "The signature")


def signatures(store: Store, run: str) -> list[Signature]:
    """All signatures on a run, in the order they were made; the last one on a model counts."""
    return all_of(path_of(store, run, ".signed"), Signature)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")  # notes and decisions lie in two files, ordered by this


def _plain(note: str) -> str:
    """Printable characters and line ends, cut to what is kept."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in str(note)).strip()[:MAX_NOTE]


def _read(line: bytes) -> Judgement | None:
    try:
        values: Any = json.loads(line)
        found = Judgement(**values)
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (found.method, found.verdict, found.note, found.author, found.time)
    whole = type(found.sample) is int and all(isinstance(text, str) for text in texts)
    return found if whole and found.verdict in (*VERDICTS, WITHDRAWN) else None
