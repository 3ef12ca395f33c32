"""A model of a run under an attack, opened once: what all evidence on it is read from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..data import Dataset
from ..errors import RurkError, UsageError
from ..measure.residual import Verdicts
from ..measure.verdicts import OnChunk, count_alike, verdicts_from_bytes, verdicts_to_bytes
from ..perturb.copies import ATTACKS
from ..run.code import code_of
from ..run.result import load_result
from ..run.stored import load_model, load_verdicts
from ..store.store import Store
from .law import RATE, Judged
from .tables import judge_tables

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """A model of a finished run or audit under one attack.

    Attributes:
        store, run: where the run is, and its key; result: its document.
        method: the model, by name; attack: key of the attack.
        key: of the verdict table it is judged in; verdicts: that table, of the forget set.
        peers: the same models on held-out samples (and, under an attack that is built on a model, every model on copies
            built on itself, the forget set first); None where the run has none.
        members: tables of further Originals on the forget set and on the held-out samples of ``peers``, under the same
            attack; None where the run has none.
    """

    store: Store
    run: str
    result: dict[str, Any]
    method: str
    attack: str
    key: str
    verdicts: Verdicts
    peers: Verdicts | None
    members: tuple[Verdicts, Verdicts | None] | None = None

    @property
    def references(self) -> list[str]:
        """Names of the re-trained models that the model is held against."""
        return [name for name in self.verdicts.references if name != self.method]

    @property
    def on_itself(self) -> bool:
        """Whether copies are built on a model, so that each model has its own."""
        return ATTACKS[self.attack].uses_model

    @property
    def keys(self) -> dict[str, str]:
        """Keys of the run's models by their names."""
        return {row["name"]: row["key"] for row in self.result["models"] if row.get("key")}

    def model(self, name: str) -> Any:
        """A model of the run, on the CPU, in eval mode."""
        return load_model(self.store, self.keys[name])

    def of(self, data: Dataset) -> Dataset:
        """``data``, once it is certain that it is what the run saw.

        Raises:
            UsageError: it is not.
        """
        noted = self.result["dataset"]["fingerprint"]
        if data.fingerprint != noted:
            raise UsageError(
                f"The data set '{data.name}' has the fingerprint {data.fingerprint}, but the run was made on "
                f"{noted}; give the same data."
            )
        return data


def open_case(store: Store, run: str, *, method: str, attack: str = "") -> Case:
    """Open the case of ``method``, a model of the run: an unlearned one, "original", or a reference.

    Args:
        attack: one the run was measured under, its first by default.

    Raises:
        UsageError: no such model or attack in the run.
        RurkError: the run is not in the store, or damaged.
    """
    result = load_result(store, run)
    attack = attack or result["residual"][0]["attack"]
    entries = [entry for entry in result["residual"] if entry["attack"] == attack]
    if not entries:
        known = ", ".join(dict.fromkeys(entry["attack"] for entry in result["residual"]))
        raise UsageError(f"The run was not measured under the attack '{attack}'; it has {known}.")
    found = next((entry["verdicts"] for entry in entries if entry["method"] == method), None)
    if found is None and method.startswith("reference-") and len({entry["verdicts"] for entry in entries}) == 1:
        found = entries[0]["verdicts"]
    if found is None:
        raise UsageError(f"The run has no model '{method}' under '{attack}'.")
    peers = result.get("peers", {}).get(attack)
    more = [load_verdicts(store, key) for key in result.get("members", {}).get("verdicts", {}).get(attack, ())]
    return Case(
        store,
        run,
        result,
        method,
        attack,
        found,
        load_verdicts(store, found),
        load_verdicts(store, peers) if peers else None,
        (more[0], more[1] if len(more) > 1 else None) if more else None,
    )


def judge_case(case: Case, *, rate: float = RATE) -> Judged | None:
    """What can be said of every sample and of the set; None where nothing can, see :func:`why_not`.

    Of copies that all models share, from their own tables; of copies that an attack builds on a model, from the table
    in which every model judges its own.
    """
    if why_not(case):
        return None
    forget, held = tables_of(case)
    return judge_tables(forget, case.method, references=case.references, held=held, members=case.members, rate=rate)


def tables_of(case: Case) -> tuple[Verdicts, Verdicts | None]:
    """The tables that evidence is read from, of the forget set and of held-out samples (None where there are none).

    Of a case with :func:`why_not` "" only.
    """
    n, forget, held = len(case.verdicts.samples), case.verdicts, case.peers
    if case.on_itself:
        assert held is not None
        forget, held = rows(held, slice(n)), rows(held, slice(n, None))
    return forget, held if held is not None and len(held.samples) else None


def rows(table: Verdicts, chosen: slice) -> Verdicts:
    """A verdict table of some of its samples."""
    return replace(
        table,
        samples=table.samples[chosen],
        labels=table.labels[chosen],
        counts=table.counts[:, chosen],
        agreement=table.agreement[:, :, chosen],
        margins=None if table.margins is None else table.margins[:, chosen],
        halves=None if table.halves is None else table.halves[:, chosen],
    )


def why_not(case: Case) -> str:
    """The sentence that says why nothing is said of a case; "" where something can be."""
    if not case.references:
        return "There is no re-trained model to compare with."
    misfits = case.result.get("audit", {}).get("misfits", {})
    if wrong := next((misfits[name] for name in (case.method, *case.references) if name in misfits), ""):
        return wrong
    if case.on_itself and case.peers is None:
        return (
            "Copies that an attack builds on one model treat the others differently, and this run did not attack every "
            "model in turn; run it again to have that measured."
        )
    return ""


def kept(
    store: Store,
    kind: str,
    inputs: dict[str, Any],
    make: Callable[[], T],
    write: Callable[[T], bytes],
    read: Callable[[bytes], T],
) -> T:
    """What ``make`` returns, from the store where it is there; a store that cannot be written to costs time only."""
    key = store.key(kind, inputs)
    if store.trusts(key):
        with contextlib.suppress(RurkError):  # damaged: made anew
            return read(store.read(key, f"{kind}.safetensors"))
    found = make()
    with contextlib.suppress(RurkError):
        store.put(key, inputs, {f"{kind}.safetensors": write(found)})
    return found


def verdicts_on(
    case: Case, data: Dataset, images: Tensor, labels: Tensor, samples: Tensor, device: str, on_chunk: OnChunk | None
) -> Verdicts:
    """Verdicts of the models of a case on other samples, under its attack, radii, draws and seed; kept."""
    table = case.verdicts
    inputs = {
        "data": data.fingerprint,
        "attack": table.attack,
        "source": table.source,
        "taus": table.taus.tolist(),
        "draws": table.draws,
        "seed": table.seed,
        "samples": samples.tolist(),
        "models": {name: case.keys[name] for name in table.models},
        "margins": True,
        "code": code_of("more_verdicts"),
    }
    return kept(
        case.store,
        "more_verdicts",
        inputs,
        lambda: count_alike(
            table,
            {name: case.model(name) for name in table.models},
            images,
            labels,
            samples.tolist(),
            classes=len(data.classes),
            device=torch.device(device),
            on_chunk=on_chunk,
        ),
        verdicts_to_bytes,
        verdicts_from_bytes,
    )
