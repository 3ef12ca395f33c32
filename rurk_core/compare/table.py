"""Methods beside each other, over seeds: pure functions of result documents → rows, curves, CSV, LaTeX.

Runs that differ in their seed alone belong together: the seed decides the training of the Original and of the
references as well as the unlearning, since rankings change with the training seed (arXiv 2510.26714). The target of
every number is what Re-train has, not the largest or the smallest; a difference to it that one more re-training would
have in 95% of all cases is marked as such.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from ..unlearning import METHODS
from .columns import COLUMNS, RETRAIN, Result
from .spreads import bootstrap_interval, mean_and_deviation, reference_spread, spread_of_apart, within

_OWN = ("seed", "title", "methods")
"""What runs that belong together may differ in."""


# --- which runs belong together -----------------------------------------------------------------------------


def group_key(result: Result) -> str:
    """Equal for runs that differ in nothing but seed, title and methods (an audit is alone with its files)."""
    spec = {name: value for name, value in result["spec"].items() if name not in _OWN}
    data = {"data": result["dataset"]["fingerprint"], "forget": result["forget"]["indices"]}
    return json.dumps({**spec, **data, "audit": result.get("audit")}, sort_keys=True)


def settings_name(method: str, config: Mapping[str, Any]) -> str:
    """What the settings of a method are called: a preset of it, the paper's before others, or "own".

    >>> settings_name("rurk", METHODS["rurk"].config().to_dict())
    'paper, small CIFAR-5'
    """
    if method not in METHODS:
        return "own"
    known = METHODS[method]
    named = [
        name
        for name, preset in known.presets.items()
        if known.config.from_dict(dict(preset)).to_dict() == {**known.config().to_dict(), **config}
    ]
    return min(named, key=lambda name: (not name.startswith("paper"), name == "default"), default="own")


# --- the table ----------------------------------------------------------------------------------------------

Members = list[tuple[Result, Result]]
"""(result document, row of it), one per seed; of references all of every seed."""


def compare(results: Sequence[Result]) -> dict[str, Any]:
    """The comparison of runs that belong together (:func:`group_key`), the newest first where two have the same seed.

    Returns:
        A JSON document: ``{"seeds", "runs", "spec", "dataset", "forget", "rows", "curves", "notes"}``.

        A row is ``{"name", "label", "role", "title", "method", "config", "settings", "failed", "cells"}``: ``label`` is
        its name in its run, ``failed`` = ``{seed: sentence}``. A cell is ``{"mean", "sd", "n", "interval", "gap",
        "within", "spread", "values", "over"}`` in stored units (shares from 0 to 1): mean and standard deviation over
        seeds (for the row :data:`RETRAIN` over all references of all seeds), a 95% bootstrap interval, ``gap`` = mean
        difference to the references of the same seed, ``within`` = whether one more re-training would lie as near in
        95% of all cases (None: unknown), ``spread`` = the differences between which it then lies. ``over`` counts
        values that are only known to be larger: a re-learn time "> limit" enters the mean as the limit. What nobody
        measured is None in place of a cell.

        A curve is ``{"attack", "name", "taus", FIGURE: {"mean", "sd", "low", "high"}, "bands": {FIGURE: {"low", "high",
        "spread"}}}`` for the figures of :data:`CURVES`, lowest and highest over seeds; ``bands`` are the references'
        own, each held against the others, of the figures of :data:`BANDS`, ``spread`` as in a cell.
    """
    found = _members(results)
    references: dict[int, list[Result]] = {}
    for result, row in found.get(RETRAIN, ()):
        references.setdefault(result["seed"], []).append(row)
    runs = list({result["key"]: result for result in results}.values())
    first = runs[0]
    return {
        "seeds": sorted({result["seed"] for result in runs}),
        "runs": [result["key"] for result in runs],
        "spec": {name: value for name, value in first["spec"].items() if name not in _OWN},
        "dataset": first["dataset"],
        "forget": first["forget"],
        "rows": [_row(name, members, references) for name, members in found.items()],
        "curves": [curve for name, members in found.items() for curve in _curves(name, members)],
        "notes": list(dict.fromkeys(note for result in runs for note in result.get("notes", ()))),
    }


def _members(results: Sequence[Result]) -> dict[str, Members]:
    """Rows that are the same model but for the seed, by a name that is theirs alone; Original and references first."""
    found: dict[str, Members] = {"original": [], RETRAIN: []}
    names: dict[str, str] = {}
    for result in results:
        for row in result["models"]:
            own = json.dumps([row["name"], row.get("config")], sort_keys=True)
            if row["role"] == "reference":
                # made anew by changed code it is another entry, and no further re-training
                mine, name = (result["seed"], row["name"]), RETRAIN
                same = [
                    other
                    for seen, other in found[RETRAIN]
                    if other["key"] == row["key"] or (seen["seed"], other["name"]) == mine
                ]
            else:
                copies = sum(json.loads(other)[0] == row["name"] for other in names)
                name = names.setdefault(own, f"{row['name']}-{copies + 1}" if copies else row["name"])
                same = [other for seen, other in found.setdefault(name, []) if seen["seed"] == result["seed"]]
            if not same:
                found[name].append((result, row))
    return {name: members for name, members in found.items() if members}


def _row(name: str, members: Members, references: Mapping[int, Sequence[Result]]) -> dict[str, Any]:
    row, many = members[0][1], sum(map(len, references.values()))
    method = row.get("method", "")
    title = METHODS[method].title if method in METHODS and row["name"] == name == method else name
    if "file" in row:  # an audit: what the file is called says more than its number
        title = PurePath(row["file"]).stem
    if name in ("original", RETRAIN):
        title = "Original" if name == "original" else f"Re-train (mean of {many})" if many > 1 else "Re-train"
    finished = [(result, own) for result, own in members if "failed" not in own]
    return {
        "name": name,
        "label": row["name"],
        "role": row["role"],
        "title": title,
        "method": method,
        "config": row.get("config"),
        "settings": _settings(row) if method else "",
        **({"file": row["file"]} if "file" in row else {}),
        "failed": {str(result["seed"]): own["failed"] for result, own in members if "failed" in own},
        "cells": {key: _cell(key, finished, references) for key in COLUMNS},
    }


def _settings(row: Result) -> str:
    """The preset a run was asked for; where it asked for none, whose settings these are."""
    asked, known = row.get("preset", "default"), settings_name(row["method"], row["config"])
    if asked != "default":
        return asked
    return f"default ({known})" if known.startswith("paper") else known


def _cell(key: str, members: Members, references: Mapping[int, Sequence[Result]]) -> dict[str, Any] | None:
    """One number over seeds, and its distance to the references."""
    metric, values, sizes_, gaps = COLUMNS[key], [], [], []
    for result, row in members:
        value = metric.value(row, _residual(result, row["name"]))
        if value is None:
            continue
        values.append(float(value))
        if metric.sample:
            sizes_.append(sizes(result, row)[metric.sample])
        target = _target(key, result, row, references.get(result["seed"], ()))
        if target is not None and math.isfinite(value):
            gaps.append(float(value) - target)
    if not values:
        return None
    limit = next((row["relearn"]["limit"] for _, row in members if row.get("relearn")), 0)
    known = [value if math.isfinite(value) else float(limit) for value in values]
    mean, deviation = mean_and_deviation(known)
    # a row of several seeds is compared where all of them could be
    gap = float(np.mean(gaps)) if len(gaps) == len(values) else None
    own = members[0][1]["role"] == "reference"
    spread = None if own or gap is None else _spread(key, members, references)
    alike = within(gap, spread) if gap is not None and not own else None
    if key == "avg_gap" and not own:  # a distance already: held against those of the references to each other
        apart = [row["avg_gap"] for rows in references.values() for row in rows if row.get("avg_gap") is not None]
        # of two references the distances to each other are one number
        further = reference_spread(apart) if len(apart) > 2 else None
        alike = within(mean, (0.0, float(np.mean(apart)) + further[1])) if further else None
    return {
        "mean": mean,
        "sd": deviation,
        "n": len(known),
        "interval": bootstrap_interval(known, sizes_ or None),
        "gap": None if own else gap,
        "within": alike,
        "spread": list(spread) if spread else None,
        "values": known,
        "over": sum(not math.isfinite(value) for value in values),
    }


def _target(key: str, result: Result, row: Result, references: Sequence[Result]) -> float | None:
    """What Re-train has: the mean of the references; 1 for residual knowledge; nothing for a cost."""
    if not COLUMNS[key].target:
        return None
    if key == "residual":
        return 1.0
    if key == "prevalence":
        own = _apart(result, row, "prevalence")
        return float(np.mean(own)) if own else None
    values = [COLUMNS[key].value(other, None) for other in references if other is not row]
    return float(np.mean(values)) if values and all(v is not None and math.isfinite(v) for v in values) else None


def _spread(key: str, members: Members, references: Mapping[int, Sequence[Result]]) -> tuple[float, float] | None:
    """How far references are from each other: within each seed where it has several, else between the seeds."""
    if key in ("residual", "prevalence"):
        figure = "ratio_of_means" if key == "residual" else key
        each = [spread_of_apart(_apart(result, row, figure)) for result, row in members]
        return _widest(each)
    columns = [[COLUMNS[key].value(row, None) for row in rows] for rows in references.values()]
    if any(value is None or not math.isfinite(value) for column in columns for value in column):
        return None
    if all(len(column) < 2 for column in columns):
        columns = [[value for column in columns for value in column]]
    return _widest(map(reference_spread, columns))


def _widest(spreads: Iterable[tuple[float, float] | None]) -> tuple[float, float] | None:
    """The lowest and the highest end of those that are known."""
    known = [spread for spread in spreads if spread]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def _apart(result: Result, row: Result, figure: str) -> list[float]:
    """A figure of every reference against the others at the largest radius, where all have it."""
    taus = (_residual(result, row["name"]) or {"taus": []})["taus"]
    values = taus[-1]["among_references"][figure] if taus else []
    return [] if None in values else list(values)


def sizes(result: Result, row: Result) -> dict[str, int]:
    """How many samples each share of a row is a share of."""
    forget = len(result["forget"]["indices"])
    data = result["dataset"]
    retain = data["train"] - forget
    return {"retain": retain, "forget": forget, "test": data["test"], "mia": row.get("mia_samples") or forget}


def _residual(result: Result, name: str) -> Result | None:
    """The residual knowledge of a model under the first perturbation of a run."""
    return next((entry for entry in result["residual"] if entry["method"] == name), None)


# --- curves over the radius ---------------------------------------------------------------------------------

CURVES = {
    "ratio_of_means": "residual knowledge r̂ (ratio of means)",
    "r_mean": "residual knowledge r̂ (mean of ratios where defined)",
    "prevalence": "prevalence: forget samples with r̂ > 1, mean over references",
    "disagreement": "disagreement with Re-train",
    "unlearn_accuracy": "unlearn accuracy under perturbation",
}

BANDS = ("ratio_of_means", "r_mean", "prevalence")
"""Those in which references are held against each other too."""


def _curves(name: str, members: Members) -> list[dict[str, Any]]:
    """One curve per perturbation, over the seeds that have it."""
    found: dict[str, list[Result]] = {}
    for result, row in members:
        for entry in result["residual"]:
            if entry["method"] == row["name"]:
                found.setdefault(entry["attack"], []).append(entry)
    curves = []
    for attack, entries in found.items():
        columns = list(zip(*[entry["taus"] for entry in entries], strict=True))  # [tau][seed]
        curve: dict[str, Any] = {"attack": attack, "name": name, "taus": [column[0]["tau"] for column in columns]}
        for figure in CURVES:
            values = [[at[figure] for at in column] for column in columns]
            deviations = [None if None in at else mean_and_deviation(at)[1] for at in values]
            curve[figure] = _span(values) | {"sd": deviations}
        curve["bands"] = {figure: _band(columns, figure) for figure in BANDS}
        curves.append(curve)
    return curves


def _band(columns: Sequence[Sequence[Result]], figure: str) -> dict[str, list[Any]]:
    """The references' own figure at every radius over all seeds, and how far one more of them would lie."""
    each = [[at["among_references"][figure] for at in column] for column in columns]  # [tau][seed][reference]
    span = _span([[value for apart in column for value in apart] for column in each])
    reach = [_widest(spread_of_apart(apart) for apart in column if None not in apart) for column in each]
    spread = [list(ends) if ends else None for ends in reach]
    return {"low": span["low"], "high": span["high"], "spread": spread}


def _span(columns: Sequence[Sequence[float | None]]) -> dict[str, list[float | None]]:
    """Mean, lowest and highest of every column; None where a value of it is undefined."""
    whole = [[value for value in column if value is not None] for column in columns]
    complete = [bool(kept) and len(kept) == len(column) for kept, column in zip(whole, columns, strict=True)]
    return {
        name: [float(of(kept)) if fine else None for kept, fine in zip(whole, complete, strict=True)]
        for name, of in (("mean", np.mean), ("low", min), ("high", max))
    }


# --- layers -------------------------------------------------------------------------------------------------


def layer_similarity(results: Sequence[Result], one: str, other: str, kind: str) -> dict[str, Any] | None:
    """Linear CKA of two models per block, over the seeds that have both.

    Args:
        one, other: names of rows of a result; :data:`RETRAIN` stands for all references (of two such, every pair).
        kind: "forget" or "retain": the samples whose features are compared.

    Returns:
        ``{"blocks", "mean", "low", "high", "samples"}``, lowest and highest over seeds and references; None where no
        run has it.
    """
    pairs: list[Sequence[Sequence[float | None]]] = []
    found = None
    for result in results:
        cka = result.get("cka")
        if not cka or kind not in cka:
            continue
        roles = {row["name"]: row["role"] for row in result["models"]}
        first, second = (
            [i for i, m in enumerate(cka["models"]) if (roles[m] == "reference" if name == RETRAIN else m == name)]
            for name in (one, other)
        )
        here = [[matrix[i][j] for i in first for j in second if i != j] for matrix in cka[kind]]
        if here and here[0]:
            found = cka
            pairs.append(here)
    if found is None:
        return None
    columns = [[value for here in pairs for value in here[block]] for block in range(len(found["blocks"]))]
    return {"blocks": found["blocks"], "samples": found["samples"][kind], **_span(columns)}


# --- the table as text --------------------------------------------------------------------------------------


SHARED = 3
"""Rows that may share the place of the best, or of the worst."""


def ranks(rows: Sequence[Result], key: str) -> dict[str, str]:
    """Name → "best" or "worst" of a column among unlearned models: nearest to and furthest from Re-train.

    Where references are no target (costs, Avg. Gap) the least is the best. Up to :data:`SHARED` rows share a mark; a
    place that more of them have tells nothing apart.
    """
    distance = {}
    for row in rows:
        cell = row["cells"][key]
        if row["role"] == "unlearned" and cell:
            value = cell["gap"] if COLUMNS[key].target and cell["gap"] is not None else cell["mean"]
            if cell["gap"] is not None or not COLUMNS[key].target:
                distance[row["name"]] = round(abs(value), 9)
    if len(set(distance.values())) < 2:
        return {}
    marks: dict[str, str] = {}
    for mark, place in (("best", min(distance.values())), ("worst", max(distance.values()))):
        there = [name for name, value in distance.items() if value == place]
        marks |= dict.fromkeys(there, mark) if len(there) <= SHARED else {}
    return marks
