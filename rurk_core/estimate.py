"""How long an experiment will take here: its work in forward passes, and how many of them a second this machine does.

The speed comes from experiments that finished on this very device with the same network; where there is none, from
forward passes that are timed for a third of a second on the CPU. Other work on the machine is not foreseen.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from typing import Any

import torch

from .models import create_model
from .recipes import find_recipe
from .spec import Spec
from .stages import Work, plan
from .training import TrainConfig, default_batch

PROBE_SECONDS = 0.3
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
        results: result documents, the latest first; the median over the first ``samples`` that fit is taken.
        device: as in a result document.
    """
    speeds = []
    for result in results:
        spec = result["spec"]
        if spec.get("model") != model or _threads_aside(result["device"]) != _threads_aside(device):
            continue
        seconds = next((row.get("seconds") for row in result["models"] if row["role"] == "original"), None)
        if seconds:
            recipe = find_recipe(spec["recipe"], spec["dataset"]).train
            epochs = TrainConfig.from_dict({**recipe.to_dict(), **spec["train"]}).epochs
            speeds.append(3.0 * result["dataset"]["train"] * epochs / seconds)
        if len(speeds) == samples:
            break
    return statistics.median(speeds) if speeds else None


def probed_speed(spec: Spec, input_shape: tuple[int, ...], classes: int) -> float:
    """Forward passes a second of a fresh network on the CPU, all costs of an experiment considered."""
    model = create_model(spec.model, input_shape, classes, seed=0).eval()
    pixels = torch.rand(min(256, default_batch(input_shape, torch.device("cpu"))), *input_shape)
    with torch.no_grad():
        model(pixels)
        started, passes = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - started) < PROBE_SECONDS:
            model(pixels)
            passes += len(pixels)
    return passes / max(elapsed, 1e-9) / OVERHEAD


def _threads_aside(device: str) -> str:
    """A page and a background run use different numbers of threads of the same CPU."""
    return "cpu" if device.startswith("cpu") else device
