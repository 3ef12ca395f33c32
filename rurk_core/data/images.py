"""Decoding images safely and fast: many compressed images → one uint8 tensor, kept decoded on disk.

A set whose pixels would take more of the disk than :func:`cache_limit` is looked through once and not kept: its images
are decoded again, in threads, whenever they are asked for. The pixels, and so the fingerprint, are the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import RurkError
from .dataset import Progress, fingerprint_of
from .decoding import Encoded, Gate, Splits, decode, looked_at, with_white
from .stream import Images, Kept, Streamed, budget, gigabytes

CHUNK, BLOCK = 128, 2**26
"""Images that are decoded together for the disk, and bytes of their pixels, beyond which it is fewer."""
KEEP = 0.5
"""Share of the free disk that decoded images may take."""
_SPLITS = ("train", "test")

Built = tuple[Splits, Sequence[str], Sequence[str]]
"""The splits, the names of the classes, and how they were read, in sentences."""


@dataclass(frozen=True)
class ImageSet:
    """An image set as it lies in the cache: images and labels of either split; notes say how it was read."""

    train: tuple[Images, Tensor]
    test: tuple[Images, Tensor]
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compressed:
    """A :class:`~rurk_core.data.stream.Source` that keeps no pixels: every row is decoded when it is asked for.

    Attributes:
        shape: (N, C, H, W); size: the side that images are brought to, None for their own.
        first: name of the image whose size all others must have.
    """

    images: Sequence[Encoded]
    shape: tuple[int, ...]
    size: int | None
    first: str

    def read(self, index: np.ndarray) -> Tensor:
        """Decoded in parallel: the library lets go of the interpreter while it decodes.

        Raises:
            RurkError: an image is unreadable, or not as large as the first one; both are named.
        """
        out, gate = np.empty((len(index), *self.shape[1:]), np.uint8), Gate()

        def one(at: int) -> None:
            image = self.images[index[at]]
            pixels = decode(image, self.size, gate)
            (height, width), wanted = pixels.shape[:2], self.shape[2:]
            if (height, width) != wanted:
                raise RurkError(
                    f"The images have different sizes: {self.first} is {wanted[1]}×{wanted[0]}, {image.name} is "
                    f"{width}×{height}; ask for one size by adding ?size=32 to the path."
                )
            if pixels.ndim == 3 and self.shape[1] == 1:
                raise RurkError(f"The image {image.name} is damaged: it has colour, and its header says it has none.")
            out[at] = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels

        # a pool of its own for each call: processes are forked from this one, and threads do not survive that
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(one, range(len(index))))
        return torch.from_numpy(out)


def cache_folder() -> Path:
    """Where decoded image sets are kept: the variable RURK_CACHE, or a folder in the user's cache."""
    return Path(os.environ.get("RURK_CACHE") or Path.home() / ".cache" / "rurk") / "decoded"


def cache_limit() -> int:
    """Bytes of pixels a set may have to be kept decoded: ``RURK_CACHE_GB``, or half of the disk's free space."""
    folder = cache_folder()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return gigabytes("RURK_CACHE_GB", int(KEEP * shutil.disk_usage(there).free))


def cached(
    sources: Sequence[Path],
    build: Callable[[], Built],
    *,
    size: int | None = None,
    options: Sequence[str | None] = (),
    progress: Progress | None = None,
) -> ImageSet:
    """Decode once, memory-map ever after; a set beyond :func:`cache_limit` is only looked through, and streamed.

    Args:
        sources: the files the set comes from; the cache entry is named by their paths, sizes and times and by
            ``options``.
        build: called on a miss, and every time for a set that is streamed.

    Raises:
        RurkError: an image is unreadable, sizes differ, or the disk is full.
    """
    stamp = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    name = hashlib.sha256(json.dumps([stamp, size, list(options), 2]).encode()).hexdigest()[:24]
    folder = cache_folder() / name
    images: Mapping[str, Images] = {}
    if not (folder / "train.npy").is_file():
        images = _decoded(folder, build(), size, progress)
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        labels = {split: torch.from_numpy(np.load(folder / f"{split}_labels.npy")) for split in _SPLITS}
        if (folder / "train.npy").is_file():
            images = {split: _kept(folder / f"{split}.npy") for split in _SPLITS}
        train, test = ((images[split], labels[split]) for split in _SPLITS)
        return ImageSet(train, test, tuple(meta["classes"]), meta["fingerprint"], tuple(meta["notes"]))
    except (OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(folder, ignore_errors=True)
        raise RurkError("The cache of decoded images was damaged and has been removed; load the data again.") from None


def _decoded(folder: Path, built: Built, size: int | None, progress: Progress | None) -> dict[str, Streamed]:
    """The images to be decoded when asked for, once all of them were read and ``folder`` says what they are.

    Where there is room their pixels lie in ``folder`` too.
    """
    splits, classes, notes = built
    first, known = splits["train"][0][0], _known(folder)
    height, width = decode(first, size).shape[:2]
    if known:
        white, channels, notes = known
    else:
        white, colour, said = looked_at(splits, progress)
        channels, notes = 3 if colour else 1, [*notes, *said]
    images = {
        split: Streamed(Compressed(each, (len(each), channels, height, width), size, first.name))
        for split, (each, _) in with_white(splits, white).items()
    }
    keep = sum(each.nbytes for each in images.values()) <= cache_limit()
    if keep or not known:
        labels = {split: torch.from_numpy(each) for split, (_, each) in splits.items()}
        about = {"classes": list(classes), "notes": list(notes), "white": white}
        _make(folder, lambda into: _fill(into, images, labels, about, keep, progress))
    return images


def _known(folder: Path) -> tuple[int, int, list[str]] | None:
    """White, channels and notes of a set that was looked through before; None where nobody has."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        return int(meta["white"]), int(meta["shapes"]["train"][1]), list(meta["notes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _make(folder: Path, fill: Callable[[Path], None]) -> None:
    """Have an entry of the cache filled under a temporary name; it is there whole or not at all."""
    temporary = folder.with_name(f".tmp-{secrets.token_hex(6)}")
    try:
        temporary.mkdir(parents=True)
        fill(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except OSError as error:
        raise RurkError(
            f"Decoded images cannot be kept in {cache_folder()} ({error.strerror or error}); "
            "free some space, name another folder in the variable RURK_CACHE, or set RURK_CACHE_GB to 0 to have "
            "them decoded whenever they are needed."
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(
    folder: Path,
    images: Mapping[str, Streamed],
    labels: Mapping[str, Tensor],
    about: dict[str, Any],
    keep: bool,
    progress: Progress | None,
) -> None:
    """Write the labels, what is known of the set, and its pixels if they are kept; every image is read in any case."""
    if keep:
        for split, each in images.items():
            _write(folder / f"{split}.npy", each, progress)
        images, progress = {split: Streamed(Kept.open(folder / f"{split}.npy")) for split in images}, None
    parts: list[Images] = [each[split] for split in _SPLITS for each in (images, labels)]
    about |= {
        "fingerprint": fingerprint_of(parts, about["classes"], progress=progress),
        "shapes": {split: list(each.shape) for split, each in images.items()},
    }
    for split, values in labels.items():
        np.save(folder / f"{split}_labels.npy", values.numpy())
    (folder / "meta.json").write_text(json.dumps(about), encoding="utf-8")


def _write(path: Path, images: Streamed, progress: Progress | None) -> None:
    """Images as a ``.npy`` file of uint8 N×C×H×W, without holding the set in memory."""
    header = {"descr": "|u1", "fortran_order": False, "shape": tuple(images.shape)}
    done, rows = 0, max(1, min(CHUNK, BLOCK * len(images) // max(1, images.nbytes)))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in images.split(rows):
            file.write(block.numpy().data)
            done += len(block)
            if progress:
                progress(done, len(images), "Decoding images")


def _kept(path: Path) -> Images:
    """Decoded images: mapped where they fit in memory, read when asked for where they do not."""
    images = Streamed(Kept.open(path))
    if images.nbytes > budget("cpu"):
        return images
    # copy-on-write: a tensor needs writable memory, and nothing written ever reaches the file
    return torch.from_numpy(np.load(path, mmap_mode="c"))
