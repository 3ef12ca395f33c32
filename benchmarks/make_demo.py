"""Make the small finished experiment that the app opens with, into ``assets/demo``: half of a class of Fashion-MNIST.

GD, SCRUB and SSD leave knowledge, RURK with the paper's λ destroys it, RURK held against the references does neither.
The network, its batches and epochs were chosen for that story and for its time: an illustration, not a measurement.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path

from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store

TARGET = Path(__file__).parents[1] / "assets" / "demo"
METHODS = [
    {"method": "gd"},
    {"method": "scrub"},
    {"method": "ssd"},
    {"method": "rurk", "preset": "paper, small CIFAR-5", "label": "rurk-paper"},
    {"method": "rurk", "preset": "auto"},
]


def main() -> None:
    spec = make_spec(
        "fashion",
        model="lenet:4",
        # without clip, 2 of 36 trainings of lenet:6 stayed at chance; batches of 64 are half as many steps again
        train={"clip": 4.0, "batch": 96},
        methods=METHODS,
        references=8,
        attacks="gaussian",
        taus="0:0.2:6",
        draws=20,
        relearn=0,
        title="Fashion-MNIST: half of the T-shirts forgotten",
    )
    with tempfile.TemporaryDirectory() as folder:
        made, started = Store(folder), time.perf_counter()
        run(spec, made)
        seconds = time.perf_counter() - started
        shutil.rmtree(TARGET, ignore_errors=True)
        demo = Store(TARGET)
        for entry in reversed(made.list()):
            about = json.loads(made.read(entry.key, "spec.json"))
            # features are the largest part and quickly made again from the models
            kept = {name: made.read(entry.key, name) for name in about["files"] if name != "features.safetensors"}
            demo.put(entry.key, about["spec"], kept)
        (TARGET / "index.sqlite").unlink(missing_ok=True)
    size = sum(file.stat().st_size for file in TARGET.rglob("*") if file.is_file())
    print(f"{TARGET}: {size / 1e6:.2f} MB in {seconds:.0f} s")


if __name__ == "__main__":
    main()
