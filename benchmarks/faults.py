"""Break things in the middle of a run, and see what is lost: the table of docs/reliability.md.

``python -m benchmarks faults [times]`` does every fault that often, each time at another moment, and prints the
table. A fault is a function ``(folder, random) -> None`` that raises where something is lost, stuck or changed.
The measure is always the same: the run is started again, and every entry must have the bytes of a run that
nothing happened to.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

import rurk_core.store.atomic
from rurk_core.config import Config
from rurk_core.errors import RurkError
from rurk_core.jobs import control as jobs
from rurk_core.jobs.processes import tie_children
from rurk_core.run.experiment import run, run_job
from rurk_core.run.result import load_result
from rurk_core.run.spec import Spec, make_spec
from rurk_core.store.store import Store
from rurk_core.unlearning import METHODS
from rurk_core.unlearning.base import Method

Fault = Callable[[Path, random.Random], None]
FAULTS: dict[str, Fault] = {}
FILES = {"original": "model", "reference": "model", "unlearned": "model", "verdicts": "verdicts", "scores": "scores"}
STAGES = ("Original", "References", "gd", "rurk", "Accuracies", "Verdicts, Gaussian noise")


def fault(name: str) -> Callable[[Fault], Fault]:
    def add(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return add


# --- the run that things happen to ----------------------------------------------------------------------------


def tiny() -> Spec:
    return make_spec(
        methods="gd:epochs=1,rurk:epochs=1", references=2, taus="0,0.2", draws=5, train={"epochs": 1, "batch": 64}
    )


def contents(store: Store) -> dict[str, bytes]:
    """Key → bytes of the tensors, of all entries that hold some."""
    return {
        entry.key: store.read(entry.key, f"{FILES[entry.kind]}.safetensors")
        for entry in store.list()
        if entry.kind in FILES
    }


@lru_cache(maxsize=1)
def unharmed() -> dict[str, bytes]:
    """The contents of a run that nothing happened to."""
    with tempfile.TemporaryDirectory() as folder, one_thread():
        run(tiny(), Store(folder))
        return contents(Store(folder))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums of floats depend on the number of threads, and a forked child may have but one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def in_child(work: Callable[[], Any]) -> int:
    """``work`` in a process of its own; its exit code, negative where a signal ended it."""

    def body() -> None:
        tie_children()
        torch.set_num_threads(1)
        work()

    process = multiprocessing.get_context("fork").Process(target=body)
    with one_thread():
        process.start()
        process.join(120)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


def goes_on(store: Store) -> None:
    """Run again: finished entries are still there, and all bytes are as they should be."""
    before = {entry.key for entry in store.list()}
    with one_thread():
        result = run(tiny(), store)
    assert contents(store) == unharmed(), "the results differ"
    assert before <= {entry.key for entry in store.list()}, "finished entries are gone"
    assert store.read_json(result["key"], "result.json")["key"] == result["key"]
    assert not list(Path(store.root, "runs").glob(".tmp-*/spec.json")), "a whole entry lies about unnamed"


# --- killed ---------------------------------------------------------------------------------------------------


def _killed_in(stage: str) -> Fault:
    def at_a_step(folder: Path, rng: random.Random) -> None:
        left = rng.randint(1, 4)

        def strike(event: dict[str, Any]) -> None:
            nonlocal left
            left -= event["stage"] == stage
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        unharmed()
        code = in_child(lambda: run(tiny(), Store(folder), progress=strike))
        assert code in (-signal.SIGKILL, 0), code  # 0: the stage had fewer steps than that
        goes_on(Store(folder))

    return at_a_step


for _stage in STAGES:
    fault(f"SIGKILL during {_stage}")(_killed_in(_stage))


@fault("SIGKILL while a checkpoint is written")
def killed_while_writing(folder: Path, rng: random.Random) -> None:
    at = rng.randint(1, 20)

    def half(path: Path, data: bytes) -> None:
        nonlocal at
        at -= 1
        path.write_bytes(data if at else data[: rng.randint(0, len(data))])
        if not at:
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        rurk_core.store.atomic._write = half
        run(tiny(), Store(folder))

    unharmed()
    assert in_child(work) == -signal.SIGKILL
    goes_on(Store(folder))


# --- disk -----------------------------------------------------------------------------------------------------


@fault("Disk full in the middle of a checkpoint")
def disk_full(folder: Path, rng: random.Random) -> None:
    room = rng.randint(8, 700)  # KiB: somewhere between the first model and the end
    where = folder / "disk"
    where.mkdir()
    size = f"size={room}k"
    mounted = not subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", where], capture_output=True).returncode
    said = folder / "said"

    def work() -> None:
        if not mounted:  # without the right to mount: no file may be longer than this
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room * 64, resource.RLIM_INFINITY))
        try:
            run(tiny(), Store(where))
        except RurkError as error:
            said.write_text(str(error))

    try:
        unharmed()
        assert in_child(work) == 0
        sentence = said.read_text() if said.exists() else ""
        assert not sentence or "could not be saved" in sentence, sentence
        if mounted:
            assert not sentence or "disk is full" in sentence, sentence
            subprocess.run(["mount", "-o", "remount,size=64m", where], check=True)
        goes_on(Store(where))
    finally:
        if mounted:
            subprocess.run(["umount", "-l", where], check=False)


# --- the store --------------------------------------------------------------------------------------------------


@fault("Store used by two apps and a command line, index deleted, SQLite busy")
def crowded(folder: Path, rng: random.Random) -> None:
    unharmed()
    Store(folder)
    half = folder / "runs" / next(iter(unharmed()))
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half a mod")
    context = multiprocessing.get_context("fork")
    stop = context.Event()

    def disturb() -> None:
        index = folder / "index.sqlite"
        while not stop.is_set():
            if rng.random() < 0.5:
                index.unlink(missing_ok=True)
            else:
                with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(index, timeout=0.1)) as db:
                    db.execute("BEGIN EXCLUSIVE")
                    time.sleep(0.05 * rng.random())
            time.sleep(0.02 * rng.random())

    def app() -> None:
        store = Store(folder)
        while not stop.is_set():
            for entry in store.list("original"):
                store.read(entry.key, "model.safetensors")
            time.sleep(0.01)

    def another() -> None:
        run(tiny(), Store(folder))

    with one_thread():
        others = [context.Process(target=target) for target in (disturb, app, app, another)]
        for other in others:
            other.start()
        run(tiny(), Store(folder))  # and this is the command line
        others[-1].join(120)
        stop.set()
        for other in others:
            other.join(30)
    assert [other.exitcode for other in others] == [0, 0, 0, 0], "a process failed, see above"
    goes_on(Store(folder))


@lru_cache(maxsize=1)
def _finished() -> Path:
    folder = Path(tempfile.mkdtemp())
    with one_thread():
        run(tiny(), Store(folder))
    return folder


def _damaged(kind: str) -> Fault:
    def damage(folder: Path, rng: random.Random) -> None:
        shutil.copytree(_finished() / "runs", folder / "runs")
        names = sorted(path for path in (folder / "runs").glob("*/*") if path.suffix == f".{kind}")
        victim = rng.choice(names)
        data = bytearray(victim.read_bytes())
        how = rng.choice(("cut", "flip", "empty", "gone", "noise"))
        if how == "gone":
            victim.unlink()
        elif how == "flip":
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            victim.write_bytes(data)
        else:
            left = {"cut": data[: rng.randrange(len(data))], "empty": b"", "noise": rng.randbytes(len(data))}[how]
            victim.write_bytes(left)
        goes_on(Store(folder))

    return damage


fault("A stored safetensors file cut, changed, emptied or gone")(_damaged("safetensors"))
fault("A stored JSON file cut, changed, emptied or gone")(_damaged("json"))


@fault("Clock an hour back in the middle of a run")
def clock_back(folder: Path, rng: random.Random) -> None:
    real, events = time.time, []
    after = rng.randint(1, 30)

    def tick(event: dict[str, Any]) -> None:
        events.append(event)
        if len(events) == after:
            time.time = lambda: real() - 3600

    try:
        with one_thread():
            run(tiny(), Store(folder), progress=tick)
    finally:
        time.time = real
    assert all(event["eta"] is None or event["eta"] >= 0 for event in events)
    assert all(Store(folder).read_json(key, "info.json")["seconds"] >= 0 for key in _models(Store(folder)))
    goes_on(Store(folder))


def _models(store: Store) -> list[str]:
    return [entry.key for kind in ("original", "reference", "unlearned") for entry in store.list(kind)]


# --- jobs -------------------------------------------------------------------------------------------------------


def ended(store: Store, job: str, *, within: float = 90, grace: float = jobs.GRACE) -> jobs.JobStatus:
    deadline = time.monotonic() + within
    while (status := jobs.job_status(store, job, grace=grace)).alive:
        assert time.monotonic() < deadline, f"the job is stuck in {status.stage or status.state}"
        time.sleep(0.05)
    return status


def nothing(spec: dict[str, Any], store: Store, progress: Any, cancelled: Any) -> str:
    return "nothing"


@fault("Server killed with a job running")
def server_killed(folder: Path, rng: random.Random) -> None:
    store = Store(folder)
    code = (
        "import sys, time\nfrom rurk_core.jobs.control import start_job\nfrom rurk_core.store.store import Store\n"
        "from benchmarks.faults import tiny\n"
        "print(start_job(Store(sys.argv[1]), {'spec': tiny().to_dict(), 'device': 'cpu'},"
        " runner='benchmarks.faults:alone'), flush=True)\ntime.sleep(600)"
    )
    root = Path(__file__).parents[1]
    server = subprocess.Popen([sys.executable, "-c", code, folder], cwd=root, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    job = server.stdout.readline().strip()
    time.sleep(rng.random())
    server.kill()
    server.communicate()
    status = ended(store, job)
    assert status.state == "done", f"{status.state}: {status.message} {jobs.read_log(store, job)[-500:]}"
    unharmed()
    goes_on(store)


def alone(spec: dict[str, Any], store: Store, progress: Any, cancelled: Any) -> str:
    torch.set_num_threads(1)
    return run_job(spec, store, progress, cancelled)


def _loops(*_: Any, **__: Any) -> None:
    while True:
        time.sleep(0.01)


def _leaks(*_: Any, **__: Any) -> None:
    kept = []
    while True:
        kept.append(torch.ones(2**22))


def _exits(*_: Any, **__: Any) -> None:
    os._exit(0)


def _raises(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError("division by zero")


def _returns_junk(*_: Any, **__: Any) -> str:
    return "not a model"


BAD = {"loops": _loops, "leaks": _leaks, "exits": _exits, "raises": _raises, "returns_junk": _returns_junk}


def bad_method(job: dict[str, Any], store: Store, progress: Any, cancelled: Any) -> str:
    """Run a job whose only method behaves as its name says."""
    torch.set_num_threads(1)
    for name, function in BAD.items():
        METHODS[name] = Method(name, name, function, Config, "S_r", "", "", "", presets={"default": {}})  # type: ignore[arg-type]
    spec = tiny().to_dict() | {"methods": [{"method": job["bad"]}]}
    return run_job({"spec": spec, "device": "cpu"}, store, progress, cancelled)


def _bad(name: str, state: str, said: str) -> Fault:
    """The job ends in ``state``; ``said`` is in its message, or in the result's line about the method."""

    def behave(folder: Path, rng: random.Random) -> None:
        store = Store(folder)
        before = os.environ.get("RURK_JOB_MEMORY")
        os.environ["RURK_JOB_MEMORY"] = "2"
        try:
            job = jobs.start_job(store, {"bad": name, "device": "cpu"}, runner="benchmarks.faults:bad_method")
        finally:
            os.environ.pop("RURK_JOB_MEMORY")
            if before:
                os.environ["RURK_JOB_MEMORY"] = before
        if name == "loops":
            while jobs.job_status(store, job).stage != "loops" and jobs.job_status(store, job).alive:
                time.sleep(0.05)
            jobs.cancel_job(store, job)
        status = ended(store, job, grace=1.0)
        text = status.message
        if status.state == "done":
            text = next(row["failed"] for row in load_result(store, status.result)["models"] if "failed" in row)
        assert status.state == state and said in text, f"{status.state}: {text}"
        assert store.list("original"), "the Original, finished before, is gone"
        job = jobs.start_job(store, {"device": "cpu"}, runner="benchmarks.faults:nothing")
        assert ended(store, job).state == "done", "the device stays taken"

    return behave


fault("A user's method that loops, and is cancelled")(_bad("loops", "cancelled", "Killed"))
fault("A user's method that takes all memory")(_bad("leaks", "done", "memory"))
fault("A user's method that exits the process")(_bad("exits", "killed", "without a word"))
fault("A user's method that raises")(_bad("raises", "done", "ZeroDivisionError"))
fault("A user's method that returns no model")(_bad("returns_junk", "done", "not a model"))


# --- the table --------------------------------------------------------------------------------------------------


def main(times: int = 5) -> None:
    """Do every fault ``times`` times and print the table."""
    rows, broken = [], []
    for name, function in FAULTS.items():
        lost, started = 0, time.monotonic()
        for number in range(times):
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                try:
                    function(Path(folder), random.Random(f"{name} {number}"))
                except AssertionError as error:
                    lost += 1
                    broken.append(f"{name}, number {number}: {error}")
        rows.append(f"| {name} | {times} | {times - lost} | {(time.monotonic() - started) / times:.1f} |")
        print(rows[-1], file=sys.stderr, flush=True)
    print("| what was done | times | went on with nothing lost | seconds each |\n|---|---:|---:|---:|")
    print("\n".join(rows))
    if broken:
        sys.exit(json.dumps(broken, indent=1))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
