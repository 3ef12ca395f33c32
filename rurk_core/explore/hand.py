"""A sample changed by hand: shifted, turned, cut, lit, blurred, painted on, covered, compressed; what models say of it.

The changes are those of :mod:`~rurk_core.perturb.transforms` at τ = 1, so their numbers in [−1, 1] say all: how far,
which way, how much. They are made in the order of :data:`ORDER`; paint goes on before the last two.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..device import logits_of
from ..errors import UsageError
from ..perturb.copies import stream
from ..perturb.transforms import NUMBERS, TRANSFORMS
from .packing import pack
from .scene import Scene
from .stage import answer, place_of, shown_picture

ORDER = ("shift", "rotation", "crop", "brightness", "blur", "occlusion", "jpeg")
BEFORE_PAINT = ORDER[:5]
HOW_MUCH = {name: (0, 1) if name == "shift" else (2,) if name == "occlusion" else (0,) for name in ORDER}
"""Which numbers of a change say how much; the others say where."""
LOOKED_AT = (0.1, 0.25, 0.5)
"""How much a search changes, at most."""
TRIES = 20
"""Changes of a kind and of such an amount that a search makes."""


@dataclass(frozen=True)
class Hand:
    """What was done to a sample.

    Attributes:
        changes: name of a transform → its numbers, each in [−1, 1].
        paint: uint8 [H, W, 4], colour and opacity, over the whole sample; None for none.
    """

    changes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    paint: NDArray[np.uint8] | None = None


def read_hand(said: Any, height: int, width: int) -> Hand:
    """``{"changes": {name: [numbers]}, "paint": base64 of RGBA}``, both optional, as a browser sends it.

    Raises:
        UsageError: it is something else.
    """
    wrong = UsageError("A change by hand is an object of known changes, each with up to three numbers from -1 to 1.")
    if not isinstance(said, dict) or not isinstance(said.get("changes", {}), dict):
        raise wrong
    changes = {}
    for name, numbers in said.get("changes", {}).items():
        if name not in ORDER or not isinstance(numbers, list) or not 0 < len(numbers) <= NUMBERS:
            raise wrong
        if not all(type(n) in (int, float) and math.isfinite(n) and -1 <= n <= 1 for n in numbers):
            raise wrong
        changes[name] = tuple(map(float, numbers))
    paint = None
    if said.get("paint"):
        try:
            flat = np.frombuffer(base64.b64decode(said["paint"], validate=True), np.uint8)
            paint = flat.reshape(height, width, 4)
        except (ValueError, TypeError, binascii.Error):
            raise UsageError(f"Paint is {height} × {width} pixels of four bytes.") from None
    return Hand(changes, paint)


def by_hand(pixels: Tensor, hand: Hand) -> Tensor:
    """A sample [C, H, W] in [0, 1] with the changes made.

    Raises:
        UsageError: it is no image.
    """
    if pixels.dim() != 3:
        raise UsageError("Only images can be changed by hand, and this data set is a table.")
    moved = pixels[None]
    for name in BEFORE_PAINT:
        moved = _changed(name, moved, hand)
    if hand.paint is not None:
        paint = torch.from_numpy(hand.paint.copy()).float().permute(2, 0, 1) / 255
        if paint.shape[1:] != pixels.shape[1:]:  # of the picture as it is shown
            paint = torch.nn.functional.interpolate(paint[None], list(pixels.shape[1:]))[0]
        colour = paint[:3] if pixels.shape[0] == 3 else paint[:3].mean(0, keepdim=True).expand(pixels.shape[0], -1, -1)
        moved = moved * (1 - paint[3]) + colour[None] * paint[3]
    for name in ORDER[len(BEFORE_PAINT) :]:
        moved = _changed(name, moved, hand)
    return moved[0].clamp(0, 1)


def _changed(name: str, moved: Tensor, hand: Hand) -> Tensor:
    numbers = hand.changes.get(name)
    if not numbers or not any(numbers[at] for at in HOW_MUCH[name] if at < len(numbers)):
        return moved
    row = torch.tensor([[*numbers, *[0.0] * (NUMBERS - len(numbers))]])
    return TRANSFORMS[name](moved, row, 1.0).clamp(0, 1)


def judged(scene: Scene, sample: int, cut: str, hand: Hand) -> bytes:
    """What every model says of the sample changed by hand, as a part of kind ``hand``.

    ``picture`` and the arrays of ``copies`` for a single copy [1, M, 1, …]; ``at`` is where it stands on the plane, and
    ``distance`` its RMS change.

    Raises:
        UsageError: no such plane, or no image.
    """
    x, own = scene.pixels(sample), scene.label(sample)
    moved = by_hand(x, hand)
    found = [answer(logits_of(scene.judge(name), moved[None]).numpy(), own) for name in scene.models]
    arrays = {name: np.asarray([[each[name] for each in found]]) for name in ("own", "top", "share", "margin")}
    header = {
        "kind": "hand",
        "sample": sample,
        "models": list(scene.models),
        "place": place_of(scene.cut(sample, cut)[0], moved[None])[0].tolist(),
        "distance": float((moved - x).square().mean().sqrt()),
        "changes": {name: list(numbers) for name, numbers in hand.changes.items()},
    }
    return pack(header, {**arrays, "picture": shown_picture(moved)})


def strongest(scene: Scene, sample: int) -> Hand:
    """Of :data:`TRIES` changes of every kind and amount the one under which the model most exceeds the re-trained ones.

    By the probability of the sample's class, against their mean; the same for the same run and sample.

    Raises:
        UsageError: it is no image.
    """
    x, own = scene.pixels(sample), scene.label(sample)
    tried: list[Hand] = []
    for name in ORDER:
        drawn = 2 * torch.rand(TRIES, NUMBERS, generator=stream(scene.like.seed, "hand", name, sample)) - 1
        for amount in LOOKED_AT:
            scale = torch.ones(NUMBERS)
            scale[list(HOW_MUCH[name])] = amount
            tried += [Hand({name: tuple(round(n, 4) for n in row)}) for row in (drawn * scale).tolist()]
    moved = torch.stack([by_hand(x, hand) for hand in tried])

    def chance(name: str) -> Tensor:
        return logits_of(scene.judge(name), moved).softmax(1)[:, own]

    lead = chance(scene.method)
    if scene.references:
        lead = lead - torch.stack([chance(name) for name in scene.references]).mean(0)
    return tried[int(lead.argmax())]
