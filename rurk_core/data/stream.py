"""Images that are too many to be held: read when they are asked for, the next batch while the current one is computed.

A set that fits the budget of a device (:func:`budget`) is one tensor there, and a batch is an index slice of it. A
larger one is :class:`Streamed`: an order of rows over a source on disk. Both hold the same bytes in the same order,
so what is computed from them is the same, bit for bit.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
import torch
from torch import Tensor

from ..errors import RurkError

SHARE = 0.25
"""Share of a device's free memory that the images of one set may take."""
AHEAD = 2
"""Batches that are read before they are asked for."""


class Source(Protocol):
    """Where rows come from.

    Attributes:
        shape: (N, C, H, W).
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self, index: np.ndarray) -> Tensor:
        """int64 [B] → uint8 B×C×H×W on the CPU, made for this call."""
        ...


@dataclass(frozen=True)
class Kept:
    """Rows of a ``.npy`` file of uint8, read and not mapped: mapped pages would count as memory of the process."""

    path: Path
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def open(cls, path: Path) -> Kept:
        """The rows of ``path``.

        Raises:
            ValueError: it is no such file.
        """
        rows = np.load(path, mmap_mode="r")
        if rows.dtype != np.uint8 or not rows.flags.c_contiguous:
            raise ValueError(path)
        return cls(path, rows.shape, rows.offset)

    def read(self, index: np.ndarray) -> Tensor:
        out = np.empty((len(index), *self.shape[1:]), np.uint8)
        size = math.prod(self.shape[1:])
        runs = np.split(np.arange(len(index)), np.flatnonzero(np.diff(index) != 1) + 1) if len(index) else []
        with self.path.open("rb", buffering=0) as file:
            for run in runs:
                file.seek(self.offset + size * int(index[run[0]]))
                if file.readinto(out[run[0] : run[-1] + 1].data.cast("B")) != size * len(run):
                    raise RurkError(f"The file {self.path} ends early; remove it and load the data again.")
        return torch.from_numpy(out)


@dataclass(frozen=True)
class InMemory:
    """Rows of a tensor on the CPU, for a device that cannot hold it."""

    images: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.images.shape)

    def read(self, index: np.ndarray) -> Tensor:
        return self.images[torch.from_numpy(index)]


@dataclass(frozen=True)
class Joined:
    """One set behind the other."""

    parts: tuple[Images, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return sum(map(len, self.parts)), *self.parts[0].shape[1:]

    def read(self, index: np.ndarray) -> Tensor:
        rows = torch.from_numpy(index)
        out = torch.empty((len(index), *self.shape[1:]), dtype=self.parts[0].dtype)
        start = 0
        for part in self.parts:
            here = (rows >= start) & (rows < start + len(part))
            if here.any():
                out[here] = part[(rows[here] - start).to(part.device)].cpu()
            start += len(part)
        return out


class Streamed:
    """Images N×C×H×W that are read when they are asked for; what is read arrives on ``device``.

    ``images[what]`` reads, for whatever a tensor takes as a first index; :meth:`take` only chooses.

    >>> images = Streamed(InMemory(torch.arange(12, dtype=torch.uint8).view(3, 1, 2, 2)))
    >>> images.take(torch.tensor([2, 0]))[0].flatten().tolist()
    [8, 9, 10, 11]
    """

    def __init__(
        self, source: Source, rows: Tensor | None = None, device: torch.device | str = "cpu", dtype: Any = torch.uint8
    ) -> None:
        self.source, self.rows, self.device, self.dtype = source, rows, torch.device(device), dtype
        self.shape = torch.Size((source.shape[0] if rows is None else len(rows), *source.shape[1:]))

    def __len__(self) -> int:
        return self.shape[0]

    def dim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """What they would take as a tensor."""
        return self.shape.numel() * self.dtype.itemsize

    def __getitem__(self, what: Any) -> Tensor:
        index = self._index(what)
        if not index.dim():
            return self[index.view(1)][0]
        return self.read(index).to(self.device)

    def take(self, what: Any) -> Streamed:
        """A choice of them, not read yet."""
        index = self._index(what)
        return Streamed(self.source, index if self.rows is None else self.rows[index], self.device, self.dtype)

    def to(self, device: torch.device | str) -> Streamed:
        """The same, arriving on another device."""
        return Streamed(self.source, self.rows, device, self.dtype)

    def split(self, size: int) -> Iterator[Tensor]:
        """All of them in order, ``size`` at a time, read ahead."""
        return batches(self, torch.arange(len(self)).split(size))

    def read(self, index: Tensor) -> Tensor:
        """int64 [B] on the CPU → B images on the CPU."""
        return self.source.read((index if self.rows is None else self.rows[index]).numpy())

    def _index(self, what: Any) -> Tensor:
        if isinstance(what, slice):
            return torch.arange(len(self))[what]
        index = torch.as_tensor(what).cpu()
        index = index.nonzero()[:, 0] if index.dtype == torch.bool else index.long()
        if ((index < -len(self)) | (index >= len(self))).any():
            raise IndexError(f"there are {len(self)} images")
        return torch.where(index < 0, index + len(self), index)


Images = Tensor | Streamed
"""uint8 or float32, N×C×H×W or N×D; only uint8 images are ever streamed."""


def batches(images: Images, indices: Sequence[Tensor]) -> Iterator[Tensor]:
    """``images[index]`` for every index in turn; what has to be read is read ahead by a thread of its own.

    For a GPU that thread also copies to it, from pinned memory and beside the stream that computes.
    """
    if isinstance(images, Tensor):
        yield from (images[index] for index in indices)
        return
    if not indices:
        return
    # one wait for the device, not one for each batch
    wanted = torch.cat(list(indices)).cpu().split([len(index) for index in indices])
    device = images.device
    beside = torch.cuda.Stream(device) if device.type == "cuda" else None

    def load(index: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
        rows = images.read(index)
        if beside is None:
            return rows.to(device), None
        with torch.cuda.stream(beside):
            return rows.pin_memory().to(device, non_blocking=True), beside.record_event()

    def arrived(loading: Future[tuple[Tensor, torch.cuda.Event | None]]) -> Tensor:
        rows, copied = loading.result()
        if copied is not None:
            here = torch.cuda.current_stream(device)
            here.wait_event(copied)
            rows.record_stream(here)
        return rows

    reader, waiting = ThreadPoolExecutor(1, "read ahead"), deque[Future[Any]]()
    try:
        for index in wanted:
            waiting.append(reader.submit(load, index))
            if len(waiting) > AHEAD:
                yield arrived(waiting.popleft())
        while waiting:
            yield arrived(waiting.popleft())
    finally:
        reader.shutdown(cancel_futures=True)


def held(images: Images, index: Tensor | None, device: torch.device | str) -> Images:
    """Images of a set, all or those of ``index``, on a device: one tensor if they fit its budget, else streamed."""
    device = torch.device(device)
    count = len(images) if index is None else len(index)
    fits = count * math.prod(images.shape[1:]) * images.dtype.itemsize <= budget(device)
    if isinstance(images, Tensor):
        if fits or images.device.type != "cpu" or images.dtype != torch.uint8:
            return (images if index is None else images[index.to(images.device)]).to(device)
        return Streamed(InMemory(images), None if index is None else index.cpu(), device)
    chosen = images.to(device) if index is None else images.to(device).take(index)
    return chosen[:] if fits else chosen


def joined(parts: Sequence[Images]) -> Images:
    """One behind the other, as ``torch.cat``; streamed if a part is, or if together they exceed the budget."""
    tensors = [part for part in parts if isinstance(part, Tensor)]
    device, size = parts[0].device, sum(part.nbytes for part in parts)
    if len(tensors) == len(parts) and (size <= budget(device) or tensors[0].dtype != torch.uint8):
        return torch.cat(tensors)
    return Streamed(Joined(tuple(parts)), None, device)


def budget(device: torch.device | str) -> int:
    """Bytes that the images of one set may take on a device: ``RURK_IMAGES_GB``, or a quarter of what is free."""
    return gigabytes("RURK_IMAGES_GB", int(SHARE * free_memory(torch.device(device))))


def gigabytes(variable: str, default: int) -> int:
    """Bytes from an environment variable in GB.

    Raises:
        RurkError: it is no number of at least 0.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise RurkError(f"The variable {variable} must be a number of GB, not '{text[:20]}'.")
    return int(value * 10**9)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be used on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
