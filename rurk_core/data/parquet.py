"""Parquet files in the Hugging Face layout: labels are read at once, images when they are asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import RurkError
from .images import Encoded

GROUPS = 8
"""Row groups that are kept in memory."""


def read_parquet(files: Sequence[Path], label_column: str | None) -> tuple[list[Encoded], np.ndarray, list[str]]:
    """Images that can be read one by one, int64 labels, and class names where the files have some.

    Raises:
        RurkError: a file is damaged, or has no images or labels.
    """
    images: list[Encoded] = []
    labels: list[np.ndarray] = []
    names: list[str] = []
    groups = _RowGroups()
    for file in files:
        with _readable(file):
            shard = pq.ParquetFile(file)
            schema = shard.schema_arrow
            image, label = _image_column(schema, file), label_column or _label_column(schema, file)
            column = shard.read(columns=[label]).column(label)
        names = names or _class_names(schema, label)
        if column.null_count:
            raise RurkError(_lacking(file))
        labels.append(column.to_numpy().astype(np.int64))
        row = 0
        for group in range(shard.num_row_groups):
            for at in range(shard.metadata.row_group(group).num_rows):
                images.append(Encoded(f"{row} of {file.name}", partial(groups.read, file, image, group, at)))
                row += 1
        if row != len(column):
            raise RurkError(f"The Parquet file {file} is damaged: its parts hold {row} of {len(column)} rows.")
    if not images:
        raise RurkError(f"The Parquet file {files[0]} holds no rows.")
    return images, np.concatenate(labels), names


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
        values = pq.ParquetFile(file).read_row_group(group, columns=[column], use_threads=False).column(column)
        whole = values.combine_chunks()
    return whole.field("bytes") if pa.types.is_struct(whole.type) else whole


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Whatever is wrong with a Parquet file is one sentence."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise RurkError(f"The Parquet file {file} is damaged or cannot be read ({_first_line(error)}).") from None


def _lacking(file: Path) -> str:
    return f"The Parquet file {file} has rows without an image or without a label."


def _image_column(schema: Any, file: Path) -> str:
    for field in schema:
        if pa.types.is_struct(field.type) and any(child.name == "bytes" for child in field.type):
            return field.name
    for field in schema:
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            return field.name
    raise RurkError(f"The Parquet file {file} has no image column (a struct with 'bytes').")


def _label_column(schema: Any, file: Path) -> str:
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
    for name in ("label", "labels", "fine_label", *whole):
        if name in whole:
            return name
    raise RurkError(f"The Parquet file {file} has no column of whole-number labels.")


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
