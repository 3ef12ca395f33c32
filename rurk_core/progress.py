"""From the steps of stages to overall progress, time left, and the question whether to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .errors import Cancelled

Progress = Callable[[dict[str, Any]], None]
QUIET = 0.2
"""Seconds between two events of one stage that are told on: nobody reads faster."""


def quietly(tell: Progress) -> Progress:
    """``tell`` a few times a second at most, but of every note and of every new stage."""
    told, stage = float("-inf"), None

    def progress(event: dict[str, Any]) -> None:
        nonlocal told, stage
        now = time.monotonic()
        if "note" in event or event.get("stage") != stage or now - told >= QUIET:
            told, stage = now, event.get("stage")
            tell(event)

    return progress


def duration(seconds: float) -> str:
    """12.3 → "12 s", 150 → "2.5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass
class Tracker:
    """Turns the steps of stages into overall progress and time left, and asks whether to stop.

    Costs are in seconds, or in any one unit. Time left comes from the cost done in this run and the time it
    took; stages found in the store cost nothing. Several stages may be under way at once (:meth:`at`).
    ``taken`` has the seconds of stages whose beginning was seen, by name.
    """

    progress: Progress | None = None
    cancelled: Callable[[], bool] | None = None
    costs: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    current: str = ""
    parts: int = 0
    worked: float = 0.0
    begun: dict[str, float] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def expect(self, costs: Mapping[str, float]) -> None:
        """What is still to be done; what was done before stays counted."""
        self.costs, self.shares = dict(costs), {}
        if not self.worked:
            self.started = time.monotonic()

    @contextmanager
    def stage(self, name: str, cost: float | None = None) -> Iterator[None]:
        """Everything inside is the work of ``name``."""
        if cost is not None:
            self.costs[name] = cost
        self.current = name
        self.begin(name)
        self.step(0, 1)
        yield
        self.step(1, 1)
        self.finish(name)

    def begin(self, name: str) -> None:
        """The work of ``name`` begins now."""
        self.begun[name] = time.monotonic()

    def finish(self, name: str, stage: str = "") -> None:
        """All the work of ``name`` is done, which may be a part of ``stage``."""
        self.worked += self.costs.pop(name, 0.0)
        self.shares.pop(name, None)
        if (began := self.begun.pop(name, None)) is not None:
            stage = stage or name
            self.taken[stage] = self.taken.get(stage, 0.0) + time.monotonic() - began

    def part(self, name: str, cost: float) -> str:
        """Take a part of the work of ``name`` out of it, to be reported by :meth:`at` on its own; returns its name."""
        self.parts += 1
        part = f"{name} ({self.parts})"
        self.costs[name] = max(0.0, self.costs.get(name, 0.0) - cost)
        self.costs[part] = cost
        return part

    def note(self, text: str) -> None:
        """Tell something that people should read; it goes into the log of the run."""
        self.at(self.current, 0, 1, note=text)

    def check(self) -> None:
        """Raises :class:`Cancelled` if the user wants to stop."""
        if self.cancelled and self.cancelled():
            raise Cancelled("Stopped; what was finished is kept, and starting again goes on from there.")

    def step(self, done: int, total: int, loss: float | None = None, **more: Any) -> None:
        """Report a step of the current stage; raises :class:`Cancelled` if the user wants to stop."""
        self.at(self.current, done, total, loss, **more)

    def at(self, name: str, done: int, total: int, loss: float | None = None, **more: Any) -> None:
        """Report a step of the stage or part ``name``; ``more`` goes into the event as it is (``stage`` renames it)."""
        self.check()
        if not self.progress:
            return
        self.shares[name] = done / max(1, total)
        here = sum(self.costs.get(stage, 0.0) * share for stage, share in self.shares.items())
        worked, left = self.worked + here, sum(self.costs.values()) - here
        elapsed = time.monotonic() - self.started
        event: dict[str, Any] = {
            "stage": name,
            "done": done,
            "total": total,
            "overall": worked / (worked + left) if worked + left else 0.0,
            "eta": elapsed * left / worked if worked else None,
        }
        if loss is not None:
            event["loss"] = loss
        self.progress(event | more)
