"""SCRUB: a student moves away from its teacher on the forget set and stays with it on the retain set."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import Config, choice, number
from ...device import default_batch
from ...models import Classifier
from ...training.loop import OnStep, epoch_batches, steps_per_epoch
from ..base import Samples, register, trainable_copy
from ..ceiling import ceiling_setting, limits
from ..loop import bn_choice, logits_on, minimise, set_mode, side_stream


@dataclass(frozen=True)
class ScrubConfig(Config):
    """Settings of SCRUB; lr, weight decay, α and γ are the paper's, the rest that of the authors' large scale."""

    alpha: float = number(0.001, 0.0, 1e4, "α: weight of KL to the teacher on S_r", search=(1e-4, 10.0, "log"))
    gamma: float = number(1.0, 0.0, 1e4, "γ: weight of the cross-entropy on S_r", search=(0.1, 100.0, "log"))
    temperature: float = number(4.0, 0.1, 100.0, "T: softens both softmaxes; KL is multiplied by T²")
    max_epochs: int = number(2, 0, 1000, "first epochs in which a max-epoch on S_f comes before the min-epoch on S_r")
    epochs: int = number(3, 0, 1000, "min-epochs on S_r", search=(1, 10, "linear"))
    lr: float = number(5e-4, 0.0, 10.0, "learning rate", search=(1e-4, 0.05, "log"))
    optimizer: str = choice("sgd", ("sgd", "adam"), "one optimiser for both kinds of steps")
    momentum: float = number(0.9, 0.0, 0.999, "momentum of SGD")
    weight_decay: float = number(5e-4, 0.0, 1.0, "L2 pull of every weight towards 0")
    decay: str = choice(
        "none", ("none", "tenths"), "tenths: the learning rate falls to 1/10 after 5/10, 8/10, 9/10 of it"
    )
    batch: int = number(128, 2, 65_536, "retain samples in a min-step")
    forget_batch: int = number(128, 2, 65_536, "forget samples in a max-step: it decides how many of them there are")
    bn: str = bn_choice("every max-step")
    ceiling: float = ceiling_setting()


def passes_of_scrub(config: ScrubConfig, n_r: int, n_f: int, classes: int) -> float:
    """The student's epochs, and the teacher's one look at what it is asked about."""
    max_epochs = min(config.max_epochs, config.epochs)
    taught = n_f * bool(max_epochs) + n_r * bool(config.alpha and config.epochs)
    return 3.0 * (max_epochs * n_f + config.epochs * n_r) + taught


@register(
    title="SCRUB",
    letters="SC",
    place=3,
    config=ScrubConfig,
    needs="S_r and S_f",
    source="Kurmanji et al. 2023 (arXiv 2302.09880), Eq. 3 in alternating max- and min-epochs",
    summary="pushes a student from its teacher on the forget set and holds it there on the retain set, in turn",
    cost="2 epochs of S_f and 3 of S_r by the student, forward and back; one forward pass of each by the teacher",
    batch_norm="train mode; max-steps pass forget samples alone, the last epoch always passes retain samples",
    presets={
        "safe": {"bn": "eval", "ceiling": 1.0},
        "paper, small CIFAR-5": {},
        "paper, CIFAR-10": {"gamma": 0.6},
        "paper, CIFAR-10 class": {"gamma": 75.0},
        "source": {"gamma": 0.99, "batch": 256, "forget_batch": 512},
        "source, small": {
            "alpha": 0.5,
            "temperature": 2.0,
            "max_epochs": 3,
            "epochs": 10,
            "optimizer": "adam",
            "weight_decay": 0.1,
            "decay": "tenths",
            "batch": 32,
            "forget_batch": 64,
        },
        "digits": {"lr": 0.015, "epochs": 6, "forget_batch": 32},
    },
    passes=passes_of_scrub,
)
def scrub(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: ScrubConfig,
    *,
    validation: Samples | None = None,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """In epoch e: if e < max_epochs, −KL(p_T‖p_S)·T² on S_f; then γ·CE + α·KL(p_T‖p_S)·T² on S_r.

    KL is the mean over samples, p_T the softmax of the frozen Original over T. Ends on a min-epoch, as the authors
    do. Their rewind (SCRUB+R) is not part of it. Where the student starts as its teacher exactly, KL is at its
    minimum and has no gradient: without batch normalisation or dropout the first max-epoch does nothing but decay.
    With ``ceiling`` above 0 (ours) so does a max-step on samples whose loss is that of held-out ones already.
    """
    teacher = copy.deepcopy(original).requires_grad_(False).eval()
    model = trainable_copy(original)
    set_mode(model, config.bn)
    max_steps, min_steps = steps_per_epoch(len(forget), config.forget_batch), steps_per_epoch(len(retain), config.batch)
    max_epochs = min(config.max_epochs, config.epochs)
    forget_stream = side_stream(generator, 0x5C2B)
    ceiling = limits(original, retain, forget, validation, config.ceiling, name="SCRUB")

    @torch.no_grad()
    def taught(samples: Samples) -> Tensor:
        """log p_T of every sample, N×C: the teacher never changes, so one pass serves all epochs."""
        chunks = samples.images.split(default_batch(tuple(samples.images.shape[1:]), samples.images.device))
        return (torch.cat([logits_on(teacher, chunk) for chunk in chunks]) / config.temperature).log_softmax(1)

    def divergence(target: Tensor, logits: Tensor) -> Tensor:
        """KL(p_T‖p_S)·T², the mean over samples."""
        student = (logits / config.temperature).log_softmax(1)
        return F.kl_div(student, target, reduction="batchmean", log_target=True) * config.temperature**2

    def losses() -> Iterator[Tensor]:
        of_forget = taught(forget) if max_epochs else None
        of_retain = taught(retain) if config.alpha and config.epochs else None
        for epoch in range(config.epochs):
            if epoch < max_epochs and of_forget is not None:
                for index in epoch_batches(len(forget), config.forget_batch, forget_stream):
                    logits, labels = logits_on(model, forget.images[index]), forget.labels[index]
                    away = -divergence(of_forget[index], logits)
                    reached = ceiling is not None and F.cross_entropy(logits, labels) >= ceiling[labels].mean()
                    yield 0 * away if reached else away
            for index in epoch_batches(len(retain), config.batch, generator):
                logits = logits_on(model, retain.images[index])
                loss = config.gamma * F.cross_entropy(logits, retain.labels[index])
                yield loss if of_retain is None else loss + config.alpha * divergence(of_retain[index], logits)

    return minimise(
        model,
        losses(),
        max_epochs * max_steps + config.epochs * min_steps,
        config,
        rate=lambda step: _rate(config, step, max_epochs * (max_steps + min_steps), max_steps + min_steps, min_steps),
        on_step=on_step,
        name="SCRUB",
    )


def _rate(config: ScrubConfig, step: int, both: int, max_and_min: int, min_steps: int) -> float:
    """Factor on the learning rate: a tenth from half, 0.8 and 0.9 of the epochs on, where that is asked for.

    Args:
        both: steps of the epochs that go up and down, each of ``max_and_min`` steps; those after it have ``min_steps``.
    """
    if config.decay == "none":
        return 1.0
    epoch = step // max_and_min if step < both else both // max_and_min + (step - both) // min_steps
    return 0.1 ** sum(epoch >= share * config.epochs for share in (0.5, 0.8, 0.9))
