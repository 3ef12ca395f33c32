"""Slices: samples of a run that somebody chose and gave a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import UsageError
from ..store.names import clean_title
from ..store.store import Store
from .kept_lines import all_of, append, path_of

MAX_NAME = 60


@dataclass(frozen=True)
class Slice:
    """A name and training indices with commas between; without any, the name is taken away."""

    name: str
    indices: str
    time: str = ""

    @property
    def samples(self) -> list[int]:
        return [int(part) for part in self.indices.split(",") if part.isdigit()]


def keep_slice(store: Store, run: str, name: str, samples: Sequence[int]) -> None:
    """Keep samples under a name, in place of those it had.

    Raises:
        UsageError: there is no name.
        RurkError: it cannot be written.
    """
    clean = clean_title(name)[:MAX_NAME]
    if not clean:
        raise UsageError("A slice needs a name.")
    kept = Slice(clean, ",".join(map(str, sorted(set(samples)))), datetime.now(UTC).isoformat(timespec="seconds"))
    append(path_of(store, run, ".slices"), kept, "The slice")


def slices(store: Store, run: str) -> dict[str, list[int]]:
    """Name → samples, in the order in which the names came."""
    found = {one.name: one.samples for one in all_of(path_of(store, run, ".slices"), Slice)}
    return {name: samples for name, samples in found.items() if samples}
