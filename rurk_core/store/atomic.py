"""Folders and files that appear whole or not at all, also where a process or the power fails."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

FILE, FOLDER = 0o600, 0o700
"""Modes of what is written: results are their owner's, also on a machine that many use."""


def put_folder(target: Path, contents: dict[str, bytes], present: Callable[[], bool]) -> None:
    """Write a folder of files under a temporary name and rename it; raises OSError.

    Args:
        present: whether ``target`` is complete by now; then another process was first with the same result.
    """
    parent = target.parent
    parent.mkdir(parents=True, exist_ok=True)
    fresh = parent / f".tmp-{secrets.token_hex(8)}"
    try:
        fresh.mkdir(FOLDER)
        for name, data in contents.items():
            _write(fresh / name, data)
        _sync_folder(fresh)
        try:
            os.rename(fresh, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            if present():
                return
            discard(target)  # remains of a copy that never became an entry
            os.rename(fresh, target)
        _sync_folder(parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that readers find the old one or the whole new one; raises OSError."""
    fresh = path.with_name(f".{path.stem}-{secrets.token_hex(4)}")
    try:
        _write(fresh, data)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Remove a folder so that it is gone at once for everybody else; raises OSError."""
    gone = folder.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        os.rename(folder, gone)
    except FileNotFoundError:
        return
    if gone.is_symlink() or gone.is_file():
        gone.unlink()
    else:
        shutil.rmtree(gone)


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb", opener=private) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def private(path: str | Path, flags: int) -> int:
    """An opener: what it makes only its owner may read."""
    return os.open(path, flags, FILE)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # there a folder cannot be opened, and a rename is written through
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
