"""Which split a file or folder belongs to, by its name; and what is no data at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import TypeVar

from ..errors import RurkError

T = TypeVar("T")

_WORDS = {
    "train": ("train", "training", "trainset", "trainval"),
    "test": ("test", "testing", "testset"),
    "validation": ("val", "valid", "validation", "dev", "eval", "evaluation"),
}
_SPLITS = {word: split for split, words in _WORDS.items() for word in words}
_JUNK = (
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "lost+found", "system volume information", "found.000",
)  # fmt: skip


def is_junk(name: str) -> bool:
    """Whether Windows, macOS, a NAS or a notebook left it: ``Thumbs.db``, ``__MACOSX``, ``@eaDir``, ``._x``, ..."""
    return name.startswith((".", "_", "@", "#", "$", "~")) or name.lower() in _JUNK


def split_word(name: str) -> str | None:
    """ "train", "test" or "validation", where a whole word of a name says so, in any case.

    >>> split_word("VAL-00000-of-00001.parquet"), split_word("seg_train"), split_word("values"), split_word("xTest")
    ('validation', 'train', None, 'test')
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return next((_SPLITS[word] for word in re.findall(r"[a-z]+", apart.lower()) if word in _SPLITS), None)


def split_of(path: PurePath) -> str | None:
    """The split of a file below a root: what its own name says, or else the nearest folder that says something."""
    return next((word for part in reversed(path.parts) if (word := split_word(part))), None)


def configuration(path: PurePath) -> str:
    """The folders above a file that name no split and are not called "data": the layout of hubs has one per subset."""
    return "/".join(part for part in path.parts[:-1] if not split_word(part) and part.lower() != "data")


def train_and_test(groups: Mapping[str, T], names: Mapping[str, str], where: object) -> tuple[dict[str, T], list[str]]:
    """({"train": training, "test": test, if there is one}, what was taken in words) of what was found for each split.

    Args:
        groups: "train", "test", "validation", or "" where nothing says → what there is; names: the same in words.

    Raises:
        RurkError: there is nothing to train on.
    """
    train = next((split for split in ("train", "") if split in groups), None)
    if train is None:
        raise RurkError(f"There are no training samples at {where}, only {', '.join(names.values())}.")
    test = next((split for split in ("test", "validation") if split in groups), None)
    notes = [
        f"Training samples: {names[train]}. Test samples: "
        + (f"{names[test]}." if test else "a seeded fifth of each class of these, which is not trained on.")
    ]
    aside = [names[split] for split in groups if split not in (train, test)]
    if aside:
        notes.append(f"Left aside, neither trained nor tested on: {', '.join(aside)}.")
    return {"train": groups[train]} | ({"test": groups[test]} if test else {}), notes


def in_words(paths: Iterable[Path], root: Path) -> str:
    """A few paths below ``root``, the others counted."""
    names = [str(path.relative_to(root)) for path in paths]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
