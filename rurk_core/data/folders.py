"""Folders of images: a folder per class, or those below a folder per split, also further down as archives have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import RurkError
from .dataset import Progress
from .decoding import SIGNATURES, SUFFIXES, Encoded, Splits
from .images import ImageSet, cached
from .labels import numbered
from .parquet import with_test
from .splits import in_words, is_junk, split_word, train_and_test

_NOTES = (".txt", ".json", ".csv", ".md", ".db", ".ini", ".xml", ".yaml", ".yml", ".zip")
_DEEP = 4
"""Folders with nothing but one folder in them that are passed through."""


def load_folder(path: Path, *, size: int | None = None, progress: Progress | None = None) -> ImageSet:
    """A folder with a folder of images per class; or with folders that are called like splits and hold those.

    Raises:
        RurkError: there are no classes, too few images, or nothing says what is what; the sentence says which.
    """
    roots, notes = _roots(path)
    classes = sorted({folder.name for root in roots.values() for folder in _folders(root) if _has_images(folder)})
    if not classes:
        raise RurkError(f"The folder {path} holds no Parquet files and no class folders with images.")
    bare = sorted({folder for root in roots.values() for folder in _folders(root) if folder.name not in classes})
    if bare:
        notes = [*notes, f"No class, since no image lies directly in it: {in_words(bare, path)}."]
    files = {split: [_images_in(root / name) for name in classes] for split, root in roots.items()}
    least = 2 if "test" in roots else 3  # two to train on, and one to hold out
    for name, found in zip(classes, files["train"], strict=True):
        if len(found) < least and not ("test" in roots and not found):
            raise RurkError(
                f"The class '{name}' in {path} has {len(found)} image{'s' * (len(found) != 1)}; "
                f"every class needs at least {least}."
            )

    def build() -> tuple[Splits, Sequence[str], list[str]]:
        images = {
            split: [Encoded(str(file), file.read_bytes) for group in groups for file in group]
            for split, groups in files.items()
        }
        labels = {
            split: np.repeat(np.arange(len(classes)), [len(group) for group in groups])
            for split, groups in files.items()
        }
        found, names, said = numbered(labels, classes)
        splits: Splits = {split: (images[split], found[split]) for split in images}
        return with_test(splits), names, [*notes, *said]

    everything = [file for groups in files.values() for group in groups for file in group]
    return cached(everything, build, size=size, progress=progress)


def _roots(path: Path) -> tuple[dict[str, Path], list[str]]:
    """ "train" and maybe "test" → the folder that holds the class folders, and what was taken in words."""
    root = _inner(path)
    folders = _folders(root)
    splits = _splits(folders)
    if not splits:
        below = {folder: found for folder in folders if (found := _splits(_folders(_inner(folder))))}
        if len(below) > 1:
            names = ", ".join(folder.name for folder in list(below)[:6])
            raise RurkError(f"The folder {path} holds several sets of images, {names}; name one of these folders.")
        if below:
            ((root, splits),) = below.items()
            folders = _folders(_inner(root))
    flat = [folder for folder in folders if split_word(folder.name) and _has_images(folder)]
    if not splits:
        if flat and len(flat) == sum(map(_has_images, folders)):
            raise RurkError(
                f"In {path}, {' and '.join(folder.name for folder in flat[:3])} hold images without class folders, so "
                "nothing says their classes; put the images of each class into a folder of its own."
            )
        return {"train": root}, []
    if (
        "test" not in splits
        and any(split_word(folder.name) == "test" for folder in flat)
        and "validation" not in splits
    ):
        name = next(folder.name for folder in flat if split_word(folder.name) == "test")
        raise RurkError(
            f"The folder '{name}' in {path} holds images without class folders, so nothing says their classes; sort "
            "them into class folders, or move that folder away to have a fifth of the training images held out."
        )
    used = set(splits.values())
    shown = {split: str(folder.relative_to(path)) for split, folder in splits.items()}
    parts, notes = train_and_test(splits, shown, path)
    aside = [folder for folder in folders if not any(folder == u or folder in u.parents for u in used)]
    if aside:
        notes.append(f"Not taken, since nothing says which classes or split it is: {in_words(aside, path)}.")
    return parts, notes


def _splits(folders: Sequence[Path]) -> dict[str, Path]:
    """Split → the folder that holds its class folders, of folders that are called like splits."""
    found: dict[str, Path] = {}
    for folder in folders:
        word, inner = split_word(folder.name), _inner(folder)
        if word and any(_has_images(below) for below in _folders(inner)):
            if word in found:
                raise RurkError(
                    f"Both '{found[word].name}' and '{folder.name}' in {folder.parent} are called like {word} samples; "
                    "move one of them away."
                )
            found[word] = inner
    return found


def _inner(folder: Path) -> Path:
    """``folder``, or the one below it that holds everything, as archives and downloads nest them."""
    for _ in range(_DEEP):
        below = _folders(folder)
        if len(below) != 1 or _has_images(folder) or _has_images(below[0]):
            break
        folder = below[0]
    return folder


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(below for below in folder.iterdir() if not is_junk(below.name) and below.is_dir())


def _has_images(folder: Path) -> bool:
    """Whether something that looks like an image lies directly in it."""
    return any(
        file.suffix.lower() not in _NOTES and file.is_file() and not is_junk(file.name) for file in folder.iterdir()
    )


def _images_in(folder: Path) -> list[Path]:
    """The images of one class; junk and notes are passed over, anything else is refused by name."""
    found = []
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if is_junk(file.name) or file.suffix.lower() in _NOTES:
            continue
        if not file.is_file() or not (file.suffix.lower() in SUFFIXES or _is_image(file)):
            raise RurkError(f"In the class folder {folder}, '{file.name}' is not an image ({', '.join(SUFFIXES)}).")
        found.append(file)
    return found


def _is_image(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(12).startswith(SIGNATURES)
