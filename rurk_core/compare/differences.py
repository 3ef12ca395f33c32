"""What of a reproduction is not as in the paper, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..data import DATASETS, plain_name, split_validation
from ..data.recipes import Recipe, TrainConfig
from ..run.spec import Spec
from ..unlearning import METHODS
from .targets import NUMBERED, PAPER_SEEDS, QUICK_CHANGES, TARGETS

NETWORKS = {"figure1": "one hidden layer of 100", "table_c5": "ResNet-50"}
"""Where the paper's network is another than ResNet-18."""


def differences(name: str, specs: Sequence[Spec], scale: str) -> list[str]:
    """Sentences, the largest matters first.

    Args:
        name: key of :data:`~rurk_core.compare.targets.TARGETS`; specs: what was run for it, one per seed; scale: key of
            :data:`~rurk_core.compare.targets.SCALES`.
    """
    spec, target = specs[0], TARGETS[name]
    said = [
        f"Network {spec.model} (the paper's: {NETWORKS.get(name, 'ResNet-18')}), with the paper's settings of a method "
        "where it states them; what it calls official defaults are those of the authors' code.",
        *_on_data(name, spec),
        *_on_training(spec.training()),
        f"Seeds {', '.join(str(s.seed) for s in specs)} (the paper's: {', '.join(map(str, PAPER_SEEDS))}); a seed here "
        "changes the training of every model, the unlearning and the draws, not the choice of the forget set.",
        f"{spec.references} re-trained models per seed stand for Re-train; the paper has one.",
        f"Perturbations: {', '.join(spec.attacks)}; {spec.draws} copies of a sample at each radius (the paper's: 100).",
    ]
    if target.shows == "cells":
        said.append("The paper does not say how it fine-tunes for re-learn time: here SGD, rate 0.01, momentum 0.9.")
    said += _on_methods(spec)
    missing = [key for key in target.methods if key.split(" ")[0] not in METHODS]
    if missing:
        said.append(f"Methods that do not exist here: {', '.join(missing)}.")
    if name == "table_c4":
        said.append("The paper also takes VGG-11 in this table: give --model vgg11 to 'rurk compare' for that.")
    if scale == "quick" and name != "figure1":
        said.append(
            "Quick scale: a small network that is trained briefly. Read the order of methods, not the decimals."
        )
    deviations = "The paper's standard deviations are not in the data file; its spread over seeds is taken to be ours."
    return [*said, deviations, NUMBERED]


def _on_data(name: str, spec: Spec) -> Iterator[str]:
    target, (dataset, held) = TARGETS[name], split_validation(spec.dataset)
    if target.dataset and plain_name(dataset) != target.dataset:
        yield (
            f"Data set {plain_name(dataset)} (the paper's: {target.dataset}; --dataset {target.dataset} takes it, and "
            "--plan says for how long)."
        )
    if plain_name(dataset) == "cifar10":
        yield f"{100 * (held or 0):.0f}% of the training samples are held out, as in the paper; by another draw."
    if plain_name(dataset) == "small_cifar5":
        yield "Small CIFAR-5 is the first 200 training and test images of each of the first five classes."


def _on_training(recipe: Recipe) -> Iterator[str]:
    yield (
        f"The Original is trained {recipe.train.epochs} epochs, a Re-train {recipe.reference.epochs}"
        + (f", both after {recipe.pretrain.epochs} epochs of pre-training on CIFAR-10." if recipe.pretrain else ".")
    )
    if recipe.pretrain:
        paper = DATASETS["small_cifar5"].paper
        assert paper is not None and paper.pretrain is not None
        own, theirs = recipe.pretrain.to_dict(), paper.pretrain.to_dict()
        moved = [f"{key} {_short(own[key])} ({_short(theirs[key])})" for key in theirs if own[key] != theirs[key]]
        if moved:
            yield f"Settings of pre-training, the paper's in brackets: {', '.join(moved)}."
        yield (
            "Pre-training saw the forget samples, as in the paper: a re-training is then no model that never saw them, "
            "and residual knowledge is counted from what it kept."
        )
    if recipe.origin:
        yield recipe.origin
    yield f"SGD takes Nesterov's momentum, which the paper does not say; images are changed at random {_where(recipe)}."


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _where(recipe: Recipe) -> str:
    """In which trainings images are changed; unlearning sees them as they are."""
    stages: dict[str, TrainConfig | None] = {
        "in pre-training": recipe.pretrain, "in training": recipe.train, "in re-training": recipe.reference,
    }  # fmt: skip
    found = [stage for stage, config in stages.items() if config and config.augment != "none"]
    return f"{' and '.join(found)} alone, never in unlearning" if found else "nowhere"


def _on_methods(spec: Spec) -> Iterator[str]:
    """What our reading of a method leaves open, of those that were run."""
    ran = {method.key: method.config for method in spec.methods}
    if "rurk" in ran:
        yield "RURK's cosine falls to 0 over the steps it takes, so over 200 where it is capped there."
    if "fisher" in ran and getattr(ran["fisher"], "class_rule", "") == "on":
        yield "Fisher makes the last layer's row of a lost class pure noise, as the authors' code does."
    if "ntk" in ran and getattr(ran["ntk"], "anchor", "") == "zero":
        yield "NTK's penalty pulls towards 0, as weight decay does; in the authors' code towards the Original."
    for key, settings in QUICK_CHANGES.items():
        if key in ran and all(getattr(ran[key], name) == value for name, value in settings.items()):
            words = ", ".join(f"{setting} = {value}" for setting, value in settings.items())
            yield f"{METHODS[key].title} runs with {words}, to fit two cores and their memory."
