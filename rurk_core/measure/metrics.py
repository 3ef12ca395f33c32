"""What a model is measured by, as pure functions: accuracies, gaps, re-learning, similarity of layers, spreads.

None of these numbers is good when high or good when low: the target of each is what Re-train has. So everything
here comes with a distance to the references, and with how far the references are from each other.

Membership attacks are in :mod:`rurk_core.measure.membership`, residual knowledge in :mod:`rurk_core.measure.residual`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import Dataset, ForgetSet, retain_indices
from .membership import confidence, svc_attack

SHARES = ("retain_accuracy", "unlearn_accuracy", "test_accuracy", "mia_accuracy")
"""The four shares that Avg. Gap is the mean over."""


def accuracies(scores: Mapping[str, Tensor], dataset: Dataset, forget: ForgetSet) -> dict[str, float]:
    """Retain and test accuracy, and unlearn accuracy = 1 − accuracy on S_f, as the paper reports them.

    Args:
        scores: ``train_class`` and ``test_class`` of :func:`rurk_core.measure.scores.score`.
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
    """MIA accuracy of the paper, by :func:`~rurk_core.measure.membership.svc_attack`.

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
