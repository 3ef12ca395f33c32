"""How an Original and its Re-trains are trained, by data set: quick ones for two cores, the paper's for a GPU."""

from __future__ import annotations

from ..data.recipes import Recipe, TrainConfig
from ..errors import UsageError

_TABLE = TrainConfig(epochs=100, lr=0.1, batch=32)
_GREY = TrainConfig(epochs=20, lr=0.1, batch=64)
_CIFAR_QUICK = TrainConfig(epochs=5, lr=0.1, batch=64, augment="flip", grow=0.4)
_FINE_TUNE = TrainConfig(epochs=25, lr=0.01, schedule="cosine")

_QUICK = {
    "digits": Recipe(_GREY, _GREY),
    "iris": Recipe(_TABLE, _TABLE),
    "moons": Recipe(_TABLE, _TABLE),
    "mnist": Recipe(TrainConfig(epochs=3), TrainConfig(epochs=3)),
    "fashion_mnist": Recipe(TrainConfig(epochs=5), TrainConfig(epochs=5)),
    "small_cifar5": Recipe(_FINE_TUNE, _FINE_TUNE, _CIFAR_QUICK),
}
_PAPER_CIFAR = TrainConfig(epochs=137, lr=0.01, schedule="cosine", augment="crop_flip")
_PAPER = {
    "small_cifar5": Recipe(
        _FINE_TUNE,
        TrainConfig(epochs=100, lr=0.01, schedule="cosine"),
        TrainConfig(epochs=200, lr=0.4, weight_decay=2e-4, schedule="cosine", augment="crop_flip"),
    ),
    "cifar10": Recipe(_PAPER_CIFAR, _PAPER_CIFAR),
}
RECIPES = {"quick": _QUICK, "paper": _PAPER}


def find_recipe(name: str, dataset: str) -> Recipe:
    """The recipe ``name`` ("quick" or "paper") for a data set; images without one of their own train like CIFAR-10.

    Raises:
        UsageError: no such recipe, or the paper has none for this data set.
    """
    if not isinstance(name, str) or name not in RECIPES:
        raise UsageError(f"There is no recipe '{name}'; choose one of {', '.join(RECIPES)}.")
    table = RECIPES[name]
    if dataset in table:
        return table[dataset]
    if name == "paper":
        raise UsageError(f"The paper has no recipe for '{dataset}', only for {', '.join(table)}; take the quick one.")
    return Recipe(_CIFAR_QUICK, _CIFAR_QUICK)
