"""Which training samples are to be forgotten: rules, and the small file that hands a set to somebody else."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError
from .dataset import Dataset
from .forget_lists import decoded, indices_of, read_bytes
from .twins import twins

FORMAT = "rurk-forget-set/1"
LOSS_RULES = ("hardest", "easiest", "memorised")
"""Rules that order samples by the Original's loss."""


@dataclass(frozen=True)
class ForgetSet:
    """Training indices to forget, sorted, with the rule that chose them and the data they belong to."""

    dataset: str
    fingerprint: str
    rule: str
    indices: tuple[int, ...]

    def to_json(self) -> str:
        """The file that :meth:`from_json` reads."""
        return json.dumps(
            {
                "format": FORMAT,
                "dataset": self.dataset,
                "fingerprint": self.fingerprint,
                "rule": self.rule,
                "indices": list(self.indices),
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str, dataset: Dataset) -> ForgetSet:
        """A set saved for this very data.

        Raises:
            UsageError: not such a file, made for other data, or not a valid set.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise UsageError("The forget-set file is not valid JSON.") from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise UsageError(f'The file is not a forget set: it lacks \'"format": "{FORMAT}"\'.')
        if values.get("fingerprint") != dataset.fingerprint:
            raise UsageError(
                f"The forget set was made for '{str(values.get('dataset'))[:60]}' with fingerprint "
                f"{str(values.get('fingerprint'))[:16]}, but '{dataset.name}' has {dataset.fingerprint}."
            )
        indices, rule = values.get("indices"), values.get("rule", "")
        if not isinstance(indices, list) or not all(type(index) is int for index in indices):
            raise UsageError("The forget set's indices must be a list of whole numbers.")
        if not isinstance(rule, str):
            raise UsageError("The forget set's rule must be text.")
        return checked(dataset, rule, indices)


def forget_set(dataset: Dataset, rule: str, *, losses: Tensor | None = None) -> ForgetSet:
    """The samples a rule chooses.

    Rules: ``class:0`` or ``class:cat`` (a whole class), ``class:0:0.5`` (a seeded random share of it, ``class:0:0.5:3``
    with seed 3), ``indices:0-9,42``, ``random:50`` or ``random:50:3``, ``twins:50`` (duplicates and near-twins,
    :func:`~rurk_core.data.twins.twins`), ``hardest:50`` (highest loss of the Original), ``easiest:50`` (lowest; also
    ``memorised:50``, as older versions called it), ``canaries`` (those planted by ``?canaries=20`` behind the data
    set's name), ``file:set.json``: a set of :meth:`ForgetSet.to_json`, or a list of indices as
    :func:`~rurk_core.data.forget_lists.indices_of` reads it (``.npy``, ``.txt``, ``.csv``, ``.json``, ``.pt``).

    Args:
        losses: the Original's loss on every training sample, float N, for the rules that need it.

    Raises:
        UsageError: the rule cannot be read, or chooses nothing, everything, something twice or out of range.
    """
    kind, _, rest = rule.partition(":")
    if kind == "file":
        return from_file(*read_bytes(rest), dataset)
    n = len(dataset.train_labels)
    if kind == "class":
        chosen = _of_class(dataset, rest, rule)
    elif kind == "indices":
        chosen = parse_indices(rest, limit=n)
    elif kind == "random":
        count, seed = _count(rest, rule, n)
        chosen = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:count].tolist()
    elif rule == "canaries":
        if not dataset.canaries:
            raise UsageError(
                "No canaries are planted; ask for them behind the data set's name, as in digits?canaries=20."
            )
        chosen = list(dataset.canaries)
    elif kind == "twins":
        count, _ = _count(rest, rule, n)
        chosen = twins(dataset)[:count]
        if len(chosen) < count:
            raise UsageError(f"The rule '{rule}' asks for {count} samples; {len(chosen)} have a twin that stays.")
    elif kind in LOSS_RULES:
        count, _ = _count(rest, rule, n)
        if losses is None or len(losses) != n:
            raise UsageError(f"The rule '{rule}' needs the losses of a trained Original.")
        order = losses.double().argsort(descending=kind == "hardest", stable=True)
        chosen = order[:count].tolist()
    else:
        raise UsageError(
            f"The rule '{rule[:60]}' cannot be read; write class:0:0.5, class:0, indices:1,5-9, random:50, twins:50, "
            "hardest:50, easiest:50, canaries or file:set.json."
        )
    return checked(dataset, rule, chosen)


def from_file(path: Path | str, data: bytes, dataset: Dataset) -> ForgetSet:
    """The set or the list in a file.

    Raises:
        UsageError: as in :meth:`ForgetSet.from_json` and :func:`~rurk_core.data.forget_lists.indices_of`, or they are
            no valid indices of this data.
    """
    if text := _saved(data):
        return ForgetSet.from_json(text, dataset)
    if dataset.numbers is None:
        return checked(dataset, f"file:{path}", indices_of(str(path), data, len(dataset.train_labels)))
    # a list from elsewhere counts all training samples, also those that are held out here
    whole = len(dataset.train_labels) + len(dataset.validation_labels if dataset.validation_labels is not None else ())
    place = {int(number): at for at, number in enumerate(dataset.numbers)}
    wanted = _of(dataset, indices_of(str(path), data, whole), whole)
    held_out = next((index for index in wanted if index not in place), None)
    if held_out is not None:
        raise UsageError(
            f"The list names sample {held_out}, which is held out for validation; name the data set with ?validation=0 "
            "behind it, or leave that sample out."
        )
    return checked(dataset, f"file:{path}", [place[index] for index in wanted])


def _saved(data: bytes) -> str:
    """The text of a saved set; "" of a list from elsewhere."""
    text = decoded(data) if data[:1] != b"\x93" else None
    return text if text and FORMAT in text[:4096] and text.lstrip()[:1] == "{" else ""


def made_for(rule: str) -> str:
    """The fingerprint of the data that the set in a file was saved for; "" where ``rule`` names no such file."""
    kind, _, path = rule.partition(":")
    if kind != "file" or not (text := _saved(read_bytes(path)[1])):
        return ""
    try:
        return str(json.loads(text).get("fingerprint", ""))
    except (ValueError, RecursionError):
        return ""


def as_large(dataset: Dataset, rule: str) -> ForgetSet:
    """A set as large as the one that ``rule`` chooses, known before anything is trained.

    Raises:
        UsageError: as in :func:`forget_set`: a rule that cannot be met is refused before long work.
    """
    return forget_set(dataset, rule, losses=torch.zeros(len(dataset.train_labels)) if needs_losses(rule) else None)


def needs_losses(rule: str) -> bool:
    """Whether the rule can only be answered once the Original is trained."""
    return rule.partition(":")[0] in LOSS_RULES


def retain_indices(dataset: Dataset, forget: ForgetSet) -> Tensor:
    """int64: the training indices that stay, sorted."""
    keep = torch.ones(len(dataset.train_labels), dtype=torch.bool)
    keep[torch.tensor(forget.indices)] = False
    return keep.nonzero()[:, 0]


def checked(dataset: Dataset, rule: str, indices: Iterable[int]) -> ForgetSet:
    """A forget set from indices, or the reason why they are none."""
    n = len(dataset.train_labels)
    chosen = _of(dataset, indices, n)
    if len(chosen) == n:
        raise UsageError("The forget set is the whole training set; at least one sample has to stay.")
    return ForgetSet(dataset.name, dataset.fingerprint, rule, tuple(sorted(chosen)))


def _of(dataset: Dataset, indices: Iterable[int], n: int) -> list[int]:
    """Indices of some of ``n`` samples, or the reason why they are none."""
    chosen = list(indices)
    if not chosen:
        raise UsageError("The forget set is empty; choose at least one sample.")
    if len(set(chosen)) != len(chosen):
        twice = next(index for index, times in Counter(chosen).items() if times > 1)
        raise UsageError(f"The forget set names sample {twice} twice; each sample can be forgotten once.")
    wrong = next((index for index in chosen if not 0 <= index < n), None)
    if wrong is not None:
        raise UsageError(f"The forget set names sample {wrong}, but '{dataset.name}' has samples 0 to {n - 1}.")
    return chosen


def parse_indices(text: str, *, limit: int) -> list[int]:
    """``"0-3,9"`` → [0, 1, 2, 3, 9]; ranges include both ends.

    Raises:
        UsageError: not written like this, or reaching ``limit`` or beyond.
    """
    found: list[int] = []
    if text.count(",") > limit:
        raise UsageError(f"There are {limit} samples, and more than so many indices are named.")
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,18})(?:\s*-\s*([0-9]{1,18}))?\s*", part, re.ASCII)
        if not match:
            raise UsageError(f"Indices are written like 3,5-9,42; '{part.strip()[:40]}' is not.")
        low = int(match[1])
        high = int(match[2]) if match[2] else low
        if high < low:
            raise UsageError(f"The range {part.strip()} runs backwards.")
        if high >= limit:
            raise UsageError(f"There is no sample {high}; samples run from 0 to {limit - 1}.")
        if len(found) + high - low >= limit:
            raise UsageError(f"There are {limit} samples, and more than so many indices are named.")
        found += range(low, high + 1)
    return found


def _of_class(dataset: Dataset, rest: str, rule: str) -> list[int]:
    name, share, seed = _class_parts(dataset, rest)
    members = (dataset.train_labels == name).nonzero()[:, 0]
    if share is None:
        return members.tolist()
    try:
        fraction, number = float(share), int(seed or 0)
    except ValueError:
        fraction, number = -1.0, 0
    if not 0 < fraction <= 1 or not 0 <= number < 10**9:
        raise UsageError(
            f"In '{rule[:60]}' the share must be above 0 and at most 1, the seed a whole number of at most 9 digits."
        )
    count = max(1, round(fraction * len(members))) if len(members) else 0
    order = torch.randperm(len(members), generator=torch.Generator().manual_seed(number))
    return members[order[:count]].tolist()


def _class_parts(dataset: Dataset, rest: str) -> tuple[int, str | None, str | None]:
    """Class index, share and seed of ``"0:0.5:3"``; a class name may itself hold colons."""
    for label, name in enumerate(dataset.classes):
        if rest == name or rest.startswith(f"{name}:"):
            tail = rest[len(name) + 1 :].split(":") if len(rest) > len(name) else []
            if len(tail) <= 2:
                return label, (tail[0] if tail else None), (tail[1] if len(tail) > 1 else None)
    parts: list[Any] = [*rest.split(":"), None, None]
    if len(parts) <= 5 and re.fullmatch(r"[0-9]{1,6}", parts[0], re.ASCII) and int(parts[0]) < len(dataset.classes):
        return int(parts[0]), parts[1], parts[2]
    known = ", ".join(dataset.classes[:12]) + (", ..." if len(dataset.classes) > 12 else "")
    share = re.fullmatch(r"(.*?):[0-9.]+(?::[0-9]+)?", rest, re.DOTALL)  # what follows a name is a share and a seed
    asked = share[1] if share else rest
    numbered = list(dataset.classes) == [str(label) for label in range(len(dataset.classes))]
    names = "" if numbered else f" or of {known}"
    raise UsageError(f"There is no class '{asked[:40]}'; name one of 0 to {len(dataset.classes) - 1}{names}.")


def _count(rest: str, rule: str, limit: int) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})(?::([0-9]{1,9}))?", rest, re.ASCII)
    if not match:
        raise UsageError(f"In '{rule[:60]}' write how many samples, as in {rule.partition(':')[0][:20]}:50.")
    count = int(match[1])
    if count > limit:
        raise UsageError(f"The rule '{rule[:60]}' asks for {count} of {limit} samples.")
    return count, int(match[2] or 0)
