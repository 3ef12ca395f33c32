"""Decoding images safely and fast: many compressed images → one uint8 tensor, kept decoded on disk.

Conversions, so that nothing is guessed: 16-bit images are scaled to 8 bit; palettes are resolved; transparency is
composited on white; a set that is grey throughout stays one channel, one with any colour becomes RGB. Sizes must
agree unless a size is asked for, to which images are then cropped (centre square) and resized.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..errors import RurkError
from .dataset import Progress, fingerprint_of

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MAX_PIXELS = 50_000_000
CHUNK = 512


@dataclass(frozen=True)
class Encoded:
    """A compressed image that has not been read yet: how to get its bytes, and what to call it in a complaint."""

    name: str
    read: Callable[[], bytes]


def decode(image: Encoded, size: int | None = None) -> np.ndarray:
    """One image as uint8 H×W (grey) or H×W×3.

    Raises:
        RurkError: it is not a readable image of :data:`FORMATS`, or larger than :data:`MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture: Image.Image = Image.open(io.BytesIO(image.read()), formats=FORMATS)
            if picture.width * picture.height > MAX_PIXELS:
                raise RurkError(
                    f"The image {image.name} has {picture.width}×{picture.height} pixels; "
                    f"the limit is {MAX_PIXELS // 1_000_000} million."
                )
            picture.load()
            picture = _plain(picture)
            if size:
                picture = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
            return np.asarray(picture)
    except RurkError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise RurkError(f"The image {image.name} claims far too many pixels; it was not decoded.") from None
    except Exception:
        raise RurkError(f"The image {image.name} is damaged or is not a PNG, JPEG, WebP or BMP image.") from None


def _plain(picture: Image.Image) -> Image.Image:
    """An 8-bit grey or RGB picture."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        return Image.fromarray(np.clip(values / 257, 0, 255).round().astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    if picture.mode in ("L", "RGB"):
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def decode_all(
    images: Sequence[Encoded], *, size: int | None = None, progress: Progress | None = None
) -> Iterator[np.ndarray]:
    """All images in order, decoded in parallel (the library lets go of the interpreter while it decodes)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(images), CHUNK):
            chunk = images[start : start + CHUNK]
            yield from pool.map(lambda image: decode(image, size), chunk)
            if progress:
                progress(start + len(chunk), len(images), "Decoding images")


def stack(images: Sequence[Encoded], out: Path, *, size: int | None = None, progress: Progress | None = None) -> None:
    """Decode into a ``.npy`` file of uint8 N×C×H×W, without holding the set in memory.

    Raises:
        RurkError: sizes differ (both are named), or an image is unreadable.
    """
    shape: tuple[int, int] | None = None
    colour = False
    # one channel plane is enough while all are grey; the first colour image makes all of them RGB
    with out.with_suffix(".grey").open("wb") as grey, out.with_suffix(".rgb").open("wb") as rgb:
        first = ""
        for index, (image, pixels) in enumerate(
            zip(images, decode_all(images, size=size, progress=progress), strict=True)
        ):
            if shape is None:
                shape, first = pixels.shape[:2], image.name
            if pixels.shape[:2] != shape:
                raise RurkError(
                    f"The images have different sizes: {first} is {shape[1]}×{shape[0]}, {image.name} is "
                    f"{pixels.shape[1]}×{pixels.shape[0]}; ask for one size by adding ?size=32 to the path."
                )
            if pixels.ndim == 3 and not colour:
                colour = True
                grey.flush()
                planes: Any = np.memmap(grey.name, np.uint8, "r", shape=(index, *shape)) if index else []
                for plane in planes:
                    rgb.write(np.broadcast_to(plane, (3, *shape)).tobytes())
            if colour:
                full = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else np.broadcast_to(pixels, (3, *shape))
                rgb.write(np.ascontiguousarray(full).tobytes())
            else:
                grey.write(pixels.tobytes())
    assert shape is not None
    raw = out.with_suffix(".rgb" if colour else ".grey")
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(images), 3 if colour else 1, *shape)}
    with out.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        with raw.open("rb") as source:
            shutil.copyfileobj(source, file, 2**22)
    out.with_suffix(".grey").unlink()
    out.with_suffix(".rgb").unlink()


@dataclass(frozen=True)
class ImageSet:
    """A decoded image set as it lies in the cache."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    classes: tuple[str, ...]
    fingerprint: str


def cache_folder() -> Path:
    """Where decoded image sets are kept: the variable RURK_CACHE, or a folder in the user's cache."""
    return Path(os.environ.get("RURK_CACHE") or Path.home() / ".cache" / "rurk") / "decoded"


def cached(
    sources: Sequence[Path],
    build: Callable[[], tuple[Splits, Sequence[str]]],
    *,
    size: int | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """Decode once, memory-map ever after.

    Args:
        sources: the files the set comes from; the cache entry is named by their paths, sizes and times.
        build: returns the compressed images and labels of (train, test) and the class names; called on a miss.

    Raises:
        RurkError: an image is unreadable, sizes differ, or the disk is full.
    """
    stamp = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    name = hashlib.sha256(json.dumps([stamp, size, 1]).encode()).hexdigest()[:24]
    folder = cache_folder() / name
    if not (folder / "meta.json").is_file():
        temporary = folder.with_name(f".tmp-{secrets.token_hex(6)}")
        try:
            temporary.mkdir(parents=True)
            splits, classes = build()
            for split, (images, labels) in splits.items():
                stack(images, temporary / f"{split}.npy", size=size, progress=progress)
                np.save(temporary / f"{split}_labels.npy", labels)
            _match_channels(temporary)
            parts = [torch.from_numpy(np.load(temporary / f"{part}.npy", mmap_mode="c")) for part in _PARTS]
            meta = {"classes": list(classes), "fingerprint": fingerprint_of(parts, classes)}
            (temporary / "meta.json").write_text(json.dumps(meta))
            if folder.exists():
                shutil.rmtree(folder)
            temporary.rename(folder)
        except OSError as error:
            raise RurkError(
                f"Decoded images cannot be kept in {cache_folder()} ({error.strerror or error}); "
                "free some space, or name another folder in the variable RURK_CACHE."
            ) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    try:
        meta = json.loads((folder / "meta.json").read_text())
        # copy-on-write: a tensor needs writable memory, and nothing written ever reaches the file
        train_x, train_y, test_x, test_y = (
            torch.from_numpy(np.load(folder / f"{part}.npy", mmap_mode="c")) for part in _PARTS
        )
        return ImageSet((train_x, train_y), (test_x, test_y), tuple(meta["classes"]), meta["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(folder, ignore_errors=True)
        raise RurkError("The cache of decoded images was damaged and has been removed; load the data again.") from None


Splits = dict[str, tuple[Sequence[Encoded], np.ndarray]]
"""``"train"`` and ``"test"`` → (compressed images, int64 labels)."""

_PARTS = ("train", "train_labels", "test", "test_labels")


def _match_channels(folder: Path) -> None:
    """Where one split is grey throughout and the other has colour, both become RGB."""
    train, test = (np.load(folder / f"{split}.npy", mmap_mode="r") for split in ("train", "test"))
    if train.shape[2:] != test.shape[2:]:
        raise RurkError(
            f"Training images are {train.shape[3]}×{train.shape[2]}, test images {test.shape[3]}×{test.shape[2]}; "
            "ask for one size by adding ?size=32 to the path."
        )
    if train.shape[1] != test.shape[1]:
        for split, images in (("train", train), ("test", test)):
            if images.shape[1] == 1:
                np.save(folder / "wide.npy", np.repeat(images, 3, axis=1))
                (folder / "wide.npy").replace(folder / f"{split}.npy")
