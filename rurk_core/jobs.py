"""Background runs: each in its own process, reporting through files, so a page, a browser or a server may go.

    <job root>/<id>/spec.json        what to run
                    progress.jsonl   one event a line; the last is {"ev": "end", "state", "message", "result"}
                    pid.json         process and its start time, to tell a dead worker from a reused number
                    cancel           its existence asks the worker to stop
                    log.txt          everything the worker printed

One job runs at a time on a device: workers queue on a lock file in the order of their ids. The lock is the
kernel's, so a killed worker gives it back.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .errors import Cancelled, RurkError, UsageError
from .store import Store

ID = re.compile(r"[0-9]{8}t[0-9]{12}-[0-9a-f]{6}")
RUNNER = "rurk_core.experiment:run_job"
QUIET = 0.2
"""Seconds between two progress events of one stage."""
GRACE = 10.0
"""Seconds a worker has to stop by itself before it is killed."""


@dataclass(frozen=True)
class JobStatus:
    """What is known of a job.

    Attributes:
        state: queued, running, done, failed, cancelled, or killed (gone without a word).
        progress: share of the work done, 0 to 1; eta_seconds: time left, if known.
        stage: what it is doing; message: why it ended; result: the run's key, once done.
        started, updated: UTC seconds.
    """

    id: str
    state: str
    spec: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    message: str = ""
    result: str = ""
    stage: str = ""
    progress: float = 0.0
    eta_seconds: float | None = None
    started: float = 0.0
    updated: float = 0.0

    @property
    def alive(self) -> bool:
        return self.state in ("queued", "running")


def start_job(store: Store, spec: dict[str, Any], *, runner: str = RUNNER) -> str:
    """Start a background run and return its id at once.

    Args:
        spec: what ``runner`` takes; by default ``{"spec": ..., "root": ..., "device": ...}``.
        runner: ``"module:function"`` called as ``function(spec, store, progress, cancelled) -> result``.

    Raises:
        RurkError: the job's folder cannot be written or no process can be started.
    """
    now = datetime.now(UTC)
    job = f"{now:%Y%m%dt%H%M%S%f}-{secrets.token_hex(3)}"
    folder = store.job_root / job
    try:
        folder.mkdir(parents=True)
        _write(folder / "spec.json", {"spec": spec, "store": store.url, "runner": runner, "submitted": time.time()})
    except OSError as error:
        raise RurkError(
            f"The job cannot be written to {folder} ({error.strerror or error}); free some space."
        ) from None
    _launch(folder)
    return job


def resume_job(store: Store, job: str) -> str:
    """Start a job that was killed, cancelled or failed again, under its id; finished stages come from the store."""
    folder = _folder(store, job)
    if job_status(store, job).alive:
        raise UsageError("The job is still running; cancel it first.")
    for name in ("progress.jsonl", "cancel", "pid.json"):
        (folder / name).unlink(missing_ok=True)
    _launch(folder)
    return job


def cancel_job(store: Store, job: str, *, force: bool = False) -> None:
    """Ask a job to stop; it does between two steps. ``force`` kills it at once."""
    folder = _folder(store, job)
    with contextlib.suppress(OSError):
        (folder / "cancel").touch()
    if force:
        _kill(folder)


def delete_job(store: Store, job: str) -> None:
    """Forget a job that has ended; its results stay in the store."""
    if job_status(store, job).alive:
        raise UsageError("The job is still running; cancel it first.")
    shutil.rmtree(_folder(store, job), ignore_errors=True)


def list_jobs(store: Store) -> list[JobStatus]:
    """All jobs, newest first."""
    if not store.job_root.is_dir():
        return []
    names = sorted((p.name for p in store.job_root.iterdir() if ID.fullmatch(p.name)), reverse=True)
    found = []
    for name in names:
        with contextlib.suppress(RurkError):
            found.append(job_status(store, name))
    return found


def job_status(store: Store, job: str) -> JobStatus:
    """What a job is doing, from its files alone.

    Raises:
        UsageError: there is no such job.
    """
    folder = _folder(store, job)
    about = _read(folder / "spec.json")
    events, _ = read_events(store, job)
    known: dict[str, Any] = {
        "id": job,
        "spec": about.get("spec") or {},
        "events": events,
        "started": float(about.get("submitted") or 0.0),
        "updated": _time_of(folder / "progress.jsonl"),
    }
    last = events[-1] if events else {}
    if last.get("ev") == "end":
        return JobStatus(
            **known,
            state=str(last.get("state")),
            message=str(last.get("message") or ""),
            result=str(last.get("result") or ""),
            progress=1.0 if last.get("state") == "done" else _share(events),
        )
    cancelled = folder / "cancel"
    if not _alive(folder):
        state = "cancelled" if cancelled.exists() else "killed"
        message = "" if cancelled.exists() else "The process is gone; start it again, finished stages are kept."
        return JobStatus(**known, state=state, message=message, progress=_share(events))
    if cancelled.exists() and time.time() - _time_of(cancelled) > GRACE:
        _kill(folder)
        return JobStatus(**known, state="cancelled", progress=_share(events))
    eta = last.get("eta")
    return JobStatus(
        **known,
        state="queued" if not events or last.get("ev") == "queued" else "running",
        stage=str(last.get("stage") or ""),
        progress=_share(events),
        eta_seconds=float(eta) if isinstance(eta, int | float) else None,
    )


def read_events(store: Store, job: str, position: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Events after byte ``position`` of the progress file, and the position to go on from.

    Only whole lines count; a line that is no JSON object is passed over.
    """
    try:
        with (_folder(store, job) / "progress.jsonl").open("rb") as file:
            file.seek(position)
            data = file.read()
    except OSError:
        return [], position
    end = data.rfind(b"\n") + 1
    events = []
    for line in data[:end].splitlines():
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                events.append(event)
    return events, position + end


def read_log(store: Store, job: str, *, last: int = 20_000) -> str:
    """The end of what the worker printed."""
    try:
        return (_folder(store, job) / "log.txt").read_text(errors="replace")[-last:]
    except OSError:
        return ""


# --- inside -------------------------------------------------------------------------------------------------


def _folder(store: Store, job: str) -> Path:
    if not isinstance(job, str) or not ID.fullmatch(job) or not (store.job_root / job).is_dir():
        raise UsageError(f"There is no job '{str(job)[:40]}'.")
    return store.job_root / job


def _launch(folder: Path) -> None:
    try:
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "rurk_core.jobs", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        _write(folder / "pid.json", {"pid": process.pid, "start_time": _start_time(process.pid)})
    except OSError as error:
        sentence = f"The job could not be started ({error.strerror or error})."
        with contextlib.suppress(OSError):
            _append(folder, {"ev": "end", "state": "failed", "message": sentence})
        raise RurkError(sentence) from None


def _alive(folder: Path) -> bool:
    about = _read(folder / "pid.json")
    pid = about.get("pid")
    if not isinstance(pid, int):
        # between the making of the folder and the note of the process there is a moment
        return time.time() - _time_of(folder) < 5
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)  # a child of this very server leaves a zombie until somebody asks
    start = _start_time(pid)
    return start is not None and start == about.get("start_time")


def _start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def _kill(folder: Path) -> None:
    pid = _read(folder / "pid.json").get("pid")
    if isinstance(pid, int) and _alive(folder):
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)


def _share(events: list[dict[str, Any]]) -> float:
    shares = [event["overall"] for event in events if isinstance(event.get("overall"), int | float)]
    return min(1.0, max(0.0, float(shares[-1]))) if shares else 0.0


def _time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def _append(folder: Path, event: dict[str, Any]) -> None:
    with (folder / "progress.jsonl").open("a") as file:
        file.write(json.dumps(event) + "\n")


# --- the worker ---------------------------------------------------------------------------------------------


def main(folder: Path) -> None:
    """Run the job in ``folder`` to its end; never raises, always leaves an end event."""
    about = _read(folder / "spec.json")
    started = time.monotonic()
    stop = False

    def ask_to_stop(*_: Any) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, ask_to_stop)

    asked, answer = 0.0, False

    def cancelled() -> bool:
        # asked at every step: look at the disk ten times a second at most
        nonlocal asked, answer
        if time.monotonic() - asked > 0.1:
            asked, answer = time.monotonic(), (folder / "cancel").exists()
        return answer or stop

    told, stage = -QUIET, ""

    def progress(event: dict[str, Any]) -> None:
        nonlocal told, stage
        now = time.monotonic()
        finished = event.get("done") == event.get("total")
        if event.get("stage") == stage and not finished and now - told < QUIET:
            return
        told, stage = now, str(event.get("stage"))
        _append(folder, event | {"t": round(now - started, 3)})

    def end(state: str, message: str = "", result: str = "") -> None:
        _append(folder, {"ev": "end", "state": state, "message": message, "result": result})

    try:
        with _turn(folder, about, cancelled):
            module, _, name = str(about.get("runner") or RUNNER).partition(":")
            run: Callable[..., str] = getattr(importlib.import_module(module), name)
            result = run(about.get("spec") or {}, Store(about["store"]), progress, cancelled)
        end("done", result=str(result))
    except Cancelled as error:
        end("cancelled", str(error))
    except RurkError as error:
        end("failed", str(error))
    except MemoryError:
        end("failed", "The machine ran out of memory; choose a smaller model, fewer references or fewer draws.")
    except Exception as error:
        traceback.print_exc()
        if type(error).__name__ == "OutOfMemoryError":
            end("failed", "The GPU ran out of memory; choose a smaller model or batch, or run on the CPU.")
        else:
            end("failed", f"The run stopped on an unexpected error ({type(error).__name__}: {error}); see its log.")


@contextlib.contextmanager
def _turn(folder: Path, about: dict[str, Any], cancelled: Callable[[], bool]) -> Iterator[None]:
    """Wait for the device, behind every living job with an earlier id."""
    device = re.sub(r"[^a-z0-9]", "-", str((about.get("spec") or {}).get("device") or "auto").lower())[:20]
    with (folder.parent / f"{device}.lock").open("a") as lock:
        told = False
        while True:
            earlier = [
                other
                for other in folder.parent.iterdir()
                if ID.fullmatch(other.name) and other.name < folder.name and _waits_for(other, device)
            ]
            if not earlier:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
            if cancelled():
                raise Cancelled("Cancelled while it waited for its turn.")
            if not told:
                _append(folder, {"ev": "queued"})
                told = True
            time.sleep(0.2)
        yield


def _waits_for(folder: Path, device: str) -> bool:
    """Whether that job still wants the same device."""
    about = _read(folder / "spec.json")
    same = re.sub(r"[^a-z0-9]", "-", str((about.get("spec") or {}).get("device") or "auto").lower())[:20] == device
    try:
        ended = b'"ev": "end"' in (folder / "progress.jsonl").read_bytes()[-4096:]
    except OSError:
        ended = False
    return same and not ended and _alive(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
