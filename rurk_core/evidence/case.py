"""Evidence on the models of a finished run: computed from stored counts, kept in the store, cheap to ask again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor

from ..data import Dataset
from ..errors import RurkError, UsageError
from ..measure.residual import Verdicts
from ..measure.verdicts import OnChunk, count_verdicts, verdicts_from_bytes, verdicts_to_bytes
from ..run.stored import load_model, load_verdicts
from ..store.store import Store
from .samples import MARGIN, RATE, SampleEvidence, evidence_from_bytes, evidence_to_bytes, sample_evidence

T = TypeVar("T")

VERSION = 1
"""Of the computations behind the entries; a change of what they hold makes them anew."""


def evidence_of_run(
    store: Store,
    run_key: str,
    *,
    method: str,
    attack: str = "",
    rate: float = RATE,
    margin: float = MARGIN,
) -> SampleEvidence:
    """Evidence for every sample of a run's forget set under one model.

    The first call computes it from the stored verdict counts (2,000 samples × 11 radii × 8 references: about a
    second) and keeps it beside them; later ones read it.

    Args:
        method: a model of the run: an unlearned one, "original", or (random draws only) a reference, which is then
            left out of the null.
        attack: key of the attack; the run's first by default.

    Raises:
        UsageError: no such model or attack in the run, or fewer than two references.
        RurkError: the run is not in the store, or damaged.
    """
    key, _ = verdicts_of_run(store, run_key, method=method, attack=attack)
    inputs = {"verdicts": key, "model": method, "rate": rate, "margin": margin, "version": VERSION}
    return kept(
        store,
        "evidence",
        inputs,
        lambda: sample_evidence(load_verdicts(store, key), method, rate=rate, margin=margin),
        evidence_to_bytes,
        evidence_from_bytes,
    )


def verdicts_of_run(store: Store, run_key: str, *, method: str, attack: str = "") -> tuple[str, dict[str, Any]]:
    """Key of the verdict table that ``method`` is judged in, and the run's result document; raises as above."""
    result = store.read_json(run_key, "result.json")
    entries = [entry for entry in result["residual"] if entry["attack"] == (attack or result["residual"][0]["attack"])]
    if not entries:
        known = ", ".join(dict.fromkeys(entry["attack"] for entry in result["residual"]))
        raise UsageError(f"The run was not measured under the attack '{attack}'; it has {known}.")
    found = next((entry["verdicts"] for entry in entries if entry["method"] == method), None)
    if found is None and method.startswith("reference-") and len({entry["verdicts"] for entry in entries}) == 1:
        found = entries[0]["verdicts"]
    if found is None:
        raise UsageError(f"The run has no model '{method}' under '{entries[0]['attack']}'.")
    return found, result


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
    if store.has(key):
        with contextlib.suppress(RurkError):  # damaged: made anew
            return read(store.read(key, f"{kind}.safetensors"))
    found = make()
    with contextlib.suppress(RurkError):
        store.put(key, inputs, {f"{kind}.safetensors": write(found)})
    return found


def verdicts_on(
    store: Store,
    table: Verdicts,
    rows: dict[str, Any],
    images: Tensor,
    labels: Tensor,
    samples: Tensor,
    data: Dataset,
    device: str,
    on_chunk: OnChunk | None,
) -> Verdicts:
    """Verdicts of the models of ``table`` on other samples, under its attack, radii, draws and seed; kept."""
    inputs = {
        "data": data.fingerprint,
        "attack": table.attack,
        "source": table.source,
        "taus": table.taus.tolist(),
        "draws": table.draws,
        "seed": table.seed,
        "samples": samples.tolist(),
        "models": {name: rows[name]["key"] for name in table.models},
    }
    return kept(
        store,
        "more_verdicts",
        inputs,
        lambda: count_verdicts(
            {name: load_model(store, rows[name]["key"]) for name in table.models},
            table.references,
            images,
            labels,
            samples.tolist(),
            attack=table.attack,
            taus=table.taus.tolist(),
            draws=table.draws,
            seed=table.seed,
            classes=len(data.classes),
            source=table.source,
            device=device,
            on_chunk=on_chunk,
        ),
        verdicts_to_bytes,
        verdicts_from_bytes,
    )


def result_for(store: Store, run_key: str, data: Dataset) -> dict[str, Any]:
    """The result document, once it is certain that ``data`` is what the run saw."""
    result = store.read_json(run_key, "result.json")
    if data.fingerprint != result["dataset"]["fingerprint"]:
        raise UsageError(
            f"The data set '{data.name}' has the fingerprint {data.fingerprint}, but the run was made on "
            f"{result['dataset']['fingerprint']}; give the same data."
        )
    return result
