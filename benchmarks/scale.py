"""The plan for a large experiment, checked on one five thousand times smaller: passes and seconds, engine by engine.

What ``rurk run --plan`` counts for ImageNet-100 with ResNet-50 (docs/scale.md) is counted and run here for ten classes
of small pictures: in one process, by two processes of torchrun, and by two workers of a Ray cluster.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE, CLASSES, PARTS = 64, 10, {"train": 13, "test": 5}
"""Pixels, and pictures of a class in each part."""
SETTINGS = (
    *("--model", "resnet50:8", "--methods", "gd,neggrad_plus,rurk", "--references", "2", "--seed", "3"),
    *("--attack", "gaussian,fgsm", "--tau", "0:0.03:11", "--draws", "20", "--relearn", "0"),
    *("--train", "epochs=9", "--train", "batch=16"),
)
KINDS = ("original", "reference", "unlearned", "scores", "verdicts", "peers")


def main() -> None:
    rurk = [sys.executable, "-m", "rurk_core"]
    with tempfile.TemporaryDirectory() as folder:
        asked = ["run", "--dataset", f"{pictures(Path(folder) / 'pictures')}?size={SIDE}&validation=0", *SETTINGS]
        print("an experiment like that of docs/scale.md, five thousand times smaller")
        plan = called([*rurk, *asked, "--plan", "--json"])
        print(f"  planned: {plan['passes']:,.0f} passes, {plan['seconds']:.0f} s from {plan['speeds_from']}")
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "rurk_core"]
        for engine, command in (("embedded", rurk), ("torchrun", torchrun), ("ray", rurk)):
            store = ["--store", f"{folder}/{engine}", "--engine", engine, "--json"]
            with_cluster = cluster if engine == "ray" else called
            started = time.perf_counter()
            result = with_cluster([*command, *asked, *store])
            told(engine, result["took"], time.perf_counter() - started, plan["passes"])


def pictures(place: Path) -> Path:
    """Folders of JPEG files of a class each: waves whose hue and frequency tell the class, with noise over them."""
    generator = np.random.default_rng(0)
    across = np.mgrid[:SIDE, :SIDE][1] / SIDE
    for part, each in PARTS.items():
        for label in range(CLASSES):
            folder = place / part / f"class {label}"
            folder.mkdir(parents=True)
            waves = np.stack([np.sin(2 * np.pi * (2 + label % 5) * across + phase * label) for phase in (1, 2, 3)], -1)
            for n in range(each):
                pixels = 127 + 80 * waves + generator.normal(0, 25, waves.shape)
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{n}.jpg")
    return place


def called(command: list[str]) -> dict[str, Any]:
    """What a command prints as JSON, behind whatever its libraries say first."""
    printed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return json.loads(printed[printed.index("{") :])


def cluster(command: list[str]) -> dict[str, Any]:
    """The same with a cluster of two workers beside it, gone afterwards."""
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    subprocess.run([*ray, "start", "--head", "--num-cpus", "2"], stdout=subprocess.DEVNULL, check=True)
    try:
        return called(command)
    finally:
        subprocess.run([*ray, "stop"], stdout=subprocess.DEVNULL, check=True)


def told(engine: str, took: dict[str, dict[str, float]], seconds: float, planned: float) -> None:
    """A line for the engine, and one for each kind of work."""
    passes = sum(entry["passes"] for entry in took.values())
    print(f"  {engine}: {passes:,.0f} passes counted, {passes / planned:.3f} of those planned; {seconds:.0f} s in all")
    for kind in KINDS:
        parts = [entry for name, entry in took.items() if name.split()[0] == kind]
        print(f"    {kind}: {sum(p['passes'] for p in parts):,.0f} passes, {sum(p['seconds'] for p in parts):.0f} s")


if __name__ == "__main__":
    main()
