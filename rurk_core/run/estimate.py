"""How long an experiment will take here: its work in forward passes, and how many of them a second this machine does.

Speeds come from experiments that finished on this very device with the same network, for each kind of work its own;
where there are none, from training steps and passes that are timed for a third of a second each. Other work on the
machine is not foreseen.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F

from ..data.stream import Streamed, budget
from ..device import autocast, memory_format, place
from ..errors import RurkError
from ..measure.frozen import frozen_copy
from ..models import create_model
from ..store.store import Store
from .plan import Stage, Work, expected_seconds, plan

PROBE_SECONDS = 0.3
PROBE_BATCH = 32
CPU = torch.device("cpu")
OVERHEAD = 1.6
"""Work of an experiment beside passes through the network, as a factor on a probed speed."""
JUDGING = ("scores", "verdicts", "peers", "members")
"""Kinds of work that only ask a model what it sees."""
LATEST = 30
"""Earlier runs that tell how fast this machine is."""
START_SECONDS = 3.0
"""A process of its own starts, loads libraries and reads data."""


def missing_stages(work: Work) -> list[Stage]:
    """What is not in the store. The forget set of ``work`` must be known."""
    return [stage for stage in plan(work) if not work.store.trusts(stage.key)]


def latest_results(store: Store) -> Iterator[dict[str, Any]]:
    """Result documents of a store, the latest run first; without those that cannot be read or came with the app."""
    for entry in store.list("run"):
        if not entry.bundled and not entry.imported:
            with suppress(RurkError):
                yield store.read_json(entry.key, "result.json")


def measured_speeds(
    results: Iterable[dict[str, Any]], model: str, device: str, samples: int = 5
) -> dict[str, float] | None:
    """For :func:`expected_seconds`, from what earlier runs with that network took on that device; None without any.

    Args:
        results: result documents, the latest first; the first :data:`LATEST` are looked at. Of each kind of work the
            first ``samples`` are taken together, so that short ones, most of whose time was spent on starting, count
            for little.
        device: as in a result document.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for result in islice(results, LATEST):
        with suppress(AttributeError, LookupError, TypeError, ValueError):  # a document that somebody else has made
            # several processes that train together have another speed
            alike = result["spec"]["model"] == model and result["engine"] == "embedded"
            if alike and _threads_aside(result["device"]) == _threads_aside(device):
                for name, done in _by_kind(result["took"]).items():
                    if len(found.setdefault(name, [])) < samples:
                        found[name].append(done)
    sums = {name: [sum(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}
    return {name: passes / seconds for name, (passes, seconds) in sums.items()} or None


def _by_kind(took: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """(passes, seconds) of each work, of all work of its kind, and of all: ""; what took nothing says nothing."""
    found: dict[str, tuple[float, float]] = {}
    for work, done in took.items():
        passes, seconds = float(done["passes"]), float(done["seconds"])
        if 0 < passes < math.inf and 0 < seconds < math.inf:
            for name in dict.fromkeys((work, work.split()[0], "")):
                before = found.get(name, (0.0, 0.0))
                found[name] = before[0] + passes, before[1] + seconds
    return found


def probed_speeds(
    name: str, input_shape: tuple[int, ...], classes: int, device: torch.device = CPU
) -> dict[str, float]:
    """For :func:`expected_seconds`: how fast a fresh network trains on ``device``, and how fast it judges copies.

    Training steps are timed, three passes each as in a plan, in the arithmetic and memory format of training, and
    passes of the network as it judges. What runs the experiment has all cores; what asks may have been given fewer
    threads.
    """
    model, batch = create_model(name, input_shape, classes, seed=0).train().to(device), PROBE_BATCH
    cores = (os.cpu_count() or 1) / torch.get_num_threads() if device.type == "cpu" else 1.0

    def drawn() -> torch.Tensor:
        return torch.rand(batch, *input_shape, device=device)

    def step() -> None:
        pixels = drawn()
        place(model, pixels)
        with autocast(device, "auto"):
            logits = model(pixels.contiguous(memory_format=memory_format(pixels, model)))
            loss = F.cross_entropy(logits, torch.zeros(batch, dtype=torch.int64, device=device))
        loss.backward()

    _seconds(step, device)
    while batch < 4 * PROBE_BATCH and _seconds(step, device) < PROBE_SECONDS / 10:  # as in training, if that is quick
        batch *= 2
    training = 3 * batch / _each(step, device)
    pixels, judge = drawn(), frozen_copy(model, device, drawn())
    with torch.no_grad():
        judging = batch / _each(lambda: judge(pixels), device)
    found = dict.fromkeys(JUDGING, judging / OVERHEAD) | {"": training / OVERHEAD}
    return {work: speed * cores for work, speed in found.items()}


def _each(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the mean over :data:`PROBE_SECONDS` of them, after one that is not counted."""
    _seconds(call, device)
    taken: list[float] = []
    while sum(taken) < PROBE_SECONDS:
        taken.append(_seconds(call, device))
    return sum(taken) / len(taken)


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def outline(work: Work, speeds: Mapping[str, float]) -> dict[str, Any]:
    """What a run will do, before it starts.

    Args:
        work: with a known forget set.
        speeds: as in :func:`expected_seconds`.

    Returns:
        ``stages``: for each name in the plan how many entries are to be made, their forward passes and seconds (a
        training step counts three passes); ``passes`` and ``seconds`` of all; ``bytes``: what the data, the models
        and the counts of verdicts take; ``twice``: factor on all passes if there were twice as many forget samples,
        draws, radii, references or methods.
    """
    stages: dict[str, dict[str, Any]] = {}
    for stage in missing_stages(work):
        row = stages.setdefault(stage.name, {"stage": stage.name, "entries": 0, "passes": 0.0, "seconds": 0.0})
        row["entries"] += 1
        row["passes"] += stage.cost
        row["seconds"] += expected_seconds([stage], speeds)
    return {
        "stages": list(stages.values()),
        "passes": sum(row["passes"] for row in stages.values()),
        "seconds": sum(row["seconds"] for row in stages.values()),
        "bytes": _bytes(work),
        "twice": _twice(work),
    }


def _bytes(work: Work) -> dict[str, int]:
    assert work.forget is not None
    spec, data = work.spec, work.dataset
    models = 1 + len(spec.methods) + spec.references + spec.members
    network = create_model(spec.model, data.input_shape, len(data.classes), seed=0)
    weights = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    cells = models * len(work.forget.indices) * len(spec.taus)
    return {
        "data": data.train_images.nbytes + data.test_images.nbytes,
        **({"of it in memory, at most": budget(work.device)} if isinstance(data.train_images, Streamed) else {}),
        "one model": weights,
        "all models, in the store": weights * models,
        # weights, gradients, momentum, and the copy that is kept
        "references in training": 4 * weights * spec.references,
        "counts of verdicts": 8 * cells * (len(data.classes) + spec.references),
    }


def _twice(work: Work) -> dict[str, float]:
    """Factor on the work of a whole run, nothing of it in the store, for twice as many of something."""
    assert work.forget is not None
    spec, forget = work.spec, work.forget

    def passes(work: Work) -> float:
        return sum(stage.cost for stage in plan(work))

    again = tuple(replace(method, label=f"{method.label} again") for method in spec.methods)
    more = {
        "draws": replace(work, spec=replace(spec, draws=2 * spec.draws)),
        "radii": replace(work, spec=replace(spec, taus=(*spec.taus, *(tau + 1 for tau in spec.taus)))),
        "references": replace(work, spec=replace(spec, references=2 * spec.references)),
        "methods": replace(work, spec=replace(spec, methods=spec.methods + again)),
        "forget samples": replace(work, forget=replace(forget, indices=forget.indices * 2)),
    }
    return {name: passes(other) / passes(work) for name, other in more.items()}


def _threads_aside(device: str) -> str:
    """A page and a background run use different numbers of threads of the same CPU."""
    return "cpu" if device.startswith("cpu") else device
