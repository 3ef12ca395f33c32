"""The paper's tables and figures, run again: its setting, our numbers beside the reported ones, and what differs.

The reported numbers are data (``rurk_core/reported/*.json``, each with its source). Tables C.6 to C.8 and Figure 2 look
at the runs of the sample-unlearning table from other sides, so once it has run they cost nothing more.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from scipy.stats import t as student

from ..data import plain_name
from ..measure.metrics import SHARES
from ..progress import Progress
from ..run.experiment import run
from ..store.store import Store
from .columns import COLUMNS, RETRAIN
from .differences import differences
from .spreads import LEVEL
from .table import compare
from .targets import PAPER_SEEDS, TARGETS, plan

REPORTED = Path(__file__).parents[1] / "reported"
RANDOM = "gaussian"
"""The perturbation of the paper's curves."""
PAPER_COLUMNS = ("retain_accuracy", "unlearn_accuracy", "test_accuracy", "mia_accuracy", "avg_gap", "relearn")


@cache
def reported(name: str) -> dict[str, Any]:
    """A file of the paper's numbers; {} where there is none."""
    file = REPORTED / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def reproduce(
    name: str,
    store: Store,
    *,
    dataset: str = "",
    scale: str = "quick",
    seeds: Sequence[int] = (),
    overrides: Mapping[str, Any] | None = None,
    root: str | None = None,
    device: str = "auto",
    progress: Callable[[int, int], Progress | None] = lambda at, of: None,
) -> dict[str, Any]:
    """Run what a table or figure needs, or find it in the store, and put it beside the paper's numbers.

    Args:
        name: key of :data:`TARGETS`; dataset: another data set than the target's own.
        scale: key of :data:`~rurk_core.compare.targets.SCALES`; seeds: others than the scale's.
        overrides: settings of :func:`~rurk_core.run.spec.make_spec` that replace the scale's (a smaller trial, say).
        progress: (run, of how many) → its progress function.

    Returns:
        What :func:`beside` says, with ``{"target", "title", "scale", "seeds", "dataset", "differences", "comparison",
        "seconds"}``.

    Raises:
        UsageError: no such target or scale, or the target needs a data set that does not come with this program.
    """
    started = time.time()
    specs = plan(name, dataset=dataset, scale=scale, seeds=seeds, overrides=overrides)
    results = [
        run(spec, store, root=root, device=device, progress=progress(at, len(specs))) for at, spec in enumerate(specs)
    ]
    comparison = compare(results)
    return {
        "target": name,
        "title": TARGETS[name].title,
        "scale": scale,
        "seeds": comparison["seeds"],
        "dataset": plain_name(specs[0].dataset),
        **beside(name, comparison),
        "differences": differences(name, specs, scale),
        "comparison": comparison,
        "seconds": round(time.time() - started, 1),
    }


def beside(name: str, comparison: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a comparison beside those the paper has for the same data.

    Args:
        name: key of :data:`~rurk_core.compare.targets.TARGETS`.
        comparison: of :func:`~rurk_core.compare.table.compare`.

    Returns:
        ``{"source", "lines", "claims"}``. A line is ``{"model", "title", "settings", "metric", "unit", "ours", "sd",
        "n", "over", "paper", "paper_over", "difference", "agrees", "doubt"}`` in shown units, of a figure with
        ``"attack"`` and ``"tau"``. "agrees": the paper's mean over three seeds lies where another such mean of ours
        would in :data:`~rurk_core.compare.spreads.LEVEL` of all cases, ± t s √(1/n + 1/3) (None: one of the two is not
        known, or we have one seed). "doubt" says where the paper's number does not follow from its others. "failed"
        instead of numbers where a method failed with every seed. Claims are as in :func:`held_against`.
    """
    target, plain = TARGETS[name], plain_name(comparison["spec"]["dataset"])
    found = reported(plain if target.reported == "cells" else target.reported)
    if target.shows == "cells":
        lines = _cells(comparison, found.get("cells", {}))
    else:
        lines = _over_tau(comparison, target.shows, found.get("curves", {}).get(plain, {}))
    claims = found.get("claims", []) if plain == "small_cifar5" else []
    return {
        "source": found.get("source", "not reported here: the data file of the paper's numbers has none for this"),
        "lines": lines,
        "claims": [held_against(claim, comparison, target.shows) for claim in claims],
    }


def _agrees(difference: float | None, sd: float | None, n: int) -> bool | None:
    if difference is None or sd is None or n < 2:
        return None
    reach = student.ppf((1 + LEVEL) / 2, n - 1) * sd * math.sqrt(1 / n + 1 / len(PAPER_SEEDS))
    return bool(abs(difference) <= reach)


def _line(ours: float | None, sd: float | None, n: int, paper: Any, scale: float, **about: Any) -> dict[str, Any]:
    """One number beside the paper's, in shown units."""
    over = isinstance(paper, dict)
    value = paper["over"] if over else paper
    shown = None if value is None else value if over else scale * value
    difference = None if ours is None or shown is None or over else scale * ours - shown
    numbers = {"ours": ours, "sd": sd}
    return about | {n: None if v is None else round(scale * v, 4) for n, v in numbers.items()} | {
        "n": n,
        "paper": None if shown is None else round(shown, 4),
        "paper_over": over,
        "difference": None if difference is None else round(difference, 4),
        "agrees": _agrees(difference, None if sd is None else scale * sd, n),
    }  # fmt: skip


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": row["name"], "title": row["title"], "settings": row["settings"]}


def _failed(row: Mapping[str, Any]) -> dict[str, Any]:
    return _about(row) | {"failed": "; ".join(f"seed {seed}: {why}" for seed, why in row["failed"].items())}


def _cells(comparison: Mapping[str, Any], paper: Mapping[str, Any]) -> list[dict[str, Any]]:
    lines = []
    for row in comparison["rows"]:
        if row["failed"] and not any(row["cells"].values()):
            lines.append(_failed(row))
            continue
        for key in PAPER_COLUMNS:
            cell, metric = row["cells"][key], COLUMNS[key]
            value = paper.get(row["name"], {}).get(key)
            if cell is None and value is None:
                continue
            mean, sd = (cell["mean"], cell["sd"]) if cell else (None, None)
            about = _about(row) | {"metric": metric.title, "unit": metric.unit, "over": cell["over"] if cell else 0}
            doubt = _doubt(row["name"], paper) if key == "avg_gap" else ""
            lines.append(_line(mean, sd, cell["n"] if cell else 0, value, metric.scale, **about, doubt=doubt))
    return lines


def _doubt(model: str, paper: Mapping[str, Any]) -> str:
    """What the paper's cells of a model give for its Avg. Gap, where that is another number than it prints."""
    rows = [paper.get(name, {}) for name in (model, RETRAIN)]
    if any(row.get(share) is None for row in rows for share in SHARES):
        return ""
    gap = sum(abs(rows[0][share] - rows[1][share]) for share in SHARES) / len(SHARES)
    apart = abs(gap - rows[0]["avg_gap"]) > 2e-4  # what rounding can do
    return f"the paper's own cells of this row give {100 * gap:.2f}" if apart else ""


def _over_tau(comparison: Mapping[str, Any], figure: str, paper: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A figure of the curves at every radius, under each perturbation; the paper's are under random draws."""
    ratio, seeds, lines = figure in ("r_mean", "ratio_of_means"), len(comparison["seeds"]), []
    for row in comparison["rows"]:
        if row["name"] == RETRAIN:
            continue
        curves = [curve for curve in comparison["curves"] if curve["name"] == row["name"]]
        if not curves:
            lines.append(_failed(row))
        for curve in curves:
            known = paper.get(row["name"]) if curve["attack"] == RANDOM else None
            for at, tau in enumerate(curve["taus"]):
                about = _about(row) | {"attack": curve["attack"], "tau": tau, "metric": figure}
                about |= {"unit": "×" if ratio else "%", "over": 0, "doubt": ""}
                mean, sd = (curve[figure][name][at] for name in ("mean", "sd"))
                lines.append(_line(mean, sd, seeds, _near(known, tau, curve["taus"]), 1 if ratio else 100, **about))
    return lines


def _near(known: Mapping[str, Any] | None, tau: float, taus: Sequence[float]) -> float | None:
    """The paper's value at a radius, where it has one within a quarter of our step."""
    if not known:
        return None
    nearest = min(range(len(known["taus"])), key=lambda i: abs(known["taus"][i] - tau))
    step = taus[1] - taus[0] if len(taus) > 1 else 1.0
    return known["values"][nearest] if abs(known["taus"][nearest] - tau) < step / 4 else None


def held_against(claim: Mapping[str, Any], comparison: Mapping[str, Any], figure: str) -> dict[str, Any]:
    """What the paper says of its curves of residual knowledge under random draws, held against ours.

    At a radius the claim holds where all of our interval is as it says, and does not where none of it is. The interval
    is Student's, of the mean over seeds, from three seeds on; of fewer seeds it is our number and how far one more
    re-training lies from the others (:func:`~rurk_core.compare.spreads.spread_of_apart`).

    Returns:
        The claim with ``found``: model → ``{"verdict", "holds", "fails", "of", "lowest", "highest"}``; the verdict
        "holds" (at all radii), "does not hold" (at some radius for sure) or "cannot tell".
    """
    curves = {curve["name"]: curve for curve in comparison["curves"] if curve["attack"] == RANDOM}
    low, high = claim.get("above", -math.inf), claim.get("below", math.inf)
    found = {}
    for model in claim["models"]:
        if model not in curves:
            continue
        curve, holds, fails = curves[model], 0, 0
        inside = [at for at, tau in enumerate(curve["taus"]) if claim["from"] <= tau <= claim["to"] + 1e-9]
        values = [value for at in inside if (value := curve[figure]["mean"][at]) is not None]
        for at in inside:
            reach = _reach(curve, figure, at, len(comparison["seeds"]))
            if reach is not None:
                holds += low <= reach[0] and reach[1] <= high
                fails += reach[1] < low or high < reach[0]
        verdict = "does not hold" if fails else "holds" if inside and holds == len(inside) else "cannot tell"
        found[model] = {
            "verdict": verdict,
            "holds": holds,
            "fails": fails,
            "of": len(inside),
            "lowest": min(values, default=None),
            "highest": max(values, default=None),
        }
    return dict(claim) | {"found": found}


def _reach(curve: Mapping[str, Any], figure: str, at: int, seeds: int) -> tuple[float, float] | None:
    """The interval of a curve at a radius; None where there is no number or nothing to tell its spread from."""
    mean, sd, spread = curve[figure]["mean"][at], curve[figure]["sd"][at], curve["bands"][figure]["spread"][at]
    if mean is None:
        return None
    if seeds >= len(PAPER_SEEDS) and sd is not None:
        reach = student.ppf((1 + LEVEL) / 2, seeds - 1) * sd / math.sqrt(seeds)
        return mean - reach, mean + reach
    return (mean + spread[0], mean + spread[1]) if spread else None
