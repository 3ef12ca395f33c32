"""Children that end with their parent, whatever ends it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal


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
