"""A forget set in one line."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from ui.sections.forgotten import which


@pytest.mark.parametrize(
    ("indices", "said"),
    [
        ((0,), "1 of 2 “cat”"),
        ((0, 2, 4), '1 of 2 “cat”, 1 of 2 “5”, 1 of 2 “a,"b"”'),
        ((0, 2, 4, 6), " and 1 more class"),
        (tuple(range(10)), " and 2 more classes"),
    ],
)
def test_three_classes_are_named_and_the_others_counted(indices, said):
    labels = torch.arange(10) // 2
    dataset = SimpleNamespace(train_labels=labels, classes=("cat", "5", 'a,"b"', "d", "e"))
    assert which(dataset, indices).endswith(said)
