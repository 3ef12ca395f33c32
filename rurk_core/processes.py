"""Children that end with their parent, whatever ends it; and one process at a time where two would be too many."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from .errors import RurkError
from .store import explain


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux; elsewhere nothing happens)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def tie_children() -> None:
    """Processes forked from this one end with it, and on SIGTERM (whose handler here they would inherit)."""
    parent = os.getpid()

    def in_child() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)

    os.register_at_fork(after_in_child=in_child)


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Wait until no other process is in here with the same file, which is made where it is missing.

    The lock is the kernel's: a process that is killed gives it back.

    Raises:
        RurkError: the file cannot be made; ``what`` begins the sentence.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise RurkError(explain(error, what, path.parent)) from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
