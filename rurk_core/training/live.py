"""Live accuracies of a model while it is trained: a look at a few samples now and then, at a twentieth of the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from ..data import Images, to_pixels
from ..device import memory_format

FEW = 256
"""Samples that are looked at of each set."""
SHARE = 0.05
"""Time that looking may take, of the time that training takes."""

_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


class Watch:
    """An ``on_step`` that adds the accuracies of the model in training to what it reports.

    Looking leaves the model as it is: no gradient, no batch statistics, no random number.

    Args:
        report: called as ``report(done, total, loss, **accuracies)``; each name holds the last that was seen.
        sets: name → images and labels (on the model's device); of each, ``FEW`` evenly spread samples are looked at.
    """

    def __init__(self, report: Callable[..., None], sets: Mapping[str, tuple[Images, Tensor]]):
        self.report = report
        self.sets = {name: _few(*samples) for name, samples in sets.items()}
        self.model: nn.Module | None = None
        self.seen: dict[str, float] = {}
        self.due = 0.0

    def __call__(self, done: int, total: int, loss: float | None = None) -> None:
        started = time.monotonic()
        if self.model is not None and (started >= self.due or done == total):
            self.seen = {name: accuracy(self.model, *samples) for name, samples in self.sets.items()}
            ended = time.monotonic()
            self.due = ended + (ended - started) / SHARE
        self.report(done, total, loss, **self.seen)


@contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """Whatever is trained inside and announces itself (:func:`announce`) is watched."""
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


def announce(model: nn.Module) -> None:
    """Say that ``model`` is the one about to be trained."""
    watch = _watch.get()
    if watch is not None:
        watch.model = model


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of samples the model gives their label, asked in eval mode and put back as it was."""
    modes = [(module, module.training) for module in model.modules()]
    pixels = to_pixels(images)
    try:
        with torch.no_grad():
            model.eval()
            said = model(pixels.contiguous(memory_format=memory_format(pixels, model))).argmax(1)
    finally:
        for module, training in modes:
            module.training = training
    return (said == labels).float().mean().item()


def _few(images: Images, labels: Tensor) -> tuple[Tensor, Tensor]:
    index = torch.linspace(0, len(labels) - 1, min(FEW, len(labels)), device=labels.device).long()
    return images[index], labels[index]
