"""The index of a store: an SQLite file that can be made again from the folders."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

INDEX_VERSION = 1


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
    """

    key: str
    kind: str
    created: str
    bytes: int
    title: str
    bundled: bool = False


Entries = list[Entry]  # inside Store, ``list`` is its method


def create_table(db: sqlite3.Connection) -> None:
    """The empty index, unless this version of it is there."""
    if db.execute("PRAGMA user_version").fetchone()[0] == INDEX_VERSION:
        return
    with db:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] == INDEX_VERSION:
            return  # another process was first
        db.execute("DROP TABLE IF EXISTS entries")
        db.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, kind TEXT, created TEXT, bytes INTEGER, title TEXT)")
        db.execute(f"PRAGMA user_version = {INDEX_VERSION}")
