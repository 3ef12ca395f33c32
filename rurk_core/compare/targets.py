"""What is run for each table and figure of the paper, at each scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..data import DATASETS, plain_name, with_validation
from ..errors import UsageError
from ..run.spec import Spec, make_spec
from ..unlearning import METHODS

PAPER_SEEDS = (131, 42, 7)
BASELINES = ("cr", "fisher", "ntk", "gd", "ngd", "ga", "neggrad_plus", "eu_k", "cf_k", "scrub", "ssd", "rurk")
"""The paper's methods in the order of its tables."""
IRIS_FORGET = "indices:17,32,57,62,67,105,106"
"""Seven training samples of the three classes (2, 3 and 2), those nearest to the others' side: the paper names none."""


@dataclass(frozen=True)
class Target:
    """A table or figure of the paper.

    Attributes:
        title: what it shows.
        dataset: the paper's, taken where none is named (at smaller scales: :data:`QUICK_DATASETS`); "" where one has to
            be.
        forget: rule of the forget set.
        methods: to be run, of those that exist.
        shows: "cells" (a table of metrics), or a figure of :data:`~rurk_core.compare.table.CURVES` over the radius.
        reported: file with the paper's numbers, "" where we have none; "cells" for that of the data set.
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
    "laptop": {
        "seeds": PAPER_SEEDS, "draws": 20, "references": 3, "recipe": "paper", "attacks": "gaussian,fgsm",
        "model": "resnet18:16",
        "pretrain": {"epochs": 10, "lr": 0.1, "weight_decay": 5e-4, "schedule": "one_cycle", "grow": 0.4},
    },
    "paper": {"seeds": PAPER_SEEDS, "draws": 100, "references": 3, "recipe": "paper", "attacks": "gaussian,fgsm,pgd"},
}  # fmt: skip
"""quick: two cores and a quarter of an hour for small CIFAR-5; laptop: two cores and three hours, the paper's small
CIFAR-5 with a ResNet-18 of a quarter of its width; paper: the paper's setting, for a GPU."""
QUICK_CHANGES: dict[str, dict[str, Any]] = {"ntk": {"max_samples": 200}}
"""Settings that would not fit two cores: NTK's kernel of 1,000 samples takes what memory there is."""
HELD_OUT = {"cifar10": 0.2}
"""Shares of the training samples that the paper holds out, so that half of CIFAR-10's class 0 is 2,000 samples."""
SMALL_ONLY = ("cr", "fisher", "ntk")
"""What the paper runs on small CIFAR-5 and not on CIFAR-10."""
CLASS_CHANGES: dict[str, dict[str, Any]] = {"fisher": {"class_rule": "on"}}
"""Settings of official code that hold for whole classes alone."""
QUICK_DATASETS = {"cifar10": "small_cifar5"}
"""Data that would not fit a quarter of an hour: two cores need more than two hours for all methods on CIFAR-10."""


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
        raise UsageError(f"There is no scale '{scale}'; choose {', '.join(SCALES)}.")
    target, settings = TARGETS[name], dict(SCALES[scale])
    dataset = dataset or (QUICK_DATASETS.get(target.dataset, target.dataset) if scale != "paper" else target.dataset)
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
    elif name == "table_c4":
        settings["attacks"] = "gaussian"  # its cells need no other
    if dataset not in ("small_cifar5", "cifar10"):
        settings["recipe"] = "quick"  # the paper's recipes are for its own data
        settings.pop("pretrain", None)
    settings |= {
        "dataset": with_validation(dataset, HELD_OUT.get(plain_name(dataset), 0)),
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
        if method in METHODS and not (plain_name(dataset) == "cifar10" and method in SMALL_ONLY):
            preset = next(name for name in wanted if name in METHODS[method].presets)
            own = CLASS_CHANGES.get(method, {}) if whole_class else {}
            small = QUICK_CHANGES.get(method, {}) if scale == "quick" else {}
            config = _ablated(*change) if change else own | small
            found.append({"method": method, "preset": preset, "config": config, "label": " ".join(change) or method})
    return found


def _ablated(name: str, value: str) -> dict[str, Any]:
    if name == "lambda":
        return {"lambda_f": float(value), "lambda_a": float(value)}
    if name == "search":
        kind, _, steps = value.partition("-")
        return {"search": kind} | ({"pgd_steps": int(steps)} if steps else {})
    return {name: float(value) if name == "tau" else int(value)}
