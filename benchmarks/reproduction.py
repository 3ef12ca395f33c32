"""The paper's tables and figures on this machine: ``python -m benchmarks reproduction [SCALE] [SEED ...]``.

Runs what is not in the store yet (``RURK_STORE``, data in ``RURK_DATA``), seed by seed and so that a cut run goes on,
adds what was measured to docs/reproduction.json and makes docs/reproduction.md of it.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rurk_core.compare.targets import SCALES, plan
from rurk_core.run.experiment import run
from rurk_core.store.store import Store

from .reproduction_page import DATA, write

TARGETS = ("figure1", "table_c2", "table_c4")
"""Of them follow C.6 to C.8 and Figure 2; C.4 is run with the first seed alone."""
KEPT = (
    "key",
    "seed",
    "spec",
    "dataset",
    "forget",
    "models",
    "residual",
    "notes",
    "versions",
    "device",
    "engine",
)
"""What a comparison reads of a result."""


def main(scale: str = "laptop", *seeds: int) -> None:
    store = Store(os.environ.get("RURK_STORE", "rurk-store"))
    for seed in seeds or SCALES[scale]["seeds"]:
        for target in TARGETS[: 3 if seed == SCALES[scale]["seeds"][0] else 2]:
            for spec in plan(target, scale=scale, seeds=(seed,)):
                keep(target, scale, run(spec, store))
                print(f"{target}, seed {seed}: done", flush=True)


def keep(target: str, scale: str, result: Mapping[str, Any], file: Path = DATA) -> None:
    """Add a result to the file, in place of an earlier one of the same target and seed, and make the page again."""
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"scale": scale, "results": {}}
    if found["scale"] != scale:
        found = {"scale": scale, "results": {}}
    others = [other for other in found["results"].get(target, []) if other["seed"] != result["seed"]]
    short = {name: result[name] for name in KEPT} | {"machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    short["residual"] = [_short(entry) for entry in result["residual"]]
    found["results"][target] = sorted([*others, short], key=lambda one: one["seed"])
    file.write_text(json.dumps(found, indent=None, sort_keys=True) + "\n", encoding="utf-8")
    write(file)


def _short(entry: Mapping[str, Any]) -> dict[str, Any]:
    taus = [{name: value for name, value in at.items() if name != "per_reference"} for at in entry["taus"]]
    return dict(entry) | {"taus": taus}
