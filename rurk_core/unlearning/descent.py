"""Descent on the retain set that raises the loss of the forget set and its copies: RURK, NegGrad+, GD."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import to_pixels
from ..models import Classifier
from ..perturb.copies import fgsm, pgd
from ..training.loop import OnStep, steps_per_epoch
from .base import Samples, cycle_batches, trainable_copy
from .loop import Weights, cosine, logits_on, loss_on, minimise, set_mode, side_stream


@dataclass(frozen=True)
class Vulnerable:
    """The search for copies within τ that the model still gives their label."""

    search: str
    tau: float
    v: int
    pgd_steps: int
    pgd_step_size: float

    def __call__(self, model: nn.Module, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """pixels float32 [B, ...] → [v·B, ...], the v draws of the whole batch one after another.

        Gaussian: x + τ·N(0, I). FGSM: one signed step from x that lowers CE(x', y). PGD: such steps from a random
        start in the l∞ ball. The model is in eval mode meanwhile, so the search leaves batch statistics and
        weight gradients alone.
        """
        pixels = pixels.repeat(self.v, *[1] * (pixels.dim() - 1))
        if self.search == "gaussian":
            noise = torch.randn(pixels.shape, generator=generator, device=pixels.device)
            return (pixels + self.tau * noise).clamp(0, 1)
        labels = labels.repeat(self.v)
        model.eval()
        if self.search == "fgsm":
            found = fgsm(model, pixels, labels, self.tau, targeted=True)
        else:
            found = pgd(
                model,
                pixels,
                labels,
                self.tau,
                targeted=True,
                start=torch.rand(pixels.shape, generator=generator, device=pixels.device) * 2 - 1,
                steps=self.pgd_steps,
                step_size=self.pgd_step_size,
            )
        return found


def descend(
    original: Classifier,
    retain: Samples,
    forget: Samples | None = None,
    *,
    lambda_f: float = 0.0,
    lambda_a: float = 0.0,
    vulnerable: Vulnerable | None = None,
    epochs: int,
    max_iterations: int = 0,
    lr: float,
    momentum: float,
    weight_decay: float,
    schedule: str = "constant",
    clip: float = 0.0,
    batch: int,
    bn: str = "train",
    on_gradient: Callable[[Weights], None] | None = None,
    after_step: Callable[[Weights, float], None] | None = None,
    generator: torch.Generator,
    on_step: OnStep | None,
    name: str,
) -> Classifier:
    """SGD on CE(retain) − λ_f·CE(forget) − λ_a·CE(vulnerable(forget)): RURK, NegGrad+, GD and NGD are its cases.

    A term of weight 0 is not computed at all (no forward pass, no random numbers), so the identities between
    the methods hold bit for bit.
    """
    model = trainable_copy(original)
    set_mode(model, bn)
    steps = epochs * steps_per_epoch(len(retain), batch)
    steps = min(steps, max_iterations) if max_iterations else steps
    forget_stream = side_stream(generator, 0x5F0E)

    def losses() -> Iterator[Tensor]:
        forget_batches = cycle_batches(len(forget), batch, forget_stream) if forget else None
        for index in islice(cycle_batches(len(retain), batch, generator), steps):
            loss = loss_on(model, retain, index)
            if forget is not None and forget_batches is not None and (lambda_f or lambda_a):
                images, labels = forget.batch(next(forget_batches))
                if lambda_f:
                    loss = loss - lambda_f * F.cross_entropy(logits_on(model, images), labels)
                if lambda_a and vulnerable is not None:
                    copies = vulnerable(model, to_pixels(images), labels, forget_stream)
                    set_mode(model, bn)
                    loss = loss - lambda_a * F.cross_entropy(logits_on(model, copies), labels.repeat(vulnerable.v))
            yield loss

    return minimise(
        model,
        losses(),
        steps,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        rate=cosine(steps) if schedule == "cosine" else None,
        clip=clip,
        on_gradient=on_gradient,
        after_step=after_step,
        on_step=on_step,
        name=name,
    )
