"""What every training loop shares: batches of an epoch, the learning rate, progress, and divergence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..data.recipes import TrainConfig
from ..errors import RurkError

OnStep = Callable[[int, int, float], None]
"""Called as ``on_step(steps done, steps in all, loss)``; raising :class:`Cancelled` in it stops the work."""


class Diverged(RurkError):
    """A loss became NaN or infinite."""


def steps_per_epoch(samples: int, batch: int) -> int:
    """⌈samples / batch⌉."""
    return math.ceil(samples / batch)


def epoch_batches(samples: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """A random order of ``range(samples)`` in ⌈samples / batch⌉ batches of nearly equal size.

    Nearly equal, so that no epoch ends on a batch of one, whose batch statistics are void.
    """
    order = torch.randperm(samples, generator=generator, device=generator.device)
    yield from order.tensor_split(steps_per_epoch(samples, batch))


def learning_rate(config: TrainConfig, step: int, steps: int) -> float:
    """The rate of step ``step`` (from 0) of ``steps``.

    ``one_cycle``: linear from 0.1 to the peak over the first quarter, linear to 0 over the rest.
    ``cosine``: half a cosine from the peak to 0. ``linear``: a line from the peak to 0.
    """
    done = step / max(1, steps)
    if config.schedule == "one_cycle":
        rise = 0.25
        return config.lr * (0.1 + 0.9 * done / rise if done < rise else (1 - done) / (1 - rise))
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1 + math.cos(math.pi * done))
    if config.schedule == "linear":
        return config.lr * (1 - done)
    return config.lr


READ_EVERY = {"cpu": 1, "cuda": 20}
"""Steps from one reading of the loss to the next, by device: to read a number of a GPU is to wait for all it has to do.
"""


def report(on_step: OnStep | None, step: int, steps: int, loss: Tensor, what: str, *, batch: int = 0) -> None:
    """Check the loss and tell the caller, but not at every step where that would wait (:data:`READ_EVERY`).

    Args:
        batch: how many batches there were, where steps are counted in something else.

    Raises:
        Diverged: the loss is not finite; the message names ``what`` and the step.
    """
    if (batch or step) % READ_EVERY[loss.device.type] and step != steps:
        return
    value = float(loss.detach())
    if not math.isfinite(value):
        raise Diverged(
            f"The loss became {value} at step {step} of {steps} while {what}; lower the learning rate "
            "or the weight of the term that is maximised."
        )
    if on_step:
        on_step(step, steps, value)
