"""Does a model made elsewhere fit the data at all? What it says of retained samples tells that.

A model on another pixel scale, without its normalisation, or with its classes in another order recognises nothing, and
would look perfectly unlearned.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom
from torch import Tensor, nn

from ..data import Dataset, ForgetSet, retain_indices, to_pixels
from ..device import logits_of, place

EACH = 16
"""Retained samples of a class that are looked at: more where classes are few, fewer where they are many."""
LEAST, MOST = 400, 1600
"""Of all classes together: so many tell a weak model from one that guesses."""
LIFT = 0.1
"""By so much more samples are recognised where something explains why a model does not fit."""
LEVEL = 0.999
"""Guessing stays below what is called chance in this share of cases."""
_CHANNELS: dict[int, dict[str, tuple[list[float], list[float]]]] = {
    3: {
        "the normalisation of CIFAR-10": ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
        "the normalisation of ImageNet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    },
    1: {"the normalisation of MNIST": ([0.1307], [0.3081])},
}


def misfits(models: Mapping[str, Any], dataset: Dataset, forget: ForgetSet, device: torch.device) -> dict[str, str]:
    """Model → a sentence on why it seems not to fit; models that fit are left out.

    Args:
        models: name → classifier on the CPU, in eval mode.
    """
    index = _few_of_each(dataset, retain_indices(dataset, forget))
    pixels = to_pixels(dataset.train_images[index].to(device))
    labels = dataset.train_labels[index]
    share = torch.bincount(labels).max().item() / len(labels)
    chance = binom.ppf(LEVEL, len(labels), max(share, 1 / len(dataset.classes))) / len(labels)
    found = {}
    for name, model in models.items():
        place(model, pixels)
        if said := _misfit(model, pixels, labels, dataset.classes, float(chance)):
            found[name] = f"“{name}” {said}"
        model.cpu()
    return found


def _few_of_each(dataset: Dataset, retain: Tensor) -> Tensor:
    """The first few retained samples of each class, as many of one as of another where there are enough."""
    each = max(1, min(max(EACH, LEAST // len(dataset.classes)), MOST // len(dataset.classes)))
    labels = dataset.train_labels[retain]
    return torch.cat([retain[labels == label][:each] for label in labels.unique()]).sort().values


def _misfit(model: nn.Module, pixels: Tensor, labels: Tensor, classes: tuple[str, ...], chance: float) -> str:
    said = logits_of(model, pixels).argmax(1)
    right = (said == labels).float().mean().item()
    plain = f"gives {right:.0%} of {len(labels)} retained samples their class"
    if right + LIFT <= 1:
        shares = {
            name: (logits_of(model, moved).argmax(1) == labels).float().mean().item()
            for name, moved in _other_scales(pixels)
        }
        name, best = max(shares.items(), key=itemgetter(1))
        if _explains(right, best) and best > chance:
            return (
                f"does not fit: it {plain}, and {best:.0%} on {name}. Put that inside the model before it is exported, "
                "or name it (--normalise) for a state dict; what is measured here says nothing of forgetting."
            )
        matched = _matched(said, labels, len(classes))
        if _explains(right, matched) and matched > 0.5:
            return (
                f"does not fit: it {plain}, and {matched:.0%} if its classes are put into another order. They must be "
                "numbered as in the data; what is measured here says nothing of forgetting."
            )
    if right <= chance:
        return (
            f"{plain}, no more than guessing would: it does not fit these data (network, normalisation, classes), or "
            "it was damaged as a whole. What is measured of it says nothing of forgetting."
        )
    return ""


def _explains(right: float, other: float) -> bool:
    """Whether the other reading is right so much more often: by :data:`LIFT`, and wrong half as often at most.

    A model that was trained badly is wrong about as often either way.
    """
    return other >= right + LIFT and 1 - other <= (1 - right) / 2


def _other_scales(pixels: Tensor) -> list[tuple[str, Tensor]]:
    """What other tools hand to their models, in words and as pixels."""
    found = [("pixels from 0 to 255", pixels * 255), ("pixels from -1 to 1", pixels * 2 - 1)]
    for name, (mean, std) in _CHANNELS.get(pixels.shape[1] if pixels.dim() == 4 else 0, {}).items():
        shape = (1, -1, 1, 1)
        middle, spread = (pixels.new_tensor(values).view(shape) for values in (mean, std))
        found.append((f"pixels after {name}", (pixels - middle) / spread))
    if pixels.dim() == 4 and pixels.shape[1] == 3:
        found.append(("pixels with red and blue exchanged", pixels.flip(1)))
    return found


def _matched(said: Tensor, labels: Tensor, classes: int) -> float:
    """The share of samples given their class under the best order of the classes; 0 where few samples say so."""
    if len(labels) < EACH // 2 * classes:
        return 0.0
    counts = torch.zeros(classes, classes, dtype=torch.int64)
    counts.index_put_((labels, said), torch.ones_like(labels), accumulate=True)
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    return float(counts[torch.from_numpy(rows), torch.from_numpy(columns)].sum()) / len(labels)
