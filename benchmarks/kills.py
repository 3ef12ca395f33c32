"""Kills and losses of power over the whole main path, timed by event, and stores that vanish.

``python -m benchmarks kills [times]`` counts what a run does to files (made, written, synced, renamed) and then ends it
at one of these events after another: by SIGKILL, and as a loss of power does, where what was not synced is cut short or
gone and renames of folders that were not synced are undone at random. Started again, the run must end with every entry
having the bytes of one that nothing happened to.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from rurk_core.errors import RurkError
from rurk_core.jobs import control as jobs
from rurk_core.run.experiment import run
from rurk_core.run.spec import Spec, make_spec
from rurk_core.store.store import Store

from .faults import contents, ended, in_child, one_thread

EVENTS = ("open", "fsync", "rename", "replace", "mkdir")


def small() -> Spec:
    """The whole path, in a second: iris, one method, one perturbation."""
    return make_spec(
        "iris",
        "indices:0-9",
        methods="gd:epochs=1",
        references=2,
        taus="0,0.2",
        draws=5,
        train={"epochs": 1},
        relearn=1,
    )


class Disk:
    """What a process does to files of a folder, and what a loss of power leaves of it.

    Args:
        strike: called at event number ``at``.
    """

    def __init__(self, folder: Path, at: int, strike: Callable[[Disk], None]) -> None:
        self.folder, self.at, self.strike = str(folder), at, strike
        self.count = 0
        self.dirty: set[str] = set()
        self.moved: list[tuple[str, str]] = []

    def event(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.strike(self)

    def watch(self) -> None:
        """Put itself before the functions of this process that change files."""
        real = {name: getattr(os, name) for name in EVENTS[1:]} | {"open": builtins.open}

        def opened(path: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
            inside = isinstance(path, str | os.PathLike) and str(path).startswith(self.folder)
            if inside and set(mode) & set("wxa"):
                self.event()
                self.dirty.add(str(path))
            return real["open"](path, mode, *more, **options)

        def synced(handle: int) -> None:
            path = os.readlink(f"/proc/self/fd/{handle}")
            self.event()
            real["fsync"](handle)
            self.dirty.discard(path)
            self.moved = [(old, new) for old, new in self.moved if os.path.dirname(new) != path]

        def renamed(name: str) -> Callable[..., None]:
            def move(old: Any, new: Any, **options: Any) -> None:
                self.event()
                real[name](old, new, **options)
                if str(new).startswith(self.folder):
                    self.moved.append((str(old), str(new)))
                    self.dirty = {path.replace(str(old), str(new), 1) for path in self.dirty}

            return move

        builtins.open = opened  # type: ignore[assignment]
        os.fsync = synced  # type: ignore[assignment]
        os.rename, os.replace = renamed("rename"), renamed("replace")

    def lose_power(self, rng: random.Random) -> None:
        """What was not synced is cut at random; renames in folders that were not synced may not have been."""
        for path in sorted(self.dirty):
            with contextlib.suppress(OSError):
                os.truncate(path, rng.randint(0, os.path.getsize(path)))
        for old, new in reversed(self.moved):
            if rng.random() < 0.5 and os.path.exists(new) and not os.path.exists(old):
                shutil.move(new, old)
        with contextlib.suppress(OSError):
            index = f"{self.folder}/index.sqlite"
            os.truncate(index, rng.randint(0, os.path.getsize(index)))


def die(disk: Disk) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def lose_power(disk: Disk) -> None:
    disk.lose_power(random.Random(disk.at))
    os.kill(os.getpid(), signal.SIGKILL)


@lru_cache(maxsize=1)
def unharmed() -> tuple[dict[str, bytes], int]:
    """The contents of a run that nothing happened to, and how many events it has."""
    with tempfile.TemporaryDirectory() as folder, one_thread():
        run(small(), Store(folder))  # here, so that the processes that are ended have all libraries already
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder, "note")

        def work() -> None:
            disk = Disk(Path(folder, "store"), -1, die)
            disk.watch()
            run(small(), Store(Path(folder, "store")))
            note.write_text(str(disk.count))

        assert in_child(work) == 0
        return contents(Store(Path(folder, "store"))), int(note.read_text())


def ended_at(folder: Path, at: int, strike: Callable[[Disk], None]) -> None:
    """End a run at an event, look that nothing finished is damaged, and go on; raises where something is lost."""
    wanted = unharmed()[0]

    def work() -> None:
        Disk(folder, at, strike).watch()
        run(small(), Store(folder))

    code = in_child(work)
    assert code == -signal.SIGKILL, f"it ended with {code}"
    store = Store(folder)
    before = {entry.key for entry in store.list()}
    if strike is die:
        for key in before:
            store.verify(key)
    assert in_child(lambda: run(small(), Store(folder))) == 0, "it does not go on"
    assert contents(Store(folder)) == wanted, "the results differ"
    assert before <= {entry.key for entry in Store(folder).list()}, "finished entries are gone"


# --- processes and places ---------------------------------------------------------------------------------------


def job_runner(spec: dict[str, Any], store: Store, progress: Any, cancelled: Any) -> str:
    import torch

    torch.set_num_threads(1)
    return run(small(), store, progress=progress, cancelled=cancelled)["key"]


def stopped(folder: Path, seconds: float) -> None:
    """A job is stopped (SIGSTOP) for a while: it counts as alive meanwhile, and goes on."""
    store = Store(folder)
    job = jobs.start_job(store, {"device": "cpu"}, runner="benchmarks.kills:job_runner")
    while not jobs.job_status(store, job).stage and jobs.job_status(store, job).alive:
        time.sleep(0.02)
    pid = json.loads((store.job_root / job / "pid.json").read_text())["pid"]
    process = psutil.Process(pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.suspend()
        time.sleep(seconds)
        assert jobs.job_status(store, job).alive, "a process that is stopped was taken for dead"
        process.resume()
    assert ended(store, job).state == "done" and contents(store) == unharmed()[0]


def two_servers(folder: Path) -> None:
    """Two processes start the same experiment on one store at once; each sees the other's jobs."""
    one, two = Store(folder), Store(folder)
    first = jobs.start_job(one, {"device": "cpu"}, runner="benchmarks.kills:job_runner")
    second = jobs.start_job(two, {"device": "cpu"}, runner="benchmarks.kills:job_runner")
    assert {job.id for job in jobs.list_jobs(one)} == {job.id for job in jobs.list_jobs(two)} == {first, second}
    assert ended(two, first).state == ended(one, second).state == "done"
    assert contents(one) == unharmed()[0] and one.list() == two.list()


def vanished(folder: Path, how: str, after: int) -> None:
    """The store is deleted, or a file is put in its place, in the middle of a run: one sentence, or made anew."""
    place, said = folder / "store", ""

    def strike(event: dict[str, Any]) -> None:
        nonlocal after
        after -= 1
        if not after:
            shutil.rmtree(place, ignore_errors=True)
            if how == "a file":
                place.write_text("x")

    with one_thread():
        try:
            run(small(), Store(place), progress=strike)
        except RurkError as error:
            said = str(error)
        assert "\n" not in said and (said or how == "deleted"), "a file in the place of the store went unnoticed"
        if how == "a file":
            assert "a file is where a folder must be" in said or "could not be" in said or "no entry" in said, said
            place.unlink()
        run(small(), Store(place))
    assert contents(Store(place)) == unharmed()[0]


def moments(times: int) -> Iterator[int]:
    """Events to strike at: all of them in turn, in a mixed order."""
    order = list(range(1, unharmed()[1] + 1))
    random.Random(0).shuffle(order)
    yield from (order[number % len(order)] for number in range(times))


def main(times: int = 200) -> None:
    """Print the table, and what was lost."""
    rows, broken = [], []

    def tried(what: str, attempts: list[Callable[[Path], None]]) -> None:
        lost, started = 0, time.monotonic()
        for attempt in attempts:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                try:
                    attempt(Path(folder))
                except (AssertionError, RurkError) as error:
                    lost += 1
                    broken.append(f"{what}: {error}")
        seconds = (time.monotonic() - started) / max(1, len(attempts))
        rows.append(f"| {what} | {len(attempts)} | {len(attempts) - lost} | {seconds:.1f} |")
        print(rows[-1], file=sys.stderr, flush=True)

    few = max(1, times // 40)
    at = list(moments(times))
    tried("SIGKILL at an event of the whole path", [lambda f, k=k: ended_at(f, k, die) for k in at])
    tried("Power lost at an event of the whole path", [lambda f, k=k: ended_at(f, k, lose_power) for k in at])
    tried("Job stopped (SIGSTOP) for a while", [lambda f: stopped(f, 60.0 if times >= 1000 else 5.0)] * few)
    tried("Two servers on one store", [two_servers] * few)
    tried("Store deleted in the middle", [lambda f, k=k: vanished(f, "deleted", 1 + k % 9) for k in range(few)])
    tried("A file in the place of the store", [lambda f, k=k: vanished(f, "a file", 1 + k % 9) for k in range(few)])
    print(f"A run has {unharmed()[1]} events.\n")
    print("| what was done | times | went on with nothing lost | seconds each |\n|---|---:|---:|---:|")
    print("\n".join(rows))
    if broken:
        sys.exit(json.dumps(broken[:40], indent=1))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
