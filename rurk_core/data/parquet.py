"""Parquet files in the Hugging Face layout: labels are read at once, images when they are asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from ..errors import RurkError
from .dataset import Progress, split_by_class
from .decoding import Encoded, Splits
from .images import ImageSet, cached
from .labels import HIDDEN_TEST, all_hidden, numbered
from .splits import configuration, in_words, split_of, train_and_test

GROUPS = 8
"""Row groups that are kept in memory."""
BYTES_PER_ROW, SPARE_ROWS = 32, 10_000
"""A row takes so many bytes of a file at least, but for so many."""
GROWTH, SPARE = 5, 50e6
"""Unpacked, a file may be so many times as large, and so many bytes on top."""
MAX_NAME = 1000
TEST_SHARE = 0.2
"""Share of a set without a test split that is held out."""


LABELS = ("label", "labels", "fine_label", "class", "target", "targets", "class_label", "category", "y")
"""What a column of labels is called, the likeliest first."""
_FEW = 2
"""A column of text is taken for the labels if its values come back this often on average."""


@dataclass(frozen=True)
class Columns:
    """Which columns to read, where the files leave a choice: ``?image=left&label=species`` behind a path."""

    image: str | None = None
    label: str | None = None


def load_parquet(
    files: Sequence[Path],
    *,
    root: Path | None = None,
    columns: Columns | None = None,
    size: int | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """Parquet files in the Hugging Face layout: an image struct with bytes, and a label.

    Files or folders called like a split (any case, as a whole word) are that split; the test split is taken before
    that of validation, which is taken where the test labels are hidden (-1 throughout); without either, a seeded fifth
    of each class is held out. Class names come from the files' metadata, or are the labels.

    Args:
        root: the folder that was asked for, to tell subsets and splits from the folders below it.
    """
    root, columns = root or files[0].parent, columns or Columns()

    def build() -> tuple[Splits, Sequence[str], list[str]]:
        groups = _groups(files, root)
        names = {split: in_words(group, root) for split, group in groups.items()}
        hidden = []
        if "test" in groups and all_hidden(read_parquet(groups["test"], columns).labels):
            hidden = [HIDDEN_TEST]
            del groups["test"]
        parts, notes = train_and_test(groups, names, root)
        read = {split: read_parquet(files, columns) for split, files in parts.items()}
        labels, classes, said = numbered({split: part.labels for split, part in read.items()}, read["train"].names)
        splits: Splits = {split: (part.images, labels[split]) for split, part in read.items()}
        notes += [*hidden, *read["train"].notes, *said]
        return with_test(splits), classes, notes

    return cached(files, build, size=size, options=(columns.image, columns.label, "parquet"), progress=progress)


def _groups(files: Sequence[Path], root: Path) -> dict[str, list[Path]]:
    """Split → its files; "" for those that say nothing.

    Raises:
        RurkError: they belong to several subsets.
    """
    below = {file: file.relative_to(root) for file in files}
    subsets = sorted({configuration(path) for path in below.values()})
    if len(subsets) > 1:
        names = ", ".join(name or "." for name in subsets[:6])
        raise RurkError(f"The folder {root} holds several sets, {names}; name the folder of one of them.")
    groups: dict[str, list[Path]] = {}
    for file, path in below.items():
        groups.setdefault(split_of(path) or "", []).append(file)
    return groups


def with_test(splits: Splits) -> Splits:
    """The same with test samples, which are a seeded fifth of each class where there are none.

    Raises:
        RurkError: there are none, and a class has fewer than three images.
    """
    if "test" in splits:
        return splits
    images, labels = splits["train"]
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


@dataclass(frozen=True)
class Read:
    """Images that can be read one by one, labels as they are in the files, class names where these have some."""

    images: list[Encoded]
    labels: np.ndarray
    names: list[str]
    notes: list[str]


def read_parquet(files: Sequence[Path], columns: Columns) -> Read:
    """The images and labels of some files.

    Raises:
        RurkError: a file is damaged, or has no images or labels, or nothing says which of its columns they are.
    """
    images: list[Encoded] = []
    labels: list[np.ndarray] = []
    names: list[str] = []
    notes: list[str] = []
    label = ""
    groups = _RowGroups()
    for file in files:
        with _readable(file):
            shard = open_parquet(file)
            schema = shard.schema_arrow
            image = _image_column(schema, file, columns.image)
            if label not in schema.names:
                label, notes = _label_column(shard, file, columns.label)
            column = shard.read(columns=[label]).column(label)
        names = names or _class_names(schema, label)
        if column.null_count:
            raise RurkError(_lacking(file))
        labels.append(_values(column, file))
        row = 0
        for group in range(shard.num_row_groups):
            for at in range(shard.metadata.row_group(group).num_rows):
                images.append(Encoded(f"{row} of {file.name}", partial(groups.read, file, image, group, at)))
                row += 1
        if row != len(column):
            raise RurkError(f"The Parquet file {file} is damaged: its parts hold {row} of {len(column)} rows.")
    if not images:
        raise RurkError(f"The Parquet file {files[0]} holds no rows.")
    return Read(images, np.concatenate(labels), names, notes)


@dataclass(frozen=True)
class Table:
    """A table that is read already, with what is asked of a Parquet file."""

    table: Any

    @property
    def schema_arrow(self) -> Any:
        return self.table.schema

    def read(self, columns: Sequence[str]) -> Any:
        return self.table.select(columns)


def columns_of(table: Table, file: Path) -> tuple[str, str, np.ndarray, list[str]]:
    """(image column, label column, labels, class names) of a table; raises RurkError as :func:`read_parquet` does."""
    image = _image_column(table.schema_arrow, file, None)
    label, _ = _label_column(table, file, None)
    values = _values(table.read(columns=[label]).column(label), file)
    return image, label, values, _class_names(table.schema_arrow, label)


def open_parquet(file: Path) -> Any:
    """A Parquet file, once its own description promises no more than its size allows.

    Values that are stored once and named often stay so in memory.

    Raises:
        RurkError: it has more rows than its bytes could be images, or unpacks to far more than it holds.
    """
    shard = pq.ParquetFile(file)
    about, size = shard.metadata, file.stat().st_size
    if about.num_rows > SPARE_ROWS + size / BYTES_PER_ROW:
        raise RurkError(f"The Parquet file {file} claims {about.num_rows:,} rows in {size:,} bytes, and is not read.")
    groups = [about.row_group(at) for at in range(about.num_row_groups)]
    unpacked = sum(group.column(at).total_uncompressed_size for group in groups for at in range(group.num_columns))
    if unpacked > GROWTH * size + SPARE:
        raise RurkError(f"The Parquet file {file} unpacks to far more than it holds, and is not read.")
    columns = [about.schema.column(at) for at in range(about.num_columns)]
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    return pq.ParquetFile(file, read_dictionary=texts)


def _values(column: Any, file: Path) -> np.ndarray:
    """A column as numbers, or as text in an array of objects.

    Raises:
        RurkError: it holds texts that are no names of classes.
    """
    if pa.types.is_dictionary(column.type):
        for chunk in column.chunks:
            if len(chunk.dictionary) and _is_text(column.type) and _longest(chunk.dictionary) > MAX_NAME:
                raise RurkError(f"The Parquet file {file} has labels of more than {MAX_NAME:,} letters.")
        column = column.cast(column.type.value_type)
    return np.asarray(column.to_numpy())


def _longest(values: Any) -> int:
    return pc.max(pc.binary_length(values)).as_py() or 0


class _RowGroups:
    """Image bytes from Parquet files, which are read a row group at a time; the last few are kept.

    A row group is the smallest part of a Parquet file that can be read, so in a random order an image costs all of
    its group: groups of a hundred rows, as the Hugging Face layout has them for images, suit that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # many threads decode, and neighbours ask for the same group
        self._group = lru_cache(maxsize=GROUPS)(_read_group)

    def read(self, file: Path, column: str, group: int, at: int) -> bytes:
        with self._lock:
            found = self._group(file, column, group)[at].as_py()
        if found is None:
            raise RurkError(_lacking(file))
        return found


def _read_group(file: Path, column: str, group: int) -> Any:
    with _readable(file):
        values = open_parquet(file).read_row_group(group, columns=[column], use_threads=False).column(column)
        whole = values.combine_chunks()
        whole = whole.field("bytes") if pa.types.is_struct(whole.type) else whole
        whole = whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole
        if pa.types.is_dictionary(whole.type) and len(whole.dictionary):
            total = pc.sum(pc.take(pc.binary_length(whole.dictionary), whole.indices)).as_py() or 0
            if total > GROWTH * file.stat().st_size + SPARE:
                raise RurkError(f"The Parquet file {file} holds few images many times over, and is not read.")
    return whole


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Whatever is wrong with a Parquet file is one sentence."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise RurkError(f"The Parquet file {file} is damaged or cannot be read ({_first_line(error)}).") from None


def _lacking(file: Path) -> str:
    return f"The Parquet file {file} has rows without an image or without a label."


def _image_column(schema: Any, file: Path, wanted: str | None) -> str:
    structs = [
        field.name
        for field in schema
        if pa.types.is_struct(field.type) and any(child.name == "bytes" for child in field.type)
    ]
    kinds = {f.name: f.type.value_type if pa.types.is_dictionary(f.type) else f.type for f in schema}
    plain = [name for name, kind in kinds.items() if pa.types.is_binary(kind) or pa.types.is_large_binary(kind)]
    if wanted:
        if wanted not in structs + plain:
            raise RurkError(f"The Parquet file {file} has no image column '{wanted}', but {_listed(structs + plain)}.")
        return wanted
    found = structs or plain
    if not found:
        raise RurkError(f"The Parquet file {file} has no image column (a struct with 'bytes').")
    if len(found) > 1:
        raise RurkError(
            f"The Parquet file {file} has several image columns, {_listed(found)}; say which one behind the path, as "
            f"in ?image={found[0]}."
        )
    return found[0]


def _label_column(shard: Any, file: Path, wanted: str | None) -> tuple[str, list[str]]:
    """The column of labels, and a sentence where its name alone does not say so.

    Raises:
        RurkError: nothing says which; whole numbers may be anything and are never taken for labels unasked.
    """
    schema = shard.schema_arrow
    usable = [field.name for field in schema if _may_be_label(field.type)]
    if wanted:
        if wanted not in usable:
            raise RurkError(f"The Parquet file {file} has no label column '{wanted}', but {_listed(usable)}.")
        return wanted, []
    named = {name.lower(): name for name in reversed(usable)}
    first = next((named[name] for name in LABELS if name in named), None)
    declared = [name for name in usable if _class_names(schema, name)]
    if first or len(declared) == 1:
        return first or declared[0], []
    words = [name for name in usable if _is_text(schema.field(name).type) and _comes_back(shard, name, file)]
    if len(words) == 1 and not declared:
        return words[0], [f"The column '{words[0]}' was taken for the labels: the only text that comes back."]
    if not usable:
        raise RurkError(f"The Parquet file {file} has no column of labels (text or whole numbers).")
    raise RurkError(
        f"The Parquet file {file} has no column called like labels; say which one holds them behind the path, as in "
        f"?label={(declared or words or usable)[0]} (there are {_listed(usable)})."
    )


def _may_be_label(kind: Any) -> bool:
    types = pa.types
    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or _is_text(kind)


def _is_text(kind: Any) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _comes_back(shard: Any, name: str, file: Path) -> bool:
    """Whether a column of text has few values for its length, as names of classes do and file names do not."""
    values = _values(shard.read(columns=[name]).column(name), file)
    return 1 < len(set(values.tolist())) <= len(values) / _FEW


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:8]) or "none"


def _class_names(schema: Any, label: str) -> list[str]:
    """Names from the Hugging Face metadata, empty where there are none or they are malformed."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        names = features[label]["names"]
        if isinstance(names, dict):
            names = [names[key] for key in sorted(names, key=int)]
        return [str(name) for name in names]
    except (KeyError, TypeError, ValueError):
        return []


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:120].rstrip(".")
