"""Several processes train one model: each takes its part of every batch, and the gradients are averaged (torch's DDP).

What comes out is what one process makes, up to rounding. Every process draws the same batches and the same
augmentation; the losses are weighted so that unequal parts count by their samples; and batch normalisation takes the
statistics of the whole batch, not of a part (:func:`whole_batch_norm`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class Share:
    """The part of a process in the work of ``world`` processes, the default group of ``torch.distributed``.

    >>> [Share(rank, 3).of(torch.arange(8)).tolist() for rank in range(3)]
    [[0, 1, 2], [3, 4, 5], [6, 7]]
    """

    rank: int
    world: int

    def of(self, batch: Tensor) -> Tensor:
        """Its part of a batch."""
        return batch.tensor_split(self.world)[self.rank]

    def start(self, samples: int) -> int:
        """Where its part of a batch of ``samples`` begins."""
        return self.rank * (samples // self.world) + min(self.rank, samples % self.world)

    def weight(self, samples: int) -> float:
        """What its mean loss counts: the mean over processes is then the mean over all ``samples``."""
        part = samples // self.world + (self.rank < samples % self.world)
        return self.world * part / samples


def spread(model: nn.Module) -> nn.Module:
    """``model`` for training by all processes: its very weights and statistics, in a module that shares gradients."""
    own = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    twin = copy.deepcopy(model, own)  # other modules, the same tensors
    for module in twin.modules():
        if isinstance(module, _BatchNorm):
            module.forward = partial(whole_batch_norm, module)  # type: ignore[method-assign]
    return nn.parallel.DistributedDataParallel(twin, broadcast_buffers=False)


def whole_batch_norm(module: _BatchNorm, x: Tensor) -> Tensor:
    """Batch normalisation of a part of a batch by the mean and variance of the whole (torch's own is for GPUs only).

    Args:
        module: in train mode, with running statistics, which are moved as by the whole batch on every process.
        x: N×C×....
    """
    if not module.training:
        return type(module).forward(module, x)
    rest = [0, *range(2, x.dim())]
    shape = [1, -1, *[1] * (x.dim() - 2)]
    values = x.float()
    count = torch.full((1,), values.numel() / values.shape[1], device=x.device)
    total = _sum(torch.cat([values.sum(rest), count]))
    count = total[-1:].detach()
    mean = total[:-1] / count
    centred = values - mean.view(shape)
    variance = _sum(centred.square().sum(rest)) / count
    with torch.no_grad():
        assert module.running_mean is not None and module.running_var is not None
        assert module.num_batches_tracked is not None and module.momentum is not None
        module.running_mean.lerp_(mean, module.momentum)
        module.running_var.lerp_(variance * count / (count - 1), module.momentum)
        module.num_batches_tracked += 1
    out = centred * torch.rsqrt(variance + module.eps).view(shape)
    return (out * module.weight.view(shape) + module.bias.view(shape)).to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes; what each of their losses wants of it is summed on the way back."""

    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient


def _sum(values: Tensor) -> Tensor:
    return _Sum.apply(values)
