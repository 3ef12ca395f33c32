"""A ceiling for methods that raise the loss of the forget set. Ours: no paper has it.

A raised loss has no upper bound, and a little too much of it ruins a class. A re-trained model takes forgotten samples
as it takes samples it never saw, so their loss is raised only up to q times the one that held-out samples of the same
class have under the Original, clean and perturbed alike, and held there. A small data set holds out a handful of a
class, whose mean loss says little, so it is drawn towards that of all that is held out. A class that is forgotten whole
has another target: a re-training never saw it at all, and what is known of it beforehand is chance, a loss of ln C.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import number
from ..data import to_pixels
from ..device import default_batch
from ..errors import UsageError
from ..models import Classifier
from .base import Samples
from .loop import logits_on

logger = logging.getLogger("rurk_core.unlearning")

AUTO = -1.0
"""The q that stands for "chosen against the references"; an experiment replaces it by a number."""

OTHERS = 3
"""As how many further samples of a class the mean loss of all held-out samples counts."""

Perturb = Callable[[Tensor, Tensor], Tensor]
"""(pixels [B, ...], labels [B]) → perturbed pixels [v·B, ...]."""


def ceiling_setting() -> Any:
    """The setting q of methods that raise the loss of the forget set."""
    return number(
        0.0,
        0.0,
        100.0,
        "q: the forget loss is raised to q times that of held-out samples of the class (a whole class: to q·ln C) and "
        "held there; 0 = raised without end, as in the papers; auto (-1) = chosen against the references",
        search=(0.3, 3.0, "log"),
        words={"auto": AUTO},
    )


def limits(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    validation: Samples | None,
    q: float,
    perturb: Perturb | None = None,
    *,
    name: str | None = None,
) -> Tensor | None:
    """Class → the loss up to which that of its forget samples may be raised: float32 [C]; None where q is 0.

    A class of which nothing stays has q·ln C. The others have q times the Original's mean loss on held-out samples of
    the class and :data:`OTHERS` more with the mean loss of all held-out ones: (n_c·L_c + 3·L) / (n_c + 3). Where
    nothing is held out, retained samples take their place, and a warning says that little will then be forgotten:
    their loss is about that of the forget samples.

    Args:
        perturb: makes the copies that are asked about instead of the samples themselves.
        name: the method's, for the warning; without one there is none.

    Raises:
        UsageError: q is :data:`AUTO`, which only an experiment with references can choose.
    """
    if not q:
        return None
    if q == AUTO:
        raise UsageError(f"The ceiling of {name} can be 'auto' only in an experiment, whose references choose it.")
    classes = int(original.head.out_features)
    found = torch.full((classes,), math.log(classes), device=forget.labels.device)
    stay = torch.isin(forget.labels, retain.labels)
    if stay.any():
        if name and not validation:
            logger.warning(
                "%s: no samples are held out, so the ceiling is the loss of retained ones, about that of the forget "
                "samples, and at q = 1 little will be forgotten; hold a part out (a data set's name with "
                "?validation=0.1 behind it), or choose a larger 'ceiling'.",
                name,
            )
        peers = validation or retain
        losses = losses_of(original, peers, perturb)
        for label in forget.labels[stay].unique():
            mine = losses[peers.labels == label]
            found[label] = (mine.sum() + OTHERS * losses.mean()) / (len(mine) + OTHERS)
    return q * found


@torch.no_grad()
def losses_of(model: nn.Module, samples: Samples, perturb: Perturb | None = None) -> Tensor:
    """Cross-entropy of each sample, or the mean of its copies': float32 [N]."""
    found = []
    step = default_batch(tuple(samples.images.shape[1:]), samples.labels.device)
    for index in torch.arange(len(samples), device=samples.labels.device).split(step):
        images, labels = samples.batch(index)
        if perturb:
            images = perturb(to_pixels(images), labels)
        each = F.cross_entropy(logits_on(model, images), labels.repeat(len(images) // len(labels)), reduction="none")
        found.append(each.float().view(-1, len(labels)).mean(0))
    return torch.cat(found)


def held_at(loss: Tensor, labels: Tensor, limit: Tensor | None) -> Tensor:
    """What a method maximises for the mean loss L of a batch: L up to the mean limit c of its samples, 2c − L beyond.

    Beyond c the gradient turns round instead of ending: raising the loss of samples also raises that of their far
    copies, and nothing else would bring those back.
    """
    if limit is None:
        return loss
    most = limit[labels].mean()
    return most - (loss - most).abs()
