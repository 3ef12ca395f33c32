"""Where results live: a folder (or a bucket) of finished entries, each named by the hash of what made it.

    <root>/runs/<key>/spec.json, model.safetensors, ...     the truth; an entry without spec.json does not exist
    <root>/index.sqlite                                     a fast list of it, rebuilt whenever it is missing or wrong
    <root>/jobs/<id>/                                       background runs, see :mod:`rurk_core.jobs.control`

An entry appears whole or not at all: it is written under another name and renamed (in a bucket: spec.json goes
last). Nothing stored is ever unpickled; every file is checked against the hash noted when it was written.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import sqlite3
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from .. import __version__
from ..errors import Damaged, RurkError, UsageError
from .atomic import discard, put_folder, replace_file
from .index import Entries, Entry, Index
from .names import FILE_NAME, KEY, canonical_json, check_key, clean_title, explain, one_line

if TYPE_CHECKING:
    pass
OWN_FILES = ("spec.json", "title.txt")
STALE_SECONDS = 3600

T = TypeVar("T")


class Store:
    """Finished results in a folder or under any fsspec URL, content-addressed.

    Args:
        url: a folder, or a URL like ``memory://x`` or ``s3://bucket/prefix``.
        bundled: stores that are only read, looked up after this one.
        read_only: never write here, not even the index.

    Attributes:
        url: the absolute folder or the URL; ``Store(store.url)`` opens the same store.
        root: the folder as fsspec names it.
        local: whether it is a folder of this machine.
        job_root: a local folder for jobs: inside a local store, in the user's cache for any other.

    Raises:
        RurkError: the place cannot be used; one sentence says why.

    >>> store = Store("memory://example")
    >>> key = store.key("run", {"seed": 7})
    >>> store.put(key, {"seed": 7, "title": "First"}, {"result.json": b'{"r": 1.5}'})
    >>> store.read_json(key, "result.json"), [entry.title for entry in store.list("run")]
    ({'r': 1.5}, ['First'])
    """

    def __init__(self, url: str | Path, *, bundled: Iterable[str | Path] = (), read_only: bool = False) -> None:
        text = os.path.expanduser(os.fspath(url))
        if not text or "\0" in text:
            raise UsageError("Name a folder or a URL for the store.")
        remote = ("://" in text or "::" in text) and not text.startswith(("/", "file://"))
        self.local = isinstance(url, Path) or not remote
        try:
            if self.local:
                self.fs, self.root = LocalFileSystem(), os.path.abspath(text.removeprefix("file://"))
            else:
                self.fs, self.root = url_to_fs(text)
        except (ValueError, ImportError) as error:
            raise UsageError(f"The store '{text}' cannot be opened: {one_line(error)}.") from None
        self.url = self.root if self.local else text
        self.read_only = read_only
        self._runs = f"{self.root}/runs"
        if self.local and not read_only:
            self._prepare()
        on_disk = self.local and not read_only and os.access(self.root, os.W_OK)
        self._index = Index(Path(self.root) if on_disk else None)
        self.bundled = tuple(Store(place, read_only=True) for place in bundled)

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

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

    @staticmethod
    def key(kind: str, spec: dict[str, Any]) -> str:
        """The name of the entry that ``spec`` makes: equal specs have equal keys, whatever their order.

        >>> Store.key("run", {"b": 1, "a": 0.5}) == Store.key("run", {"a": 0.5, "b": 1})
        True

        Raises:
            UsageError: a kind other than ``[a-z_]+``, or a spec that is not JSON (NaN is not).
        """
        return check_key(f"{kind}-{hashlib.sha256(canonical_json(spec).encode()).hexdigest()[:16]}")

    # --- entries ---

    def has(self, key: str) -> bool:
        """Whether the entry is here or in a bundled store."""
        return self._holder(check_key(key)) is not None

    def owns(self, key: str) -> bool:
        """Whether the entry is in this very store and may be written; bundled ones are not."""
        return not self.read_only and self._present(check_key(key))

    def put(self, key: str, spec: dict[str, Any], files: dict[str, bytes]) -> None:
        """Store an entry whole or not at all; where it exists already nothing happens.

        Args:
            spec: what made it; ``spec["title"]`` is its first title.
            files: contents by name.

        Raises:
            RurkError: the disk is full, writing is forbidden, ...; nothing of the entry is left.
        """
        self._writable(key)
        for name in files:
            if name in OWN_FILES or not FILE_NAME.fullmatch(name):
                raise UsageError(f"'{name}' cannot be the name of a stored file.")
        if self.has(key):
            return
        document = {
            "key": key,
            "kind": key.rpartition("-")[0],
            "spec": json.loads(canonical_json(spec)),
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
            "title": clean_title(spec.get("title", "")),
            "versions": _versions(),
            "files": {
                name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
            },
        }
        contents = files | {"spec.json": json.dumps(document, indent=1).encode()}
        try:
            if self.local:
                put_folder(Path(self._runs, key), contents, lambda: self._present(key))
            else:
                self._put_objects(key, contents)
        except Exception as error:
            self._fail(error, f"The entry {key}")
        self._index.note(lambda db: self._sync(db, {key}, complete=False))

    def read(self, key: str, name: str) -> bytes:
        """A file of an entry, checked against the hash noted when it was written.

        Raises:
            RurkError: there is no such entry or file, or it is damaged; the sentence says what to do.
        """
        if not FILE_NAME.fullmatch(name):
            raise UsageError(f"'{name}' cannot be the name of a stored file.")
        holder = self._holder(check_key(key))
        if holder is None:
            raise RurkError(f"There is no entry {key} in the store {self.url}; run the experiment that makes it.")
        if name == "spec.json":
            return holder._bytes(key, name)
        noted = holder._document(key)["files"].get(name)
        if noted is None:
            raise Damaged(f"The entry {key} has no file '{name}'.", key)
        data = holder._bytes(key, name)
        if len(data) != noted.get("bytes"):
            holder._damaged(key, f"'{name}' has {len(data)} of {noted.get('bytes')} bytes")
        if hashlib.sha256(data).hexdigest() != noted.get("sha256"):
            holder._damaged(key, f"'{name}' has changed since it was written")
        return data

    def verify(self, key: str) -> None:
        """Read all files of an entry and compare them with the hashes noted when they were written.

        Raises:
            Damaged: one is missing, cut short or changed; RurkError: there is no such entry.
        """
        holder = self._holder(check_key(key))
        if holder is None:
            raise RurkError(f"There is no entry {key} in the store {self.url}; run the experiment that makes it.")
        for name in holder._document(key)["files"]:
            if not FILE_NAME.fullmatch(name):
                holder._damaged(key, f"{name[:40]!r} cannot be the name of a stored file")
            holder.read(key, name)

    def read_json(self, key: str, name: str) -> dict[str, Any]:
        """A JSON file of an entry; raises as :meth:`read`."""
        try:
            value = json.loads(self.read(key, name))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            holder = self._holder(key) or self
            holder._damaged(key, f"'{name}' is not a JSON object")
        return value

    def delete(self, key: str) -> None:
        """Remove an entry, damaged or not; one that is not there is no error.

        Raises:
            RurkError: it came along with the program, or removing is forbidden.
        """
        self._writable(key)
        if not self._present(key) and any(store.has(key) for store in self.bundled):
            raise UsageError(f"The entry {key} comes along with the program and cannot be deleted.")
        try:
            if self.local:
                discard(Path(self._runs, key))
            else:
                with contextlib.suppress(FileNotFoundError):
                    self.fs.rm_file(self._path(key, "spec.json"))
                with contextlib.suppress(FileNotFoundError):
                    self.fs.rm(f"{self._runs}/{key}", recursive=True)
        except Exception as error:
            self._fail(error, f"The entry {key}", "deleted")
        self._index.note(lambda db: db.execute("DELETE FROM entries WHERE key = ?", (key,)))

    def rename(self, key: str, title: str) -> None:
        """Give an entry another title. The key stays, since it does not depend on the title."""
        self._writable(key)
        if not self._present(key):
            came = any(store.has(key) for store in self.bundled)
            why = "comes along with the program and cannot be renamed" if came else f"is not in the store {self.url}"
            raise UsageError(f"The entry {key} {why}.")
        data = clean_title(title).encode()
        try:
            if self.local:
                replace_file(Path(self._path(key, "title.txt")), data)
            else:
                self.fs.pipe_file(self._path(key, "title.txt"), data)
        except Exception as error:
            self._fail(error, "The title")
        self._index.note(lambda db: self._sync(db, {key}, complete=False))

    # --- the list ---

    def list(self, kind: str | None = None) -> Entries:
        """All entries, newest first, those of bundled stores included."""
        own = self._index.use(lambda db: self._listed(db, kind))
        found = {entry.key: entry for store in reversed(self.bundled) for entry in store._bundled_list(kind)}
        found |= {entry.key: entry for entry in own}
        return sorted(found.values(), key=lambda entry: (entry.created, entry.key), reverse=True)

    def size(self) -> int:
        """Bytes of all entries here, without bundled ones."""
        return sum(entry.bytes for entry in self._index.use(lambda db: self._listed(db, None)))

    def _listed(self, db: sqlite3.Connection, kind: str | None) -> Entries:
        self._sync(db, self._keys(), complete=True)
        rows = db.execute("SELECT key, kind, created, bytes, title FROM entries WHERE ?1 IS NULL OR kind = ?1", (kind,))
        return [Entry(*row) for row in rows]

    def _bundled_list(self, kind: str | None) -> Entries:
        entries = self._index.use(lambda db: self._listed(db, kind))
        return [Entry(e.key, e.kind, e.created, e.bytes, e.title, bundled=True) for e in entries]

    def _keys(self) -> set[str]:
        """Names of all entries, from one listing."""
        self.fs.invalidate_cache(self._runs)
        try:
            names = (path.rstrip("/").rpartition("/")[2] for path in self.fs.ls(self._runs, detail=False))
            return {name for name in names if KEY.fullmatch(name)}
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except Exception as error:
            self._fail(error, "The list of entries", "read")

    def _sync(self, db: sqlite3.Connection, keys: set[str], *, complete: bool) -> None:
        """Make the index hold ``keys``: all of them afresh, or, where ``keys`` is complete, what differs."""
        known = {row[0] for row in db.execute("SELECT key FROM entries")} if complete else set()
        for key in known - keys:
            db.execute("DELETE FROM entries WHERE key = ?", (key,))
        for key in keys - known:
            entry = self._entry(key)
            if entry:
                row = (entry.key, entry.kind, entry.created, entry.bytes, entry.title)
                db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", row)

    def _entry(self, key: str) -> Entry | None:
        """An entry as its files tell it; None where it does not exist (yet)."""
        if not self._present(key):
            return None
        kind, created, title = key.rpartition("-")[0], "", "(damaged)"
        with contextlib.suppress(RurkError):
            document = self._document(key)
            created, title = str(document["created"]), clean_title(document.get("title", ""))
            with contextlib.suppress(Exception):
                title = clean_title(self.fs.cat_file(self._path(key, "title.txt")).decode())
        try:
            size = sum(item["size"] or 0 for item in self.fs.ls(f"{self._runs}/{key}", detail=True))
        except Exception:
            return None  # deleted while we looked
        return Entry(key, kind, created, size, title)

    # --- files ---

    def _path(self, key: str, name: str) -> str:
        return f"{self._runs}/{key}/{name}"

    def _present(self, key: str) -> bool:
        path = self._path(key, "spec.json")
        if self.local:
            return os.path.isfile(path)
        self.fs.invalidate_cache(f"{self._runs}/{key}")
        try:
            return self.fs.exists(path)
        except Exception as error:
            self._fail(error, f"The entry {key}", "looked up")

    def _holder(self, key: str) -> Store | None:
        return next((store for store in (self, *self.bundled) if store._present(key)), None)

    def _bytes(self, key: str, name: str) -> bytes:
        try:
            return self.fs.cat_file(self._path(key, name))
        except (FileNotFoundError, IsADirectoryError):
            self._damaged(key, f"'{name}' is missing")
        except Exception as error:
            self._fail(error, f"The file '{name}' of {key}", "read")

    def _document(self, key: str) -> dict[str, Any]:
        """spec.json, checked."""
        try:
            document = json.loads(self._bytes(key, "spec.json"))
            files, spec = document["files"], document["spec"]
            whole = document["key"] == key and isinstance(spec, dict) and isinstance(document["created"], str)
            if not whole or not all(isinstance(noted, dict) for noted in files.values()):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._damaged(key, "'spec.json' is not what was written")
        return document

    def _put_objects(self, key: str, contents: dict[str, bytes]) -> None:
        written = []
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

    def _prepare(self) -> None:
        """Make the folder, and sweep what a crash left long ago."""
        try:
            os.makedirs(self.root, exist_ok=True)
            with os.scandir(self.root):
                pass
        except OSError as error:
            if isinstance(error, FileExistsError | NotADirectoryError):
                raise RurkError(f"The store {self.root} cannot be opened: a file is where a folder must be.") from None
            self._fail(error, "The store")
        with contextlib.suppress(OSError):
            for item in os.scandir(self._runs):
                if item.name.startswith(".tmp-") and time.time() - item.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(item.path, ignore_errors=True)

    def _writable(self, key: str) -> None:
        check_key(key)
        if self.read_only:
            raise UsageError(f"The store {self.url} is only for reading; choose another one to write to.")

    # --- sentences ---

    def _fail(self, error: Exception, what: str, verb: str = "saved") -> NoReturn:
        if isinstance(error, RurkError):
            raise error
        raise RurkError(explain(error, what, self.url, verb)) from error

    def _damaged(self, key: str, why: str) -> NoReturn:
        raise Damaged(
            f"The stored entry {key} is damaged ({why}); run its experiment again, it is then computed afresh.", key
        )


def _versions() -> dict[str, str]:
    return {
        "rurk": __version__,
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
    }
