"""Whole experiments: which entries belong to one, and one as a single file to hand to somebody else.

The file is a plain zip without compression: ``rurk.json`` and ``<key>/<file>`` for every entry. Nothing in it is
executed. An entry is taken only if every file has the size and hash that its spec.json notes, and its name is
the hash of what made it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import Damaged, RurkError, UsageError
from ..store.names import FILE_NAME, KEY, explain
from ..store.store import OWN_FILES, Store

FORMAT = "rurk-experiment/1"
MAX_ENTRIES = 10_000
MAX_FILE_BYTES = 8 * 2**30
MAX_BYTES = 64 * 2**30
"""Largest experiment that is read back, of one file and in all."""
MAX_SPEC_BYTES = 64 * 2**20


def entries_of(store: Store, key: str) -> list[str]:
    """Keys of an entry and of all it rests on, itself first: those its spec and its result name, and theirs.

    Raises:
        RurkError: one that is named does not exist, or cannot be read.
    """
    found = [key]
    for entry in found:  # grows while it is walked
        texts = [store.read(entry, "spec.json")]
        if entry.startswith("run-"):
            texts.append(store.read(entry, "result.json"))
        for name in _keys_in([_json(text, entry) for text in texts]):
            if name not in found:
                found.append(name)
    return found


def _keys_in(value: Any) -> Iterator[str]:
    """All keys of entries among the texts of a JSON value."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str) and KEY.fullmatch(item):
            yield item
        elif isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, list):
            todo += item


def _json(data: bytes, key: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Damaged(f"The stored entry {key} is damaged (a file of it is not JSON).", key) from None


def export(store: Store, key: str, path: Path) -> int:
    """Write an entry with all it rests on to ``path``, whole or not at all; returns how many entries that are.

    Raises:
        RurkError: an entry is damaged, or the file cannot be written.
    """
    keys = entries_of(store, key)
    titles = {entry.key: entry.title for entry in store.list()}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED) as file:
            file.writestr("rurk.json", json.dumps({"format": FORMAT, "key": key, "entries": keys}))
            for entry in keys:
                document = _json(store.read(entry, "spec.json"), entry)
                for name in document["files"]:
                    file.writestr(f"{entry}/{name}", store.read(entry, name))
                document["title"] = titles.get(entry, document.get("title", ""))
                file.writestr(f"{entry}/spec.json", json.dumps(document))
        os.replace(temporary, path)
    except OSError as error:
        raise RurkError(explain(error, "The experiment", path)) from None
    finally:
        temporary.unlink(missing_ok=True)
    return len(keys)


def import_file(store: Store, path: Path) -> tuple[str, int]:
    """Put an exported experiment into the store: its key, and how many entries were new.

    Sizes are looked at before anything is read, names are never used as paths, and an entry that is not what its
    spec.json says is refused; those before it stay, as each is whole in itself.

    Raises:
        UsageError: no such file, no export, or one with something wrong in it; the sentence says what.
    """
    try:
        with zipfile.ZipFile(path) as file:
            sizes = _checked_names(file, path)
            about = _document(file, "rurk.json", path)
            if about.get("format") != FORMAT or about.get("key") not in {name.split("/")[0] for name in sizes}:
                raise UsageError(f"The file {path} is not an exported experiment.")
            new = 0
            keys = dict.fromkeys(name.split("/")[0] for name in sizes if "/" in name)
            # what others rest on first, so that a run is there only once all of it is
            for key in sorted(keys, key=lambda key: key.startswith("run-")):
                new += _import_entry(store, file, key, sizes, path)
            return about["key"], new
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise UsageError(f"The file {path} cannot be read as an exported experiment ({error}).") from None


def _checked_names(file: zipfile.ZipFile, path: Path) -> dict[str, int]:
    infos = file.infolist()
    if len(infos) > 20 * MAX_ENTRIES or sum(info.file_size for info in infos) > MAX_BYTES:
        raise UsageError(f"The file {path} is larger than any experiment ({MAX_BYTES // 2**30} GiB at most).")
    sizes: dict[str, int] = {}
    for info in infos:
        key, slash, name = info.filename.partition("/")
        plain = info.filename == "rurk.json" or (slash and KEY.fullmatch(key) and FILE_NAME.fullmatch(name))
        if not plain or info.filename in sizes:
            raise UsageError(f"The file {path} holds {info.filename[:60]!r}, which no exported experiment does.")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise UsageError(f"The file {path} is compressed; an exported experiment is not.")
        if info.file_size > (MAX_SPEC_BYTES if name in ("", "spec.json") else MAX_FILE_BYTES):
            raise UsageError(f"In the file {path}, {info.filename} is too large.")
        sizes[info.filename] = info.file_size
    return sizes


def _document(file: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read(name))
    except (KeyError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UsageError(f"The file {path} is not an exported experiment: '{name}' is missing or not JSON.")
    return value


def _import_entry(store: Store, file: zipfile.ZipFile, key: str, sizes: dict[str, int], path: Path) -> bool:
    wrong = UsageError(f"The file {path} is damaged or was changed: the entry {key} is not what its name says.")
    document = _document(file, f"{key}/spec.json", path)
    spec, noted = document.get("spec"), document.get("files")
    if not isinstance(spec, dict) or not isinstance(noted, dict):
        raise wrong
    kind = key.rpartition("-")[0]
    untitled = {name: value for name, value in spec.items() if name != "title"}
    if key not in (Store.key(kind, spec), Store.key(kind, untitled)):
        raise wrong
    if store.has(key):
        with contextlib.suppress(RurkError):
            store.verify(key)
            return False
        store.delete(key)
    present = {name.split("/")[1] for name in sizes if name.startswith(f"{key}/")} - set(OWN_FILES)
    if present != set(noted):
        raise wrong
    # put notes sizes and hashes of its own; what the file says of them must be the same
    files = {name: file.read(f"{key}/{name}") for name in noted}
    for name, data in files.items():
        about = noted[name]
        if not isinstance(about, dict) or about.get("sha256") != hashlib.sha256(data).hexdigest():
            raise wrong
    title = document.get("title")
    store.put(key, spec | ({"title": title} if title else {}), files)
    return True


def verify(store: Store) -> dict[str, str]:
    """Read every entry of the store: key → what is wrong with it, for those that are damaged."""
    wrong = {}
    for entry in store.list():
        if entry.bundled:
            continue
        try:
            store.verify(entry.key)
        except RurkError as error:
            wrong[entry.key] = str(error)
    return wrong


def unused(store: Store) -> list[str]:
    """Keys of the store's own stages that no finished experiment rests on: left over from stopped or deleted ones.

    Only kinds that an experiment makes are named; what people wrote is never among them. Stages of jobs that are
    running are not told apart: look first that none is.
    """
    from .stages import RUN

    entries = [entry for entry in store.list() if not entry.bundled]
    kept: set[str] = set()
    for entry in entries:
        if entry.kind not in RUN:
            with contextlib.suppress(RurkError):
                kept |= set(entries_of(store, entry.key))
    return [entry.key for entry in entries if entry.kind in RUN and entry.key not in kept]
