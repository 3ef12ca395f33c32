"""Image sets in other containers: NumPy archives, IDX, CIFAR's binary version, saved Hugging Face sets, WebDataset.

Nothing is unpickled. What people have as a pickle is refused with the line that converts it.
"""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from ..errors import RurkError
from .dataset import Progress, fingerprint_of, split_by_class
from .decoding import SUFFIXES, Encoded, Splits
from .images import ImageSet, cached
from .labels import all_hidden, numbered
from .parquet import TEST_SHARE, hold_out
from .splits import is_junk, split_of, split_word, train_and_test

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]
"""Split → images and labels as they are in the files."""
GROWTH, SPARE = 5, 50e6
"""What is packed may be so many times as large as the file, and so many bytes on top."""
_NPZ = {
    "train": (("train_images", "x_train", "X_train", "train_x"), ("train_labels", "y_train", "Y_train", "train_y")),
    "validation": (("val_images", "x_val", "X_val", "val_x"), ("val_labels", "y_val", "Y_val", "val_y")),
    "test": (("test_images", "x_test", "X_test", "test_x"), ("test_labels", "y_test", "Y_test", "test_y")),
    "": (("images", "x", "X", "data", "arr_0"), ("labels", "y", "Y", "targets", "arr_1")),
}
"""Split → what its images and labels are called: MedMNIST's keys, Keras' and plain ones."""
_IDX_IMAGES, _IDX_LABELS = 0x00000803, 0x00000801
CIFAR_ROW = 3 * 32 * 32
"""Bytes of the pixels of an image."""


def find_container(path: Path) -> Callable[[Path, int | None, Progress | None], ImageSet] | None:
    """What reads the set at ``path``; None where it is none of these containers.

    Raises:
        RurkError: it is a pickle or a tensor file, which are not opened; the sentence says what to do.
    """
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix == ".npz":
            return lambda path, size, progress: _from_arrays(_npz(path), path, size)
        if suffix == ".tar":
            return _webdataset
        if suffix in (".pkl", ".pickle", ".p", ".pt", ".pth"):
            raise RurkError(_convert(path))
        return None
    if not path.is_dir():
        return None
    names = [file.name for file in path.iterdir() if not is_junk(file.name)]
    if "state.json" in names or "dataset_dict.json" in names:
        return _saved
    if any("ubyte" in name for name in names):
        return lambda path, size, progress: _from_arrays(read_idx(path), path, size)
    if any(name.endswith(".bin") and ("batch" in name or name in ("train.bin", "test.bin")) for name in names):
        return lambda path, size, progress: _from_arrays(_cifar(path), path, size)
    if any(name.startswith("data_batch") and "." not in name for name in names):
        raise RurkError(_convert(path / next(name for name in names if name.startswith("data_batch"))))
    if (
        names
        and all(name.endswith((".tar", ".json", ".txt", ".md")) for name in names)
        and any(name.endswith(".tar") for name in names)
    ):
        return _webdataset
    return None


def _convert(path: Path) -> str:
    return (
        f"{path} is a pickle, which could run code and is not opened. Where you trust it, write it anew: numpy.savez("
        "'set.npz', x_train=..., y_train=..., x_test=..., y_test=...) with images as uint8 N×H×W×C, and name set.npz."
    )


# --- arrays -------------------------------------------------------------------------------------------------


def _from_arrays(groups: Arrays, path: Path, size: int | None) -> ImageSet:
    """An image set of arrays that are decoded already."""
    if size:
        raise RurkError(f"The images in {path} have one size already; leave ?size= away.")
    said = []
    if "test" in groups and all_hidden(groups["test"][1]):
        del groups["test"]
        said = ["The labels of the test samples are hidden (-1), so these are left aside."]
    names = {split: split or "all samples" for split in groups}
    train, test, notes = train_and_test(groups, names, path)
    parts = {"train": train} | ({"test": test} if test else {})
    images = {split: _pixels(part[0], path) for split, part in parts.items()}
    labels, classes, more = numbered({split: _flat_labels(part[1], path) for split, part in parts.items()})
    for split in parts:
        if len(images[split]) != len(labels[split]):
            raise RurkError(
                f"{path} has {len(images[split])} images and {len(labels[split])} labels in '{names[split]}'."
            )
    tensors = {split: (torch.from_numpy(images[split]), torch.from_numpy(labels[split])) for split in parts}
    if not test:
        first, last = split_by_class(tensors["train"][1], 1 - TEST_SHARE, seed=0)
        x, y = tensors["train"]
        tensors = {"train": (x[first], y[first]), "test": (x[last], y[last])}
    print_ = fingerprint_of([*tensors["train"], *tensors["test"]], classes)
    return ImageSet(tensors["train"], tensors["test"], tuple(classes), print_, (*said, *notes, *more))


def _pixels(array: np.ndarray, path: Path) -> np.ndarray:
    """uint8 N×C×H×W of N×H×W, N×H×W×C or N×C×H×W; floats in [0, 1] become bytes only where that loses nothing."""
    if array.dtype.kind == "f" and array.size and float(array.min()) >= 0 and float(array.max()) <= 1:
        found: np.ndarray = array.astype(np.float32)
    elif array.dtype.kind in "iuf" and array.size and array.min() >= 0 and array.max() <= 255:
        found = array.astype(np.uint8)
        if (found != array).any():
            raise RurkError(
                f"The images in {path} are fractions beyond 1; write bytes from 0 to 255, or floats in [0, 1]."
            )
    else:
        raise RurkError(f"The images in {path} must be bytes from 0 to 255, or floats in [0, 1].")
    if found.ndim == 3:
        return found[:, None]
    if found.ndim != 4 or not {found.shape[1], found.shape[3]} & {1, 3}:
        raise RurkError(
            f"The images in {path} have the shape {array.shape}; written is N×H×W or N×H×W×C, C being 1 or 3."
        )
    return np.ascontiguousarray(found.transpose(0, 3, 1, 2) if found.shape[3] in (1, 3) else found)


def _flat_labels(array: np.ndarray, path: Path) -> np.ndarray:
    """Labels N or N×1."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise RurkError(f"The labels in {path} have the shape {array.shape}; one label per image is read.")
    return array


def _npz(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if sum(part.file_size for part in archive.zip.infolist()) > GROWTH * path.stat().st_size + SPARE:
                raise RurkError(f"The archive {path} unpacks to far more than it holds, and is not read.")
            groups = {}
            for split, keys in _NPZ.items():
                image, label = (next((key for key in wanted if key in archive.files), None) for wanted in keys)
                if image and label:
                    groups[split] = archive[image], archive[label]
            known = ", ".join(archive.files[:8])
    except RurkError:
        raise
    except Exception:
        raise RurkError(f"The archive {path} is damaged, or holds pickled objects, which are not opened.") from None
    if not groups:
        raise RurkError(f"{path} must hold x_train and y_train, or train_images and train_labels; it has {known}.")
    return groups


def read_idx(path: Path) -> Arrays:
    """The files of MNIST and its like, packed or not; images and labels of a split by its word."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for file in sorted(path.iterdir()):
        if "ubyte" not in file.name or is_junk(file.name):
            continue
        split = "test" if file.name.startswith("t10k") else split_word(file.name) or ""
        kind, array = _read_idx(file)
        if kind in found.setdefault(split, {}):
            continue  # the same file, packed and not
        found[split][kind] = array
    if any(parts.keys() != {_IDX_IMAGES, _IDX_LABELS} for parts in found.values()):
        raise RurkError(
            f"Each split in {path} needs a file of images and one of labels (…-images-idx3-ubyte, …-labels-…)."
        )
    return {split: (parts[_IDX_IMAGES], parts[_IDX_LABELS].astype(np.int64)) for split, parts in found.items()}


def _read_idx(file: Path) -> tuple[int, np.ndarray]:
    try:
        data = file.read_bytes()
        if data[:2] == b"\x1f\x8b":
            most = int(GROWTH * len(data) + SPARE)
            with gzip.open(file) as packed:
                data = packed.read(most + 1)
            if len(data) > most:
                raise RurkError(f"The file {file} unpacks to far more than it holds, and is not read.")
        kind = int.from_bytes(data[:4], "big")
        if kind not in (_IDX_IMAGES, _IDX_LABELS):
            raise ValueError
        dimensions = data[3]
        shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions)]
        return kind, np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, ValueError, IndexError, EOFError):
        raise RurkError(f"The file {file} is damaged or is no IDX file of images or labels.") from None


def _cifar(path: Path) -> Arrays:
    """CIFAR's binary version: rows of one label byte (CIFAR-100: coarse and fine) and 3072 of pixels."""
    rows: dict[str, list[np.ndarray]] = {}
    fine = (path / "fine_label_names.txt").is_file() or (path / "train.bin").is_file()
    width = (2 if fine else 1) + CIFAR_ROW
    for file in sorted(path.glob("*.bin")):
        data = np.frombuffer(file.read_bytes(), np.uint8)
        if not len(data) or len(data) % width:
            raise RurkError(f"The file {file} is damaged: it has no whole rows of {width} bytes.")
        split = "test" if split_word(file.name) == "test" else "train"
        rows.setdefault(split, []).append(data.reshape(-1, width))
    return {split: of_cifar_rows(np.concatenate(parts)) for split, parts in rows.items()}


def of_cifar_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 N×3×32×32 and int64 N: the pixels end a row, the label that counts stands before them."""
    return rows[:, -CIFAR_ROW:].reshape(-1, 3, 32, 32), rows[:, -CIFAR_ROW - 1].astype(np.int64)


# --- compressed images --------------------------------------------------------------------------------------


def _built(groups: dict[str, tuple[list[Encoded], np.ndarray]], names: Sequence[str], path: Path) -> Any:
    said = {split: f"{split or 'all'} ({len(part[1])})" for split, part in groups.items()}
    train, test, notes = train_and_test(groups, said, path)
    parts = {"train": train} | ({"test": test} if test else {})
    labels, classes, more = numbered({split: part[1] for split, part in parts.items()}, names)
    splits: Splits = {split: (part[0], labels[split]) for split, part in parts.items()}
    return (splits if test else hold_out(*splits["train"])), classes, [*notes, *more]


def _saved(path: Path, size: int | None, progress: Progress | None) -> ImageSet:
    """A set of ``datasets.save_to_disk``: Arrow streams, one folder per split."""
    if (path / "dataset_dict.json").is_file():
        folders = {split: path / split for split in _json(path / "dataset_dict.json").get("splits", [])}
    else:
        folders = {"": path}
    files = {name: [folder / part["filename"] for part in _json(folder / "state.json")["_data_files"]]
             for name, folder in folders.items()}  # fmt: skip

    def build() -> Any:
        groups: dict[str, tuple[list[Encoded], np.ndarray]] = {}
        names: list[str] = []
        for name, parts in files.items():
            images, labels, names = _arrow(parts)
            groups[split_word(name) or ""] = images, labels
        return _built(groups, names, path)

    return cached([file for parts in files.values() for file in parts], build, size=size, progress=progress)


def _arrow(files: Sequence[Path]) -> tuple[list[Encoded], np.ndarray, list[str]]:
    import pyarrow as pa

    from .parquet import Table, columns_of

    images: list[Encoded] = []
    labels: list[np.ndarray] = []
    names: list[str] = []
    for file in files:
        try:
            with pa.memory_map(str(file)) as source:
                table = pa.ipc.open_stream(source).read_all()
        except (pa.ArrowException, OSError):
            raise RurkError(f"The file {file} is damaged or cannot be read.") from None
        image, _, values, names = columns_of(Table(table), file)
        labels.append(values)
        bytes_ = table.column(image).combine_chunks().field("bytes")
        images += [Encoded(f"{row} of {file.name}", partial(_as_py, bytes_, row)) for row in range(len(bytes_))]
    return images, np.concatenate(labels), names


def _as_py(values: Any, row: int) -> bytes:
    found = values[row].as_py()
    if found is None:
        raise RurkError("A row has no image in it.")
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError, RecursionError):
        raise RurkError(f"The file {path} is damaged.") from None


def _webdataset(path: Path, size: int | None, progress: Progress | None) -> ImageSet:
    """Tars of WebDataset: ``0001.png`` beside ``0001.cls`` (a number or a name) or ``0001.json`` with a label."""
    files = [path] if path.is_file() else sorted(file for file in path.glob("*.tar") if not is_junk(file.name))

    def build() -> Any:
        groups: dict[str, tuple[list[Encoded], list[Any]]] = {}
        for file in files:
            images, labels = groups.setdefault(split_of(PurePosixPath(file.name)) or "", ([], []))
            for image, label in _samples(file):
                images.append(image)
                labels.append(label)
        return _built({split: (part[0], _column(part[1], path)) for split, part in groups.items()}, [], path)

    return cached(files, build, size=size, progress=progress)


def _column(labels: list[Any], path: Path) -> np.ndarray:
    if all(type(label) is int for label in labels):
        return np.array(labels, np.int64)
    if all(isinstance(label, str) for label in labels):
        return np.array(labels, object)
    raise RurkError(f"Labels in {path} are neither all numbers nor all text.")


def _samples(file: Path) -> list[tuple[Encoded, Any]]:
    """The images of a tar with their labels, in the order of the archive."""
    images: dict[str, tuple[int, int, str]] = {}
    labels: dict[str, Any] = {}
    try:
        with tarfile.open(file) as tar:
            for member in tar:
                base, _, kind = member.name.rpartition("/")[2].partition(".")
                stem, kind = f"{member.name.rpartition('/')[0]}/{base}", kind.lower()
                if not member.isfile() or is_junk(base):
                    continue
                if f".{kind}" in SUFFIXES:
                    images[stem] = member.offset_data, member.size, member.name
                elif kind in ("cls", "txt", "json") and member.size < 2**20:
                    opened = tar.extractfile(member)
                    assert opened is not None
                    if (label := _label(kind, opened.read())) is not None:
                        labels.setdefault(stem, label)
    except (tarfile.TarError, OSError, ValueError, EOFError):
        raise RurkError(f"The tar {file} is damaged, or is packed; unpack it into a plain .tar.") from None
    lost = next((stem for stem in images if stem not in labels), None)
    if not images or lost is not None:
        raise RurkError(
            f"The tar {file} needs a label (.cls, or .json with 'label') beside every image; {lost} has none."
        )
    return [
        (Encoded(f"{name} of {file.name}", partial(_part, file, at, size)), labels[stem])
        for stem, (at, size, name) in images.items()
    ]


def _label(kind: str, data: bytes) -> Any:
    text = data.decode("utf-8", errors="replace").strip()
    if kind == "json":
        held = json.loads(text)
        found = next((held[key] for key in ("label", "cls", "class", "target") if key in held), None)
        return found if type(found) in (int, str) else None
    return int(text) if text.lstrip("-").isdigit() else text if kind == "cls" else None


def _part(file: Path, at: int, size: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(at)
        return opened.read(size)
