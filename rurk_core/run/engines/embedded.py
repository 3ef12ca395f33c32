"""The engine of one machine: one device in this process, several with a process each.

On one device stages run in the order of the plan. With several, each free device takes the next stages that have
all they need; stages of one name are dealt out evenly.
"""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby
from typing import Any

import torch

from ...errors import RurkError
from ...jobs.processes import die_with_parent, tie_children
from ...progress import Tracker
from ..plan import Stage, Work, expected_seconds
from .elsewhere import Order, of_a_part, open_work, order_of, run_batch


def run_stages(work: Work, stages: Sequence[Stage]) -> dict[str, str]:
    """Run what is missing; see :mod:`rurk_core.run.engines` for the contract."""
    missing = [stage for stage in stages if not work.store.trusts(stage.key)]
    if len(work.devices) > 1 and missing:
        return _on_devices(work, missing)
    return in_turn(work, missing, run_batch)


def in_turn(
    work: Work, missing: Sequence[Stage], run: Callable[[Work, Sequence[Stage]], dict[str, str]]
) -> dict[str, str]:
    """Run stages of one name after those of another; returns what failed."""
    failed: dict[str, str] = {}
    for name, group in groupby(missing, key=lambda stage: stage.name):
        ready = [stage for stage in group if all(map(work.store.trusts, stage.needs))]
        if ready:
            with work.tracker.stage(name):
                failed |= run(work, ready)
    return failed


def _on_devices(work: Work, missing: Sequence[Stage]) -> dict[str, str]:
    # spawn, not fork: a forked child cannot use a GPU that its parent has touched
    context = multiprocessing.get_context("spawn")
    events, stop, order = context.SimpleQueue(), context.Event(), order_of(work)
    threads = max(1, torch.get_num_threads() // len(work.devices))
    pools = [
        ProcessPoolExecutor(1, context, _begin, (order, str(device), threads, events, stop)) for device in work.devices
    ]
    idle, waiting = list(pools), list(missing)
    running: dict[Future[dict[str, str]], tuple[ProcessPoolExecutor, str, list[Stage]]] = {}
    absent = {stage.key for stage in missing}
    failed: dict[str, str] = {}
    try:
        while True:
            while idle and (batch := _next(waiting, absent, len(idle))):
                pool, waiting = idle.pop(0), [stage for stage in waiting if stage not in batch]
                part = work.tracker.part(batch[0].name, expected_seconds(batch, work.speeds))
                work.tracker.begin(part)
                running[pool.submit(_run, part, batch)] = pool, part, batch
            if not running:
                return failed  # what still waits needs something that failed
            done, _ = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
            while not events.empty():
                work.tracker.at(**events.get())
            work.tracker.check()
            for future in done:
                pool, part, batch = running.pop(future)
                found = future.result()
                work.tracker.at(part, 1, 1, stage=batch[0].name)
                work.tracker.finish(part, batch[0].name)
                failed |= found
                absent -= {stage.key for stage in batch if stage.label not in found}
                idle.append(pool)
    except BrokenProcessPool:
        raise RurkError(
            "A process that ran a stage was killed, most likely for lack of memory; finished stages are kept, "
            "start again with a smaller model or fewer devices."
        ) from None
    finally:
        stop.set()
        for pool in pools:
            pool.shutdown(cancel_futures=True)


def _next(waiting: Sequence[Stage], absent: set[str], idle: int) -> list[Stage]:
    """The next stages of one name that can run, and of several an even share for each idle device."""
    ready = [stage for stage in waiting if not absent.intersection(stage.needs)]
    alike = [stage for stage in ready if stage.name == ready[0].name]
    return alike[: math.ceil(len(alike) / idle)]


_here: dict[str, Any] = {}  # of a child process: its one piece of work


def _begin(order: Order, device: str, threads: int, events: Any, stop: Any) -> None:
    die_with_parent()
    tie_children()
    torch.set_num_threads(threads)
    _here.update(order=order, device=torch.device(device), events=events, stop=stop)


def _run(part: str, stages: list[Stage]) -> dict[str, str]:
    def tell(event: dict[str, Any]) -> None:
        _here["events"].put(event | {"name": part, "stage": stages[0].name, "device": str(_here["device"])})

    tracker = Tracker(of_a_part(tell), _here["stop"].is_set)
    return run_batch(open_work(_here["order"], _here["device"], tracker), stages)
