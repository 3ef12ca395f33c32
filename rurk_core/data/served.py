"""Data sets for a server: what a visitor names by path is read by a process that can be ended."""

from __future__ import annotations

import os
from pathlib import Path

from ..apart.reading import Reading
from .dataset import Dataset, Progress
from .entry import split_canaries, split_validation
from .registry import DATASETS, load_dataset
from .sources import load_path, split_path


def load_dataset_apart(name: str, root: str | Path | None = None, *, progress: Progress | None = None) -> Dataset:
    """As :func:`load_dataset`, for a server: what lies under a path is first read, and its images decoded and kept, by
    a process that is ended when it takes too much memory or, for too long, gets no further.

    Raises:
        RurkError: as there, or it was given up.
    """
    images, _ = split_canaries(split_validation(name)[0])
    if images not in DATASETS and os.path.exists(path := split_path(images)[0]):
        with Reading() as reading:
            what, told = f"The data set {path.name}", progress or (lambda *_: None)
            reading.ask(f"{__name__}:read_apart", [images], size=_bytes_below(path), what=what, told=told)
    return load_dataset(name, root, progress=progress)


def _bytes_below(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 where they cannot be looked at."""
    try:
        return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    except OSError:
        return 0


def read_apart(images: str, progress: Progress) -> None:
    """Read the images of a path once, so that they are kept decoded: what the process of :func:`load_dataset_apart`
    does.
    """
    load_path(images, progress)
