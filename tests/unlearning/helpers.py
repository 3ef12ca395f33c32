"""Small settings that tests of unlearning methods share."""

from __future__ import annotations

import torch
from torch import Tensor

from rurk_core.data.recipes import TrainConfig
from rurk_core.models import create_model
from rurk_core.training.fit import fit
from rurk_core.unlearning import METHODS, Samples, method_config


def split(images: Tensor, labels: Tensor, forget: Tensor) -> tuple[Samples, Samples]:
    """(S_r, S_f)."""
    return Samples(images[~forget], labels[~forget]), Samples(images[forget], labels[forget])


def trained(name: str = "cnn:4", *, classes: int = 3, whole_class: bool = False, epochs: int = 5):
    """(Original, S_r, S_f): 120 images of 8×8 pixels, S_f 30 of them, or one class."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(120) % classes
    images = torch.rand(120, 1, 8, 8, generator=generator) * 0.5 + labels[:, None, None, None] * (0.5 / classes)
    forget = labels == 0 if whole_class else torch.arange(120) < 30
    config = TrainConfig(epochs=epochs, batch=16)
    original = fit(create_model(name, (1, 8, 8), classes, seed=0), images, labels, config, seed=0)
    return original, *split(images, labels, forget)


def run(key: str, setting, *, seed: int = 2, preset: str = "default", on_step=None, **settings):
    """The model that a method makes."""
    method = METHODS[key]
    config = method_config(method, preset, **settings)
    return method.run(*setting, config, generator=torch.Generator().manual_seed(seed), on_step=on_step)


def flat(model) -> Tensor:
    """All weights and statistics of a model, one after another."""
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])
