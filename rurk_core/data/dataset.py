"""A data set is four tensors, class names and a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import RurkError, UsageError
from .stream import Images, Streamed, held

Progress = Callable[[int, int, str], None]
"""Called as ``progress(done, total, what)`` while data is read or fetched."""


@dataclass(frozen=True)
class Dataset:
    """Everything an experiment needs to know about its data.

    Attributes:
        name: registry key, or the name of the file or folder it came from.
        train_images, test_images: uint8 N×C×H×W for 8-bit images (a batch becomes floats by :func:`to_pixels`, so
            60,000 images take 184 MB and may stay on disk), float32 in [0, 1] otherwise (N×C×H×W or N×D). A tensor,
            or :class:`~rurk_core.data.stream.Streamed` where the memory of this machine is too small for one; take
            subsets of any size by :func:`~rurk_core.data.stream.held`.
        train_labels, test_labels: int64 N, from 0.
        classes: a name per class; plain text, whatever it holds.
        licence, source: one line each.
        fingerprint: 16 hex digits of the SHA-256 over pixels, labels and class names of both splits.
        validation_images, validation_labels: as the training samples, of which :func:`hold_out` has taken them; no
            model trains on them. None where nothing is held out.
        numbers: int64 N, the place of each training sample among all, those held out included; None where none are.
        canaries: training indices that :func:`plant` has given a wrong label.
        notes: how it was read, in sentences: which files are which split, what had to be converted.
    """

    name: str
    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    classes: tuple[str, ...]
    licence: str
    source: str
    fingerprint: str
    validation_images: Images | None = None
    validation_labels: Tensor | None = None
    numbers: Tensor | None = None
    canaries: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W) or (D,)."""
        return tuple(self.train_images.shape[1:])


def to_pixels(images: Tensor) -> Tensor:
    """uint8 → float32 in [0, 1]; float32 is returned as it is."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


def make_dataset(
    name: str,
    train: tuple[Images, Tensor],
    test: tuple[Images, Tensor],
    classes: Sequence[str],
    *,
    licence: str,
    source: str,
    fingerprint: str | None = None,
    notes: Sequence[str] = (),
) -> Dataset:
    """Check the parts and put them together.

    Raises:
        RurkError: a label out of range, no sample at all, fewer than two classes or a class nobody can learn.
    """
    if len(classes) < 2:
        raise RurkError(f"The data set '{name}' has {len(classes)} class; telling apart needs at least two.")
    for split, (images, labels) in (("training", train), ("test", test)):
        if not len(labels) or len(images) != len(labels):
            raise RurkError(f"The data set '{name}' has no {split} samples.")
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(classes):
            wrong = low if low < 0 else high
            raise RurkError(
                f"The data set '{name}' has the label {wrong} among its {split} samples, "
                f"but labels run from 0 to {len(classes) - 1}."
            )
    present = torch.bincount(train[1], minlength=len(classes))
    if (present == 1).any():
        single = classes[int((present == 1).nonzero()[0])]
        raise RurkError(f"The class '{single}' of '{name}' has a single training image; add more or remove the class.")
    print_ = fingerprint or fingerprint_of([*train, *test], classes)
    return Dataset(name, *train, *test, tuple(classes), licence, source, print_, notes=tuple(notes))


def fingerprint_of(parts: Sequence[Images], classes: Sequence[str], *, progress: Progress | None = None) -> str:
    """16 hex digits of the SHA-256 over images and labels (with their shapes) and class names.

    Streamed images have the fingerprint of the tensor they would be; ``progress`` is told how far they are read.
    """
    digest = hashlib.sha256("\0".join(classes).encode())
    total = sum(len(part) for part in parts if isinstance(part, Streamed))
    done = 0
    for part in parts:
        digest.update(f"{str(part.dtype).removeprefix('torch.')}{tuple(part.shape)}".encode())
        rows = max(1, min(512, 2**26 * len(part) // max(1, part.nbytes)))  # 64 MB at a time
        for block in part.split(rows) if isinstance(part, Streamed) else (part,):
            digest.update(np.ascontiguousarray(block.numpy()).data)
            if progress and isinstance(part, Streamed):
                done += len(block)
                progress(done, total, "Looking through the images")
    return digest.hexdigest()[:16]


def hold_out(dataset: Dataset, share: float) -> Dataset:
    """The data set with a share of the training samples of every class set apart for validation, always the same ones.

    The training samples that are left keep their order and are counted anew from 0: forget sets choose among them. A
    class keeps at least two; of one with fewer than three nothing is held out. With ``share`` 0, the data set itself.

    Args:
        share: above 0 and below 1, of each class, rounded; at least one sample.
    """
    if not share:
        return dataset
    labels = dataset.train_labels
    enough = (torch.bincount(labels, minlength=len(dataset.classes)) >= 3)[labels].nonzero()[:, 0]
    if not len(enough):
        return dataset
    _, chosen = split_by_class(labels[enough], 1 - share, seed=0)
    apart = torch.zeros(len(labels), dtype=torch.bool)
    apart[enough[chosen]] = True
    for label in labels[apart].unique():  # a large share of a small class
        left = ((labels == label) & ~apart).sum()
        if left < 2:
            apart[((labels == label) & apart).nonzero()[: 2 - left, 0]] = False
    rest, validation = (~apart).nonzero()[:, 0], apart.nonzero()[:, 0]
    return replace(
        dataset,
        train_images=held(dataset.train_images, rest, "cpu"),
        train_labels=labels[rest],
        validation_images=held(dataset.train_images, validation, "cpu"),
        validation_labels=labels[validation],
        numbers=rest,
        source=f"{dataset.source}; {len(validation)} training samples held out for validation",
        fingerprint=hashlib.sha256(f"{dataset.fingerprint}/validation={share:g}".encode()).hexdigest()[:16],
    )


def plant(dataset: Dataset, count: int) -> Dataset:
    """The data set with ``count`` training samples, always the same ones, under a wrong label, drawn among the others.

    Nobody who has not seen a canary says its label, so what a model knows of it is memory of this very sample: a known
    truth to hold evidence against. With ``count`` 0, the data set itself.

    Raises:
        UsageError: more canaries than a tenth of the training samples.
    """
    n, classes = len(dataset.train_labels), len(dataset.classes)
    if not count:
        return dataset
    if count > n // 10:
        raise UsageError(f"At most a tenth of the training samples, {n // 10}, can be canaries, not {count}.")
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(n, generator=generator)[:count].sort().values
    labels = dataset.train_labels.clone()
    labels[chosen] = (labels[chosen] + torch.randint(1, classes, (count,), generator=generator)) % classes
    return replace(
        dataset,
        train_labels=labels,
        canaries=tuple(chosen.tolist()),
        notes=(*dataset.notes, f"{count} training samples are canaries: they carry a wrong label, drawn at random."),
        fingerprint=hashlib.sha256(f"{dataset.fingerprint}/canaries={count}".encode()).hexdigest()[:16],
    )


def numbered(dataset: Dataset, index: Tensor) -> tuple[Tensor, Tensor]:
    """Images and labels, on the CPU, of training samples by their index and, behind them all, of test samples.

    Args:
        index: int64, all training samples before the first test sample.
    """
    n = len(dataset.train_labels)
    parts = (index[index < n], index[index >= n] - n)
    images = [
        held(all_, part, "cpu")[:]
        for all_, part in zip((dataset.train_images, dataset.test_images), parts, strict=True)
        if len(part)
    ]
    return torch.cat(images), torch.cat([dataset.train_labels[parts[0]], dataset.test_labels[parts[1]]])


def split_by_class(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of a seeded split that keeps the classes' proportions: (training, test), each sorted.

    Every class with at least two samples has at least one on either side.
    """
    generator = torch.Generator().manual_seed(seed)
    train, test = [], []
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=generator)]
        cut = min(max(1, round(share * len(members))), len(members) - 1) if len(members) > 1 else 1
        train.append(members[:cut])
        test.append(members[cut:])
    return torch.cat(train).sort().values, torch.cat(test).sort().values
