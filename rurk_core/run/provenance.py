"""Who made what a result rests on, when, with which versions and which code: read from the entries, not from it.

The rule of reuse, in short: a run builds on an entry if its key is the one asked for. Data, settings, seeds and the
digest of the code that makes it are in the key, so that a changed method, attack or trainer is run again; the versions
of Python and torch are not, so entries of several may meet in one result, which then says so. Nothing builds on what
was imported from somebody who is not trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import RurkError
from ..store.store import Store
from .code import ROOTS, code_of

SHORT = 5
"""Names of models that a sentence lists."""


@dataclass(frozen=True)
class Made:
    """Who made one entry.

    Attributes:
        name: what it is: a model of the run, or "the result".
        rurk, torch: versions; "" where none was noted.
        code: digest of the code that made it, "" where it was made before digests were noted; now: whether that is
            the code of this program, None where nothing tells.
        created: when it was made, UTC.
        origin: where it was imported from, as :mod:`rurk_core.run.archive` notes it; None for what was made here.
        trusted: whether it was made here or vouched for by a trusted key.
    """

    name: str
    key: str
    rurk: str
    torch: str
    code: str
    now: bool | None
    created: str
    origin: dict[str, Any] | None
    trusted: bool

    @property
    def versions(self) -> str:
        return f"RURK Explorer {self.rurk or 'of an unknown version'} with torch {self.torch or 'unknown'}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def makers(store: Store, result: dict[str, Any]) -> list[Made]:
    """The result first, then every model of it, those of members too; what is missing or damaged is left out."""
    rows = [*result["models"], *result.get("members", {}).get("models", ())]
    named = [("the result", result["key"])] + [(row["name"], row["key"]) for row in rows if row.get("key")]
    found = []
    for name, key in named:
        try:
            found.append(_made(store, name, key))
        except RurkError:
            continue
    return found


def _made(store: Store, name: str, key: str) -> Made:
    document = store.document(key)
    versions, spec, origin = document.get("versions"), document["spec"], document.get("origin")
    known = versions if isinstance(versions, dict) else {}
    origin = origin if isinstance(origin, dict) else None
    created = str((origin or document).get("created", ""))
    kind, code = key.rpartition("-")[0], str(spec.get("code") or "")
    return Made(
        name,
        key,
        str(known.get("rurk", ""))[:40],
        str(known.get("torch", ""))[:40],
        code[:40],
        code == code_of(kind, str(spec.get("method") or "")) if code and kind in ROOTS and kind != "run" else None,
        created[:40],
        origin,
        store.trusts(key),
    )


def words(made: Iterable[Made]) -> list[str]:
    """What a page or a report says of the makers: what was imported, whether versions are mixed, what is of other code.

    Nothing where all of it was made here by one version and by this very code.
    """
    found = list(made)
    return [*_imported(found), *_mixed(found), *_outdated(found)]


def _imported(made: list[Made]) -> Iterator[str]:
    by_file: dict[tuple[str, str, str], list[Made]] = {}
    for one in made:
        if one.origin:
            file, when, signer = (str(one.origin.get(name) or "") for name in ("file", "when", "signer"))
            by_file.setdefault((file, when[:10], signer), []).append(one)
    for (file, when, signer), ones in by_file.items():
        what = "Imported" if any(one.name == "the result" for one in ones) else f"Imported: {_names(ones)}"
        who = (
            f"signed by the trusted key {signer}"
            if signer
            else "nobody you trust has signed it, and no run builds on it"
        )
        yield f"{what}, from {file[:80]} on {when}; {who}."


def _mixed(made: list[Made]) -> Iterator[str]:
    groups: dict[str, list[Made]] = {}
    for one in made:
        if one.rurk or one.torch:
            groups.setdefault(one.versions, []).append(one)
    if len(groups) > 1:
        each = "; ".join(f"{versions}: {_names(ones)}" for versions, ones in groups.items())
        yield f"Made by different versions. {each}."


def _outdated(made: list[Made]) -> Iterator[str]:
    other = [one for one in made if one.now is False]
    if other:
        yield (
            f"The code has changed since these were made: {_names(other)}. The numbers are those of that code; the "
            "same experiment started now computes them anew."
        )


def _names(made: list[Made]) -> str:
    names = [one.name for one in made]
    more = f" and {len(names) - SHORT} more" if len(names) > SHORT else ""
    return ", ".join(names[:SHORT]) + more
