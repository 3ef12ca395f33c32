"""What an unlearning method is, and the registry that makes one appear in the app, the command line and the tests.

A method is a function ``(original, retain, forget, config, *, generator, on_step) -> model`` with a frozen
settings class. It never changes ``original`` and draws all its randomness from ``generator``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ..config import Config
from ..errors import UsageError
from ..models import Classifier
from ..training import OnStep, epoch_batches
from ..watching import announce


@dataclass(frozen=True)
class Samples:
    """Images (uint8 or float32, N×...) and labels (int64 N) on the device the method runs on."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Samples:
        return Samples(self.images[index], self.labels[index])


class Unlearner(Protocol):
    """The contract of a method."""

    def __call__(
        self,
        original: Classifier,
        retain: Samples,
        forget: Samples,
        config: Any,
        *,
        generator: torch.Generator,
        on_step: OnStep | None = None,
    ) -> Classifier: ...


@dataclass(frozen=True)
class Method:
    """A registered method.

    Attributes:
        key, title: its name in commands and for people.
        run: the function itself.
        config: its settings class; defaults are the paper's where the paper has them.
        needs: the data it touches: ``"S_r"``, ``"S_f"`` or ``"S_r and S_f"``.
        source: paper and equation.
        summary: what it does, in one line.
        batch_norm: what it does to the running statistics of batch normalisation, in one line.
        presets: name in plain words → settings that differ from the defaults.
    """

    key: str
    title: str
    run: Unlearner
    config: type[Config]
    needs: str
    source: str
    summary: str
    batch_norm: str
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


METHODS: dict[str, Method] = {}


def register(
    *,
    title: str,
    config: type[Config],
    needs: str,
    source: str,
    summary: str,
    batch_norm: str,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
) -> Callable[[Unlearner], Unlearner]:
    """Decorator that puts a function into :data:`METHODS` under its own name."""

    def add(run: Unlearner) -> Unlearner:
        key = run.__name__  # type: ignore[attr-defined]
        METHODS[key] = Method(
            key, title, run, config, needs, source, summary, batch_norm, {"default": {}, **(presets or {})}
        )
        return run

    return add


def find_method(key: str) -> Method:
    """The method called ``key``.

    Raises:
        UsageError: there is none.
    """
    if key not in METHODS:
        raise UsageError(f"There is no method '{key}'; choose one of {', '.join(METHODS)}.")
    return METHODS[key]


def method_config(method: Method, preset: str = "default", **settings: Any) -> Config:
    """The settings of a preset, with ``settings`` on top.

    Raises:
        UsageError: no such preset or setting, or a value out of range.
    """
    if preset not in method.presets:
        raise UsageError(
            f"The method '{method.key}' has no preset '{preset}'; choose one of {', '.join(method.presets)}."
        )
    return method.config.from_dict({**method.presets[preset], **settings})


def trainable_copy(original: Classifier) -> Classifier:
    """A copy of ``original`` whose weights may be trained; the original is left as it is."""
    clone = copy.deepcopy(original).requires_grad_(True)
    announce(clone)
    return clone


def cycle_batches(samples: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of ``range(samples)`` without end, in a new random order every time round.

    Not ``itertools.cycle``, which would repeat the grouping of the first round for ever.
    """
    while True:
        yield from epoch_batches(samples, batch, generator)
