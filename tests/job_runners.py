"""Stand-ins for an experiment that tests/test_jobs.py runs in real worker processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from rurk_core.errors import Cancelled, UsageError


def finish(spec, store, progress, cancelled):
    """Three steps and a stored result."""
    for done in range(3):
        progress({"stage": "Work", "done": done, "total": 3, "overall": done / 3, "eta": 1.0, "loss": float("nan")})
    key = store.key("run", spec)
    store.put(key, spec, {"result.json": b'{"r": 1}'})
    return key


def chatter(spec, store, progress, cancelled):
    """Far more events than anybody wants to read, in two stages."""
    for stage in ("First", "Second"):
        for done in range(5000):
            progress({"stage": stage, "done": done, "total": 5000, "overall": 0.5, "eta": 1.0})
    return "chatter"


def refuse(spec, store, progress, cancelled):
    raise UsageError("There is no class 12; the classes are 0 to 9.")


def crash(spec, store, progress, cancelled):
    raise KeyError("surprise")


def exhaust(spec, store, progress, cancelled):
    raise MemoryError


def fault(spec, store, progress, cancelled):
    """Dies as of a fault in native code."""
    os.kill(os.getpid(), getattr(signal, spec["signal"]))
    time.sleep(60)


def leave(spec, store, progress, cancelled):
    sys.exit(3)


def until_cancelled(spec, store, progress, cancelled):
    """Works until it is told to stop."""
    while not cancelled():
        progress({"stage": "Work", "done": 0, "total": 1, "overall": 0.25, "eta": None})
        time.sleep(0.01)
    raise Cancelled("Stopped; what was finished is kept.")


def deaf(spec, store, progress, cancelled):
    """Never asks whether to stop, and ignores the signal too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    progress({"stage": "Work", "done": 0, "total": 1, "overall": 0.5, "eta": None})
    time.sleep(60)


def once_more(spec, store, progress, cancelled):
    """Keeps one finished stage, then waits to be killed; the second time it finds the stage and finishes."""
    stage = store.key("original", {"of": spec["name"]})
    if store.has(stage):
        return stage
    store.put(stage, {"of": spec["name"]}, {"model.bin": b"weights"})
    return until_cancelled(spec, store, progress, cancelled)


def orphan(spec, store, progress, cancelled):
    """Forks a child that would outlive its parent by a minute, as training in several processes does."""
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    Path(spec["note"]).write_text(str(child))
    return until_cancelled(spec, store, progress, cancelled)


def order(spec, store, progress, cancelled):
    """Notes its name and the moments it came and went."""
    with open(spec["note"], "a") as note:
        note.write(f"+{spec['name']}\n")
        note.flush()
        time.sleep(0.1)
        note.write(f"-{spec['name']}\n")
    return "order"
