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
import faulthandler
import fcntl
import importlib
import json
import math
import os
import re
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from .errors import Cancelled, RurkError, UsageError
from .processes import locked, tie_children, write_json
from .store import Store, canonical_json, explain

ID = re.compile(r"[0-9]{8}t[0-9]{12}-[0-9a-f]{6}")
STAMP = "%Y%m%dt%H%M%S%f"
RUNNER = "rurk_core.experiment:run_job"
QUIET = 0.2
"""Seconds between two progress events of one stage."""
POLL = 0.2
"""Seconds between two looks of a waiting worker at its lock."""
GRACE = 10.0
"""Seconds a worker has to stop by itself before it is killed."""
STARTING = 5.0
"""Seconds a job may be without a known process before it counts as gone."""
TAIL = 256 * 1024
"""Bytes of recent events that a status reads: its cost does not grow with the run."""
GONE = "The process ended without a word (killed, or out of memory); start it again, finished stages are kept."
STOPPED = "Stopped; finished stages are kept."


@dataclass(frozen=True)
class JobStatus:
    """What is known of a job.

    Attributes:
        state: queued, running, done, failed, cancelled, or killed (gone without a word).
        events: recent events since the last start, oldest first; :func:`read_events` has all.
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


# --- what a page or a command does ---------------------------------------------------------------------------


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
    folder = store.job_root / _new_id(store.job_root)
    try:
        folder.mkdir(parents=True)
        _append(folder, {"ev": "queued"})
        write_json(folder / "spec.json", about)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise RurkError(explain(error, "The job", store.job_root)) from None
    _launch(folder, runner)
    return folder.name


def resume_job(store: Store, job: str, *, runner: str = RUNNER) -> str:
    """Start an ended job again, under its id and with its place in the queue; finished stages come from the store.

    Events go on in the same file after a new ``{"ev": "queued"}``.

    Raises:
        UsageError: there is no such job, it is damaged, or it is still running.
    """
    folder = _folder(store, job)
    with locked(folder / "launch.lock", "The job"):  # two clicks start it once
        status = job_status(store, job, tail=4096)
        if status.alive:
            raise UsageError("The job is still running; cancel it first.")
        if not status.spec:
            raise UsageError("The job's description is damaged; delete the job and start the experiment again.")
        try:
            for name in ("cancel", "pid.json"):
                (folder / name).unlink(missing_ok=True)
            _append(folder, {"ev": "queued"})
        except OSError as error:
            raise RurkError(explain(error, "The job", folder)) from None
        _launch(folder, runner)
    return job


def cancel_job(store: Store, job: str, *, force: bool = False) -> None:
    """Ask a job to stop; it does between two steps, or while it waits. One that has ended stays as it is.

    A worker that does not stop within ``GRACE`` seconds is killed by the next :func:`job_status`; ``force`` kills
    it at once.
    """
    folder = _folder(store, job)
    try:
        (folder / "cancel").touch()
    except OSError as error:
        if not force:
            raise RurkError(explain(error, "The wish to stop", folder)) from None
    if force:
        _kill(folder)
    if not _alive(folder):
        _finish(folder, "cancelled", STOPPED)


def delete_job(store: Store, job: str) -> None:
    """Forget a job that has ended; its results stay in the store."""
    if job_status(store, job, tail=4096).alive:
        raise UsageError("The job is still running; cancel it first.")
    shutil.rmtree(_folder(store, job), ignore_errors=True)


def list_jobs(store: Store) -> list[JobStatus]:
    """All jobs, newest first, each with its last few events."""
    found = []
    for name in sorted(_ids(store.job_root), reverse=True):
        with contextlib.suppress(RurkError):  # deleted meanwhile
            found.append(job_status(store, name, tail=4096))
    return found


def job_status(store: Store, job: str, *, tail: int = TAIL, grace: float = GRACE) -> JobStatus:
    """What a job is doing, from its files alone.

    Args:
        tail: how many bytes of events to read, from the end.
        grace: a worker that was asked to stop longer ago than this is killed.

    Raises:
        UsageError: there is no such job.
    """
    folder = _folder(store, job)
    alive = _alive(folder)  # before the events: what a dead worker had to say is then all there
    about, events = _read(folder / "spec.json"), _recent(folder, tail)
    last = events[-1] if events else {}
    shares = [share for share in map(_finite, (event.get("overall") for event in events)) if share is not None]
    stages = [str(event["stage"]) for event in events if event.get("stage")]
    asked = _time_of(folder / "cancel")
    overdue = asked and abs(time.time() - asked) > grace  # abs: the clock may have gone back
    if alive and last.get("ev") != "end" and overdue:
        _kill(folder)
        _finish(folder, "cancelled", "Killed, since it did not stop by itself; finished stages are kept.")
        alive, events = _alive(folder), _recent(folder, tail)
        last = events[-1] if events else {}
    message, result, eta = "", "", None
    if last.get("ev") == "end":
        state = str(last.get("state"))
        message, result = str(last.get("message") or ""), str(last.get("result") or "")
    elif not alive:
        state, message = ("cancelled", STOPPED) if asked else ("killed", GONE)
    else:
        state = "queued" if not events or last.get("ev") == "queued" else "running"
        eta = _finite(last.get("eta"))
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
        started=_finite(about.get("submitted")) or 0.0,
        updated=_time_of(folder / "progress.jsonl"),
    )


def read_events(store: Store, job: str, position: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Events after byte ``position`` of the progress file, and the position to go on from.

    Only whole lines count; a line that is no JSON object is passed over.
    """
    return _events(_folder(store, job), max(0, position))


def read_log(store: Store, job: str, *, last: int = 20_000) -> str:
    """The last characters of what the worker printed."""
    try:
        with (_folder(store, job) / "log.txt").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4 * last))
            return file.read().decode(errors="replace")[-last:]
    except OSError:
        return ""


# --- files --------------------------------------------------------------------------------------------------


def _ids(root: Path) -> list[str]:
    try:
        return [name for name in os.listdir(root) if ID.fullmatch(name)]
    except OSError:
        return []


def _new_id(root: Path) -> str:
    """An id that sorts after all others, even when the clock has gone backwards."""
    stamp = f"{datetime.now(UTC):{STAMP}}"
    newest = max(_ids(root), default="").partition("-")[0]
    if stamp <= newest:
        with contextlib.suppress(ValueError, OverflowError):
            stamp = f"{datetime.strptime(newest, STAMP) + timedelta(microseconds=1):{STAMP}}"
    return f"{stamp}-{secrets.token_hex(3)}"


def _folder(store: Store, job: str) -> Path:
    if not isinstance(job, str) or not ID.fullmatch(job) or not (store.job_root / job).is_dir():
        raise UsageError(f"There is no job '{str(job)[:40]}'.")
    return store.job_root / job


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _append(folder: Path, event: dict[str, Any]) -> None:
    """Add an event as one line, in one write; the half line of a crash before it stays a line of its own."""
    plain = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in event.items()}
    line = json.dumps(plain, default=str).encode() + b"\n"
    with (folder / "progress.jsonl").open("ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)


def _events(folder: Path, position: int) -> tuple[list[dict[str, Any]], int]:
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


def _recent(folder: Path, tail: int) -> list[dict[str, Any]]:
    """Events in the last ``tail`` bytes (more, where these hold none) since the job was last started."""
    try:
        size = (folder / "progress.jsonl").stat().st_size
    except OSError:
        return []
    events, _ = _events(folder, max(0, size - tail))
    if not events and tail < size:
        return _recent(folder, 16 * tail)
    starts = [i for i, event in enumerate(events) if event.get("ev") == "queued"]
    return events[starts[-1] :] if starts else events


def _finish(folder: Path, state: str, message: str, result: str = "") -> None:
    """Write the end event, unless there is one."""
    events = _recent(folder, 4096)
    if not events or events[-1].get("ev") != "end":
        with contextlib.suppress(OSError):  # the disk may be full; without it the job is seen as killed
            _append(folder, {"ev": "end", "state": state, "message": message[:1000], "result": result})


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    with contextlib.suppress(OverflowError):
        return float(value) if math.isfinite(value) else None
    return None


def _time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


# --- processes ----------------------------------------------------------------------------------------------


def _launch(folder: Path, runner: str) -> None:
    # -P and the path: the worker finds this very package, and nothing that happens to lie in the current folder
    package = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    try:
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rurk_core.jobs", str(folder), runner],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": path},
            )
    except OSError as error:
        _finish(folder, "failed", f"The job could not be started ({error.strerror or error}).")
        return
    with contextlib.suppress(OSError):
        _note_process(folder, process.pid)
    # somebody must ask for the exit code of a child, or it stays a zombie for as long as the server lives
    threading.Thread(target=process.wait, name=f"job {folder.name}", daemon=True).start()


def _note_process(folder: Path, pid: int) -> None:
    start = _start_time(pid)
    if start is not None:
        write_json(folder / "pid.json", {"pid": pid, "start_time": start})


def _start_time(pid: int) -> str | None:
    """When a process started (boot and clock ticks since then); None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _alive(folder: Path) -> bool:
    about = _read(folder / "pid.json")
    pid = about.get("pid")
    if not isinstance(pid, int) or pid <= 1:
        # between the making of the folder and the note of the process there is a moment
        return -1 < time.time() - _time_of(folder) < STARTING and _last(folder) != "end"
    start = _start_time(pid)
    return start is not None and start == about.get("start_time")


def _last(folder: Path) -> str:
    events = _recent(folder, 4096)
    return str(events[-1].get("ev", "")) if events else ""


def _kill(folder: Path) -> None:
    """End the worker and all processes it started, and wait a moment until it is gone."""
    pid = _read(folder / "pid.json").get("pid")
    if isinstance(pid, int) and _alive(folder):
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        for _ in range(100):
            if not _alive(folder):
                return
            time.sleep(0.02)


# --- the worker ---------------------------------------------------------------------------------------------


def main(folder: Path, runner: str = RUNNER) -> NoReturn:
    """Run the job in ``folder`` to its end; never raises and leaves an end event whatever happens."""
    faulthandler.enable()
    with contextlib.suppress(OSError):
        _note_process(folder, os.getpid())
    started = time.monotonic()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    tie_children()
    _bound_memory()
    try:
        state, message, result = "done", "", _work(folder, runner, started, stop)
    except Exception as error:
        (state, message), result = _outcome(error), ""
    except KeyboardInterrupt:
        state, message, result = "cancelled", STOPPED, ""
    except SystemExit as error:
        state, message, result = "failed", f"The run left the process with exit code {error.code}; see the log.", ""
    _finish(folder, state, message, result)
    # a thread that somebody left running must not keep the process, and with it the device, occupied
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(0 if state == "done" else 1)


def _work(folder: Path, runner: str, started: float, stop: threading.Event) -> str:
    about = _read(folder / "spec.json")
    spec = about.get("spec")
    if not isinstance(spec, dict) or not isinstance(about.get("store"), str):
        raise RurkError("The job's description is damaged; delete the job and start the experiment again.")
    cancelled = _stop_check(folder, stop)
    with _turn(folder, devices_of(spec), cancelled):
        _append(folder, {"ev": "start", "stage": "Starting"})
        module, _, name = runner.partition(":")
        run: Callable[..., str] = getattr(importlib.import_module(module), name)
        store = Store(about["store"], bundled=about.get("bundled") or ())
        return str(run(spec, store, _reporter(folder, started), cancelled))


def _bound_memory() -> None:
    """If memory runs out, it is this process that has to give way, not the server or the desktop.

    The variable RURK_JOB_MEMORY, in GB, sets a limit; allocations beyond it fail. Data read from a memory-mapped
    cache counts too.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    limit = _finite_text(os.environ.get("RURK_JOB_MEMORY"))
    if limit:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (int(limit * 1e9), resource.RLIM_INFINITY))


def _finite_text(text: str | None) -> float:
    """A positive number in a text; 0 where there is none."""
    with contextlib.suppress(TypeError, ValueError):
        number = float(text or 0)
        return number if math.isfinite(number) and number > 0 else 0.0
    return 0.0


def _stop_check(folder: Path, stop: threading.Event) -> Callable[[], bool]:
    looked = -math.inf

    def cancelled() -> bool:
        # asked at every step: look at the disk ten times a second at most
        nonlocal looked
        now = time.monotonic()
        if not stop.is_set() and now - looked >= 0.1:
            looked = now
            if (folder / "cancel").exists():
                stop.set()
        return stop.is_set()

    return cancelled


def _reporter(folder: Path, started: float) -> Callable[[dict[str, Any]], None]:
    told, stage = -math.inf, None

    def progress(event: dict[str, Any]) -> None:
        nonlocal told, stage
        now = time.monotonic()
        if event.get("stage") == stage and now - told < QUIET and "note" not in event:
            return
        if "note" in event:
            print(event["note"], flush=True)
        told, stage = now, event.get("stage")
        with contextlib.suppress(OSError):  # a full disk stops the run where results are saved, not here
            _append(folder, {"ev": "step", "t": round(now - started, 3)} | event)

    return progress


def _outcome(error: Exception) -> tuple[str, str]:
    """State and sentence for what ended a run early; what nobody foresaw goes to the log in full."""
    if isinstance(error, Cancelled):
        return "cancelled", str(error) or STOPPED
    if isinstance(error, RurkError):
        return "failed", str(error)
    with contextlib.suppress(OSError, ValueError):
        traceback.print_exception(error)
    text = " ".join(str(error).split())
    # named OutOfMemoryError in torch; a CPU allocation that fails is a RuntimeError of many words
    if type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in text:
        return "failed", "The GPU ran out of memory; choose a smaller model or fewer references, or run on the CPU."
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return "failed", "The machine ran out of memory; choose a smaller model, fewer references or fewer draws."
    return "failed", f"The run stopped on an unexpected error, {type(error).__name__}: {text[:300]}; see the log."


def devices_of(spec: dict[str, Any]) -> list[str]:
    """The devices a job will occupy, told without loading torch: ["cpu"], ["cuda:0", "cuda:1"], ...

    >>> devices_of({"device": "cuda"}), devices_of({"device": "cpu,cpu"})
    (['cuda:0'], ['cpu'])
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    best = "cuda" if Path("/dev/nvidiactl").exists() and not hidden else "cpu"
    wanted = str(spec.get("device") or "auto").lower()
    if wanted == "all" and best == "cuda":
        wanted = ",".join(f"cuda:{gpu.name[6:]}" for gpu in Path("/dev").glob("nvidia[0-9]*")) or "cuda"
    found = set()
    for name in wanted.split(","):
        name = best if name.strip() in ("auto", "all") else name.strip()
        name = "cuda:0" if name == "cuda" else name
        found.add(name if re.fullmatch(r"[a-z]{1,20}(:[0-9]{1,3})?", name) else "cpu")
    return sorted(found)


@contextlib.contextmanager
def _turn(folder: Path, devices: list[str], cancelled: Callable[[], bool]) -> Iterator[None]:
    """Wait for the devices, behind every living job with an earlier id, and hold them until the work is over."""
    ahead = [folder.with_name(name) for name in sorted(_ids(folder.parent)) if name < folder.name]
    with contextlib.ExitStack() as held:
        # in the order of their names, the same for every job: no two jobs wait for each other
        for device in devices:
            lock = held.enter_context(folder.with_name(f"{device.replace(':', '-')}.lock").open("a"))
            while True:
                ahead = [other for other in ahead if _wants(other, devices)]
                if not ahead:
                    try:
                        # lockf, not flock: forked children of a killed worker must not hold on to it
                        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except (BlockingIOError, PermissionError):
                        pass
                if cancelled():
                    raise Cancelled("Cancelled while it waited for its turn.")
                time.sleep(POLL)
        yield


def _wants(folder: Path, devices: list[str]) -> bool:
    """Whether that job still wants one of the devices."""
    if not _alive(folder) or _last(folder) == "end":
        return False
    spec = _read(folder / "spec.json").get("spec")
    return isinstance(spec, dict) and not set(devices_of(spec)).isdisjoint(devices)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
