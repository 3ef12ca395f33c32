"""Descent on the retain set that raises the loss of the forget set and its copies: RURK, NegGrad+, GD."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import to_pixels
from ..models import Classifier
from ..perturb.copies import fgsm, pgd
from ..perturb.transforms import NUMBERS, TRANSFORMS, transformed
from ..training.loop import OnStep, steps_per_epoch
from .base import Samples, cycle_batches, trainable_copy
from .ceiling import held_at, limits
from .loop import Weights, cosine, logits_on, loss_on, minimise, set_mode, side_stream


def vulnerable_copies(
    config: Any, model: nn.Module, pixels: Tensor, labels: Tensor, generator: torch.Generator
) -> Tensor:
    """Copies within τ that the model still gives their label, by the search that the settings of RURK name.

    Gaussian: x + τ·N(0, I). FGSM: one signed step from x that lowers CE(x', y). PGD: such steps from a random
    start in the l∞ ball. The model is in eval mode meanwhile, so the search leaves batch statistics and
    weight gradients alone. Or one of :data:`~rurk_core.perturb.transforms.TRANSFORMS` (ours).

    Args:
        config: :class:`~rurk_core.unlearning.methods.rurk.RurkConfig`; pixels: float32 [B, ...].

    Returns:
        float32 [v·B, ...], the v draws of the whole batch one after another.
    """
    pixels = pixels.repeat(config.v, *[1] * (pixels.dim() - 1))
    if config.search == "gaussian":
        noise = torch.randn(pixels.shape, generator=generator, device=pixels.device)
        return (pixels + config.tau * noise).clamp(0, 1)
    if config.search in TRANSFORMS:
        numbers = torch.rand(len(pixels), 1, NUMBERS, generator=generator, device=pixels.device) * 2 - 1
        return transformed(TRANSFORMS[config.search], pixels, numbers, config.tau)[:, 0]
    labels = labels.repeat(config.v)
    model.eval()
    if config.search == "fgsm":
        return fgsm(model, pixels, labels, config.tau, targeted=True)
    return pgd(
        model,
        pixels,
        labels,
        config.tau,
        targeted=True,
        start=torch.rand(pixels.shape, generator=generator, device=pixels.device) * 2 - 1,
        steps=config.pgd_steps,
        step_size=config.pgd_step_size,
    )


def steps_of(config: Any, n_r: int) -> int:
    """Steps of :func:`descend`: N passes over the n_r retain samples, ``min_iterations`` to ``max_iterations``.

    >>> from rurk_core.unlearning.methods.rurk import RurkConfig
    >>> steps_of(RurkConfig(epochs=3, batch=100), 450), steps_of(RurkConfig(epochs=3, min_iterations=100), 450)
    (15, 100)
    """
    whole = config.epochs * steps_per_epoch(n_r, config.batch)
    steps = max(whole, getattr(config, "min_iterations", 0)) if whole else 0
    return min(steps, getattr(config, "max_iterations", 0) or steps)


def ceilings(clean: Tensor | None, perturbed: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """The limits of samples and of their copies, the latter no lower: noise may lower the loss of few by chance."""
    if clean is None or perturbed is None:
        return clean, perturbed
    return clean, torch.maximum(clean, perturbed)


def descend(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: Any,
    *,
    lambda_f: float = 0.0,
    lambda_a: float = 0.0,
    schedule: str = "constant",
    on_gradient: Callable[[Weights], None] | None = None,
    after_step: Callable[[Weights, float], None] | None = None,
    validation: Samples | None = None,
    generator: torch.Generator,
    on_step: OnStep | None,
    name: str,
) -> Classifier:
    """SGD on CE(retain) − λ_f·CE(forget) − λ_a·CE(vulnerable(forget)): RURK, NegGrad+, GD and NGD are its cases.

    A term of weight 0 is not computed at all, so the identities between the methods hold bit for bit.

    Args:
        config: settings of the method: those of :class:`~rurk_core.unlearning.loop.DescentConfig`, where it has them
            what :func:`steps_of` reads, ``clip``, ``bn`` and ``ceiling``, and what :func:`vulnerable_copies` reads.
        validation: held-out samples, by which the ceiling is set.
    """
    model, bn, batch = trainable_copy(original), getattr(config, "bn", "train"), config.batch
    set_mode(model, bn)
    steps = steps_of(config, len(retain))
    forget_stream, peers_stream = side_stream(generator, 0x5F0E), side_stream(generator, 0xCE11)
    limit = partial(limits, original, retain, forget, validation, getattr(config, "ceiling", 0.0), name=name)
    peers = partial(vulnerable_copies, config, original, generator=peers_stream)
    clean, perturbed = ceilings(limit() if lambda_f else None, limit(peers) if lambda_a else None)

    def losses() -> Iterator[Tensor]:
        forget_batches = cycle_batches(len(forget), batch, forget_stream)
        for index in islice(cycle_batches(len(retain), batch, generator), steps):
            loss = loss_on(model, retain, index)
            if lambda_f or lambda_a:
                images, labels = forget.batch(next(forget_batches))
                if lambda_f:
                    loss = loss - lambda_f * held_at(F.cross_entropy(logits_on(model, images), labels), labels, clean)
                if lambda_a:
                    copies = vulnerable_copies(config, model, to_pixels(images), labels, forget_stream)
                    set_mode(model, bn)
                    raised = F.cross_entropy(logits_on(model, copies), labels.repeat(config.v))
                    loss = loss - lambda_a * held_at(raised, labels, perturbed)
            yield loss

    return minimise(
        model,
        losses(),
        steps,
        config,
        rate=cosine(steps) if schedule == "cosine" else None,
        on_gradient=on_gradient,
        after_step=after_step,
        on_step=on_step,
        name=name,
    )
