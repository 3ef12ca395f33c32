"""How a training step moves the weights: SGD, or Muon for convolutions and SGD for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..data.recipes import TrainConfig
from .loop import learning_rate

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic whose iteration drives all singular values to about 1 (Jordan 2024, Muon)."""
STEPS = 3
REST = 0.3
"""Peak rate of what is not orthogonalised, as a multiple of the peak rate of convolutions."""


def optimisers(
    parameters: Iterable[Tensor], config: TrainConfig, *, stacked: bool = False
) -> list[torch.optim.Optimizer]:
    """What moves the weights of a training, each with its groups' peak rates.

    Args:
        parameters: of a network; ``stacked``: with a first dimension of K models.
    """
    weights = [weight for weight in parameters if weight.requires_grad]
    plain: dict[str, Any] = {
        "momentum": config.momentum,
        "weight_decay": config.weight_decay,
        "nesterov": config.momentum > 0,
    }
    if config.optimizer == "sgd":
        return [torch.optim.SGD(weights, lr=config.lr, **plain)]
    convolutions = [weight for weight in weights if weight.dim() == 4 + stacked]
    rest = [weight for weight in weights if weight.dim() != 4 + stacked]
    found: list[torch.optim.Optimizer] = [torch.optim.SGD(rest, lr=REST * config.lr, **plain)]
    return [*found, Muon(convolutions, config.lr, config.momentum, stacked=stacked)] if convolutions else found


def clip(parameters: Iterable[Tensor], limit: float, *, stacked: bool = False) -> None:
    """Shorten the gradient of a network to a norm of ``limit`` where it is longer; 0 leaves it as it is.

    Args:
        parameters: of a network; ``stacked``: with a first dimension of K models, each of which has a norm of its own.
    """
    if limit and not stacked:
        torch.nn.utils.clip_grad_norm_(parameters, limit)
    elif limit:
        gradients = [weight.grad for weight in parameters if weight.grad is not None]
        norms = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients]).sum(0).sqrt()
        share = (limit / (norms + 1e-6)).clamp_max(1)
        for gradient in gradients:
            gradient.mul_(share.view(-1, *[1] * (gradient.dim() - 1)))


def set_rates(found: Sequence[torch.optim.Optimizer], config: TrainConfig, step: int, steps: int) -> None:
    """The rates of step ``step`` of ``steps``: each optimiser's own peak, moved as the schedule says."""
    for optimiser in found:
        for group in optimiser.param_groups:
            peak = group.setdefault("peak", group["lr"])
            group["lr"] = peak * learning_rate(config, step, steps) / config.lr if config.lr else 0.0


class Muon(torch.optim.Optimizer):
    """Momentum whose direction is made orthogonal before it is taken (Jordan et al. 2024, "Muon").

    Of convolutions [out, in, h, w], each as the matrix [out, in·h·w]; before every step the weights are brought to the
    norm √out, since batch normalisation behind them undoes their length. With ``stacked`` of K models [K, out, ...].
    """

    def __init__(self, weights: Sequence[Tensor], lr: float, momentum: float, *, stacked: bool = False) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})
        self.stacked = stacked

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                average = self.state[weight].setdefault("average", torch.zeros_like(weight))
                average.mul_(group["momentum"]).add_(weight.grad)
                start = 1 + self.stacked
                each = tuple(range(self.stacked, weight.dim()))
                weight.mul_(
                    weight.shape[start - 1] ** 0.5
                    / torch.linalg.vector_norm(weight, dim=each, keepdim=True).clamp_min(1e-7)
                )
                direction = weight.grad.add(average, alpha=group["momentum"])
                weight.sub_(group["lr"] * orthogonal(direction.flatten(start)).view_as(weight))


def orthogonal(matrix: Tensor, steps: int = STEPS) -> Tensor:
    """About the nearest matrix with orthonormal rows or columns: [..., M, N] → the same, singular values near 1."""
    a, b, c = NEWTON_SCHULZ
    found = matrix / matrix.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    tall = found.shape[-2] > found.shape[-1]
    found = found.mT if tall else found
    for _ in range(steps):
        gram = found @ found.mT
        found = a * found + (b * gram + c * gram @ gram) @ found
    return found.mT if tall else found
