"""The engine of a Ray cluster: every stage is a task that waits for the tasks whose entries it needs.

Which machine runs what, the queue, fractions of a GPU, and running a task again when its process or its machine
dies are all Ray's. The cluster is the one of the variable RAY_ADDRESS, or the one that ``ray start`` began on this
machine. Every machine needs this project's dependencies, the data under the same root, and the store under the
same path or URL; the project's own code is sent along. Settings: ``ray:cpus=2,gpus=0.25,retries=5``.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ...device import find_device
from ...errors import RurkError, need
from ...jobs.processes import tie_children
from ...progress import Tracker
from ..plan import Stage, Work, expected_seconds
from .elsewhere import Order, of_a_part, open_work, order_of, run_batch

RETRIES = 3
"""How often a stage is run again after its process or machine has died."""


def run_stages(
    work: Work, stages: Sequence[Stage], *, cpus: float = 1, gpus: float | None = None, retries: float = RETRIES
) -> dict[str, str]:
    """Run what is missing; see :mod:`rurk_core.run.engines` for the contract.

    Args:
        cpus, gpus: what a stage asks for; by default one CPU, and one GPU where the cluster has any. A part of a
            GPU (0.25) lets several stages share it.
        retries: see :data:`RETRIES`.
    """
    missing = [stage for stage in stages if not work.store.trusts(stage.key)]
    if not missing:
        return {}
    order = order_of(work)
    ray, ours = _connect()
    try:
        if gpus is None:
            gpus = 1.0 if ray.cluster_resources().get("GPU") and work.device.type == "cuda" else 0.0
        here = ray.get_runtime_context().get_node_id()
        stay = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        events = ray.remote(num_cpus=0, scheduling_strategy=stay)(_Events).remote()
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=int(retries))(_task)
        refs: dict[str, Any] = {}
        for stage in missing:
            needs = [refs[key] for key in stage.needs if key in refs]
            refs[stage.key] = task.remote(order, stage, int(max(1, cpus)), events, *needs)
        return _watch(ray, work, {ref: key for key, ref in refs.items()}, missing, events)
    finally:
        if ours:
            ray.shutdown()


def _watch(ray: Any, work: Work, tasks: dict[Any, str], stages: Sequence[Stage], events: Any) -> dict[str, str]:
    """Report until all tasks are done; where one fails or the user wants to stop, the others are stopped too."""
    parts = {stage.key: work.tracker.part(stage.name, expected_seconds([stage], work.speeds)) for stage in stages}
    names = {stage.key: stage.name for stage in stages}
    pending, failed = list(tasks), dict[str, str]()
    try:
        while pending:
            done, pending = ray.wait(pending, timeout=0.2)
            for event in ray.get(events.take.remote()):
                work.tracker.at(name=parts[event.pop("key")], **event)
            work.tracker.check()
            for ref in done:
                failed |= ray.get(ref)
                work.tracker.at(parts[tasks[ref]], 1, 1, stage=names[tasks[ref]])
                work.tracker.finish(parts[tasks[ref]])
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, RurkError):
            raise error.cause from None
        raise RurkError(f"A stage failed on the cluster: {type(error.cause).__name__}: {error.cause}.") from error
    except ray.exceptions.RayError as error:
        raise RurkError(
            f"A stage was lost on the cluster more often than it is tried again ({type(error).__name__}); "
            "finished stages are kept, start again to go on."
        ) from error
    finally:
        for ref in pending:
            ray.cancel(ref, force=True)
        ray.kill(events)
    return failed


class _Events:
    """What stages have reported since somebody last asked; an actor beside the driver."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def put(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def take(self) -> list[dict[str, Any]]:
        taken, self.events = self.events, []
        return taken


def _task(order: Order, stage: Stage, threads: int, events: Any, *needed: dict[str, str]) -> dict[str, str]:
    """A stage on some machine; ``needed`` are the answers of the tasks it waited for, empty where all went well."""
    if any(needed):
        return {}  # its method diverged; the plan is made anew without it
    import ray

    tie_children()
    torch.set_num_threads(threads)
    where = {"worker": f"{socket.gethostname()}:{os.getpid()}", "node": ray.get_runtime_context().get_node_id()}

    def tell(event: dict[str, Any]) -> None:
        events.put.remote(event | {"key": stage.key, "stage": stage.name} | where)

    work = open_work(order, find_device("cuda" if ray.get_gpu_ids() else "cpu"), Tracker(of_a_part(tell)))
    return {} if work.store.trusts(stage.key) else run_batch(work, [stage])


def _connect() -> tuple[Any, bool]:
    """Ray, and whether this call has connected to the cluster."""
    need("ray", "The engine 'ray'")
    import ray

    if ray.is_initialized():
        return ray, False
    address = os.environ.get("RAY_ADDRESS") or "auto"
    try:
        if address != "auto":  # Ray itself would try for minutes
            host, _, port = address.rpartition("/")[2].rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(
            address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"py_modules": [str(Path(__file__).parents[2])]},
        )
    except (OSError, ValueError):
        raise RurkError(
            "There is no Ray cluster that answers: begin one with 'ray start --head', or name one in RAY_ADDRESS "
            "as host:port."
        ) from None
    return ray, True
