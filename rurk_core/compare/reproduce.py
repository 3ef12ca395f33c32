"""The paper's tables and figures, run again: its setting, our numbers beside the reported ones, and what differs.

The reported numbers are data (``rurk_core/reported/*.json``, each with its source). Tables C.6 to C.8 and Figure 2 look
at the runs of the sample-unlearning table from other sides, so once it has run they cost nothing more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..data import DATASETS, plain_name, with_validation
from ..errors import UsageError
from ..progress import Progress
from ..run.experiment import run
from ..run.spec import Spec, make_spec
from ..store.store import Store
from ..unlearning import METHODS
from .columns import COLUMNS, RETRAIN
from .table import compare

REPORTED = Path(__file__).parents[1] / "reported"
PAPER_SEEDS = (131, 42, 7)
PAPER_COLUMNS = ("retain_accuracy", "unlearn_accuracy", "test_accuracy", "mia_accuracy", "avg_gap", "relearn")
BASELINES = ("cr", "fisher", "ntk", "gd", "ngd", "ga", "neggrad_plus", "eu_k", "cf_k", "scrub", "ssd", "rurk")
"""The paper's methods in the order of its tables."""
IRIS_FORGET = "indices:17,32,57,62,67,105,106"
"""Seven training samples of the three classes (2, 3 and 2), those nearest to the others' side: the paper names none."""


@dataclass(frozen=True)
class Target:
    """A table or figure of the paper.

    Attributes:
        title: what it shows.
        dataset: the paper's, taken where none is named (quick: :data:`QUICK_DATASETS`); "" where one has to be.
        forget: rule of the forget set.
        methods: to be run, of those that exist.
        shows: "cells" (a table of metrics), or a figure of :data:`~rurk_core.compare.table.CURVES` over the radius.
        reported: file with the paper's numbers, "" where we have none; for cells it is the data set's own.
    """

    title: str
    dataset: str = "small_cifar5"
    forget: str = "class:0:0.5"
    methods: tuple[str, ...] = BASELINES
    shows: str = "cells"
    reported: str = ""


def _ablations() -> tuple[str, ...]:
    """RURK with one setting moved at a time (Table C.4)."""
    values = {
        "tau": ("0", "0.01", "0.02", "0.03", "0.04", "0.1"),
        "lambda": ("0", "0.01", "0.02", "0.03", "0.04", "0.1"),
        "search": ("gaussian", "fgsm", "pgd-1", "pgd-5", "pgd-10"),
        "v": ("1", "2", "3", "4"),
    }
    return tuple(f"rurk {name} {value}" for name, listed in values.items() for value in listed)


TARGETS: dict[str, Target] = {
    "table1": Target("sample unlearning, the six metrics, CIFAR-10", "cifar10", reported="cells"),
    "table_c2": Target("sample unlearning, the six metrics, small CIFAR-5", reported="cells"),
    "table_c3": Target("class unlearning, the six metrics", forget="class:0"),
    "table_c4": Target("ablations of RURK: τ, λ, search and v, one at a time", methods=_ablations()),
    "table_c5": Target(
        "larger data: ImageNet-100 with ResNet-50", "", methods=("gd", "neggrad_plus", "ssd", "rurk"), reported=""
    ),
    "table_c6": Target("prevalence of residual knowledge over τ", shows="prevalence", reported="prevalence"),
    "table_c7": Target("adversarial disagreement over τ", shows="disagreement", reported="disagreement"),
    "table_c8": Target("unlearn accuracy under perturbation over τ", shows="unlearn_accuracy"),
    "figure1": Target(
        "Iris, one hidden layer of 100, seven samples of three classes unlearned with GD",
        "iris",
        IRIS_FORGET,
        ("gd",),
        "ratio_of_means",
    ),
    "figure2": Target("residual knowledge over τ", shows="r_mean", reported="claims"),
}
NUMBERED = (
    "Which printed table is which follows the numbering of this project: Table 1 is CIFAR-10, C.2 small CIFAR-5, C.3 "
    "class unlearning, C.4 ablations, C.5 ImageNet-100, C.6 prevalence, C.7 disagreement, C.8 unlearn accuracy under "
    "noise."
)

SCALES: dict[str, dict[str, Any]] = {
    "quick": {"seeds": (131, 42), "draws": 30, "references": 3, "recipe": "quick", "attacks": "gaussian"},
    "paper": {"seeds": PAPER_SEEDS, "draws": 100, "references": 3, "recipe": "paper", "attacks": "gaussian,fgsm,pgd"},
}
"""quick: two cores and a quarter of an hour for small CIFAR-5; paper: the paper's setting, for a GPU."""
QUICK_CHANGES: dict[str, dict[str, Any]] = {"ntk": {"max_samples": 200}}
"""Settings that would not fit two cores: NTK's kernel of 1,000 samples takes what memory there is."""
QUICK_DATASETS = {"cifar10": "small_cifar5"}
"""Data that would not fit a quarter of an hour: two cores need more than two hours for all methods on CIFAR-10."""


@cache
def reported(name: str) -> dict[str, Any]:
    """A file of the paper's numbers; {} where there is none."""
    file = REPORTED / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def reproduce(
    name: str,
    store: Store,
    *,
    dataset: str = "",
    scale: str = "quick",
    seeds: Sequence[int] = (),
    overrides: Mapping[str, Any] | None = None,
    root: str | None = None,
    device: str = "auto",
    progress: Callable[[int, int], Progress | None] = lambda at, of: None,
) -> dict[str, Any]:
    """Run what a table or figure needs, or find it in the store, and put it beside the paper's numbers.

    Args:
        name: key of :data:`TARGETS`; dataset: another data set than the target's own.
        scale: "quick" or "paper"; seeds: others than the scale's.
        overrides: settings of :func:`~rurk_core.run.spec.make_spec` that replace the scale's (a smaller trial, say).
        progress: (run, of how many) → its progress function.

    Returns:
        ``{"target", "title", "scale", "source", "seeds", "dataset", "lines", "claims", "differences", "comparison",
        "seconds"}``. A line is ``{"model", "title", "settings", "metric" or "tau", "unit", "ours", "sd", "n", "over",
        "paper", "paper_over", "difference", "agrees"}`` in shown units; "agrees" is whether the paper's number lies
        within our mean ± standard deviation (None: one of the two is not known). "failed" instead of numbers where a
        method failed with every seed.

    Raises:
        UsageError: no such target or scale, or the target needs a data set that does not come with this program.
    """
    started = time.time()
    specs = plan(name, dataset=dataset, scale=scale, seeds=seeds, overrides=overrides)
    results = [
        run(spec, store, root=root, device=device, progress=progress(at, len(specs))) for at, spec in enumerate(specs)
    ]
    comparison, target, plain = compare(results), TARGETS[name], plain_name(specs[0].dataset)
    found = reported(dataset or target.dataset if target.reported == "cells" else target.reported)
    if target.shows == "cells":
        lines = _cells(comparison, found.get("cells", {}))
    else:
        lines = _over_tau(comparison, target.shows, found.get("curves", {}).get(plain, {}))
    claims = found.get("claims", []) if plain == "small_cifar5" else []
    return {
        "target": name,
        "title": target.title,
        "scale": scale,
        "source": found.get("source", "not reported here: the data file of the paper's numbers has none for this"),
        "seeds": comparison["seeds"],
        "dataset": plain,
        "lines": lines,
        "claims": [_checked(claim, comparison) for claim in claims],
        "differences": differences(name, specs, scale),
        "comparison": comparison,
        "seconds": round(time.time() - started, 1),
    }


def plan(
    name: str,
    *,
    dataset: str = "",
    scale: str = "quick",
    seeds: Sequence[int] = (),
    overrides: Mapping[str, Any] | None = None,
) -> list[Spec]:
    """The experiments of a target, one per seed; raises as :func:`reproduce`."""
    if name not in TARGETS:
        raise UsageError(f"There is no '{name}' to reproduce; choose one of {', '.join(TARGETS)}.")
    if scale not in SCALES:
        raise UsageError(f"There is no scale '{scale}'; choose quick or paper.")
    target, settings = TARGETS[name], dict(SCALES[scale])
    dataset = dataset or (QUICK_DATASETS.get(target.dataset, target.dataset) if scale == "quick" else target.dataset)
    if not dataset:
        raise UsageError(
            f"{name} is about ImageNet-100, which does not come with this program; name a folder with a folder of "
            "images per class, for example --dataset 'imagenet100?size=64'."
        )
    paper_seeds = settings.pop("seeds")
    if name == "figure1":
        settings |= {"recipe": "quick", "model": "mlp:100", "draws": 100, "attacks": "gaussian"}
    elif scale == "paper":
        settings["model"] = "resnet50" if name == "table_c5" else "resnet18"
    if dataset not in ("small_cifar5", "cifar10"):
        settings["recipe"] = "quick"  # the paper's recipes are for its own data
    # the paper forgets among all training samples, and its settings need none that are held out
    settings |= {
        "dataset": with_validation(dataset, 0),
        "forget": target.forget,
        "methods": _methods(target, dataset, scale),
    }
    settings |= dict(overrides or {})
    return [make_spec(**settings, seed=seed) for seed in seeds or paper_seeds]


def _methods(target: Target, dataset: str, scale: str) -> list[dict[str, Any]]:
    """The target's methods that exist, with the paper's settings for the data set."""
    whole_class = ":0." not in target.forget and target.forget.startswith("class:")
    suffix = " class" if whole_class else ""
    title = DATASETS[dataset].title if dataset in DATASETS else ""
    wanted = [
        f"paper, {title}{suffix}", f"paper, {title.replace('Small', 'small')}{suffix}",
        f"paper, {title}", f"paper, {title.replace('Small', 'small')}", "paper", dataset, "default",
    ]  # fmt: skip
    found = []
    for key in target.methods:
        method, *change = key.split(" ")
        if method in METHODS:
            preset = next(name for name in wanted if name in METHODS[method].presets)
            config = _ablated(*change) if change else QUICK_CHANGES.get(method, {}) if scale == "quick" else {}
            found.append({"method": method, "preset": preset, "config": config, "label": " ".join(change) or method})
    return found


def _ablated(name: str, value: str) -> dict[str, Any]:
    if name == "lambda":
        return {"lambda_f": float(value), "lambda_a": float(value)}
    if name == "search":
        kind, _, steps = value.partition("-")
        return {"search": kind} | ({"pgd_steps": int(steps)} if steps else {})
    return {name: float(value) if name == "tau" else int(value)}


def differences(name: str, specs: Sequence[Spec], scale: str) -> list[str]:
    """What is not as in the paper, in plain sentences."""
    spec, target = specs[0], TARGETS[name]
    recipe, dataset = spec.training(), plain_name(spec.dataset)
    network = {"figure1": "one hidden layer of 100", "table_c5": "ResNet-50"}.get(name, "ResNet-18")
    said = [
        f"Seeds {', '.join(str(s.seed) for s in specs)} (the paper's: {', '.join(map(str, PAPER_SEEDS))}); a seed here "
        "changes the training of every model as well as the unlearning.",
        f"{spec.references} re-trained models per seed stand for Re-train; the paper has one.",
        f"Network {spec.model} (the paper's: {network}), with the paper's settings of a method where it states them.",
        f"{spec.draws} copies of a sample at each radius (the paper's: 100); perturbations: {', '.join(spec.attacks)}.",
        f"The Original is trained {recipe.train.epochs} epochs, a Re-train {recipe.reference.epochs}"
        + (f", both after {recipe.pretrain.epochs} epochs of pre-training on CIFAR-10." if recipe.pretrain else "."),
    ]
    if target.dataset and dataset != target.dataset:
        said.append(
            f"Data set {dataset} (the paper's: {target.dataset}; --dataset {target.dataset} takes it, and --plan "
            "says for how long)."
        )
    if dataset == "cifar10":
        said.append("The whole training set of CIFAR-10 is used; the paper holds a fifth of it out for validation.")
    if dataset == "small_cifar5":
        said.append("Small CIFAR-5 is the first 200 training and test images of each of the first five classes.")
    if target.shows == "cells":
        said.append("The paper does not say how it fine-tunes for re-learn time: here SGD, rate 0.01, momentum 0.9.")
    missing = [key for key in target.methods if key.split(" ")[0] not in METHODS]
    if missing:
        said.append(f"Methods that do not exist here: {', '.join(missing)}.")
    if name == "table_c4":
        said.append("The paper also takes VGG-11 in this table: give --model vgg11 to 'rurk compare' for that.")
    if scale == "quick" and name != "figure1":
        said.append(
            "Quick scale: a small network that is trained briefly. Read the order of methods, not the decimals."
        )
        changed = {m.key: QUICK_CHANGES[m.key] for m in spec.methods if m.key in QUICK_CHANGES}
        for key, settings in changed.items():
            words = ", ".join(f"{setting} = {value}" for setting, value in settings.items())
            said.append(f"At this scale {METHODS[key].title} runs with {words}, to fit two cores and their memory.")
    return [*said, "The paper's standard deviations are not in the data file, so only our spread is used.", NUMBERED]


def _line(ours: float | None, sd: float | None, paper: Any, scale: float, **about: Any) -> dict[str, Any]:
    """One number beside the paper's, in shown units."""
    over = isinstance(paper, dict)
    value = paper["over"] if over else paper
    shown = None if value is None else value if over else scale * value
    difference = None if ours is None or shown is None or over else scale * ours - shown
    agrees = None if difference is None or sd is None else abs(difference) <= scale * sd
    numbers = {"ours": ours, "sd": sd}
    return about | {n: None if v is None else round(scale * v, 4) for n, v in numbers.items()} | {
        "paper": None if shown is None else round(shown, 4),
        "paper_over": over,
        "difference": None if difference is None else round(difference, 4),
        "agrees": agrees,
    }  # fmt: skip


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": row["name"], "title": row["title"], "settings": row["settings"]}


def _failed(row: Mapping[str, Any]) -> dict[str, Any]:
    return _about(row) | {"failed": "; ".join(f"seed {seed}: {why}" for seed, why in row["failed"].items())}


def _cells(comparison: Mapping[str, Any], paper: Mapping[str, Any]) -> list[dict[str, Any]]:
    lines = []
    for row in comparison["rows"]:
        if row["failed"] and not any(row["cells"].values()):
            lines.append(_failed(row))
            continue
        for key in PAPER_COLUMNS:
            cell, metric = row["cells"][key], COLUMNS[key]
            value = paper.get(row["name"], {}).get(key)
            if cell is None and value is None:
                continue
            mean, sd = (cell["mean"], cell["sd"]) if cell else (None, None)
            about = _about(row) | {"metric": metric.title, "unit": metric.unit}
            counts = {"n": cell["n"] if cell else 0, "over": cell["over"] if cell else 0}
            lines.append(_line(mean, sd, value, metric.scale, **about, **counts))
    return lines


def _over_tau(comparison: Mapping[str, Any], figure: str, paper: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A figure of the curves under random draws, at every radius."""
    ratio = figure in ("r_mean", "ratio_of_means")
    curves = {curve["name"]: curve for curve in comparison["curves"] if curve["attack"] == "gaussian"}
    lines = []
    for row in comparison["rows"]:
        if row["name"] == RETRAIN:
            continue
        if row["name"] not in curves:
            lines.append(_failed(row))
            continue
        curve, known = curves[row["name"]], paper.get(row["name"])
        step = curve["taus"][1] - curve["taus"][0] if len(curve["taus"]) > 1 else 1.0
        for at, tau in enumerate(curve["taus"]):
            value = None
            if known:
                nearest = min(range(len(known["taus"])), key=lambda i: abs(known["taus"][i] - tau))
                value = known["values"][nearest] if abs(known["taus"][nearest] - tau) < step / 4 else None
            mean, low, high = (curve[figure][edge][at] for edge in ("mean", "low", "high"))
            many = len(comparison["seeds"]) > 1 and mean is not None
            about = _about(row) | {"tau": tau, "metric": figure, "unit": "×" if ratio else "%"}
            line = _line(mean, (high - low) / 2 if many else None, value, 1 if ratio else 100, **about)
            lines.append(line | {"n": len(comparison["seeds"]), "over": 0})
    return lines


def _checked(claim: Mapping[str, Any], comparison: Mapping[str, Any]) -> dict[str, Any]:
    """What the paper says of its curves, held against ours: at how many radii of its range it is so, by model."""
    curves = {curve["name"]: curve for curve in comparison["curves"] if curve["attack"] == "gaussian"}
    found = {}
    for model in claim["models"]:
        curve = curves.get(model)
        if curve is None:
            continue
        inside = [
            value
            for tau, value in zip(curve["taus"], curve["ratio_of_means"]["mean"], strict=True)
            if claim["from"] <= tau <= claim["to"] + 1e-9 and value is not None
        ]
        holds = sum(claim.get("above", -1) <= value <= claim.get("below", float("inf")) for value in inside)
        found[model] = {
            "holds": holds,
            "of": len(inside),
            "lowest": min(inside, default=None),
            "highest": max(inside, default=None),
        }
    return dict(claim) | {"found": found}
