"""UNSIR: learn noise that a forgotten class hates, train on it as that class, then repair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import Config, number
from ...data import Images, to_pixels
from ...device import memory_format
from ...errors import UsageError
from ...models import Classifier
from ...training.loop import OnStep, report, steps_per_epoch
from ..base import Samples, register, trainable_copy
from ..loop import DescentConfig, epochs_of, logits_on, minimise, side_stream


@dataclass(frozen=True)
class UnsirConfig(Config):
    """Settings of UNSIR; the defaults are those of the SSD authors' port, "source" is the authors' notebook."""

    noise_samples: int = number(32, 1, 4096, "images in the noise batch of a forgotten class")
    noise_steps: int = number(25, 1, 10_000, "steps of Adam that learn it")
    noise_lr: float = number(0.1, 0.0, 100.0, "their learning rate")
    noise_penalty: float = number(0.1, 0.0, 100.0, "weight of the mean squared norm of the noise")
    copies: int = number(80, 1, 10_000, "times the noise batch takes part in the impair epochs")
    per_class: int = number(500, 1, 1_000_000, "retain samples of each class, drawn once")
    impair_epochs: int = number(1, 0, 1000, "epochs on noise and retain samples")
    repair_epochs: int = number(1, 0, 1000, "epochs on the retain samples alone")
    impair_lr: float = number(1e-4, 0.0, 10.0, "learning rate of Adam while impairing", search=(1e-5, 0.05, "log"))
    repair_lr: float = number(1e-4, 0.0, 10.0, "learning rate of Adam while repairing", search=(1e-5, 0.05, "log"))
    batch: int = number(128, 2, 65_536, "samples in a step")


def check_unsir(original: Classifier, retain: Samples, forget: Samples, config: UnsirConfig) -> str | None:
    """UNSIR is defined for whole classes only."""
    classes = forget.labels.unique()
    if torch.isin(classes, retain.labels).any():
        return "it is made for whole classes, and the retain set still has samples of the forgotten ones."
    return None


def passes_of_unsir(config: UnsirConfig, n_r: int, n_f: int, classes: int) -> float:
    """Steps on the noise of one forgotten class, then the two kinds of epochs."""
    kept = min(n_r, config.per_class * max(1, classes - 1))
    impaired = kept + config.copies * config.noise_samples
    noise = config.noise_steps * config.noise_samples
    return 3.0 * (noise + config.impair_epochs * impaired + config.repair_epochs * kept)


@register(
    title="UNSIR",
    letters="UN",
    place=11,
    config=UnsirConfig,
    needs="S_r and S_f",
    source="Tarun et al. 2023 (arXiv 2111.08947), error-maximising noise, then an impair and a repair step",
    summary="for class unlearning: trains on learnt noise in the name of the class, then repairs",
    cost="25 steps of noise, then 2 epochs of at most 500 retain samples a class",
    batch_norm="train mode; noise and retain samples share their batches, the repair sees retain samples only",
    presets={
        "source": {
            "noise_samples": 256,
            "noise_steps": 40,
            "copies": 20,
            "per_class": 1000,
            "impair_lr": 0.02,
            "repair_lr": 0.01,
            "batch": 256,
        },
        "port of the SSD authors": {},
        "digits": {"impair_lr": 0.01, "repair_lr": 2e-3, "copies": 10, "batch": 64},
    },
    check=check_unsir,
    passes=passes_of_unsir,
)
def unsir(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: UnsirConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """Noise N = argmin −CE(N, class) + penalty·mean|N|²; impair on copies of N and S_r; repair on S_r.

    The noise is made in the network's normalised units and is not clipped to valid pixels, as the original's. S_f
    itself is not touched beyond its labels. Two things are not as in the authors' notebook: it learns the noise on a
    network in train mode, and calls the noise of every class 0 whichever class it was learnt for.

    Raises:
        UsageError: the forget set is not made of whole classes.
    """
    refusal = check_unsir(original, retain, forget, config)
    if refusal:
        raise UsageError(f"UNSIR: {refusal}")
    model = trainable_copy(original)
    noise = learnt_noise(model, forget.labels.unique(), retain.images, config, side_stream(generator, 0x0153))
    kept = some_of_each(retain, config.per_class, generator)
    labels = torch.cat([kept.labels, noise.labels.repeat(config.copies)])
    model.train()
    parts = [
        (len(labels), config.impair_epochs, config.impair_lr),
        (len(kept), config.repair_epochs, config.repair_lr),
    ]
    counts = [epochs * steps_per_epoch(samples, config.batch) for samples, epochs, _ in parts]

    def images(index: Tensor) -> Tensor:
        """The samples that were kept, and behind them ``copies`` times the noise; float, as noise is not clipped."""
        clean = to_pixels(kept.images[index.clamp(max=len(kept) - 1)])
        noisy = noise.images[(index - len(kept)).clamp(min=0) % len(noise)]
        return torch.where((index < len(kept)).view(-1, *[1] * (clean.dim() - 1)), clean, noisy)

    def losses(samples: int, epochs: int) -> Iterator[Tensor]:
        for index in epochs_of(samples, config.batch, epochs, generator):
            yield F.cross_entropy(logits_on(model, images(index)), labels[index])

    for number_, (samples, epochs, lr) in enumerate(parts):
        before = sum(counts[:number_])

        def shifted(step: int, steps: int, loss: float, before: int = before) -> None:
            if on_step:
                on_step(before + step, sum(counts), loss)

        model.train()
        minimise(
            model,
            losses(samples, epochs),
            counts[number_],
            DescentConfig(lr=lr, weight_decay=0.0),
            adam=True,
            on_step=shifted,
            name="UNSIR",
        )
    return model.eval()


def learnt_noise(
    model: Classifier, classes: Tensor, like: Images, config: UnsirConfig, generator: torch.Generator
) -> Samples:
    """For each class ``noise_samples`` images (as unclipped pixels) on which its loss is high; eval mode.

    Args:
        like: images of the shape that is wanted.
    """
    model.eval()
    labels = classes.repeat_interleave(config.noise_samples)
    noise = torch.randn((len(labels), *like.shape[1:]), generator=generator, device=like.device).requires_grad_(True)
    optimiser = torch.optim.Adam([noise], lr=config.noise_lr)

    def pixels() -> Tensor:
        made = noise * model.std + model.mean
        return made.contiguous(memory_format=memory_format(made, model))

    for step in range(config.noise_steps):
        size = noise.square().flatten(1).sum(1).mean()
        loss = config.noise_penalty * size - F.cross_entropy(model(pixels()), labels)
        optimiser.zero_grad()
        (noise.grad,) = torch.autograd.grad(loss, [noise])
        optimiser.step()
        report(None, step + 1, config.noise_steps, loss, "learning the noise of UNSIR")
    return Samples(pixels().detach(), labels)


def some_of_each(samples: Samples, count: int, generator: torch.Generator) -> Samples:
    """At most ``count`` samples of each class, at random."""
    order = torch.randperm(len(samples), generator=generator, device=generator.device).to(samples.labels.device)
    labels = samples.labels[order]
    chosen = [order[labels == label][:count] for label in labels.unique()]
    return samples.take(torch.cat(chosen))
