"""Judgements of reviewers on the samples of a run: appended, never changed, the last one counts.

    <store>/reviews/<run key>.jsonl     one judgement a line

A line is written in one go under a lock, so that two tabs at once, a full disk or a crash in the middle cost at
most the line that was being written, never one that was there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import RurkError, UsageError
from ..jobs.processes import locked
from ..store.names import check_key, clean_title, explain
from ..store.store import Store

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
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    path = _path(store, run)
    line = json.dumps(asdict(kept), ensure_ascii=False).encode() + b"\n"
    try:
        with locked(path.with_suffix(".lock"), "The judgement"), path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = b"\n" + line  # the half line of a crash stays a line of its own
            if file.write(line) != len(line):
                file.truncate(size)
                raise RurkError(f"The judgement could not be kept because the disk is full ({path.parent}).")
            os.fsync(file.fileno())
    except OSError as error:
        raise RurkError(explain(error, "The judgement", path.parent)) from None
    return kept


def history(store: Store, run: str) -> list[Judgement]:
    """All judgements of a run in the order they were made; lines that cannot be read are passed over.

    Raises:
        RurkError: the file cannot be read at all.
    """
    path = _path(store, run)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RurkError(f"The judgements in {path} are too many to be read.")
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RurkError(explain(error, "The judgements", path, "read")) from None
    return [found for line in data.split(b"\n") if (found := _read(line))]


def latest(judgements: Iterable[Judgement]) -> dict[tuple[str, int], Judgement]:
    """(method, sample) → the judgement that counts: the last one, unless it was withdrawn."""
    found = {(judgement.method, judgement.sample): judgement for judgement in judgements}
    return {key: judgement for key, judgement in found.items() if judgement.verdict != WITHDRAWN}


def _path(store: Store, run: str) -> Path:
    return store.beside("reviews") / f"{check_key(run)}.jsonl"


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
