"""Children that end with their parent, whatever ends it; and files that several processes share."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..apart.reading import die_with_parent
from ..errors import RurkError
from ..store.atomic import replace_file
from ..store.names import explain

POLL = 0.05
"""Seconds between two looks at a lock that another process holds."""


def tie_children() -> None:
    """Processes forked from this one end with it, and on SIGTERM (whose handler here they would inherit)."""
    parent = os.getpid()

    def in_child() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)

    if hasattr(os, "register_at_fork"):  # where processes cannot be forked there is nothing to tie
        os.register_at_fork(after_in_child=in_child)


@contextlib.contextmanager
def locked(path: Path, what: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Wait until no other process is in here with the same file, which is made where it is missing.

    The lock is the kernel's: a process that is killed gives it back.

    Args:
        what: begins the sentence of an error.
        waiting: called a few times a second meanwhile; raising in it ends the wait.

    Raises:
        RurkError: the file cannot be made.
    """
    lock = FileLock(path, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                lock.acquire(timeout=POLL if waiting else -1, poll_interval=POLL)
                break
            except Timeout:
                assert waiting is not None
                waiting()
    except OSError as error:
        raise RurkError(explain(error, what, path.parent)) from None
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, value: Any) -> None:
    """Write a file that other processes read: they find the old one or the whole new one; raises OSError."""
    replace_file(path, json.dumps(value).encode())
