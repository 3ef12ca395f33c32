"""Uploaded checkpoints on their way to a job: kept in a folder beside the jobs, by content, for a day."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import time
from pathlib import Path

from rurk_core.errors import RurkError
from rurk_core.store.names import explain
from ui.session import state

KEEP_SECONDS = 24 * 3600


def folder() -> Path:
    return state.store().beside("uploads")


def keep(name: str, data: bytes) -> Path:
    """The path of a file with this content; its name is what the visitor's file was called, as far as it is harmless.

    Raises:
        RurkError: it cannot be written.
    """
    _sweep()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(name).stem).strip("._")[:60] or "upload"
    path = folder() / hashlib.sha256(data).hexdigest()[:16] / f"{safe}.safetensors"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.utime(path.parent)
        if not path.exists():
            fresh = path.with_name(f".{secrets.token_hex(4)}")
            fresh.write_bytes(data)
            fresh.replace(path)
    except OSError as error:
        raise RurkError(explain(error, "The upload", folder())) from None
    return path


def _sweep() -> None:
    with contextlib.suppress(OSError):
        for item in os.scandir(folder()):
            if time.time() - item.stat().st_mtime > KEEP_SECONDS:
                shutil.rmtree(item.path, ignore_errors=True)
