"""How long an experiment will take here: its work in forward passes, and how many of them a second this machine does.

The speed comes from experiments that finished on this very device with the same network; where there is none, from
training steps that are timed for a third of a second on the CPU. Other work on the machine is not foreseen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from .data.stream import Streamed, budget
from .models import create_model
from .recipes import find_recipe
from .stages import Work, plan
from .training import TrainConfig, autocast, memory_format, place

PROBE_SECONDS = 0.3
PROBE_BATCH = 32
OVERHEAD = 1.6
"""Work of an experiment beside passes through the network, as a factor on a probed speed."""
START_SECONDS = 3.0
"""A process of its own starts, loads libraries and reads data."""


def missing_work(work: Work) -> float:
    """Forward passes of one sample that stages not in the store will take (a training step counts three).

    The forget set of ``work`` must be known.
    """
    return sum(stage.cost for stage in plan(work) if not work.store.has(stage.key))


def measured_speed(results: Iterable[dict[str, Any]], model: str, device: str, samples: int = 5) -> float | None:
    """Forward passes a second in the training of Originals with that network on that device; None if there are none.

    Args:
        results: result documents, the latest first; the first ``samples`` that fit are taken together, so that short
            ones, most of whose time was spent on starting, count for little.
        device: as in a result document.
    """
    work = time_taken = 0.0
    for result in results:
        spec = result["spec"]
        if spec.get("model") != model or _threads_aside(result["device"]) != _threads_aside(device):
            continue
        seconds = next((row.get("seconds") for row in result["models"] if row["role"] == "original"), None)
        if seconds:
            recipe = find_recipe(spec["recipe"], spec["dataset"]).train
            epochs = TrainConfig.from_dict({**recipe.to_dict(), **spec["train"]}).epochs
            work += 3.0 * result["dataset"]["train"] * epochs
            time_taken += seconds
            samples -= 1
        if not samples:
            break
    return work / time_taken if time_taken else None


def probed_speed(name: str, input_shape: tuple[int, ...], classes: int) -> float:
    """Forward passes a second of a fresh network on the CPU, all costs of an experiment considered.

    Training steps are timed, three passes each as in a plan, in the arithmetic and memory format of training. What runs
    the experiment has all cores; what asks may have been given fewer threads.
    """
    model, passes, batch = create_model(name, input_shape, classes, seed=0).train(), 0, PROBE_BATCH

    def step() -> float:
        pixels = torch.rand(batch, *input_shape)
        place(model, pixels)
        began = time.perf_counter()
        with autocast(pixels.device, "auto"):
            logits = model(pixels.contiguous(memory_format=memory_format(pixels)))
            loss = F.cross_entropy(logits, torch.zeros(batch, dtype=torch.int64))
        loss.backward()
        return time.perf_counter() - began

    step()
    while batch < 4 * PROBE_BATCH and step() < PROBE_SECONDS / 10:  # as large as in training, if that is quick
        batch *= 2
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < PROBE_SECONDS:
        step()
        passes += 3 * batch
    return passes / elapsed / OVERHEAD * (os.cpu_count() or 1) / torch.get_num_threads()


def outline(work: Work, speed: float) -> dict[str, Any]:
    """What a run will do, before it starts.

    Args:
        work: with a known forget set.
        speed: forward passes of one sample a second.

    Returns:
        ``stages``: for each name in the plan how many entries are to be made, their forward passes and seconds (a
        training step counts three passes); ``passes`` and ``seconds`` of all; ``bytes``: what the data, the models
        and the counts of verdicts take; ``twice``: factor on all passes if there were twice as many forget samples,
        draws, radii, references or methods.
    """
    stages: dict[str, dict[str, Any]] = {}
    for stage in plan(work):
        if not work.store.has(stage.key):
            row = stages.setdefault(stage.name, {"stage": stage.name, "entries": 0, "passes": 0.0})
            row["entries"] += 1
            row["passes"] += stage.cost
    for row in stages.values():
        row["seconds"] = row["passes"] / speed
    total = sum(row["passes"] for row in stages.values())
    return {
        "stages": list(stages.values()),
        "passes": total,
        "seconds": total / speed,
        "bytes": _bytes(work),
        "twice": _twice(work),
    }


def _bytes(work: Work) -> dict[str, int]:
    assert work.forget is not None
    spec, data = work.spec, work.dataset
    models = 1 + len(spec.methods) + spec.references
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
