"""What is known of a data set before it is read, and what its name says."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .dataset import Dataset, Progress, make_dataset
from .images import ImageSet
from .recipes import Recipe

MAX_CANARIES = 10_000


@dataclass(frozen=True, kw_only=True)
class DatasetEntry:
    """All that an experiment has to know of a data set.

    Attributes:
        title, licence, source: for people, one line each.
        kind: "image" or "table".
        model: the network an experiment takes unless told otherwise.
        taus: the radii it takes unless told otherwise, as :func:`~rurk_core.run.spec.parse_taus` reads them.
        load: (root, progress) → Dataset.
        quick: how models are trained on two cores; paper: as in the paper, where it has this data set; fast: to a
            better model in less time, by another optimiser, where it was tried.
        pretrain_on: the data set whose model the Original and its Re-trains start from, if any.
        validation: share of the training samples that is held out (:func:`~rurk_core.data.dataset.hold_out`) unless
            the name says otherwise.
    """

    title: str
    licence: str
    source: str
    kind: str
    model: str
    taus: str
    load: Callable[[Path, Progress | None], Dataset]
    quick: Recipe
    paper: Recipe | None = None
    fast: Recipe | None = None
    pretrain_on: str | None = None
    validation: float = 0.1


def data_root(root: str | Path | None = None) -> Path:
    """Where data sets lie: the argument, the variable RURK_DATA, or a folder in the user's cache."""
    return Path(root or os.environ.get("RURK_DATA") or Path.home() / ".cache" / "rurk" / "data").expanduser()


def split_validation(name: str) -> tuple[str, float | None]:
    """The name without the share that is held out, and that share; None where the name does not say.

    >>> split_validation("digits?validation=0.1"), split_validation("folder?size=32&validation=0")
    (('digits', 0.1), ('folder?size=32', 0.0))

    Raises:
        UsageError: the share is no number from 0 to 0.5.
    """
    rest, text = _split_option(name, "validation")
    if text is None:
        return name, None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 0.5:
        raise UsageError(f"The share that is held out must be a number from 0 to 0.5, not '{text[:20]}'.")
    return rest, share


def split_canaries(name: str) -> tuple[str, int]:
    """The name without the number of canaries that are planted, and that number; 0 where the name does not say.

    >>> split_canaries("digits?canaries=20"), split_canaries("digits")
    (('digits', 20), ('digits', 0))

    Raises:
        UsageError: the number is none from 1 to 10,000.
    """
    rest, text = _split_option(name, "canaries")
    if text is None:
        return name, 0
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= MAX_CANARIES):
        raise UsageError(f"'canaries' must be a whole number from 1 to {MAX_CANARIES:,}, not '{text[:20]}'.")
    return rest, int(text)


def plain_name(name: str) -> str:
    """The name without what it says of held-out samples and canaries: a key of the registry, or a path."""
    return split_canaries(split_validation(name)[0])[0]


def _split_option(name: str, key: str) -> tuple[str, str | None]:
    match = re.fullmatch(rf"(.*)([?&]){key}=([^?&]*)(?:&([^?]*))?", name, re.DOTALL)
    return (match[1] + (match[2] + match[4] if match[4] else ""), match[3]) if match else (name, None)


def from_images(name: str, found: ImageSet, licence: str, source: str) -> Dataset:
    """The data set of images that were read from files."""
    return make_dataset(
        name,
        found.train,
        found.test,
        found.classes,
        licence=licence,
        source=source,
        fingerprint=found.fingerprint,
        notes=found.notes,
    )
