"""Labels as files have them (names, truth values, numbers from 0 or from 1) → whole numbers from 0, and class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import RurkError

HIDDEN = -1
"""The label of samples whose classes are kept secret."""
HIDDEN_TEST = "The labels of the test samples are hidden (-1), so these are left aside."


def numbered(
    splits: Mapping[str, np.ndarray], names: Sequence[str] = ()
) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
    """(int64 labels of each split, class names, what was done in words).

    Args:
        splits: "train" and maybe "test" → labels: text, booleans, whole numbers, or floats that are whole.
        names: of the classes, by number, where the files have some.

    Raises:
        RurkError: labels are neither text nor whole numbers.
    """
    values = np.concatenate([np.asarray(part) for part in splits.values()])
    plain, classes, notes = _plain(values, list(names))
    ends = np.cumsum([len(part) for part in splits.values()])
    found = dict(zip(splits, np.split(plain, ends[:-1]), strict=True))
    return found, classes, [*notes, *_one_sided(found, classes)]


def all_hidden(labels: np.ndarray) -> bool:
    """Whether every label is -1."""
    return bool(len(labels) and np.issubdtype(labels.dtype, np.number) and (labels == HIDDEN).all())


def _plain(values: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[str], list[str]]:
    if values.dtype == bool:
        return values.astype(np.int64), names if len(names) == 2 else ["false", "true"], []
    if values.dtype.kind in "OSU":
        if not all(isinstance(value, str) for value in values.tolist()):
            raise RurkError("Labels must be text, or whole numbers; these are mixed.")
        distinct = sorted(set(values.tolist()), key=_by_number)
        known = names if names and set(distinct) <= set(names) else distinct
        at = {name: number for number, name in enumerate(known)}
        return np.array([at[value] for value in values.tolist()], np.int64), known, []
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != np.round(values)).any():
            raise RurkError("Labels must be whole numbers or text; these have fractions.")
    elif values.dtype.kind not in "iu":
        raise RurkError("Labels must be whole numbers or text.")
    numbers = values.astype(np.int64)
    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    if low == 1 and (not names or high == len(names)):
        distinct_numbers = np.unique(numbers)
        if names:
            return numbers - 1, names, ["Labels run from 1; the first class name was taken for 1."]
        shifted = np.searchsorted(distinct_numbers, numbers).astype(np.int64)
        return shifted, [str(n) for n in distinct_numbers.tolist()], ["Labels run from 1; classes are named by them."]
    return numbers, names or [str(number) for number in range(high + 1)], []


def _by_number(name: str) -> tuple[bool, int, str]:
    """Numbers before text, 2 before 10."""
    whole = name.isascii() and name.isdigit() and len(name) < 19
    return not whole, int(name) if whole else 0, name


def _one_sided(splits: Mapping[str, np.ndarray], classes: Sequence[str]) -> list[str]:
    """A sentence on classes that only one of two splits has."""
    notes = []
    for here, there in (("train", "test"), ("test", "train")):
        if here in splits and there in splits:
            only = sorted(set(splits[here].tolist()) - set(splits[there].tolist()))
            shown = [f"'{classes[label]}'" for label in only if 0 <= label < len(classes)]
            if shown:
                split = "training" if here == "train" else "test"
                more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
                notes.append(f"Only the {split} samples have the class {', '.join(shown[:5])}{more}.")
    return notes
