"""Names in a store: keys, file names, titles, and the one spelling of JSON that hashes are made of."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

from ..errors import UsageError

KEY = re.compile(r"[a-z_]{1,40}-[0-9a-f]{16}")
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
MAX_TITLE = 200
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def check_key(key: str) -> str:
    """``key`` if it can name an entry; nothing else ever becomes part of a path."""
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise UsageError(f"{str(key)[:80]!r} is not the key of a stored entry; keys look like run-0123456789abcdef.")
    return key


def canonical_json(spec: dict[str, Any]) -> str:
    """One text for equal specs: sorted names, no spaces, shortest floats that read back the same.

    >>> canonical_json({"b": (1, 0.1), "a": None})
    '{"a":null,"b":[1,0.1]}'
    """
    try:
        return json.dumps(spec, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The description of an experiment must be plain JSON values: {one_line(error)}.") from None


def clean_title(title: Any) -> str:
    """One line of printable text of at most ``MAX_TITLE`` characters."""
    start = ("" if title is None else title if isinstance(title, str) else str(title))[: 20 * MAX_TITLE]
    plain = "".join(c if c.isprintable() else " " for c in start)
    return " ".join(plain.split())[:MAX_TITLE].strip()


def explain(error: Exception, what: str, place: str | Path, verb: str = "saved") -> str:
    """One sentence for an error of reading or writing."""
    number = error.errno if isinstance(error, OSError) else None
    if number in DISK_FULL:
        return f"{what} could not be {verb} because the disk is full ({place}); free some space and start again."
    if number in FORBIDDEN:
        return f"{what} could not be {verb} because {place} may not be written or read; change its permissions."
    detail = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
    return f"{what} could not be {verb} in {place} ({detail})."


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__
