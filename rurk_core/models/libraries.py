"""Networks of torchvision and timm by name, so that checkpoints of theirs can be audited: ``timm/resnet18``."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from .base import Classifier

LIBRARIES = ("torchvision", "timm")


class Library(Classifier):
    """A network of a library behind the usual normalisation. Its blocks are unknown.

    Args:
        net: normalised pixels → logits; input_shape: (C, H, W).
    """

    def __init__(self, net: nn.Module, input_shape: tuple[int, ...]):
        nn.Module.__init__(self)
        per_channel = (input_shape[0], 1, 1)
        self.register_buffer("mean", torch.full(per_channel, 0.5))
        self.register_buffer("std", torch.full(per_channel, 0.25))
        self.net = net

    @property
    def block_names(self) -> tuple[str, ...]:
        return ()

    def features(self, pixels: Tensor) -> Tensor:
        """The logits: where the features of a network of a library are, nothing says."""
        return self.forward(pixels)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.net((pixels - self.mean) / self.std)


def is_library(name: str) -> bool:
    """Whether a network's name begins with that of a library: ``torchvision/resnet18``."""
    return name.partition("/")[0] in LIBRARIES and "/" in name


def library_network(name: str, input_shape: tuple[int, ...], classes: int) -> Library:
    """A freshly initialised network of a library for this data; nothing is downloaded.

    Raises:
        UsageError: the library is not installed or lacks the network, or the network cannot take this input.
    """
    library, _, key = name.partition("/")
    if len(input_shape) != 3:
        raise UsageError(f"The model '{name}' needs images; for table data choose 'linear' or 'mlp'.")
    net = _timm(key, input_shape, classes) if library == "timm" else _torchvision(key, input_shape, classes)
    model = Library(net, input_shape)
    try:
        with torch.no_grad():
            found = model.eval()(torch.full((2, *input_shape), 0.5))
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise UsageError(
            f"The model '{name}' cannot take images of {'×'.join(map(str, input_shape))} ({reason})."
        ) from None
    if not isinstance(found, Tensor) or found.shape != (2, classes):
        raise UsageError(f"The model '{name}' does not return one row of {classes} logits for an image.")
    return model


def _torchvision(key: str, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    from torchvision import models

    _known("torchvision", key, tuple(models.list_models(module=models)))
    if input_shape[0] != 3:
        raise UsageError(f"The networks of torchvision take colour images; these have {input_shape[0]} channels.")
    builder = models.get_model_builder(key)
    more: dict[str, Any] = {"weights": None, "num_classes": classes}
    if key.startswith("vit_"):
        more["image_size"] = input_shape[1]
    if key in ("googlenet", "inception_v3"):
        more["init_weights"] = False
    return builder(**more)


def _timm(key: str, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise UsageError("The networks of timm need the package timm; install it with: pip install timm") from None
    _known("timm", key, tuple(timm.list_models()))
    more: dict[str, Any] = {"pretrained": False, "num_classes": classes, "in_chans": input_shape[0]}
    try:
        return timm.create_model(key, **more, img_size=input_shape[1:])
    except TypeError:  # convolutional networks have no size of their own
        return timm.create_model(key, **more)


def _known(library: str, key: str, names: tuple[str, ...]) -> None:
    if re.fullmatch(r"[a-z0-9_]{1,80}", key) is None or key not in names:
        close = [name for name in names if name.startswith(key[:6])][:5] or list(names[:5])
        raise UsageError(f"{library} has no network '{key[:60]}'; it has, among others, {', '.join(close)}.")
