"""Starting, watching and ending the process of a job."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from ..store.atomic import private
from .files import finish, read_file, recent_events, time_of
from .processes import write_json

STARTING = 5.0
"""Seconds a job may be without a known process before it counts as gone."""


def launch_worker(folder: Path, runner: str) -> None:
    # -P and the path: the worker finds this very package, and nothing that happens to lie in the current folder
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    try:
        with open(folder / "log.txt", "ab", opener=private) as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rurk_core.jobs.worker", str(folder), runner],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": path},
            )
    except OSError as error:
        finish(folder, "failed", f"The job could not be started ({error.strerror or error}).")
        return
    with contextlib.suppress(OSError):
        note_process(folder, process.pid)
    # somebody must ask for the exit code of a child, or it stays a zombie for as long as the server lives
    threading.Thread(target=process.wait, name=f"job {folder.name}", daemon=True).start()


def note_process(folder: Path, pid: int) -> None:
    start = _start_time(pid)
    if start is not None:
        write_json(folder / "pid.json", {"pid": pid, "start_time": start})


def _start_time(pid: int) -> str | None:
    """When a process started, so that another one with its number is not taken for it; None if gone or a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        started = f"{process.create_time():.2f}"
    except psutil.Error:
        return None
    # on Linux in clock ticks since boot, which setting the clock does not change
    with contextlib.suppress(OSError, IndexError):
        ticks = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
        started = f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}:{ticks}"
    return started


def is_alive(folder: Path) -> bool:
    about = read_file(folder / "pid.json")
    pid = about.get("pid")
    if not isinstance(pid, int) or pid <= 1:
        # between the making of the folder and the note of the process there is a moment
        return -1 < time.time() - time_of(folder) < STARTING and last(folder) != "end"
    start = _start_time(pid)
    return start is not None and start == about.get("start_time")


def last(folder: Path) -> str:
    events = recent_events(folder, 4096)
    return str(events[-1].get("ev", "")) if events else ""


def kill(folder: Path) -> None:
    """End the worker and all processes it started, and wait a moment until it is gone."""
    pid = read_file(folder / "pid.json").get("pid")
    if isinstance(pid, int) and is_alive(folder):
        with contextlib.suppress(psutil.Error):
            worker = psutil.Process(pid)
            for process in (worker, *worker.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        for _ in range(100):
            if not is_alive(folder):
                return
            time.sleep(0.02)
