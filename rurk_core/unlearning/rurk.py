"""RURK: removal of residual knowledge (arXiv 2601.22359, Algorithm 1), and the loop it shares with its special cases.

    loss = CE(retain) − λ_f · CE(forget) − λ_a · mean over v draws of CE(vulnerable(forget))

The vulnerable set V((x, y), τ) = {x' within τ of x with m(x') = y} is found by Gaussian draws (the whole ball
stands for it), or by FGSM or PGD steps that *minimise* CE(x', y).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import Config, choice, number
from ..data import to_pixels
from ..models import Classifier
from ..perturbations import fgsm, pgd
from ..training import OnStep, autocast, memory_format, report, steps_per_epoch
from .base import Samples, cycle_batches, register, trainable_copy


@dataclass(frozen=True)
class RurkConfig(Config):
    """Settings of RURK; the defaults are the paper's for small CIFAR-5."""

    lambda_f: float = number(0.03, 0.0, 100.0, "λ_f: weight of the forget loss that is raised")
    lambda_a: float = number(0.03, 0.0, 100.0, "λ_a: weight of the loss on vulnerable copies that is raised")
    tau: float = number(0.03, 0.0, 10.0, "τ: radius of the neighbourhood, in pixel units")
    search: str = choice("gaussian", ("gaussian", "fgsm", "pgd"), "how vulnerable copies are found")
    v: int = number(1, 1, 64, "v: vulnerable copies of each forget sample in a step")
    pgd_steps: int = number(10, 1, 100, "steps of the PGD search")
    pgd_step_size: float = number(2 / 255, 0.0, 1.0, "size of a step of the PGD search, in pixel units")
    epochs: int = number(2, 0, 1000, "N: passes over the retain samples")
    max_iterations: int = number(200, 0, 1_000_000, "steps after which it stops whatever N is; 0 = no cap")
    lr: float = number(0.01, 0.0, 10.0, "peak learning rate of SGD (cosine schedule)")
    momentum: float = number(0.9, 0.0, 0.999, "momentum")
    weight_decay: float = number(5e-4, 0.0, 1.0, "L2 pull of every weight towards 0")
    clip: float = number(1.0, 0.0, 1e6, "largest norm of the gradient; 0 = no limit")
    batch: int = number(128, 2, 65_536, "samples in a step, of the retain and of the forget set each")


@register(
    title="RURK",
    config=RurkConfig,
    needs="S_r and S_f",
    source="Hsu et al. 2025, arXiv 2601.22359, Algorithm 1",
    summary="fine-tunes on the retain set while raising the loss on forget samples and their vulnerable copies",
    batch_norm="train mode; every step passes retain, forget and copies through the network one after another",
    presets={
        "paper, small CIFAR-5": {},
        "paper, CIFAR-10": {"lambda_a": 0.00045},
        "quick look": {"epochs": 1},
        "digits": {"lambda_f": 0.1, "lambda_a": 0.1, "tau": 0.1, "epochs": 5},
    },
)
def rurk(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: RurkConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """Algorithm 1. With λ_a = 0 it is NegGrad+ with β = λ_f; with λ_f = λ_a = 0 it is GD."""
    vulnerable = Vulnerable(config.search, config.tau, config.v, config.pgd_steps, config.pgd_step_size)
    return descend(
        original,
        retain,
        forget,
        lambda_f=config.lambda_f,
        lambda_a=config.lambda_a,
        vulnerable=vulnerable,
        epochs=config.epochs,
        max_iterations=config.max_iterations,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        schedule="cosine",
        clip=config.clip,
        batch=config.batch,
        generator=generator,
        on_step=on_step,
        name="RURK",
    )


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
        model.train()
        return found


def descend(
    original: Classifier,
    retain: Samples,
    forget: Samples | None,
    *,
    lambda_f: float,
    lambda_a: float,
    vulnerable: Vulnerable | None,
    epochs: int,
    max_iterations: int,
    lr: float,
    momentum: float,
    weight_decay: float,
    schedule: str,
    clip: float,
    batch: int,
    generator: torch.Generator,
    on_step: OnStep | None,
    name: str,
) -> Classifier:
    """SGD on CE(retain) − λ_f·CE(forget) − λ_a·CE(vulnerable(forget)): RURK, NegGrad+ and GD are its cases.

    A term of weight 0 is not computed at all (no forward pass, no random numbers), so the identities between
    the methods hold bit for bit.
    """
    model = trainable_copy(original).train()
    device = retain.images.device
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    steps = epochs * steps_per_epoch(len(retain), batch)
    steps = min(steps, max_iterations) if max_iterations else steps
    # the forget set draws from a stream of its own: the order of retain batches is the same with and without it
    forget_generator = torch.Generator(device).manual_seed(generator.initial_seed() ^ 0x5F0E)
    forget_batches = cycle_batches(len(forget), batch, forget_generator) if forget else None
    retain_batches = cycle_batches(len(retain), batch, generator)

    def loss_on(pixels: Tensor, labels: Tensor) -> Tensor:
        with autocast(device, "auto"):
            return F.cross_entropy(model(pixels.contiguous(memory_format=memory_format(pixels))), labels)

    for step in range(steps):
        if schedule == "cosine":
            for group in optimizer.param_groups:
                group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        index = next(retain_batches)
        loss = loss_on(to_pixels(retain.images[index]), retain.labels[index])
        if forget is not None and forget_batches is not None and (lambda_f or lambda_a):
            index = next(forget_batches)
            pixels, labels = to_pixels(forget.images[index]), forget.labels[index]
            if lambda_f:
                loss = loss - lambda_f * loss_on(pixels, labels)
            if lambda_a and vulnerable is not None:
                copies = vulnerable(model, pixels, labels, forget_generator)
                loss = loss - lambda_a * loss_on(copies, labels.repeat(vulnerable.v))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        report(on_step, step + 1, steps, loss, f"unlearning with {name}")
    optimizer.zero_grad(set_to_none=True)
    return model.eval()
