"""The data sets by name, and :func:`load_dataset`, which also takes a path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import RurkError, UsageError
from .containers import Arrays, read_idx
from .dataset import Dataset, Progress, hold_out, make_dataset, plant, split_by_class
from .entry import DatasetEntry, data_root, from_images, plain_name, split_canaries, split_validation
from .images import ImageSet
from .parquet import Columns, load_parquet
from .recipes import FAST, GREY, PHOTOS, TABLE, Recipe, TrainConfig, alike
from .sources import fetch, load_path, read_cifar_archive, split_path
from .stream import Images

Split = tuple[Images, Tensor]
"""Images and labels."""


def dataset_entry(name: str) -> DatasetEntry:
    """The entry of a data set: of a name in :data:`DATASETS`, or one for the images that lie under a path."""
    return DATASETS.get(plain_name(name), _ELSEWHERE)


def with_validation(name: str, share: float) -> str:
    """The name of the same data with another share held out; as short as can be.

    >>> with_validation("digits", 0.2), with_validation("folder?size=32", 0.25), with_validation("digits", 0.1)
    ('digits?validation=0.2', 'folder?size=32&validation=0.25', 'digits')
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


def _named(name: str, train: Split, test: Split, classes: Sequence[str], source: str = "") -> Dataset:
    """The data set of an entry; ``source``: where this copy of it is from, if that says more than the entry does."""
    entry = DATASETS[name]
    return make_dataset(name, train, test, classes, licence=entry.licence, source=source or entry.source)


# --- sets that ship with scikit-learn -----------------------------------------------------------------------


def _held_out(name: str, values: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Dataset:
    """Values in [0, 1] and their labels, of which a seeded fifth is the test set."""
    x, y = torch.from_numpy(values).float(), torch.from_numpy(labels).long()
    train, test = split_by_class(y, 0.8, seed=0)
    return _named(name, (x[train], y[train]), (x[test], y[test]), classes)


def _scaled(rows: np.ndarray) -> np.ndarray:
    low, high = rows.min(0), rows.max(0)
    return (rows - low) / (high - low)


def _digits(root: Path, progress: Progress | None) -> Dataset:
    from sklearn.datasets import load_digits

    found = load_digits()
    return _held_out("digits", found.images[:, None] / 16, found.target, [str(i) for i in range(10)])


def _iris(root: Path, progress: Progress | None) -> Dataset:
    from sklearn.datasets import load_iris

    found = load_iris()
    return _held_out("iris", _scaled(found.data), found.target, [str(name) for name in found.target_names])


def _moons(root: Path, progress: Progress | None) -> Dataset:
    from sklearn.datasets import make_moons

    rows, labels = make_moons(1000, noise=0.15, random_state=0)
    return _held_out("moons", _scaled(rows), labels, ["upper moon", "lower moon"])


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
    name: str, read: Callable[[Path, Progress | None], tuple[Arrays, Sequence[str]]], label: str | None = None
) -> Callable[[Path, Progress | None], Dataset]:
    """What loads a set from Parquet files under the data root, or else from the archives that ``read`` fetches.

    Args:
        label: the column of the labels in such Parquet files, where these have several.
    """

    def load(root: Path, progress: Progress | None) -> Dataset:
        entry = DATASETS[name]
        found = _parquet_below(name, root, label, progress)
        if found:
            return from_images(name, found, entry.licence, f"{entry.source}; read from {root / name}")
        arrays, classes = read(root / name, progress)
        train, test = (
            (torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels))
            for images, labels in (arrays["train"], arrays["test"])
        )
        return _named(name, train, test, classes)

    return load


def _cifar(place: Path, progress: Progress | None, *, file: str, md5: str, coarse: int, names: str) -> Any:
    from torchvision.datasets import CIFAR10

    url = f"{CIFAR10.url.rpartition('/')[0]}/{file}"
    where = f"put {file}, or Parquet files called train*.parquet and test*.parquet, into {place}"
    archive = fetch(url, place / file, md5, progress=progress, where=where)
    return read_cifar_archive(archive, coarse=coarse, names=names)


def _mnist(place: Path, progress: Progress | None, *, kind: str) -> Any:
    import torchvision.datasets

    source = getattr(torchvision.datasets, kind)
    where = f"put {', '.join(name for name, _ in source.resources)} into {place}"
    for file, md5 in source.resources:
        fetch(f"{source.mirrors[-1]}{file}", place / file, md5, progress=progress, where=where)
    arrays = {split: (images[:, None], labels) for split, (images, labels) in read_idx(place).items()}
    return arrays, [str(name).split(" - ")[-1] for name in source.classes]


def _small_cifar5(root: Path, progress: Progress | None) -> Dataset:
    whole = _whole("cifar10", root, progress)

    def first(images: Images, labels: Tensor) -> Split:
        chosen = torch.cat([(labels == label).nonzero()[:200, 0] for label in range(5)])
        return images[chosen], labels[chosen]

    return _named(
        "small_cifar5",
        first(whole.train_images, whole.train_labels),
        first(whole.test_images, whole.test_labels),
        whole.classes[:5],
        f"{DATASETS['small_cifar5'].source}; from {whole.source}",
    )


RECIPES = ("quick", "paper", "fast")

_CIFAR_LICENCE = "free for research with citation (no formal licence)"
_CIFAR_SOURCE = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"
_WIDE = "0:0.3:11"
"""Radii where pixels are few or grey: the paper's would change nothing."""
_PAPER_TAUS = "0:0.0314:11"
"""The paper's radii, 0 to 8/255."""
_FINE_TUNE = TrainConfig(epochs=25, lr=0.01, schedule="cosine")

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
    ),
    "cifar10": DatasetEntry(
        title="CIFAR-10",
        licence=_CIFAR_LICENCE,
        source=_CIFAR_SOURCE,
        kind="image",
        model="resnet9",
        taus=_PAPER_TAUS,
        load=_published(
            "cifar10",
            partial(
                _cifar,
                file="cifar-10-binary.tar.gz",
                md5="c32a1d4ab5d03f1284b67883e8d87530",
                coarse=0,
                names="batches.meta.txt",
            ),
            "label",
        ),
        quick=PHOTOS,
        fast=FAST,
        paper=alike(TrainConfig(epochs=137, lr=0.01, schedule="cosine", augment="crop_flip")),
    ),
    "cifar100": DatasetEntry(
        title="CIFAR-100",
        licence=_CIFAR_LICENCE,
        source=_CIFAR_SOURCE,
        kind="image",
        model="resnet9",
        taus=_PAPER_TAUS,
        load=_published(
            "cifar100",
            partial(
                _cifar,
                file="cifar-100-binary.tar.gz",
                md5="03b5dce01913d631647c71ecec9e9cb8",
                coarse=1,
                names="fine_label_names.txt",
            ),
        ),
        quick=PHOTOS,
    ),
    "mnist": DatasetEntry(
        title="MNIST",
        licence="CC BY-SA 3.0",
        source="LeCun et al. 1998, the MNIST database",
        kind="image",
        model="cnn",
        taus=_WIDE,
        load=_published("mnist", partial(_mnist, kind="MNIST")),
        quick=alike(TrainConfig(epochs=3)),
    ),
    "fashion_mnist": DatasetEntry(
        title="Fashion-MNIST",
        licence="MIT",
        source="Xiao et al. 2017 (arXiv 1708.07747)",
        kind="image",
        model="cnn",
        taus=_WIDE,
        load=_published("fashion_mnist", partial(_mnist, kind="FashionMNIST")),
        quick=alike(TrainConfig(epochs=5)),
    ),
}

_ELSEWHERE = DatasetEntry(
    title="Images of one's own",
    licence="as given by its owner",
    source="a path to Parquet files or an image folder",
    kind="image",
    model="resnet9:16",
    taus=_PAPER_TAUS,
    load=lambda root, progress: load_dataset(str(root), progress=progress),
    quick=replace(
        # chosen on seeds 0 to 15: a network without batch normalisation diverged on one of them, and never so
        alike(replace(PHOTOS.train, clip=2.0)),
        origin="The data set has no training recipe of its own; models were trained by that of CIFAR-10, with "
        "gradients of a norm of 2 at most, and the radii are the paper's unless others were named.",
    ),
)
