"""RURK as it comes, on seeds that nobody looked at while its settings were chosen: does it hold?

A row for each data set and seed; a file keeps them, so that a run that was stopped goes on. A row holds where retained
accuracy is no more than 2 points below the re-trained models' mean, and where at least half as many copies are
recognised as the re-trained models recognise, at every radius. The bar is 39 rows of 40 for RURK. Beside it stands RURK
whose strength is found (``auto``): in 80% of its rows the ratio of means shall lie where one more re-training's does in
95% of all cases, at every τ > 0, for at most four times the cost. Further RURK with the paper's λ, and GA with a
learning rate of 0: what batch statistics forget by themselves. The network of the set "batch_norm", which is not part
of the bar, has such statistics.

    python -m benchmarks.methods_hold                      # all rows, into methods_hold.jsonl
    python -m benchmarks.methods_hold batch_norm 110-112
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from rurk_core.compare.spreads import spread_of_apart, within
from rurk_core.data import load_dataset
from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store

FIRST, ROWS, BAR = 110, 10, 39
"""Seeds 0 to 4 were used in development, 100 to 109 were looked at before its last settings, none from 110 on was."""
POINTS, LEAST, TIMES = 0.02, 0.5, 4

SETS: dict[str, dict[str, Any]] = {
    "digits": {"dataset": "digits?validation=0.1", "taus": "0,0.15,0.3"},
    "fashion": {"taus": "0,0.08,0.2"},
    "small_cifar5": {"taus": "0,0.0157,0.0314", "pretrain": {"epochs": 0}, "model": "cnn:8"},
    "batch_norm": {
        "dataset": "small_cifar5",
        "taus": "0,0.0157,0.0314",
        "pretrain": {"epochs": 0},
        "model": "resnet9:16",
    },
    "folder": {"taus": "0,0.08,0.2", "model": "cnn:8", "train": {"epochs": 40}},
}

BARRED = [name for name in SETS if name != "batch_norm"]
METHODS = "rurk,rurk@auto,rurk@paper-small-cifar-5,ga@default:lr=0:epochs=10"


def own_folder(place: Path) -> Path:
    """An image folder as somebody might bring: 120 pictures of each of four kinds of clothes, as PNG files."""
    data = load_dataset("fashion?validation=0")
    for label in (1, 5, 7, 8):
        folder = place / data.classes[label].replace("/", " ")
        folder.mkdir(parents=True, exist_ok=True)
        for index in (data.train_labels == label).nonzero()[:120, 0].tolist():
            Image.fromarray(data.train_images[index, 0].numpy()).save(folder / f"{index}.png")
    return place


def row(name: str, seed: int, methods: str, root: str | None) -> list[dict[str, Any]]:
    """What every method did, on one data set with one seed."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        values: dict[str, Any] = {"dataset": name} | SETS[name]
        if name == "folder":
            values["dataset"] = str(own_folder(place / "clothes"))
        started = time.perf_counter()
        spec = make_spec(**values, forget="class:0:0.5", methods=methods, references=3, draws=20, relearn=0, seed=seed)
        result = run(spec, Store(place / "store"), root=root)
        seconds = time.perf_counter() - started
    retrained = [model["retain_accuracy"] for model in result["models"] if model["role"] == "reference"]
    found = []
    for model in result["models"]:
        if model["role"] == "reference":
            continue
        entry = next(entry for entry in result["residual"] if entry["method"] == model["name"])
        ratios = [at["ratio_of_means"] for at in entry["taus"]]
        apart = model["retain_accuracy"] - float(np.mean(retrained))
        holds = apart >= -POINTS and all(ratio is None or ratio >= LEAST for ratio in ratios)
        about = {"data": name, "seed": seed, "method": model["name"], "preset": model.get("preset", "")}
        about |= {"retain": round(apart, 4), "ratios": ratios, "holds": holds, "seconds": round(seconds, 1)}
        about |= {"inside": all(_inside(at) for at in entry["taus"] if at["tau"] > 0), "cost": model["seconds"]}
        found.append(about)
    return found


def _inside(at: dict[str, Any]) -> bool:
    """Whether the ratio of means at a radius lies where one more re-training's would in 95% of all cases."""
    spread, ratio = spread_of_apart(at["among_references"]["ratio_of_means"]), at["ratio_of_means"]
    return ratio is not None and bool(within(ratio - 1, spread))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="?", default=",".join(BARRED))
    parser.add_argument("seeds", nargs="?", default=f"{FIRST}-{FIRST + ROWS - 1}")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--rows", type=Path, default=Path("methods_hold.jsonl"))
    parser.add_argument("--data", help="where data sets lie")
    options = parser.parse_args()
    low, _, high = options.seeds.partition("-")
    kept = [json.loads(line) for line in options.rows.read_text().splitlines()] if options.rows.exists() else []
    print(f"RURK as it comes, {torch.get_num_threads()} threads; bar: {BAR} of {ROWS * len(BARRED)}")
    for seed in range(int(low), int(high or low) + 1):
        for name in options.sets.split(","):
            rows = [line for line in kept if (line["data"], line["seed"]) == (name, seed)]
            if not rows:
                rows = row(name, seed, options.methods, options.data)
                with options.rows.open("a") as file:
                    file.writelines(json.dumps(line) + "\n" for line in rows)
                kept += rows
            for line in rows:
                shown = " ".join("–" if ratio is None else f"{ratio:.2f}" for ratio in line["ratios"])
                said = f"retain {line['retain']:+.3f}  r̂ {shown}  {'holds' if line['holds'] else 'FAILS'}"
                print(f"{name:13} {seed} {line['method']:10} {said}", flush=True)
    for name, method in dict.fromkeys((line["data"], line["method"]) for line in kept):
        lines = [line for line in kept if (line["data"], line["method"]) == (name, method)]
        farthest = [line["ratios"][-1] for line in lines if line["ratios"][-1] is not None]
        spread = f", r̂ at the largest radius {min(farthest):.2f} to {max(farthest):.2f}" if farthest else ""
        counts = f"{sum(line['holds'] for line in lines)} hold, {sum(line['inside'] for line in lines)} within"
        print(f"{name}, {method}: of {len(lines)} {counts}{spread}")
    for method in dict.fromkeys(line["method"] for line in kept):
        lines = [line for line in kept if line["method"] == method]
        inside = f", {sum(line['inside'] for line in lines)} within the re-trained models' own spread"
        cost = f"{statistics.median(line['cost'] for line in lines):.2f} s"
        print(f"{method}: {sum(line['holds'] for line in lines)} of {len(lines)} hold{inside}; median {cost} a run")
    costs = {(line["data"], line["seed"], line["method"]): line["cost"] for line in kept}
    times = [cost / costs[*row, "rurk"] for (*row, method), cost in costs.items() if method == "rurk-2"]
    if times and options.methods == METHODS:
        few = f"{sum(each <= TIMES for each in times)} of {len(times)} at most {TIMES}, the highest {max(times):.1f}"
        print(f"the strength found took {statistics.median(times):.1f} times a single run in the median, {few}")


if __name__ == "__main__":
    main()
