"""The zip container of checkpoints and programs, read within bounds."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from ..errors import UsageError

MAX_HEADER_BYTES = 16 * 2**20
"""Of the part that names what is inside: a safetensors header, a zip directory."""
MAX_TENSORS = 20_000


def stored_archive(path: Path, what: str = "checkpoint", many: int = MAX_TENSORS) -> zipfile.ZipFile:
    """A zip file whose contents are stored as they are, so that nothing in it is larger than the file.

    Args:
        what: what the file is called in sentences; many: the most parts it may have.

    Raises:
        UsageError: it is no zip file, has an enormous directory, is compressed, or its parts overlap.
    """
    damaged = UsageError(f"The {what} {path} is damaged or is not what its name says.")
    try:
        if _directory_bytes(path) > MAX_HEADER_BYTES:
            raise UsageError(f"The {what} {path} has an enormous table of contents and is not read.")
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, RuntimeError):
        raise damaged from None
    parts = archive.infolist()
    if any(part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1 for part in parts):
        raise UsageError(f"The {what} {path} is a compressed archive{_ADVICE.get(what, '')}.")
    if len(parts) > many:
        raise UsageError(f"The {what} {path} has {len(parts):,} parts; at most {many:,} are read.")
    names = [part.filename for part in parts]
    if sum(part.file_size for part in parts) > path.stat().st_size or len(set(names)) != len(names):
        raise damaged
    return archive


_ADVICE = {"checkpoint": "; save it with torch.save or torch.export.save"}


def _directory_bytes(path: Path) -> int:
    """Size of a zip file's table of contents as its ends say it, before anything of it is read.

    A zip64 record counts wherever there is one: readers take its word before that of the plain end.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65_600))
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) < at + 22:
            raise zipfile.BadZipFile
        found = int.from_bytes(tail[at + 12 : at + 16], "little")
        if at >= 20 and tail[at - 20 : at - 16] == b"PK\6\7":
            where = int.from_bytes(tail[at - 12 : at - 4], "little")
            if where + 56 > size:
                raise zipfile.BadZipFile
            file.seek(where)
            found = max(found if found != 0xFFFFFFFF else 0, int.from_bytes(file.read(56)[40:48], "little"))
        return found
