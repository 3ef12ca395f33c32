"""Bad teacher: learn from the Original on the retain set and from a random network on the forget set."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import Config, choice, number
from ...models import Classifier
from ...training.loop import OnStep, steps_per_epoch
from ..base import Samples, register, trainable_copy
from ..loop import epochs_of, logits_on, minimise, reinitialised


@dataclass(frozen=True)
class BadTeacherConfig(Config):
    """Settings of bad teacher; the defaults are those of the authors' code as the SSD authors run it."""

    retain_share: float = number(0.3, 0.0, 1.0, "share of the retain samples, drawn once, that takes part")
    temperature: float = number(1.0, 0.1, 100.0, "T: softens all softmaxes")
    epochs: int = number(1, 0, 1000, "passes over S_f and that share of S_r", search=(1, 10, "linear"))
    lr: float = number(1e-4, 0.0, 10.0, "learning rate", search=(1e-5, 0.05, "log"))
    optimizer: str = choice("adam", ("sgd", "adam"), "how steps are taken")
    momentum: float = number(0.9, 0.0, 0.999, "momentum of SGD")
    weight_decay: float = number(0.0, 0.0, 1.0, "L2 pull of every weight towards 0")
    mean: str = choice(
        "samples", ("samples", "entries"), "KL averaged over samples, or over samples × classes as in the code"
    )
    batch: int = number(256, 2, 65_536, "samples in a step")


@register(
    title="Bad teacher",
    letters="BT",
    place=8,
    config=BadTeacherConfig,
    needs="S_r and S_f",
    source="Chundawat et al. 2023 (arXiv 2205.08096), KL to a competent teacher on S_r, to a random one on S_f",
    summary="distils the Original on the retain set and a random network on the forget set",
    cost="1 epoch of S_f and 30% of S_r; in each step one pass of the student, forward and back, and two of teachers",
    batch_norm="train mode; retain and forget samples share their batches",
    presets={
        "source": {"mean": "entries"},
        "digits": {"lr": 1e-3, "epochs": 5, "retain_share": 1.0, "batch": 64},
    },
    # both teachers look at every batch
    passes=lambda config, n_r, n_f, classes: 5.0 * config.epochs * (n_f + round(config.retain_share * n_r)),
)
def bad_teacher(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: BadTeacherConfig,
    *,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Classifier:
    """Minimise KL(q(x) ‖ p_S(x)): q is the Original's softmax on S_r and that of fresh random weights on S_f."""
    good = copy.deepcopy(original).requires_grad_(False).eval()
    bad = reinitialised(original, generator.initial_seed()).requires_grad_(False).eval()
    device, n_f = retain.labels.device, len(forget)
    order = torch.randperm(len(retain), generator=generator, device=generator.device)
    kept = retain.take(order[: round(config.retain_share * len(retain))].to(device))
    images = Samples.join(forget, kept).images
    model = trainable_copy(original).train()

    def losses() -> Iterator[Tensor]:
        for index in epochs_of(len(images), config.batch, config.epochs, generator):
            batch = images[index]
            with torch.no_grad():
                from_bad = (index < n_f).unsqueeze(1)
                logits = torch.where(from_bad, logits_on(bad, batch), logits_on(good, batch))
                target = (logits / config.temperature).log_softmax(1)
            student = (logits_on(model, batch) / config.temperature).log_softmax(1)
            reduction = "batchmean" if config.mean == "samples" else "mean"
            yield F.kl_div(student, target, reduction=reduction, log_target=True)

    return minimise(
        model,
        losses(),
        config.epochs * steps_per_epoch(len(images), config.batch),
        config,
        on_step=on_step,
        name="bad teacher",
    )
