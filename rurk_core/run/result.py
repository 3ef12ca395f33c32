"""The result document of a run, gathered from its finished stages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from ..errors import Damaged, RurkError
from ..measure.cost import cost_share
from ..measure.layers import similarities
from ..measure.metrics import average_gap, others
from ..measure.residual import summarise
from ..store.store import Store
from .plan import MODEL_KINDS, Stage, Work
from .standing import note_standing
from .stored import load_verdicts, role_of, stored_scores


def load_result(store: Store, key: str) -> dict[str, Any]:
    """The result document of a finished run or search.

    Documents of versions that took the prevalence against the mean of the references are summarised anew from their
    verdicts; where those are damaged, from what the document says of each reference.
    """
    result = store.read_json(key, "result.json")
    wrong = next(_no_numbers(result), "") if key.startswith("run-") else ""
    if wrong:
        raise Damaged(f"The stored result {key} is damaged: '{wrong[:60]}' in it is no number.", key)
    for entry in result.get("residual", ()):
        if all("among_references" in row for row in entry["taus"]):
            continue
        try:
            entry["taus"] = summarise(load_verdicts(store, entry["verdicts"]), entry["method"])
        except RurkError:
            for row in entry["taus"]:
                each = [one["prevalence"] for one in row["per_reference"]]
                row["prevalence"] = sum(each) / len(each) if each else None
                row["among_references"] = {name: [] for name in ("ratio_of_means", "r_mean", "prevalence")}
    return result


NUMBERS = frozenset(
    (
        *("train", "test", "indices", "seconds", "seed", "passes", "cka", "taus", "tau", "reference_band"),
        *("retain_accuracy", "unlearn_accuracy", "test_accuracy", "mia_accuracy", "mia_samples", "avg_gap"),
        *("cost_share", "peak_memory_mb", "epochs", "limit", "target", "losses", "numerator", "denominator", "trials"),
        *("r_mean", "r_undefined", "ratio_of_means", "prevalence", "disagreement", "among_references"),
    )
)
"""What of a result document is a number or holds nothing else, by name: pages and reports rely on it."""
TEXTS = ("reference", "models", "blocks")
"""What is text all the same among those."""
FREE = ("spec", "config", "audit", "auto")
"""What has names and values of its own."""


def _no_numbers(value: Any, name: str = "", inside: bool = False) -> Iterator[str]:
    """Names in a result document under which something else stands than the numbers that belong there."""
    if isinstance(value, dict):
        for key, held in value.items():
            if key not in FREE and not (inside and key in TEXTS):
                yield from _no_numbers(held, key, inside or key in NUMBERS)
    elif isinstance(value, list):
        for held in value:
            yield from _no_numbers(held, name, inside)
    elif inside and not (value is None or isinstance(value, int | float)):
        yield name


def gather(work: Work, stages: Sequence[Stage], about: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The result document from finished stages: data, forget set, models with accuracies, residual knowledge.

    Args:
        about: more to say of a model, by name.

    Members stand apart: ``members`` has their rows, and by attack the keys of their verdict tables: of the forget set,
    and of held-out samples where there are any.
    """
    store, dataset, forget = work.store, work.dataset, work.forget
    assert forget is not None
    keys = {stage.label: stage.key for stage in stages if stage.kind in MODEL_KINDS}
    scores = {stage.label: stage.key for stage in stages if stage.kind == "scores"}
    relearned = {stage.label: stage.key for stage in stages if stage.kind == "relearned"}
    # the Original, the methods in their order, the references; those that failed stand last, as they have no numbers
    members = [name for name in keys if role_of(name) == "member"]
    shown = [name for name in keys if name not in members]
    order = sorted(shown, key=lambda name: ("original", "unlearned", "reference").index(role_of(name)))
    rows = [
        _row(work, name, keys, scores, relearned) | about.get(name, {}) if name in keys else _failed(work, name, about)
        for name in [*order, *work.failed]
    ]
    _compare(rows)
    residual = []
    for stage in stages:
        if stage.kind != "verdicts":
            continue
        verdicts = load_verdicts(store, stage.key)
        judged = [verdicts.source] if verdicts.source else [n for n in verdicts.models if role_of(n) != "reference"]
        for name in judged:
            taus = summarise(verdicts, name)
            residual.append({"attack": verdicts.attack, "method": name, "verdicts": stage.key, "taus": taus})
    note_standing(rows, residual)
    return _members(work, members, keys, scores, stages) | {
        "dataset": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "train": len(dataset.train_labels),
            "test": len(dataset.test_labels),
            "classes": list(dataset.classes),
            "source": dataset.source,
            "licence": dataset.licence,
        },
        "forget": json.loads(forget.to_json()),
        "models": rows,
        "residual": residual,
        "peers": {stage.label: stage.key for stage in stages if stage.kind == "peers"},
        "cka": similarities({name: stored_scores(store, scores[name]) for name in order}),
    }


def _failed(work: Work, name: str, about: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The row of a method that could not be run: no numbers, and why."""
    return {"name": name, "role": role_of(name), "key": None} | about.get(name, {}) | {"failed": work.failed[name]}


def _row(
    work: Work, name: str, keys: dict[str, str], scores: dict[str, str], relearned: dict[str, str]
) -> dict[str, Any]:
    """What is known of one model."""
    store = work.store
    info = store.read_json(keys[name], "info.json")
    row: dict[str, Any] = {"name": name, "role": role_of(name), "key": keys[name], "scores": scores[name]}
    row |= store.read_json(scores[name], "shares.json")
    row |= {"seconds": info["seconds"], "peak_memory_mb": info.get("peak_memory_mb")}
    row["made"] = _made(store, keys[name])
    row["relearn"] = store.read_json(relearned[name], "relearned.json") if name in relearned else None
    return row | ({"notes": info["notes"]} if info.get("notes") else {})


def _made(store: Store, key: str) -> dict[str, str]:
    """Who made a model: versions, digest of the code, and the key that vouched for it where it was imported."""
    document = store.document(key)
    signer = document.get("origin", {}).get("signer", "")
    made = {name: str(text) for name, text in document.get("versions", {}).items()}
    return made | {"code": str(document["spec"].get("code", ""))} | ({"signer": signer} if signer else {})


def _members(
    work: Work, members: list[str], keys: dict[str, str], scores: dict[str, str], stages: Sequence[Stage]
) -> dict[str, Any]:
    """Further Originals, and the tables they judged in; nothing where there are none."""
    if not members:
        return {}
    store, tables = work.store, dict[str, list[str]]()
    for stage in stages:
        if stage.kind == "members":
            tables.setdefault(stage.label, []).append(stage.key)
    models = [
        {"name": name, "key": keys[name], "scores": scores[name]}
        | store.read_json(scores[name], "shares.json")
        | {"seconds": store.read_json(keys[name], "info.json")["seconds"], "made": _made(store, keys[name])}
        for name in members
    ]
    return {"members": {"models": models, "verdicts": tables}}


def _compare(rows: Sequence[dict[str, Any]]) -> None:
    """Add what only the references make meaningful: Avg. Gap, and the cost as a share of a Re-train."""
    references = [row for row in rows if row["role"] == "reference"]
    took = [row["seconds"] for row in references if row["seconds"]]  # models of files took none
    retrain = fmean(took) if took else 0.0
    for row in rows:
        if "failed" not in row:
            row["avg_gap"] = average_gap(row, others(references, row))
            row["cost_share"] = cost_share(row["seconds"], retrain) if row["role"] == "unlearned" else None


def gathered_notes(work: Work) -> list[str]:
    notes = [found] if work.spec.methods and (found := work.spec.training().origin) else []
    if work.spec.members:
        notes.append(
            f"{work.spec.members} further Original{'s' if work.spec.members > 1 else ''} with other seeds judged the "
            "same copies, to tell memory of a sample from knowledge of its class."
        )
    if work.start_data is not None:
        notes.append(
            f"Original and Re-trains start from a model pre-trained on all of {work.start_data.name}, as in the paper; "
            "that model has seen the forget set."
        )
    return [*work.dataset.notes, *notes]
