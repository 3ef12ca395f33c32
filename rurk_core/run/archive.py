"""Whole experiments: which entries belong to one, and one as a single file to hand to somebody else.

The file is a plain zip without compression: ``rurk.json`` with the hash of every file, ``<key>/<file>`` for every
entry, and ``signature.json`` where somebody signed it. Nothing in it is executed. An entry is taken only if every file
has the size and hash that its spec.json notes, its name is the hash of what made it, and the run's numbers follow from
its tables (:mod:`rurk_core.run.checking`).

What nobody vouches for goes to the store's shelf: it can be read, and no run builds on it. What a trusted key signed
stands beside what was made here. Either way the entry says where it comes from.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..apart.reading import Reading
from ..errors import Damaged, RurkError, UsageError
from ..models.container import stored_archive
from ..store.names import FILE_NAME, KEY, clean_title, explain
from ..store.store import OWN_FILES, Store, names
from .checking import contradictions, recount, runs
from .signing import sign, vouched
from .stored import Reader, data_of

FORMATS = ("rurk-experiment/1", "rurk-experiment/2")
"""The first had neither hashes nor signatures."""
MAX_ENTRIES = 10_000
MAX_FILE_BYTES = 8 * 2**30
MAX_BYTES = 64 * 2**30
"""Largest experiment that is read back, of one file and in all."""
MAX_SPEC_BYTES = 64 * 2**20
MADE_HERE = "rurk.json", "signature.json"


def entries_of(store: Reader, key: str) -> list[str]:
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


def export(store: Store, key: str, path: Path, *, signed: bool = False) -> int:
    """Write an entry with all it rests on to ``path``, whole or not at all; returns how many entries that are.

    Args:
        signed: vouch for it with this user's key (:mod:`rurk_core.run.signing`).

    Raises:
        RurkError: an entry is damaged, or the file cannot be written.
    """
    keys = entries_of(store, key)
    titles = {entry.key: entry.title for entry in store.list()}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    hashes: dict[str, str] = {}
    try:
        with zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED) as file:

            def add(name: str, data: bytes) -> None:
                hashes[name] = hashlib.sha256(data).hexdigest()
                file.writestr(name, data)

            for entry in keys:
                document = store.document(entry)
                for name in document["files"]:
                    add(f"{entry}/{name}", store.read(entry, name))
                document["title"] = titles.get(entry, document.get("title", ""))
                add(f"{entry}/spec.json", json.dumps(document).encode())
            about = json.dumps({"format": FORMATS[-1], "key": key, "entries": keys, "files": hashes})
            file.writestr("rurk.json", about)
            if signed:
                file.writestr("signature.json", json.dumps(sign(about.encode())))
        os.replace(temporary, path)
    except OSError as error:
        raise RurkError(explain(error, "The experiment", path)) from None
    finally:
        temporary.unlink(missing_ok=True)
    return len(keys)


@dataclass(frozen=True)
class Imported:
    """What came in: the run's key, how many entries were new, the key that vouched for it ("" for nobody), and the
    entries that are here already with other content."""

    key: str
    new: int = 0
    signer: str = ""
    differs: list[str] = field(default_factory=list)


def import_file(store: Store, path: Path, *, trust: str = "") -> Imported:
    """Put an exported experiment into the store: beside one's own if a trusted key signed it, else on the shelf.

    Sizes are looked at before anything is read, names are never used as paths, all of it is checked before any of it
    is kept.

    Args:
        trust: the public key that must have signed it, or a file of such keys; "" for nobody's word.

    Raises:
        UsageError: no such file, no export, one with something wrong in it, or not signed by ``trust``.
    """
    try:
        with stored_archive(path, "file", 20 * MAX_ENTRIES) as file:
            packed = Packed(file, path)
            signer = packed.signed_by(trust) if trust else ""
            key, keys = packed.checked()
            origin = _origin(path, signer)
            target = store if signer or store.shelf is None else store.shelf
            new, differs = 0, []
            # what others rest on first, so that a run is there only once all of it is
            for entry in reversed(keys):
                if store.trusts(entry) and packed.differs(store, entry):
                    differs.append(entry)
                elif not store.trusts(entry):
                    new += packed.put(target, entry, origin)
            return Imported(key, new, signer, differs)
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise UsageError(f"The file {path} cannot be read as an exported experiment ({error}).") from None


def import_apart(store: Store, path: Path, *, trust: str = "") -> Imported:
    """:func:`import_file` in a process of its own, bounded in time and memory by the size of the file."""
    if not path.is_file():
        raise UsageError(f"{path} is no file." if path.exists() else f"There is no file {path}.")
    with Reading() as reading:
        arguments = [store.url, str(path), trust]
        size = path.stat().st_size
        return Imported(**reading.ask(f"{__name__}:_import", arguments, size=size, what=f"The file {path}"))


def _import(url: str, path: str, trust: str) -> dict[str, Any]:
    return asdict(import_file(Store(url), Path(path), trust=trust))


def _origin(path: Path, signer: str) -> dict[str, Any]:
    """Where an entry comes from: file, hash of it, when and by whom it was taken in, and who vouched."""
    try:
        who = getpass.getuser()
    except (OSError, KeyError, ImportError):
        who = ""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return {"file": clean_title(path.name), "sha256": digest, "when": when, "by": clean_title(who), "signer": signer}


class Packed:
    """An exported experiment, read as a store is: every file compared with its hashes."""

    def __init__(self, file: zipfile.ZipFile, path: Path) -> None:
        self.file, self.path = file, path
        self.sizes = _checked_names(file, path)
        self.about = self._json("rurk.json")
        if self.about.get("format") not in FORMATS or not isinstance(self.about.get("key"), str):
            raise UsageError(f"The file {path} is not an exported experiment.")
        self._documents: dict[str, dict[str, Any]] = {}

    def signed_by(self, trust: str) -> str:
        """The trusted key that signed it, with all that it holds."""
        signature = self._json("signature.json") if "signature.json" in self.sizes else None
        key = vouched(self.file.read("rurk.json"), signature, trust)
        if set(self._hashes()) != set(self.sizes) - set(MADE_HERE):
            raise UsageError(f"The file {self.path} holds other files than were signed.")
        return key

    def checked(self) -> tuple[str, list[str]]:
        """The run's key and those of all it rests on, once everything in the file was read and found right."""
        key = self.about["key"]
        if f"{key}/spec.json" not in self.sizes:
            raise UsageError(f"The file {self.path} is not an exported experiment.")
        keys = entries_of(self, key)
        held = {name.split("/")[0] for name in self.sizes if "/" in name}
        if held != set(keys):
            odd = min(held.symmetric_difference(keys))
            raise UsageError(f"The file {self.path} lacks the entry {odd}, or holds it without need.")
        for entry in keys:
            for name in self.document(entry)["files"]:
                self.read(entry, name)
        runs(self, keys)
        if key.startswith("run-"):
            for sentence in contradictions(self, key):
                raise UsageError(f"The file {self.path} contradicts itself: {sentence}")
        return key, keys

    def document(self, key: str) -> dict[str, Any]:
        if key not in self._documents:
            self._documents[key] = self._document(key)
        return self._documents[key]

    def _document(self, key: str) -> dict[str, Any]:
        document = self._json(f"{key}/spec.json")
        spec, noted = document.get("spec"), document.get("files")
        if not isinstance(spec, dict) or not isinstance(noted, dict):
            raise self._wrong(key)
        present = {name.split("/")[1] for name in self.sizes if name.startswith(f"{key}/")} - set(OWN_FILES)
        if not names(key, spec) or present != set(noted):
            raise self._wrong(key)
        return document

    def read(self, key: str, name: str) -> bytes:
        if name == "spec.json":
            return self._bytes(f"{key}/spec.json")
        noted = self.document(key)["files"].get(name)
        if noted is None:
            raise self._wrong(key)
        data = self._bytes(f"{key}/{name}")
        if not isinstance(noted, dict) or noted.get("sha256") != hashlib.sha256(data).hexdigest():
            raise self._wrong(key)
        return data

    def read_json(self, key: str, name: str) -> dict[str, Any]:
        self.read(key, name)
        return self._json(f"{key}/{name}")

    def differs(self, store: Store, key: str) -> bool:
        """Whether the entry is in the store with other content."""
        with contextlib.suppress(RurkError):
            return store.document(key)["files"] != self.document(key)["files"]
        return True

    def put(self, target: Store, key: str, origin: dict[str, Any]) -> bool:
        """Put an entry where nobody vouches for it, or beside one's own; False if it is whole there already."""
        if target.owns(key):
            with contextlib.suppress(RurkError):
                target.verify(key)
                return False
            target.delete(key)
        document = self.document(key)
        made = {"created": str(document.get("created"))[:40], "versions": _plain_versions(document.get("versions"))}
        title = document.get("title")
        files = {name: self.read(key, name) for name in document["files"]}
        target.put(key, document["spec"] | ({"title": title} if title else {}), files, origin=origin | made)
        return True

    def _hashes(self) -> dict[str, Any]:
        found = self.about.get("files")
        return found if isinstance(found, dict) else {}

    def _bytes(self, name: str) -> bytes:
        try:
            data = self.file.read(name)
        except KeyError:
            raise UsageError(f"The file {self.path} is not an exported experiment: '{name}' is missing.") from None
        if self.about["format"] != FORMATS[0] and self._hashes().get(name) != hashlib.sha256(data).hexdigest():
            raise UsageError(f"The file {self.path} is damaged or was changed: '{name}' is not what was exported.")
        return data

    def _json(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads(self.file.read(name) if name in MADE_HERE else self._bytes(name))
        except (KeyError, ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise UsageError(f"The file {self.path} is not an exported experiment: '{name}' is missing or not JSON.")
        return value

    def _wrong(self, key: str) -> UsageError:
        return UsageError(f"The file {self.path} is damaged or was changed: the entry {key} is not what its name says.")


def _plain_versions(value: Any) -> dict[str, str]:
    """What the maker says of versions: a few short texts."""
    known = value if isinstance(value, dict) else {}
    return {name: clean_title(known[name])[:40] for name in ("rurk", "python", "torch") if name in known}


def _checked_names(file: zipfile.ZipFile, path: Path) -> dict[str, int]:
    infos = file.infolist()
    if sum(info.file_size for info in infos) > MAX_BYTES:
        raise UsageError(f"The file {path} is larger than any experiment ({MAX_BYTES // 2**30} GiB at most).")
    sizes: dict[str, int] = {}
    for info in infos:
        key, slash, name = info.filename.partition("/")
        plain = info.filename in MADE_HERE or (slash and KEY.fullmatch(key) and FILE_NAME.fullmatch(name))
        if not plain:
            raise UsageError(f"The file {path} holds {info.filename[:60]!r}, which no exported experiment does.")
        if info.file_size > (MAX_SPEC_BYTES if name in ("", "spec.json") else MAX_FILE_BYTES):
            raise UsageError(f"In the file {path}, {info.filename} is too large.")
        sizes[info.filename] = info.file_size
    return sizes


def verify(store: Store) -> dict[str, str]:
    """Read every entry of the store and of its shelf: key → what is wrong with it, for those that are damaged."""
    wrong = {}
    for place in _places(store):
        for entry in place.own():
            try:
                place.verify(entry.key)
            except RurkError as error:
                wrong[entry.key] = str(error)
    return wrong


def verify_deep(store: Store, root: str | None = None) -> tuple[dict[str, str], list[str]]:
    """Whether results follow from what they rest on, and tables from their models where the data can be read.

    Args:
        root: where data sets lie.

    Returns:
        Key of a run → the first contradiction; and sentences on what could not be counted again.
    """
    wrong, unread = {}, []
    for entry in [entry for place in _places(store) for entry in place.own("run")]:
        try:
            found = next(contradictions(store, entry.key), "")
            if not found:
                result = store.read_json(entry.key, "result.json")
                try:
                    data = data_of(result, root)
                except RurkError as error:
                    unread.append(f"{entry.key}: {error}")
                    continue
                found = next(recount(store, entry.key, data), "")
        except RurkError as error:
            found = str(error)
        if found:
            wrong[entry.key] = found
    return wrong, unread


def _places(store: Store) -> list[Store]:
    return [store, *([store.shelf] if store.shelf else [])]


def unused(store: Store) -> list[str]:
    """Keys of the store's own stages that no finished experiment rests on: left over from stopped or deleted ones.

    Only kinds that an experiment makes are named; what people wrote is never among them. Stages of jobs that are
    running are not told apart: look first that none is.
    """
    from .stages import RUN

    entries = [entry for place in _places(store) for entry in place.own()]
    kept: set[str] = set()
    for entry in entries:
        if entry.kind not in RUN:
            with contextlib.suppress(RurkError):
                kept |= set(entries_of(store, entry.key))
    return [entry.key for entry in entries if entry.kind in RUN and entry.key not in kept]
