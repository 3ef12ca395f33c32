"""What a model is measured by, as pure functions: accuracies, gaps, re-learning, similarity of layers, spreads.

None of these numbers is good when high or good when low: the target of each is what Re-train has. So everything
here comes with a distance to the references, and with how far the references are from each other.

Membership attacks are in :mod:`rurk_core.membership`, residual knowledge in :mod:`rurk_core.residual`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .data import Dataset, ForgetSet, Images, retain_indices, to_pixels
from .membership import confidence, svc_attack
from .models import Classifier
from .training import autocast, epoch_batches, memory_format

Floats = NDArray[np.floating]

SHARES = ("retain_accuracy", "unlearn_accuracy", "test_accuracy", "mia_accuracy")
"""The four shares that Avg. Gap is the mean over."""


# --- accuracies and gaps ------------------------------------------------------------------------------------


def accuracies(scores: Mapping[str, Tensor], dataset: Dataset, forget: ForgetSet) -> dict[str, float]:
    """Retain and test accuracy, and unlearn accuracy = 1 − accuracy on S_f, as the paper reports them.

    Args:
        scores: ``train_class`` and ``test_class`` of :func:`rurk_core.scores.score`.
    """
    right = (scores["train_class"] == dataset.train_labels).double()
    index = torch.tensor(forget.indices)
    return {
        "retain_accuracy": right[retain_indices(dataset, forget)].mean().item(),
        "unlearn_accuracy": 1 - right[index].mean().item(),
        "test_accuracy": (scores["test_class"] == dataset.test_labels).double().mean().item(),
    }


def forgotten_classes(dataset: Dataset, forget: ForgetSet) -> list[int]:
    """The classes of S_f where it holds all of their training samples (class unlearning); none where it does not."""
    touched = dataset.train_labels[torch.tensor(forget.indices)].unique()
    left = dataset.train_labels[retain_indices(dataset, forget)]
    return [] if torch.isin(left, touched).any() else touched.tolist()


def mia_accuracy(scores: Mapping[str, Tensor], dataset: Dataset, forget: ForgetSet) -> dict[str, Any]:
    """MIA accuracy of the paper, by :func:`~rurk_core.membership.svc_attack`.

    Sample unlearning: seen = retain, unseen = test, judged = forget. Class unlearning: seen = retain, unseen = forget,
    judged = test samples of the forgotten classes.

    Returns:
        ``mia_accuracy``, the share of judged samples that are called unseen, and ``mia_samples``, how many were judged;
        None and 0 where a forgotten class has no test sample.
    """
    train, test = confidence(scores["train_loss"]), confidence(scores["test_loss"])
    retained, forgotten = train[retain_indices(dataset, forget)], train[list(forget.indices)]
    classes = forgotten_classes(dataset, forget)
    if classes:
        unseen, judged = forgotten, test[np.isin(dataset.test_labels, classes)]
    else:
        unseen, judged = test, forgotten
    if not len(judged):
        return {"mia_accuracy": None, "mia_samples": 0}
    return {"mia_accuracy": svc_attack(retained, unseen, judged), "mia_samples": len(judged)}


def average_gap(row: Mapping[str, Any], references: Sequence[Mapping[str, Any]]) -> float | None:
    """Avg. Gap: mean of |difference to Re-train| over :data:`SHARES`, against the mean of the references.

    Returns:
        A share in [0, 1]; None where one of the four was not measured or there is no reference.

    >>> one = dict.fromkeys(SHARES, 0.5)
    >>> average_gap(one | {"test_accuracy": 0.9}, [one])
    0.1
    """
    rows = [row, *references]
    if not references or any(other.get(name) is None for other in rows for name in SHARES):
        return None
    apart = [abs(row[name] - np.mean([other[name] for other in references])) for name in SHARES]
    return round(float(np.mean(apart)), 12)


def others(references: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The references that ``row`` is held against: all of them, without itself where it is one."""
    return [other for other in references if other is not row]


# --- spreads ------------------------------------------------------------------------------------------------


def mean_and_deviation(values: ArrayLike) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n − 1); the deviation is None for a single value.

    >>> mean_and_deviation([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    found = np.asarray(values, float)
    return float(found.mean()), float(found.std(ddof=1)) if len(found) > 1 else None


def bootstrap_interval(
    values: ArrayLike, sizes: ArrayLike | None = None, *, level: float = 0.95, rounds: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of a mean over seeds, and over samples where a value is a share of samples.

    Seeds are drawn with replacement. With ``sizes``, value i is a share of ``sizes[i]`` samples, and every drawn share
    is drawn anew from the binomial distribution it stands for, so that one seed already has an interval and three
    seeds do not look surer than their samples allow.

    Returns:
        (low, high), or None for a single value without a size, which says nothing about its own spread.

    >>> bootstrap_interval([0.5, 0.5])
    (0.5, 0.5)
    """
    found = np.asarray(values, float)
    if sizes is None and len(found) < 2:
        return None
    generator = np.random.default_rng(seed)
    picks = generator.integers(len(found), size=(rounds, len(found)))
    drawn = found[picks]
    if sizes is not None:
        n = np.asarray(sizes)[picks]
        drawn = generator.binomial(n, np.clip(drawn, 0, 1)) / n
    low, high = np.quantile(drawn.mean(1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def reference_spread(values: ArrayLike) -> tuple[float, float] | None:
    """How far honest re-trainings differ: lowest and highest difference of one to the mean of the others.

    A difference to Re-train inside of it is no evidence of anything. None for fewer than two references.

    >>> reference_spread([0.25, 0.5])
    (-0.25, 0.25)
    """
    found = np.asarray(values, float)
    if len(found) < 2:
        return None
    apart = found - (found.sum() - found) / (len(found) - 1)
    return float(apart.min()), float(apart.max())


def within(difference: float, spread: tuple[float, float] | None) -> bool | None:
    """Whether a difference to Re-train is no larger than the references' own; None where that is not known."""
    return None if spread is None else bool(spread[0] - 1e-12 <= difference <= spread[1] + 1e-12)


# --- re-learn time ------------------------------------------------------------------------------------------

RELEARN_FACTOR = 1.05
RELEARN_LR, RELEARN_MOMENTUM, RELEARN_BATCH = 0.01, 0.9, 128


@dataclass(frozen=True)
class Relearned:
    """How a model learns the forget set again.

    Attributes:
        epochs: epochs until the loss on S_f was at most ``target``, 0 if it was before; None if it never was.
        limit: epochs that were tried at most: None is written "> limit".
        target: 1.05 × the Original's loss on S_f. Where the Original fits S_f to a loss near 0 this is a threshold at
            the level of noise, so look at ``losses`` too.
        losses: mean cross-entropy on S_f before the first epoch and after each.
    """

    epochs: int | None
    limit: int
    target: float
    losses: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "limit": self.limit, "target": self.target, "losses": list(self.losses)}


def relearn(
    model: Classifier, images: Images, labels: Tensor, target: float, *, limit: int = 30, seed: int = 0
) -> Relearned:
    """Re-learn time: fine-tune on S_f until CE(model, S_f) ≤ ``target``, at most ``limit`` epochs.

    The paper does not say how it fine-tunes here: this is SGD with its other baselines' rate 0.01, momentum 0.9 and
    batch 128, without weight decay, in train mode; losses are taken in eval mode. A loss that is no longer finite ends
    it: such a model has not re-learned.

    Args:
        model: changed in place; images, labels: the forget set on the model's device.
        target: a loss; the paper's is 1.05 × that of the Original.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=RELEARN_LR, momentum=RELEARN_MOMENTUM)
    generator = torch.Generator(images.device).manual_seed(seed)
    losses = [_mean_loss(model, images, labels)]
    while losses[-1] > target and len(losses) <= limit and math.isfinite(losses[-1]):
        model.train()
        for index in epoch_batches(len(images), RELEARN_BATCH, generator):
            pixels = to_pixels(images[index])
            with autocast(images.device, "auto"):
                loss = F.cross_entropy(model(pixels.contiguous(memory_format=memory_format(pixels))), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        losses.append(_mean_loss(model, images, labels))
    if not math.isfinite(losses[-1]):
        losses.pop()
        return Relearned(None, limit, target, tuple(losses))
    return Relearned(len(losses) - 1 if losses[-1] <= target else None, limit, target, tuple(losses))


@torch.no_grad()
def _mean_loss(model: Classifier, images: Images, labels: Tensor) -> float:
    model.eval()
    total = torch.zeros((), dtype=torch.float64, device=labels.device)  # read once, not after every batch
    for index in torch.arange(len(images), device=images.device).split(RELEARN_BATCH):
        pixels = to_pixels(images[index])
        logits = model(pixels.contiguous(memory_format=memory_format(pixels))).float()
        total += F.cross_entropy(logits, labels[index], reduction="sum")
    return float(total) / len(images)


# --- similarity of layers -----------------------------------------------------------------------------------


def centred_gram(features: Tensor) -> Tensor:
    """The inner products of n samples' features, U-centred and brought to length 1: all that linear CKA needs.

    U-centring (Székely & Rizzo 2014) makes the inner product of two such vectors the *unbiased* estimate of HSIC (Song
    et al. 2012, Nguyen et al. 2021). The usual double centring is biased towards 1 when features outnumber samples, as
    they do in every convolution: two random networks look alike.

    Args:
        features: [n, ...], n ≥ 4; anything after the first axis is flattened.

    Returns:
        float32 [n (n − 1) / 2], the part above the diagonal; zeros where all samples have equal features.
    """
    x = features.flatten(1).float()
    n = len(x)
    if n < 4:
        raise ValueError("unbiased CKA needs at least 4 samples")
    x = x - x.mean(0)
    gram = (x @ x.T).double().fill_diagonal_(0)
    rows = gram.sum(1) / (n - 2)
    gram = gram - rows[:, None] - rows[None, :] + gram.sum() / ((n - 1) * (n - 2))
    upper = gram[tuple(torch.triu_indices(n, n, 1, device=gram.device))]
    scale = upper.norm()
    # what is left of equal features is rounding
    return (upper / scale if scale > 1e-6 * max(1.0, float(x.square().sum())) else torch.zeros_like(upper)).float()


def cka(grams: Tensor) -> Floats:
    """Linear CKA (Kornblith et al. 2019) between every two of M models on the same samples, one block.

    1: equal up to a rotation and a scale; around 0, and as an unbiased estimate also a little below: nothing in common.

    Args:
        grams: [M, n (n − 1) / 2] of :func:`centred_gram`, in any float type.

    Returns:
        float64 [M, M], symmetric; NaN for a model whose features do not vary.
    """
    vectors = grams.double()
    length = vectors.norm(dim=1, keepdim=True)
    vectors = torch.where(length > 0, vectors / length, torch.nan)
    return (vectors @ vectors.T).clamp(-1, 1).numpy()


# --- cost ---------------------------------------------------------------------------------------------------


@dataclass
class Peak:
    """Memory that a stretch of work took on top of what was there, in MB; None where the system does not say."""

    megabytes: float | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measure the peak memory of what runs inside: of the GPU's allocator, or of this process on Linux.

    On a CPU it is the rise of the resident set: memory that earlier work left to the allocator is used again and does
    not count, so small numbers mean "next to nothing", not an exact size.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.megabytes = round((torch.cuda.max_memory_allocated(device) - before) / 1e6, 1)
        return
    start = _resident("VmRSS") if _reset_peak() else None
    yield peak
    end = _resident("VmHWM")
    if start is not None and end is not None:
        peak.megabytes = round(max(0.0, end - start), 1)


def _reset_peak() -> bool:
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return True
    except OSError:
        return False


def _resident(field: str) -> float | None:
    """A line of /proc/self/status, in MB."""
    try:
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) / 1000 for line in file if line.startswith(field)), None)
    except OSError:
        return None


def cost_share(seconds: float, retrain: float) -> float | None:
    """The time of a method as a share of the time of one Re-train on the same machine; None where that is unknown."""
    return seconds / retrain if retrain > 0 else None
