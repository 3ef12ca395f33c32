"""One trainer for every model: the Original and a Re-train differ only in the indices they see.

Data lives on the device as one tensor; a batch is an index slice of it, so there are no loader workers and no
image library in the loop. What does not fit there is streamed (:mod:`rurk_core.data.stream`). K references are trained
together: on a CPU by forked single-threaded workers, on a GPU by one program over stacked weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import Images, batches
from ..data.recipes import TrainConfig
from ..device import autocast, memory_format, place
from ..errors import UsageError
from ..models import Classifier
from .augment import seen
from .loop import OnStep, epoch_batches, report, steps_per_epoch
from .optimiser import clip, optimisers, set_rates
from .shared import Share, spread


def fit(
    model: Classifier,
    images: Images,
    labels: Tensor,
    config: TrainConfig,
    *,
    seed: int,
    on_step: OnStep | None = None,
    share: Share | None = None,
) -> Classifier:
    """Train ``model`` in place on the device of ``images`` and return it in eval mode.

    Args:
        images: uint8 or float32, N×C×H×W or N×D, on the device to train on, or streamed to it.
        labels: int64 N, on the same device.
        seed: orders and augments the batches; equal seeds give equal weights on one machine.
        on_step: progress; on a GPU called every 20 steps, so that the loop never waits for the host.
        share: the part of this process in every batch, where all of ``torch.distributed`` train this model together.

    Raises:
        UsageError: the batches are too small for so many processes.
        Diverged: the loss is NaN or infinite.
        Cancelled: raised by ``on_step``.
    """
    device = images.device
    place(model, images).train()
    weights, layout = list(model.parameters()), memory_format(images, model)  # to look for them takes a tenth of a step
    movers = optimisers(weights, config)
    generator = torch.Generator(device).manual_seed(seed)
    each = steps_per_epoch(len(images), config.batch)
    steps, step = config.epochs * each, 0
    if share and len(images) // each < 2 * share.world:
        raise UsageError(f"Batches of {len(images) // each} samples cannot be dealt out to {share.world} processes.")
    trained = spread(model) if share else model
    for epoch in range(config.epochs):
        order = list(epoch_batches(len(images), config.batch, generator))
        parts = [share.of(index) for index in order] if share else order
        for whole, index, rows in zip(order, parts, batches(images, parts), strict=True):
            set_rates(movers, config, step, steps)
            start = share.start(len(whole)) if share else 0
            pixels = seen(rows, config, epoch, generator, index, start, len(whole))
            for mover in movers:
                mover.zero_grad(set_to_none=True)
            with autocast(device, config.precision):
                loss = F.cross_entropy(
                    trained(pixels.contiguous(memory_format=layout)),
                    labels[index],
                    label_smoothing=config.label_smoothing,
                )
            (loss * share.weight(len(whole)) if share else loss).backward()
            clip(weights, config.clip)
            for mover in movers:
                mover.step()
            step += 1
            report(on_step, step, steps, loss, "training")
    model.zero_grad(set_to_none=True)
    return model.eval()
