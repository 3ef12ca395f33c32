"""Lists of samples to forget as other tools write them: ``.npy``, ``.txt``, ``.csv``, ``.json``, ``.pt``.

Nothing in a file is run: arrays are read without pickle, tensors with ``weights_only=True``.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..apart.reading import Reading
from ..errors import UsageError

MAX_BYTES = 64 * 2**20
_NAMES = (
    "indices", "index", "indexes", "idx", "ids", "id", "forget", "forget_indices", "forget_index", "forget_idx",
    "forget_ids", "forget_set", "forget_list", "unlearn", "unlearn_indices", "sample", "samples", "sample_id",
    "sample_index", "image_id", "image_index",
)  # fmt: skip
"""What other repositories call the indices, in a JSON object or at the head of a column."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def find_list(name: str) -> Path:
    """The path of a list as somebody typed it: quotes are taken away, ``~`` is the home folder."""
    text = name.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return Path(text).expanduser()


def read_bytes(name: str) -> tuple[Path, bytes]:
    """A list's path and content.

    Raises:
        UsageError: it cannot be read, or is too large.
    """
    try:
        path = find_list(name)
        if not path.is_file():  # a device has no end, and a pipe may have no beginning
            raise UsageError(f"The forget-set file {name[:200]} is no file.") if path.exists() else FileNotFoundError
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"The file {path} is too large to be a forget set.")
        return path, path.read_bytes()
    except (OSError, ValueError, RuntimeError):
        raise UsageError(f"The forget-set file {name[:200]} cannot be read.") from None


def decoded(data: bytes) -> str | None:
    """Text in UTF-8 or UTF-16, with or without a byte-order mark; None where it is no text."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None:
        encoding = "utf-8"
        if data[1:2] == b"\0" and data[:1] != b"\0":
            encoding = "utf-16-le"
        elif data[:1] == b"\0" and data[1:2] != b"\0":
            encoding = "utf-16-be"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def indices_of(name: str, data: bytes, count: int) -> list[int]:
    """The indices in a list that is no forget set of this project's own format.

    Args:
        name: of the file, for its kind and for complaints; data: its content.
        count: how many training samples there are: so many truth values are a mask.

    Raises:
        UsageError: it is of no known kind, or does not hold whole numbers.
    """
    suffix = Path(name).suffix.lower()
    if suffix == ".npy" or data.startswith(b"\x93NUMPY"):
        return _whole(_array(name, data), name, count)
    if suffix in (".pt", ".pth"):
        return _whole(_tensor(name, data), name, count)
    if suffix in (".pkl", ".pickle") or data[:1] == b"\x80":
        raise UsageError(
            f"The list {name} is a pickle, which could run code and is not opened; where you trust it, write it anew: "
            f"numpy.save('list.npy', numpy.asarray(pickle.load(open('{Path(name).name}', 'rb'))))."
        )
    text = decoded(data)
    if text is None:
        raise UsageError(f"The forget-set file {name} holds no text, and is no .npy file.")
    if suffix == ".json" or text.lstrip()[:1] in ("[", "{"):
        return _whole(_json(name, text), name, count)
    return _whole(_table(name, text), name, count)


def _array(name: str, data: bytes) -> Any:
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except Exception:  # numpy reads a header as Python text, and says what that says
        raise UsageError(
            f"The list {name} is damaged or holds pickled objects; write whole numbers: numpy.save('list.npy', "
            "numpy.asarray(indices, dtype='int64'))."
        ) from None


def _tensor(name: str, data: bytes) -> Any:
    with tempfile.NamedTemporaryFile(suffix=".pt") as file, Reading() as reading:
        file.write(data)
        file.flush()
        return reading.ask(f"{__name__}:read_tensor", [file.name, name], size=len(data), what=f"The list {name}")


def read_tensor(path: str, name: str) -> Any:
    """What a file of torch holds as a plain list; for a process of its own, since reading one may never end."""
    try:
        with zipfile.ZipFile(path) as parts:
            if sum(part.file_size for part in parts.infolist()) > 2 * Path(path).stat().st_size:
                raise ValueError("compressed")
        found = torch.load(path, map_location="cpu", weights_only=True)
        found = found if isinstance(found, torch.Tensor) else _named(found)
        if isinstance(found, torch.Tensor) and found.numel() * found.element_size() > found.untyped_storage().nbytes():
            raise ValueError("it claims more numbers than it holds")
        return found.tolist() if isinstance(found, torch.Tensor) else json.loads(json.dumps(found))
    except Exception:
        raise UsageError(f"The list {name} is damaged or holds more than plain tensors and lists.") from None


def _json(name: str, text: str) -> Any:
    try:
        return _named(json.loads(text))
    except (ValueError, RecursionError):
        raise UsageError(f"The forget-set file {name} is not valid JSON.") from None


def _named(found: Any) -> Any:
    """The list itself, or the one that an object holds under a usual name."""
    if isinstance(found, dict):
        held = [value for key, value in found.items() if str(key).lower() in _NAMES]
        return held[0] if len(held) == 1 else found
    return found


def _table(name: str, text: str) -> Any:
    """Numbers, one a line or with commas, semicolons or blanks; or a column of a table with a header."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines or re.fullmatch(r"[-\d\s,;.+eE]*", "".join(lines)):
        return [part for line in lines for part in re.split(r"[,;\s]+", line) if part]
    rows = list(csv.reader(lines, delimiter=max(",;\t", key=lines[0].count)))
    head = [cell.strip().strip('"').lower() for cell in rows[0]]
    named = [at for at, cell in enumerate(head) if cell in _NAMES] or ([0] if len(head) == 1 else [])
    truth = [at for at in named if {row[at].strip().lower() for row in rows[1:] if len(row) > at} <= {"true", "false"}]
    if len(named) - len(truth) == 1:
        named = [at for at in named if at not in truth]
    if len(named) != 1:
        raise UsageError(
            f"In {name} nothing says which column holds the indices ({', '.join(head[:6])}); call one of them 'index'."
        )
    return [row[named[0]].strip() for row in rows[1:] if len(row) > named[0]]


def _whole(found: Any, name: str, count: int) -> list[int]:
    wrong = UsageError(
        f"The list {name} must hold whole numbers (indices from 0), or a truth value for each of the {count} samples."
    )
    if isinstance(found, dict):
        raise wrong
    try:
        values = np.asarray(found)
        if values.dtype.kind in "US":
            lowered = np.char.lower(values)
            truths = np.isin(lowered, ("true", "false")).all() and values.size > 0
            values = lowered == "true" if truths else values.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        raise wrong from None
    values = values.squeeze() if values.ndim > 1 else values
    values = values.reshape(-1) if values.ndim == 0 else values
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise wrong
    if values.dtype.kind == "b" or (len(values) == count > 2 and np.isin(values, (0, 1)).all()):
        if len(values) != count:
            raise UsageError(f"The mask in {name} has {len(values)} values, and there are {count} training samples.")
        return [int(at) for at in np.flatnonzero(values)]
    if values.dtype.kind == "f" and (not np.isfinite(values).all() or (values != np.round(values)).any()):
        raise wrong
    return [int(value) for value in values]
