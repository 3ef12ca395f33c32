"""The plan for a large experiment, checked on one five thousand times smaller: passes, and seconds engine by engine.

What ``rurk run --plan`` counts for ImageNet-100 with ResNet-50 (docs/scale.md) is counted and run here for ten classes
of small pictures. In this process every sample that goes through a network is counted: three passes for a training
step, one for each other, as plans count. Then the same is run by two processes of torchrun, whose models are those of
one process up to rounding, and by two workers of a Ray cluster, whose results are the very same.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from rurk_core.cli import main as main_of_rurk
from rurk_core.models import Classifier
from rurk_core.run import stages
from rurk_core.training.references import _fit_one_after_another

SIDE, CLASSES, PARTS = 64, 10, {"train": 13, "test": 5}
"""Pixels, and pictures of a class in each part."""
SETTINGS = (
    *("--model", "resnet50:8", "--methods", "gd,neggrad_plus,rurk", "--references", "2", "--seed", "3"),
    *("--attack", "gaussian,fgsm", "--tau", "0:0.03:11", "--draws", "20", "--relearn", "0"),
    *("--train", "epochs=9", "--train", "batch=16"),
)


def main() -> None:
    rurk = [sys.executable, "-m", "rurk_core"]
    with tempfile.TemporaryDirectory() as folder:
        asked = ["run", "--dataset", f"{pictures(Path(folder) / 'pictures')}?size={SIDE}&validation=0", *SETTINGS]
        print("an experiment like that of docs/scale.md, five thousand times smaller")
        plan = called([*rurk, *asked, "--plan", "--json"])
        print(f"  planned: {plan['passes']:,.0f} passes, {plan['seconds']:.0f} s from {plan['speeds_from']}")
        started = time.perf_counter()
        passes, alone = counted([*asked, "--store", f"{folder}/alone", "--json"])
        seconds = time.perf_counter() - started
        print(f"  one process: {passes:,} passes, {passes / plan['passes']:.3f} of those planned; {seconds:.0f} s")
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "rurk_core"]
        for engine, command, call in (("torchrun", torchrun, called), ("ray", rurk, on_a_cluster)):
            started = time.perf_counter()
            result = call([*command, *asked, "--store", f"{folder}/{engine}", "--engine", engine, "--json"])
            seconds = time.perf_counter() - started
            print(
                f"  {engine}: copies recognised differ by {apart(result, alone):.1%} of all; {seconds:.0f} s",
                flush=True,
            )


def counted(arguments: list[str]) -> tuple[int, dict[str, Any]]:
    """A command run in this process: (passes that its networks made, what it printed as JSON)."""
    passes = 0

    def count(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal passes
        if isinstance(module, Classifier):
            passes += (3 if module.training else 1) * len(inputs[0])

    def in_turn(build, images, labels, config, *, seeds, on_step, share):
        return _fit_one_after_another(build, images, labels, config, seeds, on_step)

    hook, printed = register_module_forward_pre_hook(count), io.StringIO()
    try:
        with patch.object(stages, "fit_references", in_turn), redirect_stdout(printed):
            main_of_rurk(arguments)
    finally:
        hook.remove()
    return passes, json.loads(printed.getvalue())


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest difference between two results in what a model recognises at a radius, as a share of the copies."""
    pairs = zip(one["residual"], other["residual"], strict=True)
    each = [(a, b) for first, second in pairs for a, b in zip(first["taus"], second["taus"], strict=True)]
    return max(abs(a["numerator"] - b["numerator"]) / a["trials"] for a, b in each)


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


def on_a_cluster(command: list[str]) -> dict[str, Any]:
    """The same with a cluster of two workers beside it, gone afterwards."""
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
    subprocess.run([*ray, "start", "--head", "--num-cpus", "2"], **quiet)
    try:
        return called(command)
    finally:
        subprocess.run([*ray, "stop"], **quiet)


if __name__ == "__main__":
    main()
