"""MSG: start anew where retain and forget gradients cancel, and train on with all other weights slowed down."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...config import number
from ...models import Classifier
from ...training.loop import OnStep, epoch_batches, steps_per_epoch
from ..base import Samples, register, trainable_copy
from ..loop import DescentConfig, Weights, epochs_of, loss_on, minimise, prepared, side_stream

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MsgConfig(DescentConfig):
    """Settings of MSG; the defaults are those of the challenge entry."""

    epochs: int = number(5, 0, 1000, "passes over the retain samples", search=(1, 20, "linear"))
    lr: float = number(1e-3, 0.0, 10.0, "peak learning rate of SGD", search=(1e-4, 0.1, "log"))
    share: float = number(
        0.3,
        0.0,
        1.0,
        "of the weights of each convolution that start anew: those of least gradient",
        search=(0.05, 0.9, "linear"),
    )
    slow: float = number(0.1, 0.0, 1.0, "factor on the gradient of the convolution weights that are kept")
    weight_decay: float = number(5e-4, 0.0, 1.0, "L2 pull of every trained weight towards 0")
    batch: int = number(64, 2, 65_536, "samples in a step")


@register(
    title="MSG",
    letters="MS",
    place=18,
    config=MsgConfig,
    needs="S_r and S_f",
    source="second place of the NeurIPS 2023 unlearning challenge, in Cadet et al. 2024 (arXiv 2410.01276)",
    summary="draws anew the convolution weights whose retain and forget gradients cancel, and trains on with the "
    "retain set, the other convolution weights slowed down",
    cost="one pass of S_f and as many of S_r, then 5 epochs of S_r",
    batch_norm="gradients and training in train mode; S_f passes alone once, for its gradient",
    presets={"source": {}, "digits": {"lr": 0.02, "epochs": 10}},
    passes=lambda config, n_r, n_f, classes: 3.0 * (n_f + min(n_f, n_r) + config.epochs * n_r),
)
def msg(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: MsgConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """Masked small gradients: g = Σ ∇CE(as many of S_r as S_f has) − Σ ∇CE(S_f), a sum over batches.

    In each convolution the share of least |g| is drawn anew (He et al. 2015, fan-out) and learns at full rate; the
    gradient of its other weights is multiplied by ``slow``. The rate rises over half of the epochs and falls again, a
    step an epoch. Agrees with the code of Cadet et al. (github.com/xcadet/deepunlearn) to 2e-6 in every weight and
    statistic after three epochs on a small ResNet-9, given the same fresh weights and batches.
    """
    model = trainable_copy(original).train()
    masks = _start_anew(model, retain, forget, config, generator)
    each = steps_per_epoch(len(retain), config.batch)
    rise = max(1, (config.epochs + 1) // 2)

    def rate(step: int) -> float:
        epoch = step // each + 1
        return epoch / rise if epoch <= rise else (config.epochs + 1 - epoch) / (config.epochs + 1 - rise)

    def slow_down(weights: Weights) -> None:
        for weight in weights:
            if weight in masks and weight.grad is not None:
                weight.grad.mul_(masks[weight])

    losses = (loss_on(model, retain, i) for i in epochs_of(len(retain), config.batch, config.epochs, generator))
    steps = config.epochs * each
    return minimise(model, losses, steps, config, rate=rate, on_gradient=slow_down, on_step=on_step, name="MSG")


def _start_anew(
    model: Classifier, retain: Samples, forget: Samples, config: MsgConfig, generator: torch.Generator
) -> dict[Tensor, Tensor]:
    """Draw weights anew, in place; the factor on the gradient of every convolution's weights."""
    kernels = [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]
    if not kernels:
        logger.warning("The network has no convolutions, so MSG starts nothing anew and is fine-tuning.")
        return {}
    stream = side_stream(generator, 0x3561)
    few = torch.randperm(len(retain), generator=stream, device=stream.device)[: len(forget)]
    total = [torch.zeros_like(kernel) for kernel in kernels]
    for samples, sign in ((retain.take(few), 1.0), (forget, -1.0)):
        for index in epoch_batches(len(samples), config.batch, stream):
            images, labels = samples.batch(index)
            loss = sign * F.cross_entropy(model(prepared(images, model)), labels)
            for sum_, gradient in zip(total, torch.autograd.grad(loss, kernels, allow_unused=True), strict=True):
                if gradient is not None:
                    sum_ += gradient
    masks: dict[Tensor, Tensor] = {}
    for kernel, gradient in zip(kernels, total, strict=True):
        count = round(config.share * kernel.numel())
        chosen = torch.zeros(kernel.numel(), dtype=torch.bool, device=kernel.device)
        chosen[gradient.abs().flatten().topk(count, largest=False).indices] = True
        chosen = chosen.view_as(kernel)
        spread = (2 / (kernel.shape[0] * kernel[0, 0].numel())) ** 0.5
        fresh = spread * torch.randn(kernel.shape, generator=stream, device=kernel.device)
        with torch.no_grad():
            kernel.copy_(torch.where(chosen, fresh, kernel))
        masks[kernel] = torch.where(chosen, 1.0, config.slow)
    return masks
