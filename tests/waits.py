"""Where the host would wait for a GPU, seen on a CPU: whatever reads a number, or makes a shape of numbers."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from torch import Tensor
from torch import bool as boolean
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import rurk_core

CORE = str(Path(rurk_core.__file__).parent)
READS = ("_local_scalar_dense", "nonzero", "_unique2", "masked_select", "equal", "unique_consecutive")
"""Operators that wait: of item, bool, int and float; and those whose result's size hangs on the numbers."""
FETCHES = ("tolist", "numpy", "cpu")
"""Methods of a tensor that bring it to the host."""


def place() -> str:
    """The line of the core that is at work, "training/loop.py:61"; nothing within torch's optimisers, whose counters
    lie on the host."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "/torch/optim/" in name:
            return ""
        if name.startswith(CORE):
            return f"{name[len(CORE) + 1 :]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


class Waits(TorchFunctionMode):
    """A context that counts waits by the line of the core that caused them: ``seen``."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.checking = False
        self.operators = _Operators(self)

    def note(self) -> None:
        if not self.checking and (at := place()):
            self.seen[at] += 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in FETCHES:
            self.note()
        before, self.checking = self.checking, self.checking or name == "one_hot"  # it checks its numbers on a CPU only
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.checking = before

    def __enter__(self) -> Waits:
        super().__enter__()
        self.operators.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.operators.__exit__(*error)
        super().__exit__(*error)


class _Operators(TorchDispatchMode):
    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        if name in READS or (name.startswith(("index", "_index")) and _by_mask(name, args)):
            self.waits.note()
        return func(*args, **(kwargs or {}))


def _by_mask(name: str, args: Any) -> bool:
    """Whether tensors are looked up by a mask, whose size must be read; one number put there needs no size."""
    masks = isinstance(args[1], list | tuple) and any(isinstance(at, Tensor) and at.dtype == boolean for at in args[1])
    return masks and (name == "index" or args[2].numel() > 1)
