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
from collections.abc import Callable, Iterator, Sequence
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

CHUNK = 512


def decode_all(
    images: Sequence[Encoded], *, size: int | None = None, progress: Progress | None = None
) -> Iterator[np.ndarray]:
    """All images in order, decoded in parallel (the library lets go of the interpreter while it decodes)."""
    gate = Gate()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(images), CHUNK):
            chunk = images[start : start + CHUNK]
            yield from pool.map(lambda image: decode(image, size, gate), chunk)
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
            _check_size(image.name, pixels, first, shape)
            if pixels.ndim == 3 and not colour:
                colour = True
                grey.flush()
                planes: Any = np.memmap(grey.name, np.uint8, "r", shape=(index, *shape)) if index else []
                for plane in planes:
                    rgb.write(np.broadcast_to(plane, (3, *shape)).tobytes())
            if colour:
                rgb.write(np.ascontiguousarray(_planes(pixels, 3)).tobytes())
            else:
                grey.write(pixels.tobytes())
    assert shape is not None
    raw = out.with_suffix(".rgb" if colour else ".grey")
    with out.open("wb") as file:
        _write_header(file, (len(images), 3 if colour else 1, *shape))
        with raw.open("rb") as source:
            shutil.copyfileobj(source, file, 2**22)
    out.with_suffix(".grey").unlink()
    out.with_suffix(".rgb").unlink()


def _write_header(file: Any, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _planes(pixels: np.ndarray, channels: int) -> np.ndarray:
    """H×W or H×W×3 → channels×H×W."""
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else np.broadcast_to(pixels, (channels, *pixels.shape))


def _check_size(name: str, pixels: np.ndarray, first: str, size: tuple[int, int]) -> None:
    """Raises:
    RurkError: the image is not as large as the ``first`` one; both are named.
    """
    if pixels.shape[:2] != size:
        raise RurkError(
            f"The images have different sizes: {first} is {size[1]}×{size[0]}, {name} is "
            f"{pixels.shape[1]}×{pixels.shape[0]}; ask for one size by adding ?size=32 to the path."
        )


class _ColourFound(Exception):
    """A set taken for grey has colour."""


@dataclass(frozen=True)
class Compressed:
    """A :class:`~rurk_core.data.stream.Source` that keeps no pixels: every row is decoded when it is asked for."""

    images: Sequence[Encoded]
    shape: tuple[int, ...]
    size: int | None

    def read(self, index: np.ndarray) -> Tensor:
        out, gate = np.empty((len(index), *self.shape[1:]), np.uint8), Gate()

        def one(at: int) -> None:
            image = self.images[index[at]]
            pixels = decode(image, self.size, gate)
            _check_size(image.name, pixels, self.images[0].name, self.shape[2:])  # type: ignore[arg-type]
            if pixels.ndim == 3 and self.shape[1] == 1:
                raise _ColourFound
            out[at] = _planes(pixels, self.shape[1])

        # a pool of its own for each call: processes are forked from this one, and threads do not survive that
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(one, range(len(index))))
        return torch.from_numpy(out)


@dataclass(frozen=True)
class ImageSet:
    """An image set as it lies in the cache: images and labels of either split; notes say how it was read."""

    train: tuple[Images, Tensor]
    test: tuple[Images, Tensor]
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()


def cache_folder() -> Path:
    """Where decoded image sets are kept: the variable RURK_CACHE, or a folder in the user's cache."""
    return Path(os.environ.get("RURK_CACHE") or Path.home() / ".cache" / "rurk") / "decoded"


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
    built: Built | None = None
    if not (folder / "train.npy").is_file():
        splits, classes, notes = build()
        known = _white_of(folder)
        white, more = (known, ()) if known else looked_at(splits, progress)
        built = with_white(splits, white), classes, [*notes, *more]
        if pixel_bytes(built[0], size) <= cache_limit():
            _make(folder, lambda into: _decoded(into, *built, white, size=size, progress=progress))
        elif not (folder / "meta.json").is_file():
            _make(folder, lambda into: _looked_through(into, *built, white, size=size, progress=progress))
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        train_labels, test_labels = (torch.from_numpy(np.load(folder / f"{split}_labels.npy")) for split in _SPLITS)
        if (folder / "train.npy").is_file():
            train, test = (_kept(folder / f"{split}.npy") for split in _SPLITS)
        else:
            assert built is not None
            train, test = (
                Streamed(Compressed(built[0][split][0], tuple(meta["shapes"][split]), size)) for split in _SPLITS
            )
        return ImageSet(
            (train, train_labels),
            (test, test_labels),
            tuple(meta["classes"]),
            meta["fingerprint"],
            tuple(meta["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(folder, ignore_errors=True)
        raise RurkError("The cache of decoded images was damaged and has been removed; load the data again.") from None


Built = tuple[Splits, Sequence[str], Sequence[str]]
"""The splits, the names of the classes, and how they were read, in sentences."""

_SPLITS = ("train", "test")
KEEP = 0.5
"""Share of the free disk that decoded images may take."""


def cache_limit() -> int:
    """Bytes of pixels a set may have to be kept decoded: ``RURK_CACHE_GB``, or half of the disk's free space."""
    folder = cache_folder()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return gigabytes("RURK_CACHE_GB", int(KEEP * shutil.disk_usage(there).free))


def pixel_bytes(splits: Splits, size: int | None) -> int:
    """What a set takes decoded, if all its images are as large as the first."""
    first = decode(splits["train"][0][0], size)
    return sum(len(images) for images, _ in splits.values()) * first.size


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


def _white_of(folder: Path) -> int:
    """The white of a set that was looked through before; 0 where nobody has."""
    try:
        return int(json.loads((folder / "meta.json").read_text(encoding="utf-8"))["white"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _decoded(
    folder: Path,
    splits: Splits,
    classes: Sequence[str],
    notes: Sequence[str],
    white: int,
    *,
    size: int | None,
    progress: Progress | None,
) -> None:
    for split, (images, _) in splits.items():
        stack(images, folder / f"{split}.npy", size=size, progress=progress)
    _match_channels(folder)
    _describe(
        folder, splits, [Streamed(Kept.open(folder / f"{split}.npy")) for split in _SPLITS], classes, notes, white
    )


def _looked_through(
    folder: Path,
    splits: Splits,
    classes: Sequence[str],
    notes: Sequence[str],
    white: int,
    *,
    size: int | None,
    progress: Progress | None,
) -> None:
    """Read every image once, to know that all are whole and of one size, and the fingerprint of their pixels."""
    first = decode(splits["train"][0][0], size)
    for channels in (3,) if first.ndim == 3 else (1, 3):
        parts = [
            Streamed(Compressed(splits[split][0], (len(splits[split][0]), channels, *first.shape[:2]), size))
            for split in _SPLITS
        ]
        try:
            _describe(folder, splits, parts, classes, notes, white, progress)
            return
        except _ColourFound:
            continue


def _describe(
    folder: Path,
    splits: Splits,
    images: Sequence[Streamed],
    classes: Sequence[str],
    notes: Sequence[str],
    white: int,
    progress: Progress | None = None,
) -> None:
    """Write the labels, and what is known of the set."""
    labels = [torch.from_numpy(splits[split][1]) for split in _SPLITS]
    parts: list[Images] = [images[0], labels[0], images[1], labels[1]]
    meta = {
        "classes": list(classes),
        "notes": list(notes),
        "white": white,
        "fingerprint": fingerprint_of(parts, classes, progress=progress),
        "shapes": {split: list(part.shape) for split, part in zip(_SPLITS, images, strict=True)},
    }
    for split, values in zip(_SPLITS, labels, strict=True):
        np.save(folder / f"{split}_labels.npy", values.numpy())
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _kept(path: Path) -> Images:
    """Decoded images: mapped where they fit in memory, read when asked for where they do not."""
    source = Kept.open(path)
    images = Streamed(source)
    if images.nbytes > budget("cpu"):
        return images
    # copy-on-write: a tensor needs writable memory, and nothing written ever reaches the file
    return torch.from_numpy(np.load(path, mmap_mode="c"))


def _match_channels(folder: Path) -> None:
    """Where one split is grey throughout and the other has colour, both become RGB."""
    train, test = (Kept.open(folder / f"{split}.npy") for split in _SPLITS)
    if train.shape[2:] != test.shape[2:]:
        raise RurkError(
            f"Training images are {train.shape[3]}×{train.shape[2]}, test images {test.shape[3]}×{test.shape[2]}; "
            "ask for one size by adding ?size=32 to the path."
        )
    if train.shape[1] != test.shape[1]:
        for source in (train, test):
            if source.shape[1] == 1:
                wide = folder / "wide.npy"
                with wide.open("wb") as file:
                    _write_header(file, (source.shape[0], 3, *source.shape[2:]))
                    for block in Streamed(source).split(CHUNK):
                        file.write(np.repeat(block.numpy(), 3, axis=1).tobytes())
                wide.replace(source.path)
