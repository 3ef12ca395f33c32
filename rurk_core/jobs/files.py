"""The files of a job: its id, its folder, and the events that its process appends."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..store.atomic import private
from ..store.store import Store

ID = re.compile(r"[0-9]{8}t[0-9]{12}-[0-9a-f]{6}")
STAMP = "%Y%m%dt%H%M%S%f"
RUNNER = "rurk_core.run.experiment:run_job"
TAIL = 256 * 1024
"""Bytes of recent events that a status reads: its cost does not grow with the run."""
GONE = "The process ended without a word (killed, or out of memory); start it again, finished stages are kept."
CRASHED = (
    "The process died of a fault in native code ({fault}); try one thread (OMP_NUM_THREADS=1), a wider network or the "
    "training setting precision=float32, and look into the log. Finished stages are kept."
)
STOPPED = "Stopped; finished stages are kept."


def ids_of(root: Path) -> list[str]:
    try:
        return [name for name in os.listdir(root) if ID.fullmatch(name)]
    except OSError:
        return []


def new_id(root: Path) -> str:
    """An id that sorts after all others, even when the clock has gone backwards."""
    stamp = f"{datetime.now(UTC):{STAMP}}"
    newest = max(ids_of(root), default="").partition("-")[0]
    if stamp <= newest:
        with contextlib.suppress(ValueError, OverflowError):
            stamp = f"{datetime.strptime(newest, STAMP) + timedelta(microseconds=1):{STAMP}}"
    return f"{stamp}-{secrets.token_hex(3)}"


def job_folder(store: Store, job: str) -> Path:
    if not isinstance(job, str) or not ID.fullmatch(job) or not (store.job_root / job).is_dir():
        raise UsageError(f"There is no job '{str(job)[:40]}'.")
    return store.job_root / job


def read_file(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def append(folder: Path, event: dict[str, Any]) -> None:
    """Add an event as one line, in one write; the half line of a crash before it stays a line of its own."""
    plain = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in event.items()}
    line = json.dumps(plain, default=str).encode() + b"\n"
    with open(folder / "progress.jsonl", "ab+", buffering=0, opener=private) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)


def events_after(folder: Path, position: int) -> tuple[list[dict[str, Any]], int]:
    """Events after byte ``position`` of the progress file, and the position to go on from.

    Only whole lines count; a line that is no JSON object is passed over.
    """
    try:
        with (folder / "progress.jsonl").open("rb") as file:
            file.seek(position)
            data = file.read()
    except OSError:
        return [], position
    end = data.rfind(b"\n") + 1
    events = []
    for line in data[:end].split(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(line)
            if isinstance(event, dict):
                events.append(event)
    return events, position + end


def recent_events(folder: Path, tail: int) -> list[dict[str, Any]]:
    """Events in the last ``tail`` bytes (more, where these hold none) since the job was last started."""
    try:
        size = (folder / "progress.jsonl").stat().st_size
    except OSError:
        return []
    events, _ = events_after(folder, max(0, size - tail))
    if not events and tail < size:
        return recent_events(folder, 16 * tail)
    starts = [i for i, event in enumerate(events) if event.get("ev") == "queued"]
    return events[starts[-1] :] if starts else events


def finish(folder: Path, state: str, message: str, result: str = "") -> None:
    """Write the end event, unless there is one."""
    events = recent_events(folder, 4096)
    if not events or events[-1].get("ev") != "end":
        with contextlib.suppress(OSError):  # the disk may be full; without it the job is seen as killed
            append(folder, {"ev": "end", "state": state, "message": message[:1000], "result": result})


def log_of(folder: Path, tail: int) -> str:
    """The last ``tail`` bytes of what the worker printed; "" where there is nothing."""
    try:
        with (folder / "log.txt").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - tail))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def last_words(folder: Path) -> str:
    """Why a process is gone that wrote no end: the fault that it met, as the log has it, or :data:`GONE`."""
    log = log_of(folder, TAIL)
    # a job may have been started several times; what faulthandler wrote of an earlier fault stays in its log
    found = re.findall(
        r"^(?:Fatal Python error|Windows fatal exception): ([^\n]{1,60})|^(Job started)$", log, re.MULTILINE
    )
    return CRASHED.format(fault=found[-1][0].lower()) if found and found[-1][0] else GONE


def finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    with contextlib.suppress(OverflowError):
        return float(value) if math.isfinite(value) else None
    return None


def time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
