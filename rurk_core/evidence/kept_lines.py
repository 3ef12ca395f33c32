"""Files beside a store that hold one record a line: appended in one go, never changed, junk passed over."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from ..errors import RurkError
from ..jobs.processes import locked
from ..store.names import check_key, explain
from ..store.store import Store

T = TypeVar("T")
MAX_BYTES = 256 * 2**20


def append(path: Path, kept: Any, what: str) -> None:
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


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file of reviews; none where there is no file. Raises RurkError where it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RurkError(f"The judgements in {path} are too many to be read.")
        return path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RurkError(explain(error, "The judgements", path, "read")) from None


def all_of(path: Path, kind: type[T]) -> list[T]:
    """All that can be read of a file whose lines are of one kind; others are passed over."""
    found = []
    for line in lines_of(path):
        try:
            one = kind(**json.loads(line))
        except (ValueError, TypeError, RecursionError):
            continue
        types = {"int": int, "str": str, "bool": bool, "float": (int, float)}
        if all(isinstance(getattr(one, field.name), types[str(field.type)]) for field in fields(one)):  # type: ignore[arg-type]
            found.append(one)
    return found


def path_of(store: Store, run: str, of: str = "") -> Path:
    """Where lines on a run are; ``of`` tells kinds apart."""
    return store.beside("reviews") / f"{check_key(run)}{of}.jsonl"
