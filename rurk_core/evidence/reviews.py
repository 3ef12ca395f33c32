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
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from ..errors import RurkError, UsageError
from ..jobs.processes import locked
from ..store.names import check_key, clean_title, explain
from ..store.store import Store

T = TypeVar("T")

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
MAX_BYTES = 256 * 2**20


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
    _append(_path(store, run), kept, "The judgement")
    return kept


def history(store: Store, run: str) -> list[Judgement]:
    """All judgements of a run in the order they were made; lines that cannot be read are passed over.

    Raises:
        RurkError: the file cannot be read at all.
    """
    return [found for line in _lines(_path(store, run)) if (found := _read(line))]


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
    _append(_path(store, run, ".notes"), kept, "The note")


def notes(store: Store, run: str) -> dict[tuple[str, int], Note]:
    """(method, sample) → the note that stands; those of judgements where nothing was written since."""
    found = {
        (one.method, one.sample): Note(one.sample, one.method, one.note, one.author, one.time)
        for one in history(store, run)
        if one.note
    }
    for one in _all(_path(store, run, ".notes"), Note):
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
    _append(_path(store, run, ".declared"), kept, "The declaration")


def declarations(store: Store, run: str) -> list[Declaration]:
    """All declarations on a run, in the order they were made; the last one counts."""
    return _all(_path(store, run, ".declared"), Declaration)


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
    _append(_path(store, run, ".signed"), kept, "The signature")


def signatures(store: Store, run: str) -> list[Signature]:
    """All signatures on a run, in the order they were made; the last one on a model counts."""
    return _all(_path(store, run, ".signed"), Signature)


def _append(path: Path, kept: Any, what: str) -> None:
    """Add a line in one go; raises RurkError where it cannot be written, and what was there before is untouched."""
    line = json.dumps(asdict(kept), ensure_ascii=False).encode() + b"\n"
    try:
        with locked(path.with_suffix(".lock"), what), path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = b"\n" + line  # the half line of a crash stays a line of its own
            if file.write(line) != len(line):
                file.truncate(size)
                raise RurkError(f"{what} could not be kept because the disk is full ({path.parent}).")
            os.fsync(file.fileno())
    except OSError as error:
        raise RurkError(explain(error, what, path.parent)) from None


def _lines(path: Path) -> list[bytes]:
    """The lines of a file of reviews; none where there is no file. Raises RurkError where it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RurkError(f"The judgements in {path} are too many to be read.")
        return path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RurkError(explain(error, "The judgements", path, "read")) from None


def _all(path: Path, kind: type[T]) -> list[T]:
    """All that can be read of a file whose lines are of one kind; others are passed over."""
    found = []
    for line in _lines(path):
        try:
            one = kind(**json.loads(line))
        except (ValueError, TypeError, RecursionError):
            continue
        types = {"int": int, "str": str, "bool": bool, "float": (int, float)}
        if all(isinstance(getattr(one, field.name), types[str(field.type)]) for field in fields(one)):  # type: ignore[arg-type]
            found.append(one)
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _path(store: Store, run: str, of: str = "") -> Path:
    return store.beside("reviews") / f"{check_key(run)}{of}.jsonl"


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
