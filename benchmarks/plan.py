"""Does ``rurk run --plan`` foretell what a run takes? A tenth of it is run, its speed planned with, and the whole run.

Stages are compared one by one; the whole is what a person decides by.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rurk_core.data import forget_set, load_dataset
from rurk_core.device import device_name, find_device
from rurk_core.run.estimate import measured_speeds, outline
from rurk_core.run.experiment import run
from rurk_core.run.plan import Work
from rurk_core.run.spec import Spec, make_spec
from rurk_core.store.store import Store

from .timing import by_stage

EPOCHS, DRAWS = 20, 100


def main(epochs: int = EPOCHS, draws: int = DRAWS) -> None:
    device = find_device("auto")
    with tempfile.TemporaryDirectory() as folder:
        small, large = _spec(max(1, epochs // 10), max(1, draws // 10)), _spec(epochs, draws)
        run(small, Store(Path(folder) / "warm"))  # libraries are loaded and kernels chosen before anything is timed
        result, _ = by_stage(small, Store(Path(folder) / "small"))
        speeds = measured_speeds([result], small.model, device_name(device))
        assert speeds is not None
        data, store = load_dataset(large.dataset), Store(Path(folder) / "large")
        work = Work(large, store, data, None, device, forget=forget_set(data, large.forget))
        planned = outline(work, speeds)
        result, seconds = by_stage(large, store)
    print("the plan of a digits run against the run, its speeds from a tenth of it")
    stages = {row["stage"]: row["seconds"] for row in planned["stages"]}
    for name, took in seconds.items():
        if name in stages:
            print(f"  {name}: planned {stages[name]:.2f} s, took {took:.2f} s, ratio {stages[name] / took:.2f}")
    total = sum(seconds.values())
    print(f"  all: planned {planned['seconds']:.1f} s, took {total:.1f} s, ratio {planned['seconds'] / total:.2f}")


def _spec(epochs: int, draws: int) -> Spec:
    return make_spec(methods="gd,rurk,scrub", references=3, draws=draws, train={"epochs": epochs}, relearn=0)


if __name__ == "__main__":
    main()
