"""Background runs: each in its own process, reporting through files, so a page, a browser or a server may go.

    <job root>/<id>/spec.json        what to run, and with which store
                    progress.jsonl   one event a line; the last is {"ev": "end", "state", "message", "result"}
                    pid.json         process and its start time, to tell a dead worker from a reused number
                    cancel           its existence asks the worker to stop
                    log.txt          everything the worker printed

One job runs at a time on a device: workers queue on its lock file in the order of their ids. The lock is the
kernel's, so a killed worker gives it back.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import RurkError, UsageError
from ..store.atomic import FOLDER
from ..store.names import canonical_json, explain
from ..store.store import Store
from .files import (
    RUNNER,
    STOPPED,
    TAIL,
    append,
    finish,
    finite,
    ids_of,
    job_folder,
    last_words,
    log_of,
    new_id,
    read_file,
    recent_events,
    time_of,
)
from .launch import is_alive, kill, launch_worker
from .processes import locked, write_json
from .worker import devices_of

GRACE = 10.0
"""Seconds a worker has to stop by itself before it is killed."""


@dataclass(frozen=True)
class JobStatus:
    """What is known of a job.

    Attributes:
        state: queued, running, done, failed, cancelled, or killed (gone without a word).
        events: recent events since the last start, oldest first.
        progress: share of the work done, 0 to 1; eta_seconds: time left, if known.
        stage: what it is doing; message: why it ended; result: the run's key, once done.
        started: UTC seconds; stopping: it was asked to stop and has not stopped yet.
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
    stopping: bool = False

    @property
    def alive(self) -> bool:
        return self.state in ("queued", "running")


def start_job(store: Store, spec: dict[str, Any], *, runner: str = RUNNER) -> str:
    """Start a background run and return its id at once.

    A process that cannot be started is a job in the state "failed", with the reason as its message.

    Args:
        spec: what ``runner`` takes; by default ``{"spec": ..., "root": ..., "device": ...}``.
        runner: ``"module:function"`` called as ``function(spec, store, progress, cancelled) -> result``. It is
            handed to the worker directly and never read from a file.

    Raises:
        UsageError: the spec is not JSON, or no other process can write to the store.
        RurkError: the job's folder cannot be written.
    """
    if store.url.startswith("memory://") or store.read_only:
        raise UsageError(f"A job needs a store that its own process can write to, not {store.url}.")
    about = {
        "spec": json.loads(canonical_json(spec)),
        "store": store.url,
        "bundled": [other.url for other in store.bundled],
        "submitted": time.time(),
    }
    folder = store.job_root / new_id(store.job_root)
    try:
        folder.mkdir(FOLDER, parents=True)
        append(folder, {"ev": "queued"})
        write_json(folder / "spec.json", about)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise RurkError(explain(error, "The job", store.job_root)) from None
    launch_worker(folder, runner)
    return folder.name


def resume_job(store: Store, job: str, *, runner: str = RUNNER) -> str:
    """Start an ended job again, under its id and with its place in the queue; finished stages come from the store.

    Events go on in the same file after a new ``{"ev": "queued"}``.

    Raises:
        UsageError: there is no such job, it is damaged, or it is still running.
    """
    folder = job_folder(store, job)
    with locked(folder / "launch.lock", "The job"):  # two clicks start it once
        status = job_status(store, job, tail=4096)
        if status.alive:
            raise UsageError("The job is still running; cancel it first.")
        if not status.spec:
            raise UsageError("The job's description is damaged; delete the job and start the experiment again.")
        try:
            for name in ("cancel", "pid.json"):
                (folder / name).unlink(missing_ok=True)
            append(folder, {"ev": "queued"})
        except OSError as error:
            raise RurkError(explain(error, "The job", folder)) from None
        launch_worker(folder, runner)
    return job


def cancel_job(store: Store, job: str, *, force: bool = False) -> None:
    """Ask a job to stop; it does between two steps, or while it waits. One that has ended stays as it is.

    A worker that does not stop within ``GRACE`` seconds is killed by the next :func:`job_status`; ``force`` kills
    it at once.
    """
    folder = job_folder(store, job)
    try:
        (folder / "cancel").touch()
    except OSError as error:
        if not force:
            raise RurkError(explain(error, "The wish to stop", folder)) from None
    if force:
        kill(folder)
    if not is_alive(folder):
        finish(folder, "cancelled", STOPPED)


def delete_job(store: Store, job: str) -> None:
    """Forget a job that has ended; its results stay in the store."""
    if job_status(store, job, tail=4096).alive:
        raise UsageError("The job is still running; cancel it first.")
    shutil.rmtree(job_folder(store, job), ignore_errors=True)


def list_jobs(store: Store) -> list[JobStatus]:
    """All jobs, newest first, each with its last few events."""
    found = []
    for name in sorted(ids_of(store.job_root), reverse=True):
        with contextlib.suppress(RurkError):  # deleted meanwhile
            found.append(job_status(store, name, tail=4096))
    return found


def holding(jobs: Iterable[JobStatus], spec: dict[str, Any]) -> list[JobStatus]:
    """The living jobs that use a device a job of this description wants, or wait for it, in the order of their turns.

    Args:
        spec: as :func:`start_job` takes it.
    """
    wanted = set(devices_of(spec))
    return sorted(
        (job for job in jobs if job.alive and not wanted.isdisjoint(devices_of(job.spec))),
        key=lambda job: (job.state != "running", job.id),
    )


def job_status(store: Store, job: str, *, tail: int = TAIL, grace: float = GRACE) -> JobStatus:
    """What a job is doing, from its files alone.

    Args:
        tail: how many bytes of events to read, from the end.
        grace: a worker that was asked to stop longer ago than this is killed.

    Raises:
        UsageError: there is no such job.
    """
    folder = job_folder(store, job)
    alive = is_alive(folder)  # before the events: what a dead worker had to say is then all there
    about, events = read_file(folder / "spec.json"), recent_events(folder, tail)
    asked = time_of(folder / "cancel")
    overdue = asked and abs(time.time() - asked) > grace  # abs: the clock may have gone back
    if alive and overdue and not (events and events[-1].get("ev") == "end"):
        kill(folder)
        finish(folder, "cancelled", "Killed, since it did not stop by itself; finished stages are kept.")
        alive, events = is_alive(folder), recent_events(folder, tail)
    last = events[-1] if events else {}
    shares = [share for share in map(finite, (event.get("overall") for event in events)) if share is not None]
    stages = [str(event["stage"]) for event in events if event.get("stage")]
    message, result, eta = "", "", None
    if last.get("ev") == "end":
        state = str(last.get("state"))
        message, result = str(last.get("message") or ""), str(last.get("result") or "")
    elif not alive:
        state, message = ("cancelled", STOPPED) if asked else ("killed", last_words(folder))
    else:
        state = "queued" if not events or last.get("ev") == "queued" else "running"
        eta = finite(last.get("eta"))
    spec = about.get("spec")
    return JobStatus(
        id=job,
        state=state,
        spec=spec if isinstance(spec, dict) else {},
        events=events,
        message=message,
        result=result,
        stage=stages[-1] if stages else "",
        progress=1.0 if state == "done" else min(1.0, max(0.0, shares[-1])) if shares else 0.0,
        eta_seconds=eta,
        started=finite(about.get("submitted")) or 0.0,
        stopping=bool(asked) and state in ("queued", "running"),
    )


def read_log(store: Store, job: str, *, last: int = 20_000) -> str:
    """The last characters of what the worker printed."""
    return log_of(job_folder(store, job), 4 * last)[-last:]
