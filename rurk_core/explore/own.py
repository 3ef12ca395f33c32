"""Pictures of somebody's own on a stage: read apart and bounded, brought to the size of a run's data, never stored."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn

from ..apart.reading import Reading
from ..data import Dataset, to_pixels
from ..data.decoding import FORMATS, ROTATED, Encoded, decode
from ..device import logits_of
from ..errors import UsageError
from ..run.stored import described
from ..store.store import Store
from .scene import Scene, verdicts_like

LARGEST = 20_000_000
"""Bytes of a picture."""
OWN = "own pictures"
"""The name of the data set that they are; nothing of it is to be kept, by a browser neither."""
MOST = 12
"""Pictures at a time."""


@dataclass(frozen=True)
class Own:
    """A picture as the models of a run see it.

    Attributes:
        pixels: uint8 [C, H, W]; words: what was done to it, a sentence.
    """

    pixels: Tensor
    words: str


def read_own(reading: Reading, name: str, data: bytes, shape: Sequence[int]) -> Own:
    """A picture from the bytes of a file, brought to (C, H, W) of a run's data.

    Raises:
        UsageError: the run's data are no images, or the file is no picture, too large, or took too much to read.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UsageError("The experiment in view is not on grey or coloured images; choose one that is.")
    if len(data) > LARGEST:
        raise UsageError(f"The image {name} has {len(data) / 1e6:.0f} MB; the limit is {LARGEST // 10**6} MB.")
    arguments = [name, base64.b64encode(data).decode(), list(shape)]
    found = reading.ask("rurk_core.explore.own:read_apart", arguments, size=len(data), what=f"The image {name}")
    pixels = np.frombuffer(base64.b64decode(found["pixels"]), np.uint8).reshape(shape)
    return Own(torch.from_numpy(pixels.copy()), found["words"])


def read_apart(name: str, data: str, shape: list[int]) -> dict[str, str]:
    """What the process that reads does: base64 of a file → ``{"pixels": base64 of uint8 [C, H, W], "words": …}``."""
    whole = base64.b64decode(data)
    seen = decode(Encoded(name, lambda: whole))
    with Image.open(io.BytesIO(whole), formats=FORMATS) as picture:
        turned = picture.getexif().get(ROTATED, 1) in range(2, 9)
    return {
        "pixels": base64.b64encode(brought(seen, shape).tobytes()).decode(),
        "words": _words(name, seen, turned, shape),
    }


def brought(seen: NDArray[np.uint8], shape: Sequence[int]) -> NDArray[np.uint8]:
    """A picture, uint8 H×W or H×W×3, cut around its middle and reduced: uint8 (C, h, w)."""
    channels, height, width = shape
    picture = Image.fromarray(seen).convert("L" if channels == 1 else "RGB")
    fitted = np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR))
    return fitted[None] if channels == 1 else fitted.transpose(2, 0, 1)


def _words(name: str, seen: NDArray[np.uint8], turned: bool, shape: Sequence[int]) -> str:
    channels, height, width = shape
    high, wide = seen.shape[:2]
    done = ["turned as its camera says"] if turned else []
    if high * width != wide * height:
        done.append(f"cut to the middle {'square' if height == width else 'part'}")
    if (high, wide) != (height, width):
        done.append(f"brought to {width} × {height} pixels")
    if channels == 1 and seen.ndim == 3:
        done.append("made grey")
    elif channels == 3 and seen.ndim == 2:
        done.append("taken as colour, all grey")
    return f"{name}, {wide} × {high} pixels: {', '.join(done) or 'shown as it is'}."


def inverted(own: Own) -> Own:
    """The same with dark and light swapped, for data whose ground is dark."""
    return replace(own, pixels=255 - own.pixels)


def own_scene(
    store: Store,
    result: dict[str, Any],
    pictures: Sequence[Own],
    *,
    name: str,
    method: str,
    attack: str,
    model: Callable[[str], nn.Module],
) -> Scene:
    """The scene of pictures of one's own under a model of a run, as :func:`~rurk_core.explore.scene.open_scene`.

    Nobody knows what is on them: their class is what the Original takes them for, or the model in question where the
    run has no Original.

    Args:
        name: by which the pictures can be asked for; it should say nothing of them.

    Raises:
        UsageError: the run has no such model.
    """
    like, _ = verdicts_like(store, result, method, attack)
    images = torch.stack([own.pixels for own in pictures])
    first = "original" if "original" in like.models else method
    labels = logits_of(model(first), to_pixels(images)).argmax(1)
    about = result["dataset"]
    data = Dataset(OWN, images, labels, images, labels, tuple(about["classes"]), "", "", name)
    like = replace(like, samples=np.arange(len(images)), labels=labels.numpy())
    return Scene(result, data, method, attack, like, False, None, model, own=first)


def shape_of(store: Store, result: dict[str, Any]) -> tuple[int, ...]:
    """(C, H, W) of a run's data, or (D,) of a table: what its models take."""
    key = next(row["key"] for row in result["models"] if row.get("key"))
    return tuple(described(store, key)[1])
