"""The index of a store: an SQLite file that can be made again from the folders."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from ..errors import RurkError
from .atomic import FILE

T = TypeVar("T")

INDEX_VERSION = 2


@dataclass(frozen=True)
class Entry:
    """One stored result, as listed.

    Attributes:
        key: its name, ``kind-16 hex digits``.
        kind: "run", "original", ...
        created: UTC time in ISO format; "" where the entry is damaged.
        bytes: size of its files.
        title: a name for people, plain text whatever it looks like.
        bundled: it lies in a read-only store that came along.
        imported: others made it, and nobody vouches for it.
    """

    key: str
    kind: str
    created: str
    bytes: int
    title: str
    bundled: bool = False
    imported: bool = False


Entries = list[Entry]  # inside Store, ``list`` is its method


class Index:
    """The index of a folder, or one in memory where there is none (``folder`` is None).

    Reading writes nothing: the file is made by the first change that is noted; until then the list is in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._memory: sqlite3.Connection | None = None
        self._written = False

    def use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """``work`` on the index. A broken index is made anew; where none can be had, one in memory serves."""
        with self._lock:
            for _ in range(2 if self._kept() else 0):
                try:
                    with self._open() as db:
                        return work(db)
                except sqlite3.OperationalError:
                    break  # busy for long, disk full, not writable: deleting it would help nobody
                except sqlite3.DatabaseError:
                    with contextlib.suppress(OSError):
                        self._drop_broken()
            if self._memory is None:
                self._memory = sqlite3.connect(":memory:", check_same_thread=False)
                create_table(self._memory)
            with self._memory as db:
                return work(db)

    def note(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        """Tell the index of a change; the folders are the truth, so a failure here loses nothing."""
        self._written = True
        with contextlib.suppress(RurkError, sqlite3.Error, OSError):
            self.use(work)

    def _kept(self) -> bool:
        """Whether there is a file, or this process may make one because it has written here."""
        if self.folder is None or not os.access(self.folder, os.W_OK):
            return False
        return self._written or os.path.isfile(self.folder / "index.sqlite")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # opened for each use (0.1 ms), so that an index deleted by another process is simply made again
        assert self.folder is not None
        with contextlib.suppress(OSError):
            (self.folder / "index.sqlite").touch(FILE, exist_ok=False)
        db = sqlite3.connect(f"{self.folder}/index.sqlite", timeout=10)
        try:
            with contextlib.suppress(sqlite3.OperationalError):
                db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            create_table(db)
            with db:
                yield db
        finally:
            db.close()

    def _drop_broken(self) -> None:
        with FileLock(f"{self.folder}/.index.lock"):
            try:
                with self._open() as db:
                    db.execute("PRAGMA quick_check").fetchall()
                    db.execute("SELECT count(*) FROM entries").fetchall()
            except sqlite3.OperationalError:
                return
            except sqlite3.DatabaseError:
                for suffix in ("", "-wal", "-shm"):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{self.folder}/index.sqlite{suffix}")


def create_table(db: sqlite3.Connection) -> None:
    """The empty index, unless this version of it is there."""
    if db.execute("PRAGMA user_version").fetchone()[0] == INDEX_VERSION:
        return
    with db:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] == INDEX_VERSION:
            return  # another process was first
        db.execute("DROP TABLE IF EXISTS entries")
        db.execute(
            "CREATE TABLE entries "
            "(key TEXT PRIMARY KEY, kind TEXT, created TEXT, bytes INTEGER, title TEXT, family TEXT)"
        )
        db.execute("CREATE INDEX by_kind ON entries (kind, created DESC, key DESC)")
        db.execute("CREATE INDEX by_family ON entries (family, created DESC)")
        db.execute("CREATE INDEX by_time ON entries (created DESC, key DESC)")
        db.execute("DROP TABLE IF EXISTS synced")
        db.execute("CREATE TABLE synced (stamp INTEGER)")
        db.execute(f"PRAGMA user_version = {INDEX_VERSION}")
