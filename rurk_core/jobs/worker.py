"""What runs in the process of a job: ``python -m rurk_core.jobs.worker FOLDER RUNNER``."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import math
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from filelock import FileLock, Timeout

from ..errors import Cancelled, RurkError, UsageError
from ..progress import Progress, quietly
from ..store.store import Store
from .files import RUNNER, STOPPED, append, finish, ids_of, read_file
from .launch import is_alive, last, note_process
from .processes import tie_children

POLL = 0.2
"""Seconds between two looks of a waiting worker at its lock."""


def main(folder: Path, runner: str = RUNNER) -> NoReturn:
    """Run the job in ``folder`` to its end; never raises and leaves an end event whatever happens."""
    faulthandler.enable()
    print("Job started", flush=True)
    with contextlib.suppress(OSError):
        note_process(folder, os.getpid())
    started = time.monotonic()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    tie_children()
    os.umask(0o077)  # what a job writes is its owner's
    try:
        _bound_memory()
        state, message, result = "done", "", _work(folder, runner, started, stop)
    except Exception as error:
        (state, message), result = _outcome(error), ""
    except KeyboardInterrupt:
        state, message, result = "cancelled", STOPPED, ""
    except SystemExit as error:
        state, message, result = "failed", f"The run left the process with exit code {error.code}; see the log.", ""
    finish(folder, state, message, result)
    # a thread that somebody left running must not keep the process, and with it the device, occupied
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(0 if state == "done" else 1)


def _work(folder: Path, runner: str, started: float, stop: threading.Event) -> str:
    about = read_file(folder / "spec.json")
    spec = about.get("spec")
    if not isinstance(spec, dict) or not isinstance(about.get("store"), str):
        raise RurkError("The job's description is damaged; delete the job and start the experiment again.")
    cancelled = _stop_check(folder, stop)
    with _turn(folder, devices_of(spec), cancelled):
        append(folder, {"ev": "start", "stage": "Starting"})
        module, _, name = runner.partition(":")
        run: Callable[..., str] = getattr(importlib.import_module(module), name)
        store = Store(about["store"], bundled=about.get("bundled") or ())
        return str(run(spec, store, _reporter(folder, started), cancelled))


def _bound_memory() -> None:
    """If memory runs out, it is this process that has to give way, not the server or the desktop.

    The variable RURK_JOB_MEMORY, in GB, sets a limit; allocations beyond it fail. Data read from a memory-mapped
    cache counts too.

    Raises:
        UsageError: it holds no number; a limit that somebody asked for is never left out silently.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    text = os.environ.get("RURK_JOB_MEMORY", "").strip()
    if not text:
        return
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < math.inf:
        raise UsageError(f"The variable RURK_JOB_MEMORY must be a number of GB above 0, such as 8, not '{text[:40]}'.")
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_DATA, (int(limit * 1e9), resource.RLIM_INFINITY))


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


def _reporter(folder: Path, started: float) -> Progress:
    def tell(event: dict[str, Any]) -> None:
        if "note" in event:
            print(event["note"], flush=True)
        with contextlib.suppress(OSError):  # a full disk stops the run where results are saved, not here
            append(folder, {"ev": "step", "t": round(time.monotonic() - started, 3)} | event)

    return quietly(tell)


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
    ahead = [folder.with_name(name) for name in sorted(ids_of(folder.parent)) if name < folder.name]
    with contextlib.ExitStack() as held:
        # in the order of their names, the same for every job: no two jobs wait for each other
        for device in devices:
            lock = FileLock(folder.with_name(f"{device.replace(':', '-')}.lock"), thread_local=False)
            while True:
                ahead = [other for other in ahead if _wants(other, devices)]
                if not ahead:
                    with contextlib.suppress(Timeout):
                        held.enter_context(lock.acquire(timeout=0))
                        break
                if cancelled():
                    raise Cancelled("Cancelled while it waited for its turn.")
                time.sleep(POLL)
        yield


def _wants(folder: Path, devices: list[str]) -> bool:
    """Whether that job still wants one of the devices."""
    if not is_alive(folder) or last(folder) == "end":
        return False
    spec = read_file(folder / "spec.json").get("spec")
    return isinstance(spec, dict) and not set(devices_of(spec)).isdisjoint(devices)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
