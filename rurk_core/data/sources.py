"""Image sets from files: Parquet in the Hugging Face layout, folders of class folders, published archives."""

from __future__ import annotations

import hashlib
import tarfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..errors import RurkError
from .dataset import Progress, split_by_class
from .images import SUFFIXES, Encoded, ImageSet, Splits, cached

TEST_SHARE = 0.2
"""Share of a set without a test split that is held out."""


def split_path(text: str) -> tuple[Path, int | None]:
    """``"folder?size=32"`` → (folder, 32)."""
    path, mark, query = text.partition("?size=")
    if not mark:
        return Path(text).expanduser(), None
    if not (query.isascii() and query.isdigit() and 4 <= int(query) <= 1024):
        raise RurkError(f"The size in '{text}' must be a whole number from 4 to 1024.")
    return Path(path).expanduser(), int(query)


def load_path(text: str, progress: Progress | None = None) -> ImageSet:
    """An image set from a Parquet file, a folder of Parquet files, or a folder of class folders.

    Raises:
        RurkError: nothing there, or not readable; the sentence says what.
    """
    path, size = split_path(text)
    try:
        if path.is_file() and path.suffix == ".parquet":
            return load_parquet([path], size=size, progress=progress)
        if path.is_dir():
            files = sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))
            if files:
                return load_parquet(files, size=size, progress=progress)
            return load_folder(path, size=size, progress=progress)
    except OSError as error:
        raise RurkError(f"The data at {path} cannot be read: {error.strerror or error}.") from None
    raise RurkError(
        f"There is no data set at '{path}': name a registered one, a Parquet file, or a folder with a folder per class."
    )


# --- Parquet ------------------------------------------------------------------------------------------------


def load_parquet(
    files: Sequence[Path],
    *,
    label_column: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """Parquet files in the Hugging Face layout: an image struct with bytes, an integer label.

    Files called ``test*`` or ``validation*`` are the test split; without one, a seeded fifth of each class is held
    out. Class names come from the files' metadata, numbers where there is none.
    """

    from .parquet import read_parquet

    def build() -> tuple[Splits, Sequence[str]]:
        test = [file for file in files if file.name.startswith(("test", "validation", "valid"))]
        train = [file for file in files if file not in test]
        if not train:
            raise RurkError(f"There is no training file among {', '.join(file.name for file in files)}.")
        images, labels, names = read_parquet(train, label_column)
        if test:
            test_images, test_labels, _ = read_parquet(test, label_column)
            splits: Splits = {"train": (images, labels), "test": (test_images, test_labels)}
        else:
            splits = _hold_out(images, labels)
        largest = max(int(part[1].max(initial=0)) for part in splits.values())
        return splits, names or [str(label) for label in range(largest + 1)]

    return cached(files, build, size=size, progress=progress)


# --- folders ------------------------------------------------------------------------------------------------


def load_folder(path: Path, *, size: int | None = None, progress: Progress | None = None) -> ImageSet:
    """A folder with a folder of images per class; or with ``train`` and ``test`` folders that hold those."""
    train = path / "train"
    test = next((path / name for name in ("test", "validation", "val") if (path / name).is_dir()), None)
    if train.is_dir() and test:
        roots = {"train": train, "test": test}
    else:
        roots = {"train": path}
    classes = sorted(folder.name for folder in roots["train"].iterdir() if _is_class(folder))
    if not classes:
        raise RurkError(f"The folder {path} holds no Parquet files and no class folders with images.")
    files = {split: [_images_in(root / name) for name in classes] for split, root in roots.items()}
    least = 2 if "test" in roots else 3  # two to train on, and one to hold out
    for name, found in zip(classes, files["train"], strict=True):
        if len(found) < least:
            raise RurkError(
                f"The class '{name}' in {path} has {len(found)} image{'s' * (len(found) != 1)}; "
                f"every class needs at least {least}."
            )

    def build() -> tuple[Splits, Sequence[str]]:
        splits: Splits = {}
        for split, groups in files.items():
            images = [Encoded(str(file), file.read_bytes) for group in groups for file in group]
            labels = np.repeat(np.arange(len(classes)), [len(group) for group in groups])
            splits[split] = (images, labels)
        return (splits if "test" in splits else _hold_out(*splits["train"])), classes

    everything = [file for groups in files.values() for group in groups for file in group]
    return cached(everything, build, size=size, progress=progress)


def _is_class(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith((".", "_"))


def _images_in(folder: Path) -> list[Path]:
    """The images of one class; hidden files and notes are passed over, anything else is refused by name."""
    found = []
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if file.name.startswith(".") or file.suffix.lower() in (".txt", ".json", ".csv", ".md", ".db"):
            continue
        if file.is_dir() or file.suffix.lower() not in SUFFIXES:
            raise RurkError(f"In the class folder {folder}, '{file.name}' is not an image ({', '.join(SUFFIXES)}).")
        found.append(file)
    return found


def _hold_out(images: Sequence[Encoded], labels: np.ndarray) -> Splits:
    if len(labels) and labels.min() >= 0:
        few = np.isin(np.bincount(labels), (1, 2))
        if few.any():
            raise RurkError(
                f"The class {int(few.argmax())} has fewer than three images, two to train on and one to hold out; add "
                "more, add a test split, or remove the class."
            )
    train, test = split_by_class(torch.from_numpy(labels), 1 - TEST_SHARE, seed=0)
    return {
        "train": ([images[i] for i in train.tolist()], labels[train.numpy()]),
        "test": ([images[i] for i in test.tolist()], labels[test.numpy()]),
    }


# --- published archives -------------------------------------------------------------------------------------


def fetch(url: str, target: Path, md5: str, *, progress: Progress | None = None, where: str = "") -> Path:
    """Download a file once: with progress, going on where an earlier try stopped, checked by its MD5.

    Raises:
        RurkError: it cannot be reached (the sentence says where to put the file by hand), or its checksum is wrong.
    """
    if target.is_file() and _md5(target) == md5:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial_file = target.with_name(target.name + ".part")
    have = partial_file.stat().st_size if partial_file.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            append = reply.status == 206
            have = have if append else 0
            total = have + int(reply.headers.get("Content-Length") or 0)
            with partial_file.open("ab" if append else "wb") as out:
                while chunk := reply.read(2**18):
                    out.write(chunk)
                    have += len(chunk)
                    if progress:
                        progress(have, max(total, have), f"Downloading {target.name}")
    except (urllib.error.URLError, OSError, ValueError):
        raise RurkError(
            f"{target.name} cannot be downloaded from here; {where or f'put it into {target.parent}'}, "
            "or name a folder that has it in the variable RURK_DATA."
        ) from None
    if _md5(partial_file) != md5:
        partial_file.unlink()
        raise RurkError(
            f"The download of {target.name} was damaged (its checksum is wrong) and was removed; try again."
        )
    partial_file.replace(target)
    return target


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(2**22):
            digest.update(chunk)
    return digest.hexdigest()


def read_cifar_binary(archive: Path, *, coarse_bytes: int, folder: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The *binary* CIFAR archives (the usual ones are pickles, which are never loaded): uint8 images, int64 labels.

    Args:
        coarse_bytes: label bytes before the one that counts (CIFAR-100 has its coarse label first).
    """
    splits: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    try:
        with tarfile.open(archive) as tar:
            for member in sorted(tar.getmembers(), key=lambda m: m.name):
                name = Path(member.name).name
                if member.isfile() and name.endswith(".bin"):
                    file = tar.extractfile(member)
                    assert file is not None
                    rows = np.frombuffer(file.read(), np.uint8).reshape(-1, coarse_bytes + 1 + 3072)
                    splits["test" if name.startswith("test") else "train"].append(rows)
        return {
            split: (
                np.concatenate(rows)[:, coarse_bytes + 1 :].reshape(-1, 3, 32, 32),
                np.concatenate(rows)[:, coarse_bytes].astype(np.int64),
            )
            for split, rows in splits.items()
        }
    except (tarfile.TarError, OSError, ValueError, EOFError):
        raise RurkError(f"The archive {archive} is damaged; remove it and download it again.") from None
