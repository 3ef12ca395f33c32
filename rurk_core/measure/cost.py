"""What a computation took: peak memory, and its cost beside a re-training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass
class Peak:
    """Memory that a stretch of work took on top of what was there, in MB; None where the system does not say."""

    megabytes: float | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measure the peak memory of what runs inside: of the GPU's allocator, or of this process on Linux.

    On a CPU it is the rise of the resident set: memory that earlier work left to the allocator is used again and does
    not count, so small numbers mean "next to nothing", not an exact size.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.megabytes = round((torch.cuda.max_memory_allocated(device) - before) / 1e6, 1)
        return
    start = _resident("VmRSS") if _reset_peak() else None
    yield peak
    end = _resident("VmHWM")
    if start is not None and end is not None:
        peak.megabytes = round(max(0.0, end - start), 1)


def _reset_peak() -> bool:
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return True
    except OSError:
        return False


def _resident(field: str) -> float | None:
    """A line of /proc/self/status, in MB."""
    try:
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) / 1000 for line in file if line.startswith(field)), None)
    except OSError:
        return None


def cost_share(seconds: float, retrain: float) -> float | None:
    """The time of a method as a share of the time of one Re-train on the same machine; None where that is unknown."""
    return seconds / retrain if retrain > 0 else None
