"""Decoding one image safely, and what a set of images needs before.

Conversions, so that nothing is guessed: 16-bit images are scaled to 8 bit, from as many bits as the set uses;
palettes are resolved; transparency is composited on white; a camera's rotation (EXIF) is applied; a set that is grey
throughout stays one channel, one with any colour becomes RGB. Sizes must agree unless a size is asked for, to which
images are then cropped (centre square) and resized. A set says which of these it needed.
"""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..errors import RurkError
from .dataset import Progress

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"RIFF")
"""How images of :data:`FORMATS` begin."""
MAX_PIXELS = 50_000_000
SMALL, PIXELS_PER_BYTE = 8_000_000, 50
"""Larger images than this must have a byte for so many pixels: photographs have one for ten at most."""
AT_A_TIME = 25_000_000
"""Pixels that are decoded side by side: up to eight bytes each."""
STRIP = 256
WHITE = 65_535
ROTATED = 274
"""The number of the EXIF entry that says how a camera was held."""


@dataclass(frozen=True)
class Encoded:
    """A compressed image that has not been read yet: how to get its bytes, and what to call it in a complaint.

    ``white`` is the value of white in images of more than 8 bits.
    """

    name: str
    read: Callable[[], bytes]
    white: int = WHITE


class Gate:
    """Lets threads decode side by side as long as their images have :data:`AT_A_TIME` pixels in all."""

    def __init__(self) -> None:
        self._free, self._inside = threading.Condition(), 0

    @contextlib.contextmanager
    def through(self, pixels: int) -> Iterator[None]:
        with self._free:
            self._free.wait_for(lambda: not self._inside or self._inside + pixels <= AT_A_TIME)
            self._inside += pixels
        try:
            yield
        finally:
            with self._free:
                self._inside -= pixels
                self._free.notify_all()


def decode(image: Encoded, size: int | None = None, gate: Gate | None = None) -> np.ndarray:
    """One image as uint8 H×W (grey) or H×W×3.

    Args:
        gate: shared by threads that decode at the same time.

    Raises:
        RurkError: it is not a readable image of :data:`FORMATS`, larger than :data:`MAX_PIXELS`, or far larger than
            its bytes.
    """
    try:
        data = image.read()
    except OSError as error:
        raise RurkError(f"The image {image.name} cannot be read ({error.strerror or error}).") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            pixels = _pixels(picture, image.name, len(data))
            with (gate or Gate()).through(pixels):
                picture.load()
                picture = _plain(ImageOps.exif_transpose(picture), image.white)
                if size:
                    picture = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
                return np.asarray(picture)
    except RurkError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise RurkError(f"The image {image.name} claims far too many pixels; it was not decoded.") from None
    except Exception:
        raise RurkError(f"The image {image.name} is damaged or is not a PNG, JPEG, WebP or BMP image.") from None


def _pixels(picture: Image.Image, name: str, held: int) -> int:
    """How many pixels a picture has, of which only the header is read.

    Raises:
        RurkError: more than any photograph, or than so few bytes are worth decoding.
    """
    pixels = picture.width * picture.height
    if pixels > MAX_PIXELS:
        raise RurkError(
            f"The image {name} has {picture.width}×{picture.height} pixels; "
            f"the limit is {MAX_PIXELS // 1_000_000} million."
        )
    if pixels > max(SMALL, PIXELS_PER_BYTE * held):
        raise RurkError(f"The image {name} claims {pixels:,} pixels in {held:,} bytes; it was not decoded.")
    return pixels


def _plain(picture: Image.Image, most: int) -> Image.Image:
    """An 8-bit grey or RGB picture."""
    if _deep(picture):
        values = np.asarray(picture)
        out = np.empty(values.shape, np.uint8)
        for at in range(0, len(values), STRIP):  # in parts, since there are eight bytes a pixel in between
            part = values[at : at + STRIP].astype(np.float64)
            out[at : at + STRIP] = np.clip(part * 255 / most, 0, 255).round()
        return Image.fromarray(out)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB" if _coloured(picture) else "L")


def _coloured(picture: Image.Image) -> bool:
    """Whether it becomes RGB: its header says so, whatever its pixels are."""
    return not _deep(picture) and (picture.mode not in ("1", "L") or "transparency" in picture.info)


def _deep(picture: Image.Image) -> bool:
    """Whether its values have more than 8 bits."""
    return picture.mode.startswith("I") or picture.mode == "F"


Splits = dict[str, tuple[Sequence[Encoded], np.ndarray]]
"""``"train"`` and ``"test"`` → (compressed images, int64 labels)."""


EACH = 1024
"""Images between two reports of progress."""


def looked_at(splits: Splits, progress: Progress | None = None) -> tuple[int, bool, list[str]]:
    """(white of the images of more than 8 bits, whether any has colour, what has to be done to the images in words).

    Headers are read alone, except of images of more than 8 bits: how many of them a set uses only its values say.
    """
    rotated, other, colour, whites = 0, 0, False, [0]
    total = sum(len(images) for images, _ in splits.values())
    for done, image in enumerate(image for images, _ in splits.values() for image in images):
        if progress and done % EACH == 0:
            progress(done, total, "Looking at the images")
        with contextlib.suppress(Exception):  # what is wrong with an image is said when it is decoded
            data = image.read()
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            colour |= _coloured(picture)
            rotated += picture.getexif().get(ROTATED, 1) in range(2, 9)
            suffix = Path(image.name).suffix.lower()
            other += suffix in SUFFIXES and Image.registered_extensions().get(suffix) != picture.format
            if _deep(picture):
                _pixels(picture, image.name, len(data))
                whites.append(int(np.asarray(picture).max()))
    bits = next((bits for bits in (8, 10, 12) if max(whites) < 2**bits), 16)
    notes = [f"The camera's rotation (EXIF) was applied to {_images(rotated)}."] if rotated else []
    if other:
        notes.append(f"What {_images(other)} hold is another format than their names say; the content was taken.")
    if len(whites) > 1 and bits < 16:
        notes.append(f"The 16-bit images use {bits} bits and were scaled by these: {2**bits - 1} is white.")
    return 2**bits - 1 if len(whites) > 1 else WHITE, colour, notes


def with_white(splits: Splits, white: int) -> Splits:
    """The same images with another value of white."""
    if white == WHITE:
        return splits
    return {
        split: ([replace(image, white=white) for image in images], labels) for split, (images, labels) in splits.items()
    }


def _images(count: int) -> str:
    return f"{count} image{'s' * (count != 1)}"
