"""Everything that a GPU has to show, in one command: ``python -m benchmarks gpu --out DIR [--seconds 480]``.

Needs torch and the core alone. Parts run in the order of :data:`PARTS`; what each measured is written to DIR/gpu.json
as soon as it is there, so that a run that is cut keeps what it had, and a second run with the same DIR goes on where
the first one stopped. A part that fails leaves its sentence. ``--tiny`` runs every part in a small form on any device:
it proves that the parts run, and its numbers mean nothing. ``python -m benchmarks.gpu_page`` makes docs/gpu.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torchvision

from rurk_core.data import Dataset, load_dataset
from rurk_core.errors import Cancelled, RurkError
from rurk_core.measure.cost import peak_memory

from . import gpu_parts as part

TARGET, SCALE = "table_c2", "paper"
"""What the time that is left is spent on."""


@dataclass(frozen=True)
class Place:
    """Where and how large parts run.

    Attributes:
        device: of the measurements; tiny: whether they are to be small; out: the folder of results, of checkpoints too;
        until: the time (monotonic) by which to be done.
    """

    device: torch.device
    tiny: bool
    out: Path
    until: float

    @cached_property
    def cifar10(self) -> Dataset:
        """Real CIFAR-10, read once; digits in a tiny run."""
        return load_dataset("digits" if self.tiny else "cifar10")


def _reproduce(at: Place) -> dict[str, Any]:
    """As much of a table at the paper's scale as there is time for; what is finished lies in DIR/store."""
    from rurk_core.compare.reproduce import reproduce
    from rurk_core.store.store import Store

    if at.tiny:
        return {"target": TARGET, "finished": False, "says": "left out of a tiny run"}
    seen: dict[str, Any] = {}

    def listen(event: dict) -> None:
        seen.update({name: event.get(name) for name in ("stage", "overall", "eta")})
        if time.monotonic() > at.until:
            raise Cancelled

    try:
        found = reproduce(
            TARGET, Store(at.out / "store"), scale=SCALE, device=str(at.device), progress=lambda run, of: listen
        )
    except Cancelled:
        return {"target": TARGET, "finished": False, **seen}
    return {"target": TARGET, "finished": True, "lines": found["lines"], "differences": found["differences"]}


PARTS: dict[str, Callable[[Place], dict[str, Any]]] = {
    "same_numbers": lambda at: part.same_numbers(at.device),
    "verdicts": lambda at: part.verdicts(
        at.device, **({"model": "cnn:4", "samples": 4, "draws": 4} if at.tiny else {})
    ),
    "formats": lambda at: part.formats(at.device, **({"model": "cnn:4", "batch": 8} if at.tiny else {})),
    "graphs": lambda at: part.graphs(at.device, **({"models": ("cnn:4",), "batches": (8,)} if at.tiny else {})),
    "to_accuracy": lambda at: part.to_accuracy(at.device, at.cifar10, tiny=at.tiny),
    "references": lambda at: part.references(at.device, tiny=at.tiny),
    "gradients": lambda at: part.gradients(at.device, **({"name": "resnet9:2", "samples": 3} if at.tiny else {})),
    "methods": lambda at: part.methods(at.device, **({"name": "resnet9:2", "n_f": 8, "n_r": 24} if at.tiny else {})),
    "out_of_memory": lambda at: part.out_of_memory(at.device),
    "reproduce": _reproduce,
}


def measure(at: Place, parts: dict[str, Callable[[Place], dict[str, Any]]] | None = None) -> dict[str, Any]:
    """Run what is not there yet and return all of it, as DIR/gpu.json holds it.

    A part is ``{"seconds", "peak_mb", "found" or "failed"}``; one that failed, or was cut, is tried again.
    """
    file = at.out / "gpu.json"
    at.out.mkdir(parents=True, exist_ok=True)
    found = json.loads(file.read_text()) if file.exists() else {}
    if found.get("machine") != (here := machine(at)):
        found = {"machine": here, "parts": {}}
    for name, run in (parts or PARTS).items():
        before = found["parts"].get(name, {})
        if "found" in before and before["found"].get("finished", True):
            continue
        if time.monotonic() > at.until:
            break
        start, entry = time.perf_counter(), {}
        with peak_memory(at.device) as peak:
            try:
                entry["found"] = run(at)
            except (RurkError, RuntimeError, ImportError) as error:  # the other parts must be measured all the same
                entry["failed"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        found["parts"][name] = entry | {"seconds": round(time.perf_counter() - start, 1), "peak_mb": peak.megabytes}
        part_file = file.with_suffix(".part")
        part_file.write_text(json.dumps(found, indent=1), encoding="utf-8")
        part_file.replace(file)
        print(f"{name}, {found['parts'][name]['seconds']} s: {json.dumps(entry)[:400]}", flush=True)
        if at.device.type == "cuda":
            torch.cuda.empty_cache()
    return found


def machine(at: Place) -> dict[str, Any]:
    """What the numbers were measured on."""
    cuda = at.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(at.device) if cuda else platform.processor() or platform.machine(),
        "memory_gb": round(torch.cuda.get_device_properties(at.device).total_memory / 1e9, 1) if cuda else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda if cuda else None,
        "tiny": at.tiny,
    }


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu"), metavar="DIR")
    parser.add_argument("--seconds", type=float, default=480.0, help="time for all parts together (default: 480)")
    parser.add_argument("--tiny", action="store_true", help="a small form of every part, on the CPU too")
    asked = parser.parse_args(arguments)
    if not torch.cuda.is_available() and not asked.tiny:
        sys.exit("benchmarks gpu needs a CUDA device, and torch sees none on this machine; nothing was measured.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    measure(Place(device, asked.tiny, asked.out, time.monotonic() + asked.seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
