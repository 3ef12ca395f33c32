"""Where results live: a folder (or a bucket) of finished entries, each named by the hash of what made it::

    <root>/runs/<key>/spec.json, model.safetensors, ...     the truth; an entry without spec.json does not exist
    <root>/imported/runs/...                                the same, of what others made: no run builds on it
    <root>/index.sqlite                                     a fast list of it, rebuilt whenever it is missing or wrong
    <root>/jobs/<id>/                                       background runs, see :mod:`rurk_core.jobs.control`

An entry appears whole or not at all: it is written under another name and renamed (in a bucket: spec.json goes
last). Nothing stored is ever unpickled; every file is checked against the hash noted when it was written.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import importlib.metadata
import json
import platform
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..errors import Damaged, RurkError, UsageError
from .index import Entries, Entry, Index
from .names import FILE_NAME, canonical_json, check_key, clean_title
from .place import Place

OWN_FILES = ("spec.json", "title.txt")
FORMAT = 2
"""Of an entry's spec.json. 1 had neither "format" nor "origin"."""
SHELF = "imported"
LOOSE = ("seed", "title", "methods", "code")
"""What runs that can be compared may differ in."""
RACY = 200_000_000
"""Nanoseconds within which a folder may change again without its time telling so."""


class Store(Place):
    """Finished results in a folder or under any fsspec URL, content-addressed.

    Args:
        url: a folder, or a URL like ``memory://x`` or ``s3://bucket/prefix``.
        bundled: stores that are only read, looked up after this one.
        read_only: never write here, not even the index.

    Attributes:
        shelf: what others made and nobody vouches for, looked up last; None where there can be none.

    Raises:
        RurkError: the place cannot be used; one sentence says why.

    >>> store = Store("memory://example")
    >>> key = store.key("run", {"seed": 7})
    >>> store.put(key, {"seed": 7, "title": "First"}, {"result.json": b'{"r": 1.5}'})
    >>> store.read_json(key, "result.json"), [entry.title for entry in store.list("run")]
    ({'r': 1.5}, ['First'])
    """

    def __init__(self, url: str | Path, *, bundled: Iterable[str | Path] = (), read_only: bool = False) -> None:
        super().__init__(url, read_only=read_only)
        self._index = Index(Path(self.root) if self.local and not read_only else None)
        self.bundled = tuple(Store(place, read_only=True) for place in bundled)
        self.shelf = None if read_only or Path(self.root).name == SHELF else Store(self._below(SHELF))

    def _below(self, name: str) -> str | Path:
        first, chain, rest = self.url.partition("::")
        return Path(self.root, name) if self.local else f"{first.rstrip('/')}/{name}{chain}{rest}"

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

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
        """Whether the entry can be read: it is here, in a bundled store or on the shelf."""
        return self._holder(check_key(key)) is not None

    def trusts(self, key: str) -> bool:
        """Whether a run may build on the entry: made here, bundled, or from somebody who was trusted."""
        check_key(key)
        return any(store._present(key) for store in (self, *self.bundled))

    def owns(self, key: str) -> bool:
        """Whether the entry is in this very store and may be written; bundled ones are not."""
        return not self.read_only and self._present(check_key(key))

    def put(
        self, key: str, spec: dict[str, Any], files: dict[str, bytes], *, origin: dict[str, Any] | None = None
    ) -> None:
        """Store an entry whole or not at all; where it exists already nothing happens.

        Args:
            spec: what made it; ``spec["title"]`` is its first title.
            files: contents by name.
            origin: for what was made elsewhere, where it comes from (:mod:`rurk_core.run.archive`), with the
                ``created`` and the ``versions`` of whoever made it.

        Raises:
            RurkError: the disk is full, writing is forbidden, ...; nothing of the entry is left.
        """
        self._writable(key)
        for name in files:
            if name in OWN_FILES or not FILE_NAME.fullmatch(name):
                raise UsageError(f"'{name}' cannot be the name of a stored file.")
        if self.trusts(key):
            return
        document = {
            "format": FORMAT,
            "key": key,
            "kind": key.rpartition("-")[0],
            "spec": json.loads(canonical_json(spec)),
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
            "title": clean_title(spec.get("title", "")),
            "versions": origin.get("versions", {}) if origin else _versions(),
            "files": {
                name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
            },
        } | ({"origin": origin} if origin else {})
        try:
            self._write(key, files | {"spec.json": json.dumps(document, indent=1).encode()})
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
        holder = self._held(key)
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
        """Compare an entry's name with the hash of its description, and all its files with the hashes noted there.

        Raises:
            Damaged: the name, or a file that is missing, cut short or changed; RurkError: there is no such entry.
        """
        holder = self._held(key)
        document = holder._document(key)
        # searches of format 1 were named by more than they noted
        old = key.startswith("tuning-") and "format" not in document
        if not old and (document.get("kind") != key.rpartition("-")[0] or not names(key, document["spec"])):
            holder._damaged(key, "its description is not the one its name is the hash of")
        for name in document["files"]:
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
        place = self._changeable(key, "deleted")
        try:
            place._remove(key)
        except Exception as error:
            place._fail(error, f"The entry {key}", "deleted")
        place._index.note(lambda db: db.execute("DELETE FROM entries WHERE key = ?", (key,)))

    def rename(self, key: str, title: str) -> None:
        """Give an entry another title. The key stays, since it does not depend on the title."""
        place = self._changeable(key, "renamed")
        if not place._present(key):
            raise UsageError(f"The entry {key} is not in the store {self.url}.")
        try:
            place._write_file(key, "title.txt", clean_title(title).encode())
        except Exception as error:
            place._fail(error, "The title")
        place._index.note(lambda db: place._sync(db, {key}, complete=False))

    def document(self, key: str) -> dict[str, Any]:
        """The checked spec.json of an entry: ``spec``, ``created``, ``versions``, ``files``, ``origin`` if any.

        Raises:
            Damaged: it is not what was written; RurkError: there is no such entry.
        """
        return self._held(key)._document(key)

    # --- the list ---

    def list(self, kind: str | None = None, *, newest: int = -1) -> Entries:
        """All entries, newest first, those of bundled stores and of the shelf included.

        Args:
            newest: only so many.
        """
        found: dict[str, Entry] = {}
        if self.shelf:
            found = {entry.key: replace(entry, imported=True) for entry in self.shelf.own(kind, newest=newest)}
        for store in reversed(self.bundled):
            found |= {entry.key: replace(entry, bundled=True) for entry in store.own(kind, newest=newest)}
        found |= {entry.key: entry for entry in self.own(kind, newest=newest)}
        ordered = sorted(found.values(), key=lambda entry: (entry.created, entry.key), reverse=True)
        return ordered[:newest] if newest >= 0 else ordered

    def own(self, kind: str | None = None, *, newest: int = -1) -> Entries:
        """The entries of this very place, newest first."""
        where, given = _of(kind)
        text = f"SELECT key, kind, created, bytes, title FROM entries {where} ORDER BY created DESC, key DESC LIMIT ?"
        return [Entry(*row) for row in self._select(text, *given, newest)]

    def entry(self, key: str) -> Entries:
        """An entry as it is listed; none where it is not there."""
        holder = self._holder(check_key(key))
        found = holder._entry(key) if holder else None
        if found is None:
            return []
        return [replace(found, bundled=holder in self.bundled, imported=holder is self.shelf)]

    def kin(self, key: str, newest: int) -> builtins.list[str]:
        """Entries that differ from one in nothing but :data:`LOOSE`: the newest, newest first, itself among them."""
        text = "SELECT key, created FROM entries WHERE family = ? ORDER BY created DESC LIMIT ?"
        family, found = self._held(key)._family(key), dict[str, str]()
        for place in reversed(self._places()):
            found |= dict(place._select(text, family, newest))
        ordered = sorted(found, key=lambda each: (found[each], each), reverse=True)
        return ordered[:newest] if key in ordered[:newest] else [*ordered[: newest - 1], key]

    def _family(self, key: str) -> str:
        try:
            spec = self._document(key)["spec"]
        except RurkError:
            return ""
        return self.key("family", {name: value for name, value in spec.items() if name not in LOOSE})

    def size(self) -> int:
        """Bytes of all entries here, without bundled ones."""
        return self._select("SELECT coalesce(sum(bytes), 0) FROM entries")[0][0]

    def count(self, kind: str | None = None) -> int:
        """How many entries there are here, on the shelf and in bundled stores; what is in several counts twice."""
        where, given = _of(kind)
        return sum(place._select(f"SELECT count(*) FROM entries {where}", *given)[0][0] for place in self._places())

    def _places(self) -> builtins.list[Store]:
        return [self, *self.bundled, *([self.shelf] if self.shelf else [])]

    def _select(self, text: str, *given: str | int) -> Any:
        """Rows of the index, once it holds what the folder does."""

        def look(db: sqlite3.Connection) -> Any:
            # a folder that has not changed since it was listed need not be listed: a store may have 50,000 entries
            stamp = self._stamp()
            if not stamp or (stamp,) != db.execute("SELECT stamp FROM synced").fetchone():
                self._sync(db, self._keys(), complete=True)
                db.execute("DELETE FROM synced")
                if stamp and stamp == self._stamp() and time.time_ns() - stamp > RACY:
                    db.execute("INSERT INTO synced VALUES (?)", (stamp,))
            return db.execute(text, given).fetchall()

        return self._index.use(look)

    def _sync(self, db: sqlite3.Connection, keys: set[str], *, complete: bool) -> None:
        """Make the index hold ``keys``: all of them afresh, or, where ``keys`` is complete, what differs."""
        known = {row[0] for row in db.execute("SELECT key FROM entries")} if complete else set()
        for key in known - keys:
            db.execute("DELETE FROM entries WHERE key = ?", (key,))
        for key in keys - known:
            entry = self._entry(key)
            if entry:
                family = self._family(key) if entry.kind == "run" else ""
                row = (entry.key, entry.kind, entry.created, entry.bytes, entry.title, family)
                db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)", row)

    def _entry(self, key: str) -> Entry | None:
        """An entry as its files tell it; None where it does not exist (yet)."""
        if not self._present(key):
            return None
        kind, created, title = key.rpartition("-")[0], "", "(damaged)"
        with contextlib.suppress(RurkError):
            document = self._document(key)
            created, title = str(document["created"]), clean_title(document.get("title", ""))
            with contextlib.suppress(Exception):
                title = clean_title(self._file(key, "title.txt").decode())
        try:
            size = self._size(key)
        except Exception:
            return None  # deleted while we looked
        return Entry(key, kind, created, size, title)

    # --- files ---

    def _holder(self, key: str) -> Store | None:
        return next((store for store in self._places() if store._present(key)), None)

    def _held(self, key: str) -> Store:
        holder = self._holder(check_key(key))
        if holder is None:
            raise RurkError(f"There is no entry {key} in the store {self.url}; run the experiment that makes it.")
        return holder

    def _bytes(self, key: str, name: str) -> bytes:
        try:
            return self._file(key, name)
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

    def _writable(self, key: str) -> None:
        check_key(key)
        if self.read_only:
            raise UsageError(f"The store {self.url} is only for reading; choose another one to write to.")

    def _changeable(self, key: str, verb: str) -> Store:
        """This place or its shelf, whichever has the entry; raises UsageError where it may not be ``verb``."""
        self._writable(key)
        if not self._present(key):
            if self.shelf and self.shelf._present(key):
                return self.shelf
            if any(store.has(key) for store in self.bundled):
                raise UsageError(f"The entry {key} comes along with the program and cannot be {verb}.")
        return self

    def _damaged(self, key: str, why: str) -> NoReturn:
        raise Damaged(
            f"The stored entry {key} is damaged ({why}); run its experiment again, it is then computed afresh.", key
        )


def _of(kind: str | None) -> tuple[str, list[str]]:
    """The condition of a query on entries of a kind, and its values; None: of all kinds."""
    return ("WHERE kind = ?", [kind]) if kind else ("", [])


def names(key: str, spec: dict[str, Any]) -> bool:
    """Whether ``key`` is that of what ``spec`` describes, whose title may have come later."""
    kind, untitled = key.rpartition("-")[0], {name: value for name, value in spec.items() if name != "title"}
    return key in (Store.key(kind, spec), Store.key(kind, untitled))


def _versions() -> dict[str, str]:
    return {
        "rurk": __version__,
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
    }
