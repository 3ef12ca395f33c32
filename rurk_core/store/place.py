"""Where entries lie: a folder of this machine or anything fsspec opens; files alone, nothing of what they mean.

Links inside are not followed: an entry, or a file of one, that is a link does not exist.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import time
from pathlib import Path
from typing import NoReturn

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from ..errors import RurkError, UsageError
from .atomic import FOLDER, discard, put_folder, replace_file
from .names import KEY, explain, one_line

STALE_SECONDS = 3600


class Place:
    """Entries by key, each a folder of files below ``runs``.

    Attributes:
        url: the absolute folder or the URL; ``Place(place.url)`` opens the same.
        root: the folder as fsspec names it.
        local: whether it is a folder of this machine.
        read_only: never write here, not even an index.

    Raises:
        RurkError: the place cannot be used; one sentence says why. A folder that is not there yet is made by the
            first entry: opening and reading write nothing.
    """

    def __init__(self, url: str | Path, *, read_only: bool = False) -> None:
        text = os.path.expanduser(os.fspath(url))
        if not text or "\0" in text:
            raise UsageError("Name a folder or a URL for the store.")
        remote = ("://" in text or "::" in text) and not text.startswith(("/", "file://"))
        self.local, self.read_only = isinstance(url, Path) or not remote, read_only
        try:
            if self.local:
                self.fs, self.root = LocalFileSystem(), os.path.abspath(text.removeprefix("file://"))
            else:
                self.fs, self.root = url_to_fs(text)
                if not isinstance(self.root, str):  # some take several paths in one address
                    raise ValueError("it names no single folder")
        except Exception as error:  # each of fsspec's systems has refusals of its own
            raise UsageError(f"The store '{text}' cannot be opened: {one_line(error)}.") from None
        self.url = self.root if self.local else text
        self._runs, self._prepared = f"{self.root}/runs", False
        if self.local:
            self._look()

    def _look(self) -> None:
        """Whether the folder is one that can be read, if it is there."""
        try:
            with os.scandir(self.root):
                pass
        except FileNotFoundError:
            pass
        except OSError as error:
            if isinstance(error, NotADirectoryError):
                raise RurkError(f"The store {self.root} cannot be opened: a file is where a folder must be.") from None
            self._fail(error, "The store", "opened")

    @property
    def job_root(self) -> Path:
        return self.beside("jobs")

    def beside(self, name: str) -> Path:
        """A folder of this machine for what belongs to the store and is no entry of it (jobs, reviews, uploads).

        Inside a local store, in the user's cache for any other.
        """
        if self.local:
            return Path(self.root, name)
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "rurk" / name / hashlib.sha256(self.url.encode()).hexdigest()[:16]

    # --- reading ---

    def _path(self, key: str, name: str) -> str:
        return f"{self._runs}/{key}/{name}"

    def _present(self, key: str) -> bool:
        """Whether the entry has its spec.json, which is written last."""
        path = self._path(key, "spec.json")
        if self.local:
            return _is_plain(f"{self._runs}/{key}", stat.S_ISDIR) and _is_plain(path, stat.S_ISREG)
        try:
            self.fs.invalidate_cache(f"{self._runs}/{key}")
            return self.fs.exists(path)
        except Exception as error:
            self._fail(error, f"The entry {key}", "looked up")

    def _keys(self) -> set[str]:
        """Names of all entries, from one listing."""
        try:
            if self.local:
                with os.scandir(self._runs) as items:
                    return {
                        item.name for item in items if KEY.fullmatch(item.name) and item.is_dir(follow_symlinks=False)
                    }
            self.fs.invalidate_cache(self._runs)
            names = (path.rstrip("/").rpartition("/")[2] for path in self.fs.ls(self._runs, detail=False))
            return {name for name in names if KEY.fullmatch(name)}
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except Exception as error:
            self._fail(error, "The list of entries", "read")

    def _stamp(self) -> int:
        """When entries came or went, in ns; 0 where that is not known."""
        try:
            return os.stat(self._runs).st_mtime_ns if self.local else 0
        except OSError:
            return 0

    def _file(self, key: str, name: str) -> bytes:
        """A file of an entry; raises FileNotFoundError, IsADirectoryError, or what the file system has to say."""
        path = self._path(key, name)
        if not self.local:
            return self.fs.cat_file(path)
        if not _is_plain(f"{self._runs}/{key}", stat.S_ISDIR) or not _is_plain(path, stat.S_ISREG):
            raise FileNotFoundError(path)
        return Path(path).read_bytes()

    def _size(self, key: str) -> int:
        """Bytes of an entry's files."""
        if self.local:
            with os.scandir(f"{self._runs}/{key}") as items:
                return sum(item.stat(follow_symlinks=False).st_size for item in items)
        return sum(item["size"] or 0 for item in self.fs.ls(f"{self._runs}/{key}", detail=True))

    # --- writing ---

    def _prepare(self) -> None:
        """Make the folder, and sweep what a crash left long ago; once."""
        if self._prepared:
            return
        try:
            os.makedirs(self.root, FOLDER, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise RurkError(f"The store {self.root} cannot be opened: a file is where a folder must be.") from None
        os.makedirs(self._runs, FOLDER, exist_ok=True)
        with contextlib.suppress(OSError), os.scandir(self._runs) as items:
            for item in items:
                if item.name.startswith(".tmp-") and time.time() - item.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(item.path, ignore_errors=True)
        self._prepared = True

    def _write(self, key: str, contents: dict[str, bytes]) -> None:
        """All files of an entry, or none."""
        if self.local:
            self._prepare()
            put_folder(Path(self._runs, key), contents, lambda: self._present(key))
            return
        written: list[str] = []
        try:
            self.fs.makedirs(f"{self._runs}/{key}", exist_ok=True)
            for name, data in contents.items():  # spec.json is the last of them and makes the entry exist
                written.append(self._path(key, name))
                self.fs.pipe_file(written[-1], data)
        except BaseException:
            for path in reversed(written):
                with contextlib.suppress(Exception):
                    self.fs.rm_file(path)
            raise

    def _write_file(self, key: str, name: str, data: bytes) -> None:
        if self.local:
            replace_file(Path(self._path(key, name)), data)
        else:
            self.fs.pipe_file(self._path(key, name), data)

    def _remove(self, key: str) -> None:
        if self.local:
            discard(Path(self._runs, key))
            return
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self._path(key, "spec.json"))
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(f"{self._runs}/{key}", recursive=True)

    def _fail(self, error: Exception, what: str, verb: str = "saved") -> NoReturn:
        if isinstance(error, RurkError):
            raise error
        raise RurkError(explain(error, what, self.url, verb)) from error


def _is_plain(path: str, kind: object) -> bool:
    """Whether there is a folder or a file (``stat.S_ISDIR``, ``stat.S_ISREG``) itself, not a link to one."""
    try:
        return bool(kind(os.lstat(path).st_mode))  # type: ignore[operator]
    except (OSError, ValueError):
        return False
