"""The training loop that methods share: a method says which losses, :func:`minimise` takes the steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import Config, choice, number
from ..data import to_pixels
from ..device import autocast, memory_format, precision_of
from ..models import Classifier
from ..training.loop import OnStep, epoch_batches, report
from .base import Samples, trainable_copy

Weights = Sequence[nn.Parameter]


class Descent(Protocol):
    """Settings of a method that takes steps down a loss."""

    @property
    def lr(self) -> float: ...
    @property
    def momentum(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


@dataclass(frozen=True)
class DescentConfig(Config):
    """What methods have in common that take steps of SGD over the retain set; the defaults are the paper's."""

    epochs: int = number(10, 0, 1000, "passes over the retain samples", search=(1, 20, "linear"))
    lr: float = number(0.01, 0.0, 10.0, "learning rate of SGD, constant", search=(1e-3, 0.2, "log"))
    momentum: float = number(0.9, 0.0, 0.999, "momentum")
    weight_decay: float = number(1e-4, 0.0, 1.0, "L2 pull of every trained weight towards 0")
    batch: int = number(128, 2, 65_536, "samples in a step")


def bn_choice(what: str, default: str = "train") -> str:
    """The setting of methods that pass the forget set alone through the network."""
    return choice(
        default,
        ("train", "eval"),
        f"batch normalisation: train mode, in which {what} moves the running statistics and so forgets a part by "
        "itself (lr 0 shows how much), or eval mode, which leaves them as they are",
    )


def set_mode(model: nn.Module, bn: str) -> None:
    """Train mode; with ``bn`` = "eval" the batch normalisations stay in eval mode (their weights still train)."""
    model.train()
    if bn == "eval":
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def prepared(images: Tensor, model: nn.Module) -> Tensor:
    """Pixels in [0, 1] in the memory format that ``model`` runs in."""
    pixels = to_pixels(images)
    return pixels.contiguous(memory_format=memory_format(pixels, model))


def logits_on(model: nn.Module, images: Tensor) -> Tensor:
    """float32 logits B×C of uint8 or float32 images, in the arithmetic of the model's ``precision``."""
    with autocast(images.device, precision_of(model)):
        return model(prepared(images, model)).float()


def loss_on(model: nn.Module, samples: Samples, index: Tensor) -> Tensor:
    """The mean cross-entropy of some of ``samples``."""
    return F.cross_entropy(logits_on(model, samples.images[index]), samples.labels[index])


def epochs_of(samples: int, batch: int, epochs: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of ``range(samples)``, every epoch in an order of its own."""
    for _ in range(epochs):
        yield from epoch_batches(samples, batch, generator)


def side_stream(generator: torch.Generator, salt: int) -> torch.Generator:
    """A stream of its own for what a method draws beside its retain batches.

    So the order of retain batches is the same with and without it, and identities between methods hold bit for bit.
    """
    return torch.Generator(generator.device).manual_seed(generator.initial_seed() ^ salt)


def cosine(steps: int) -> Callable[[int], float]:
    """Half a cosine from 1 to 0 over ``steps``."""
    return lambda step: 0.5 * (1 + math.cos(math.pi * step / steps))


def minimise(
    model: Classifier,
    losses: Iterable[Tensor],
    steps: int,
    config: Descent,
    *,
    rate: Callable[[int], float] | None = None,
    adam: bool = False,
    on_gradient: Callable[[Weights], None] | None = None,
    after_step: Callable[[Weights, float], None] | None = None,
    on_step: OnStep | None,
    name: str,
) -> Classifier:
    """Take one step down each of ``losses``; returns ``model``, changed in place, in eval mode.

    Args:
        model: in the mode the steps want; weights that do not require gradients stay.
        losses: made lazily, each after the step on the one before it; where they end early, so do the steps.
        steps: how many there are, for progress.
        config: learning rate, momentum (SGD's) and weight decay (an L2 penalty); where a method has these settings too,
            ``optimizer`` ("sgd" or "adam") and ``clip``, the largest norm of the gradient.
        rate: step (from 0) → factor on the learning rate; adam: for methods that leave no choice.
        on_gradient: may change the gradients, after clipping; after_step: may change the weights, is told the
            learning rate.
        name: the method's, for messages.

    Raises:
        Diverged: a loss is NaN or infinite; the message names the method and the step.
        Cancelled: raised by ``on_step``.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser: torch.optim.Optimizer
    lr, clip = config.lr, getattr(config, "clip", 0.0)
    if adam or getattr(config, "optimizer", "sgd") == "adam":
        optimiser = torch.optim.Adam(weights, lr=lr, weight_decay=config.weight_decay)
    else:
        optimiser = torch.optim.SGD(weights, lr=lr, momentum=config.momentum, weight_decay=config.weight_decay)
    step = -1
    for step, loss in enumerate(losses):
        now = lr * rate(step) if rate else lr
        for group in optimiser.param_groups:
            group["lr"] = now
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(weights, clip)
        if on_gradient:
            on_gradient(weights)
        optimiser.step()
        if after_step:
            after_step(weights, now)
        report(on_step, step + 1, steps, loss, f"unlearning with {name}")
    optimiser.zero_grad(set_to_none=True)
    if on_step and 0 <= step < steps - 1:
        on_step(steps, steps, float(loss.detach()))
    return model.eval()


def reinitialised(model: Classifier, seed: int) -> Classifier:
    """A copy of ``model`` with every layer's weights and statistics drawn anew."""
    fresh = trainable_copy(model)
    reinitialise(fresh.modules(), seed)
    return fresh


def reinitialise(modules: Iterable[nn.Module], seed: int) -> None:
    """Draw the weights and statistics of ``modules`` anew, in place; the global random state is left alone."""
    chosen = list(modules)
    gpus = {weight.get_device() for module in chosen for weight in module.parameters() if weight.is_cuda}
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        for module in chosen:
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
