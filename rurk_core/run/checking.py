"""Whether a result follows from what it rests on: its numbers from its verdict tables, its tables from its models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from ..data import Dataset, ForgetSet, held
from ..errors import RurkError
from ..measure.residual import Verdicts, summarise
from ..measure.verdicts import count_alike, verdicts_from_bytes
from ..models.exported import Exported
from ..models.exported_file import fits
from ..store.store import Store
from .plan import forget_digest
from .stored import Reader, described, load_model

CLOSE = 1e-9
"""Relative: the same sums in another order."""
RECOUNTED = 2
"""Samples of a table whose copies are counted again."""
ROUNDING = 0.02
"""Share of copies that another device or another release of torch may take for another class."""


def runs(reader: Reader, keys: Iterable[str]) -> None:
    """Load every model among entries; programs go through the same dry run as when they are audited.

    Raises:
        RurkError: one is damaged, or takes too much.
    """
    for key in keys:
        if "info.json" in reader.document(key)["files"]:
            model, (_, shape, classes) = load_model(reader, key), described(reader, key)
            if isinstance(model, Exported):
                fits(model, shape, classes)


def contradictions(reader: Reader, run: str) -> Iterator[str]:
    """Sentences on what a run says that what it rests on does not; nothing where all of it follows.

    Looked at without data and without models: the description it is named by, the residual numbers, the samples and
    models of the tables, the accuracies of the scores.

    Raises:
        RurkError: something is missing or damaged.
    """
    result, identity = reader.read_json(run, "result.json"), reader.document(run)["spec"]
    try:
        yield from _of_description(result, identity, run)
        keys = {row["name"]: row["key"] for row in result["models"] if row.get("key")}
        for row in result["models"]:
            if row.get("key"):
                yield from _of_scores(reader, row)
        for entry in result["residual"]:
            yield from _of_table(reader, result, keys, entry)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        yield f"The result {run} is not one that this program writes."


def _of_description(result: dict[str, Any], identity: dict[str, Any], run: str) -> Iterator[str]:
    spec = result["spec"]
    asked = {"attacks", "taus", "draws", "seed"} if "audit" in result else set(spec)
    for name in sorted(asked & set(identity) - {"title", "dataset", "methods"}):
        if spec[name] != identity[name]:
            yield f"The result {run} says '{name}' is {str(spec[name])[:60]}, and its name {str(identity[name])[:60]}."
    if result["dataset"]["fingerprint"] != identity["fingerprint"] or result["key"] != run:
        yield f"The result {run} is of other data than its name, or of another run."


def _of_scores(reader: Reader, row: dict[str, Any]) -> Iterator[str]:
    shares = reader.read_json(row["scores"], "shares.json")
    wrong = [name for name, value in shares.items() if not _same(row.get(name), value)]
    if wrong or reader.document(row["scores"])["spec"]["model"] != row["key"]:
        yield f"Of the model '{row['name']}' the result says other numbers ({', '.join(wrong)}) than its scores do."


def _of_table(reader: Reader, result: dict[str, Any], keys: dict[str, str], entry: dict[str, Any]) -> Iterator[str]:
    about = f"'{entry['method']}' under {entry['attack']}"
    table = verdicts_from_bytes(reader.read(entry["verdicts"], "verdicts.safetensors"))
    spec = reader.document(entry["verdicts"])["spec"]
    if not _whole(table):
        yield f"The verdict table of {about} is no table of counts."
        return
    asked = (spec["attack"], spec["source"], spec["draws"], spec["seed"], sorted(spec["models"]), spec["taus"])
    held_in = (table.attack, table.source, table.draws, table.seed, sorted(table.models), table.taus.tolist())
    others = [name for name, key in spec["models"].items() if keys.get(name) != key]
    if asked != held_in or entry["attack"] != table.attack or others:
        yield f"The verdict table of {about} is not of the models, radii or draws it says."
    indices = result["forget"]["indices"]
    if table.samples.tolist() != indices or spec["forget"] != forget_digest(ForgetSet("", "", "", tuple(indices))):
        yield f"The verdict table of {about} is of other samples than the result says were forgotten."
    if not _same(_known(entry["taus"]), _known(summarise(table, entry["method"]), like=entry["taus"])):
        yield f"The numbers of {about} do not follow from its verdict table."


def _whole(table: Verdicts) -> bool:
    models, samples, taus, classes = table.counts.shape
    return (
        (models, samples, taus) == (len(table.models), len(table.samples), len(table.taus))
        and set(table.references) <= set(table.models)
        and len(table.labels) == samples
        and bool(((table.labels >= 0) & (table.labels < classes)).all())
        and bool((table.counts >= 0).all() and (table.counts.sum(-1) == table.draws).all())
    )


def _known(rows: list[dict[str, Any]], like: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Rows without what versions before ``among_references`` defined otherwise or did not have."""
    if all("among_references" in row for row in like or rows):
        return rows
    names = ("tau", "numerator", "denominator", "trials", "ratio_of_means", "unlearn_accuracy")
    return [{name: row[name] for name in names} for row in rows]


def _same(one: Any, other: Any) -> bool:
    """Equal but for rounding, by names and places."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE)
    return one == other


def recount(store: Store, run: str, data: Dataset) -> Iterator[str]:
    """Count the copies of the first samples of every verdict table of a run again, with its models on its data.

    Raises:
        RurkError: the data are not those of the run, or something is missing or damaged.
    """
    result = store.read_json(run, "result.json")
    if data.fingerprint != result["dataset"]["fingerprint"]:
        raise RurkError(f"The data set '{data.name}' is not the one {run} was made on, so nothing was counted again.")
    for key in dict.fromkeys(entry["verdicts"] for entry in result["residual"]):
        table = verdicts_from_bytes(store.read(key, "verdicts.safetensors"))
        models = {name: load_model(store, each) for name, each in store.document(key)["spec"]["models"].items()}
        index = torch.from_numpy(table.samples[:RECOUNTED]).long()
        images, labels = held(data.train_images, index, "cpu"), data.train_labels[index]
        again = count_alike(table, models, images, labels, index.tolist(), classes=len(data.classes))
        then = table.counts[:, : len(index)]
        apart = int(abs(again.counts - then).sum()) // 2
        if apart > ROUNDING * then.sum():
            yield (
                f"The verdict table {key} is not what its models say: {apart:,} of {int(then.sum()):,} copies counted "
                "again fell into another class."
            )
