"""Training only the last named blocks of a network (EU-k, CF-k): the frozen ones before them run once a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import choice, number
from ..data.stream import free_memory
from ..device import autocast, default_batch, memory_format
from ..errors import UsageError
from ..models import Classifier
from ..training.loop import OnStep, steps_per_epoch
from .base import Samples, trainable_copy
from .loop import DescentConfig, epochs_of, minimise, prepared, reinitialise


@dataclass(frozen=True)
class TailConfig(DescentConfig):
    """Settings of EU-k and CF-k; the defaults are the paper's (ResNet-18: the last two residual blocks and fc)."""

    k: int = number(3, 1, 1000, "k: named blocks that train, counted from the output; the head is one of them")
    cache: str = choice("auto", ("auto", "off"), "auto: run the frozen blocks once a sample, where memory allows it")


def passes_of_tail(config: TailConfig, n_r: int, n_f: int, classes: int) -> float:
    """At most: how much less the last k blocks take than all of them is the network's affair."""
    return n_r * (1.0 + 3.0 * config.epochs)


def check_tail(original: Classifier, retain: Samples, forget: Samples, config: TailConfig) -> str | None:
    """Why the last k blocks of this model cannot be trained, if so."""
    blocks = original.block_names
    if config.k > len(blocks):
        return f"k is {config.k}, but this model has {len(blocks)} blocks ({', '.join(blocks)}); choose a smaller k."
    return None


def train_tail(
    original: Classifier,
    retain: Samples,
    config: TailConfig,
    *,
    fresh: bool,
    generator: torch.Generator,
    on_step: OnStep | None,
    name: str,
) -> Classifier:
    """SGD on CE(S_r) by the weights of the last k blocks.

    The blocks before stay bit for bit as they are, running statistics included: they are in eval mode and without
    gradient, so what they give for a sample never changes and is computed once.

    Args:
        fresh: draw the weights and statistics of the last k blocks anew first.

    Raises:
        UsageError: the network has fewer than k blocks.
    """
    model = trainable_copy(original).eval()
    refusal = check_tail(original, retain, retain, config)
    if refusal:
        raise UsageError(f"{name}: {refusal}")
    frozen, tail = model.block_names[: -config.k], model.block_names[-config.k :]
    model.requires_grad_(False)
    for block in tail:
        model.block(block).requires_grad_(True).train()
    if fresh:
        reinitialise((module for block in tail for module in model.block(block).modules()), generator.initial_seed())
    inputs = _inputs(model, frozen, retain, config.cache)
    steps = config.epochs * steps_per_epoch(len(retain), config.batch)

    def losses() -> Iterator[Tensor]:
        for index in epochs_of(len(retain), config.batch, config.epochs, generator):
            hidden = inputs(index)
            with autocast(hidden.device, model.precision):
                for block in tail:
                    hidden = model.block(block)(hidden)
            yield F.cross_entropy(hidden.float(), retain.labels[index])

    return minimise(
        model,
        losses(),
        steps,
        config,
        on_step=on_step,
        name=name,
    ).requires_grad_(True)


def _inputs(model: Classifier, frozen: tuple[str, ...], samples: Samples, cache: str) -> Callable[[Tensor], Tensor]:
    """Indices → what the frozen blocks give for these samples."""

    @torch.no_grad()
    def run(index: Tensor) -> Tensor:
        hidden = (prepared(samples.images[index], model) - model.mean) / model.std
        with autocast(hidden.device, model.precision):
            for block in frozen:
                hidden = model.block(block)(hidden)
        return hidden

    device = samples.labels.device
    everything = torch.arange(len(samples), device=device)
    one = run(everything[:1])
    if cache == "off" or one.nbytes * len(samples) > 0.5 * free_memory(device):
        return run
    shape = (len(samples), *one.shape[1:])
    # in the layout of a batch, so that looking one up copies whole samples and nothing is rearranged
    kept = torch.empty(shape, dtype=one.dtype, device=device, memory_format=memory_format(one, model))
    chunk = default_batch(tuple(samples.images.shape[1:]), device)
    for rows, index in zip(kept.split(chunk), everything.split(chunk), strict=True):
        rows.copy_(run(index))
    return kept.__getitem__
