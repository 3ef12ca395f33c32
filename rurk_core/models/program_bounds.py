"""What a program may take, looked at in a run without storage: every operator that it comes down to is counted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ..errors import UsageError

MAX_VALUE = 2**25
"""Numbers in one intermediate result of two samples."""
MAX_LIVE = 2**26
"""Numbers in all that is alive at one time."""
MAX_RANK = 64
MAX_STEPS = 50_000
"""Operators in one pass, those that others are made of counted."""
WORK, WORK_PER_WEIGHT = 2.0**34, 4000.0
"""Additions and multiplications for two samples: as many, or so many for each weight where that is more. Networks for
photographs take some 300 (residual networks, transformers) to 1,100 (EfficientNet-B7) a weight and sample."""


class Bounds(TorchDispatchMode):
    """Counts what a pass on tensors without storage would take; a UsageError where that is too much.

    Args:
        weights: numbers in the program's weights.
    """

    def __init__(self, weights: int) -> None:
        super().__init__()
        self.weights = weights
        self.work, self.steps, self.most = 0.0, 0, max(WORK, WORK_PER_WEIGHT * weights)
        self.alive, self.made = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        values = list(_tensors(found))
        for value in values:
            if value.numel() > MAX_VALUE:
                raise UsageError(f"it computes tensors of {value.numel():,} numbers for two samples.")
            if value.dim() > MAX_RANK:
                raise UsageError(f"it computes tensors of {value.dim():,} dimensions.")
        self.steps += 1
        self.made += sum(value.numel() for value in values)
        self.work += self._cost(func, args, kwargs or {}, found, values)
        if self.steps > MAX_STEPS or self.work > self.most:
            raise UsageError(
                "it takes more work than any network of its size: over "
                f"{self.most:.2g} additions and multiplications, or {MAX_STEPS:,} steps, for two samples."
            )
        return found

    def _cost(self, func: Any, args: Any, kwargs: Any, found: Any, values: list[Tensor]) -> float:
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            return float(count(*args, **kwargs, out_val=found))
        made = sum(value.numel() for value in values)
        taken = sum(value.numel() for value in _tensors((args, kwargs)))
        window = 1.0
        if "pool" in str(func.overloadpacket):  # each number is made from a window of others
            sizes = kwargs.get("kernel_size", args[1] if len(args) > 1 else 1)
            sizes = sizes if isinstance(sizes, list | tuple) else [sizes]
            window = float(math.prod(size if isinstance(size, int) and size > 0 else 1 for size in sizes))
            window = window ** (2 if len(sizes) == 1 else 1) if "adaptive" not in str(func.overloadpacket) else 1.0
        return made * window + taken

    def living(self, values: dict[str, Any]) -> None:
        """Look at the values that are alive, what is shared counted once; only if it may be too much."""
        if self.alive + self.made <= MAX_LIVE:
            return
        sizes = {value.untyped_storage()._cdata: value.untyped_storage().nbytes() // 4 for value in _tensors(values)}
        self.alive, self.made = sum(sizes.values()) - self.weights, 0
        if self.alive > MAX_LIVE:
            raise UsageError(f"it holds {self.alive:,} numbers at a time for two samples, beside its weights.")


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for held in value.values():
            yield from _tensors(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _tensors(held)
