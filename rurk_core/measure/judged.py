"""Copies of one sample at one radius, one by one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data import Images, to_pixels
from ..perturb.copies import copies
from .residual import Verdicts

MOST = 1000
"""Draws of a sample that are made at once; of a run with more only the first are."""


def drawn(table: Verdicts, image: Images, place: int, tau: float, model: nn.Module | None, classes: int) -> Tensor:
    """The copies of a sample that a verdict table counted, draw by draw, on the CPU.

    Args:
        image: uint8 or float32 [...], the sample; place: its row in the table; model: the one that ``table.source``
            names, frozen.

    Returns:
        float32 [min(draws, :data:`MOST`), ...] in [0, 1]; another kind of device than the run's draws others.
    """
    return copies(
        table.attack,
        to_pixels(image[None]),
        torch.tensor([int(table.labels[place])]),
        ids=[int(table.samples[place])],
        tau=tau,
        draws=min(table.draws, MOST),
        seed=table.seed,
        classes=classes,
        model=model,
    )[0]
