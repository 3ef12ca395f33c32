"""Timing two things in turn, so that a slow moment of the machine hits both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from rurk_core.run import experiment
from rurk_core.run.spec import Spec
from rurk_core.store.store import Store


def seconds(run: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turn(*runs: Callable[[], object], rounds: int = 5) -> list[list[float]]:
    """Seconds of each call, A B A B ..., after one uncounted round."""
    for run in runs:
        run()
    times = [[seconds(run) for run in runs] for _ in range(rounds)]
    return [list(column) for column in zip(*times, strict=True)]


def ratio(slow: list[float], fast: list[float]) -> str:
    """The median of the pairwise ratios with its range: "5.3× (4.9 to 6.0)"."""
    ratios = sorted(a / b for a, b in zip(slow, fast, strict=True))
    return f"{statistics.median(ratios):.2f}× ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def by_stage(spec: Spec, store: Store) -> tuple[dict, dict[str, float]]:
    """The result of an experiment, and the seconds between the events of each stage."""
    taken: dict[str, float] = {}
    last = time.perf_counter()

    def listen(event: dict) -> None:
        nonlocal last
        now = time.perf_counter()
        taken[event["stage"]] = taken.get(event["stage"], 0.0) + now - last
        last = now

    return experiment.run(spec, store, progress=listen), taken
