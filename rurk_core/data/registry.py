"""The data sets by name, and :func:`load_dataset`, which also takes a path."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import RurkError, UsageError
from .dataset import Dataset, Progress, hold_out, make_dataset, plant, split_by_class
from .entry import DatasetEntry, data_root, from_images, plain_name, split_canaries, split_validation
from .images import ImageSet
from .parquet import Columns, load_parquet
from .recipes import FAST, GREY, PHOTOS, TABLE, Recipe, TrainConfig, alike
from .sources import fetch, load_path, read_cifar_binary, split_path


def dataset_entry(name: str) -> DatasetEntry:
    """The entry of a data set: of a name in :data:`DATASETS`, or one for the images that lie under a path."""
    return DATASETS.get(plain_name(name), _ELSEWHERE)


def with_validation(name: str, share: float) -> str:
    """The name of the same data with another share held out; as short as can be.

    >>> with_validation("digits", 0.1), with_validation("folder?size=32", 0.25), with_validation("digits", 0)
    ('digits?validation=0.1', 'folder?size=32&validation=0.25', 'digits')
    """
    base, _ = split_validation(name)
    if share == dataset_entry(base).validation:
        return base
    return f"{base}{'&' if '?' in base else '?'}validation={share:g}"


def find_recipe(name: str, dataset: str) -> Recipe:
    """The recipe ``name`` (one of :data:`RECIPES`) for a data set by name or path.

    Raises:
        UsageError: no such recipe, or none of that name for this data set.
    """
    if name not in RECIPES:
        raise UsageError(f"There is no recipe '{name}'; choose one of {', '.join(RECIPES)}.")
    found: Recipe | None = getattr(dataset_entry(dataset), name)
    if found is None:
        known = ", ".join(key for key, entry in DATASETS.items() if getattr(entry, name))
        raise UsageError(f"There is no {name} recipe for '{dataset}', only for {known}; take the quick one.")
    return found


def load_dataset(name: str, root: str | Path | None = None, *, progress: Progress | None = None) -> Dataset:
    """A data set by name, or from a path to Parquet files or an image folder.

    Args:
        name: a key of :data:`DATASETS`, or a path (``folder?size=32`` brings its images to one size;
            ``?image=`` and ``?label=`` name columns, ``&`` stands between them); with ``?validation=0.2`` behind it,
            or ``&validation=0.2``, that share is held out and not the entry's; with ``?canaries=20``, so many training
            samples get a wrong label (:func:`~rurk_core.data.dataset.plant`).
        root: see :func:`data_root`.
        progress: called while images are fetched and decoded, the first time.

    Raises:
        RurkError: the data is missing or damaged; the sentence says what to do.

    >>> load_dataset("digits").input_shape
    (1, 8, 8)
    """
    name, share = split_validation(name)
    name, canaries = split_canaries(name)
    whole = _whole(name, root, progress)
    return plant(hold_out(whole, dataset_entry(name).validation if share is None else share), canaries)


def _whole(name: str, root: str | Path | None, progress: Progress | None) -> Dataset:
    """A data set of which nothing is held out."""
    if name in DATASETS:
        return DATASETS[name].load(data_root(root), progress)
    if not any(mark in name for mark in "/\\.?~") and not Path(name).exists():
        raise UsageError(f"There is no data set '{name}'; choose one of {', '.join(DATASETS)}, or name a path.")
    if (known := name.partition("?")[0]) in DATASETS:
        raise UsageError(f"The data set '{known}' takes ?validation= and ?canaries= and nothing else, not '{name}'.")
    found = load_path(name, progress)
    title = split_path(name)[0].resolve().stem or name
    return from_images(title, found, "as given by its owner", f"{name}")


# --- sets that ship with scikit-learn -----------------------------------------------------------------------


def _split(name: str, images: Tensor, labels: Tensor, classes: list[str]) -> Dataset:
    train, test = split_by_class(labels, 0.8, seed=0)
    entry = DATASETS[name]
    return make_dataset(
        name,
        (images[train], labels[train]),
        (images[test], labels[test]),
        classes,
        licence=entry.licence,
        source=entry.source,
    )


def _digits(root: Path, progress: Progress | None) -> Dataset:
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.from_numpy(found.images / 16).float().unsqueeze(1)
    return _split("digits", images, torch.from_numpy(found.target).long(), [str(i) for i in range(10)])


def _iris(root: Path, progress: Progress | None) -> Dataset:
    from sklearn.datasets import load_iris

    found = load_iris()
    low, high = found.data.min(0), found.data.max(0)
    rows = torch.from_numpy((found.data - low) / (high - low)).float()
    return _split("iris", rows, torch.from_numpy(found.target).long(), [str(name) for name in found.target_names])


def _moons(root: Path, progress: Progress | None) -> Dataset:
    from sklearn.datasets import make_moons

    rows, labels = make_moons(1000, noise=0.15, random_state=0)
    low, high = rows.min(0), rows.max(0)
    return _split(
        "moons",
        torch.from_numpy((rows - low) / (high - low)).float(),
        torch.from_numpy(labels).long(),
        ["upper moon", "lower moon"],
    )


# --- image sets that ship with this package ----------------------------------------------------------------


def _fashion(root: Path, progress: Progress | None) -> Dataset:
    entry = DATASETS["fashion"]
    files = sorted((Path(__file__).parent / "shipped" / "fashion").glob("*.parquet"))
    return from_images("fashion", load_parquet(files, progress=progress), entry.licence, entry.source)


# --- published image sets -----------------------------------------------------------------------------------


def _parquet_below(name: str, root: Path, label: str | None, progress: Progress | None) -> ImageSet | None:
    """The set as Parquet under the root, if it lies there."""
    if root.exists() and not root.is_dir():
        raise RurkError(f"The data root {root} is a file; name the folder that holds the data sets.")
    for folder in (root / name, root / name / "data"):
        files = sorted(folder.glob("*.parquet"))
        if files:
            return load_parquet(files, columns=Columns(label=label), progress=progress)
    return None


def _published(
    name: str, root: Path, label: str | None, read: Callable[[Path], tuple[dict, list[str]]], progress: Progress | None
) -> Dataset:
    entry = DATASETS[name]
    found = _parquet_below(name, root, label, progress)
    if found:
        return from_images(name, found, entry.licence, f"{entry.source}; read from {root / name}")
    splits, classes = read(root / name)
    tensors = {
        split: (torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels))
        for split, (images, labels) in splits.items()
    }
    return make_dataset(name, tensors["train"], tensors["test"], classes, licence=entry.licence, source=entry.source)


def _cifar(name: str, file: str, md5: str, folder: str, coarse: int, names_file: str, label: str | None):
    def load(root: Path, progress: Progress | None) -> Dataset:
        def read(place: Path) -> tuple[dict, list[str]]:
            import tarfile

            from torchvision.datasets import CIFAR10

            url = f"{CIFAR10.url.rpartition('/')[0]}/{file}"
            where = f"put {file}, or Parquet files called train*.parquet and test*.parquet, into {place}"
            archive = fetch(url, place / file, md5, progress=progress, where=where)
            splits = read_cifar_binary(archive, coarse_bytes=coarse, folder=folder)
            with tarfile.open(archive) as tar:
                names = tar.extractfile(f"{folder}/{names_file}")
                assert names is not None
                return splits, names.read().decode().split()

        return _published(name, root, label, read, progress)

    return load


def _mnist(name: str, kind: str):
    def load(root: Path, progress: Progress | None) -> Dataset:
        def read(place: Path) -> tuple[dict, list[str]]:
            import torchvision.datasets

            source = getattr(torchvision.datasets, kind)
            arrays = []
            for file, md5 in source.resources:
                where = f"put {', '.join(name for name, _ in source.resources)} into {place}"
                path = fetch(f"{source.mirrors[-1]}{file}", place / file, md5, progress=progress, where=where)
                with gzip.open(path) as packed:
                    data = np.frombuffer(packed.read(), np.uint8)
                images = data[3] == 3  # the fourth byte of the header counts the dimensions
                arrays.append(data[16:].reshape(-1, 1, 28, 28) if images else data[8:].astype(np.int64))
            classes = [str(c).split(" - ")[-1] for c in source.classes]
            return {"train": (arrays[0], arrays[1]), "test": (arrays[2], arrays[3])}, classes

        return _published(name, root, None, read, progress)

    return load


def _small_cifar5(root: Path, progress: Progress | None) -> Dataset:
    whole = _whole("cifar10", root, progress)
    entry = DATASETS["small_cifar5"]

    def first(labels: Tensor) -> Tensor:
        return torch.cat([(labels == label).nonzero()[:200, 0] for label in range(5)])

    train, test = first(whole.train_labels), first(whole.test_labels)
    return make_dataset(
        "small_cifar5",
        (whole.train_images[train], whole.train_labels[train]),
        (whole.test_images[test], whole.test_labels[test]),
        whole.classes[:5],
        licence=entry.licence,
        source=f"{entry.source}; from {whole.source}",
    )


RECIPES = ("quick", "paper", "fast")

_CIFAR_LICENCE = "free for research with citation (no formal licence)"
_CIFAR_SOURCE = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"
_WIDE = "0:0.3:11"
"""Radii where pixels are few or grey: the paper's would change nothing."""
_PAPER_TAUS = "0:0.0314:11"
"""The paper's radii, 0 to 8/255."""
_FINE_TUNE = TrainConfig(epochs=25, lr=0.01, schedule="cosine")

_HELD_OUT = 0.1

DATASETS: dict[str, DatasetEntry] = {
    "fashion": DatasetEntry(
        title="Fashion-MNIST, small",
        licence="MIT",
        source="Xiao et al. 2017 (arXiv 1708.07747), the first 500 training and 100 test images of each class",
        kind="image",
        model="cnn",
        taus="0:0.2:11",
        load=_fashion,
        quick=alike(replace(GREY.train, epochs=12)),
        validation=_HELD_OUT,
    ),
    "digits": DatasetEntry(
        title="Handwritten digits, 8×8",
        licence="CC BY 4.0",
        source="UCI Optical Recognition of Handwritten Digits, as in scikit-learn; a seeded fifth held out",
        kind="image",
        model="cnn",
        taus=_WIDE,
        load=_digits,
        quick=GREY,
    ),
    "iris": DatasetEntry(
        title="Iris flowers",
        licence="CC BY 4.0",
        source="UCI Iris (Fisher 1936), as in scikit-learn; scaled to [0, 1]",
        kind="table",
        model="mlp",
        taus=_WIDE,
        load=_iris,
        quick=TABLE,
    ),
    "moons": DatasetEntry(
        title="Two moons",
        licence="BSD-3-Clause",
        source="scikit-learn make_moons(1000, noise=0.15, random_state=0)",
        kind="table",
        model="mlp",
        taus=_WIDE,
        load=_moons,
        quick=TABLE,
    ),
    "small_cifar5": DatasetEntry(
        title="Small CIFAR-5",
        licence=_CIFAR_LICENCE,
        source="the paper's subset of CIFAR-10: first five classes, the first 200 training and test images of each",
        kind="image",
        model="resnet9",
        taus=_PAPER_TAUS,
        load=_small_cifar5,
        quick=Recipe(_FINE_TUNE, _FINE_TUNE, PHOTOS.train),
        paper=Recipe(
            _FINE_TUNE,
            TrainConfig(epochs=100, lr=0.01, schedule="cosine"),
            TrainConfig(epochs=200, lr=0.4, weight_decay=2e-4, schedule="cosine", augment="crop_flip"),
        ),
        pretrain_on="cifar10",
        validation=_HELD_OUT,
    ),
    "cifar10": DatasetEntry(
        title="CIFAR-10",
        licence=_CIFAR_LICENCE,
        source=_CIFAR_SOURCE,
        kind="image",
        model="resnet9",
        taus=_PAPER_TAUS,
        load=_cifar(
            "cifar10",
            "cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
            "cifar-10-batches-bin",
            0,
            "batches.meta.txt",
            "label",
        ),
        quick=PHOTOS,
        fast=FAST,
        paper=alike(TrainConfig(epochs=137, lr=0.01, schedule="cosine", augment="crop_flip")),
        validation=_HELD_OUT,
    ),
    "cifar100": DatasetEntry(
        title="CIFAR-100",
        licence=_CIFAR_LICENCE,
        source=_CIFAR_SOURCE,
        kind="image",
        model="resnet9",
        taus=_PAPER_TAUS,
        load=_cifar(
            "cifar100",
            "cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
            "cifar-100-binary",
            1,
            "fine_label_names.txt",
            None,
        ),
        quick=PHOTOS,
        validation=_HELD_OUT,
    ),
    "mnist": DatasetEntry(
        title="MNIST",
        licence="CC BY-SA 3.0",
        source="LeCun et al. 1998, the MNIST database",
        kind="image",
        model="cnn",
        taus=_WIDE,
        load=_mnist("mnist", "MNIST"),
        quick=alike(TrainConfig(epochs=3)),
        validation=_HELD_OUT,
    ),
    "fashion_mnist": DatasetEntry(
        title="Fashion-MNIST",
        licence="MIT",
        source="Xiao et al. 2017 (arXiv 1708.07747)",
        kind="image",
        model="cnn",
        taus=_WIDE,
        load=_mnist("fashion_mnist", "FashionMNIST"),
        quick=alike(TrainConfig(epochs=5)),
        validation=_HELD_OUT,
    ),
}

_ELSEWHERE = DatasetEntry(
    title="Images of one's own",
    licence="as given by its owner",
    source="a path to Parquet files or an image folder",
    kind="image",
    model="resnet9:16",
    taus=_PAPER_TAUS,
    validation=_HELD_OUT,
    load=lambda root, progress: load_dataset(str(root), progress=progress),
    quick=replace(
        PHOTOS,
        origin="The data set has no training recipe of its own; models were trained by that of CIFAR-10, and the radii "
        "are the paper's unless others were named.",
    ),
)
