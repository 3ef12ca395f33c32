"""Evidence on a forget set as a whole, in one document of the store: what samples one by one do not show.

    radii         how far samples have to be moved until a model says their label again, against the references
    membership    ROC curves: the radius as a membership signal beside the paper's SVC, U-LiRA and RULI
    retained      samples that stay, and what unlearning did to those nearest to the forget set
    unreferenced  what could be said without re-trained models, and how far it agrees with what they say

A document is of one run, model and attack, named by all that decides it, so the app, the command line and a report
find the same one. Making it takes minutes; its parts are kept as they are finished.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..data import Dataset, load_dataset
from ..device import device_name, find_device
from ..errors import RurkError, UsageError
from ..measure.radius import NORMS, PASSES, RESTARTS, STEPS, Radii
from ..measure.radius import VERSION as SEARCH
from ..progress import Progress, Tracker
from ..run.plan import verdict_cost
from ..run.result import load_result
from ..run.stored import load_verdicts, role_of, versions
from ..store.store import Store
from .case import evidence_of_run, verdicts_of_run
from .radii import radii_of_run, radius_key
from .retained import RETAINED, retained_of_run
from .samples import RATE
from .signals import siblings, signals_of_run
from .unreferenced import held_out, without_references

VERSION = 2
"""Of what a document holds; a change of it makes documents anew."""
PARTS = ("radii", "membership", "retained", "unreferenced")
KINDS = ("strong", "random")
"""How radii are found: by search, and along random directions."""
GRID = 41
"""Changes at which the shares of samples are given."""


def wholeset_key(store: Store, run: str, *, method: str, attack: str = "") -> str:
    """The entry of the document on one model of a run, whether it is there or not.

    Another run with the same method and other seeds makes it another document: its models then sharpen the
    membership attacks.

    Raises:
        UsageError, RurkError: as :func:`~rurk_core.evidence.case.verdicts_of_run`.
    """
    return store.key("wholeset", _inputs(store, run, method, attack))


def find_wholeset(store: Store, run: str, *, method: str, attack: str = "") -> dict[str, Any] | None:
    """The stored document, see :func:`make_wholeset`; None where it was not made yet or is damaged."""
    key = wholeset_key(store, run, method=method, attack=attack)
    with contextlib.suppress(RurkError):
        return store.read_json(key, "wholeset.json")
    return None


def make_wholeset(
    store: Store,
    run: str,
    data: Dataset,
    *,
    method: str,
    attack: str = "",
    device: str = "auto",
    tracker: Tracker | None = None,
) -> dict[str, Any]:
    """Measure what is missing and keep the document; at once where it is in the store.

    Args:
        run: key of a finished run or audit; data: its data set.
        method: a model of the run; attack: key of one it was measured under, the first by default.

    Returns:
        Plain JSON values: ``method``, ``attack``, ``rate``, ``samples`` (training indices), ``references`` (how many),
        the four parts named above, and ``missing``: part → the sentence that says why it is None. Made of parts of
        :mod:`rurk_core.evidence.case`, whose ``to_dict`` say what their numbers are; ``radii`` is described at
        :func:`radii_summary`.

    Raises:
        UsageError: no such model or attack in the run, or other data.
        RurkError: something stored is damaged, or the store cannot be written to.
        Cancelled: the tracker was asked to stop; what is finished stays.
    """
    key, inputs = wholeset_key(store, run, method=method, attack=attack), _inputs(store, run, method, attack)
    if found := find_wholeset(store, run, method=method, attack=attack):
        return found
    started, where, tracker = time.time(), find_device(device), tracker or Tracker()
    result, attack = load_result(store, run), load_verdicts(store, inputs["verdicts"]).attack
    tracker.expect(wholeset_costs(store, run, data, method=method, attack=attack))
    names = _models(result, method)
    references = [name for name in names if role_of(name) == "reference" and name != method]
    radii = {}
    for norm in NORMS:
        with tracker.stage(f"Radii, {norm}"):
            radii[norm] = radii_of_run(
                store, run, data, norm=norm, models=names, device=str(where), on_sample=tracker.step
            )
    parts: dict[str, Any] = {
        "radii": {norm: radii_summary(each, method, references) for norm, each in radii.items()},
        "membership": None,
        "retained": None,
        "unreferenced": None,
    }
    missing = {}
    with tracker.stage("Membership signals"):
        if references:
            signals = signals_of_run(store, run, data, method, radii=radii)
            parts["membership"] = [
                signal.to_dict() | {"curve": [[round(float(x), 4) for x in axis] for axis in signal.curve()]}
                for signal in signals
            ]
        else:
            missing["membership"] = "A membership signal is read against re-trained models, and the run has none."
    asked: dict[str, Any] = {"method": method, "attack": attack, "device": str(where), "on_chunk": tracker.step}
    with tracker.stage("Verdicts, retained samples"):
        if len(references) >= 2:
            parts["retained"] = retained_of_run(store, run, data, **asked).to_dict()
        else:
            missing["retained"] = (
                "What changed beyond the spread of re-trainings can be told with at least two re-trained models."
            )
    with tracker.stage("Verdicts, held-out samples"):
        try:
            weaker = without_references(store, run, data, **asked).to_dict()
            if len(references) >= 2:
                calibrated = evidence_of_run(store, run, method=method, attack=attack).combined.excess
                for row, excess in zip(weaker["samples"], calibrated, strict=True):
                    row["calibrated"] = round(float(excess), 6)
            parts["unreferenced"] = weaker
        except UsageError as error:  # no test samples of these classes
            missing["unreferenced"] = str(error)
    document = {
        "key": key,
        "method": method,
        "attack": attack,
        "rate": RATE,
        "samples": result["forget"]["indices"],
        "references": len(references),
        **parts,
        "missing": missing,
        "made_with": {
            "versions": versions(),
            "device": device_name(where),
            "seconds": round(time.time() - started, 3),
        },
    }
    if store.owns(key):  # damaged, or it would have been found
        store.delete(key)
    store.put(key, inputs, {"wholeset.json": json.dumps(document, allow_nan=False).encode()})
    return document


def wholeset_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec": {"run", "method", "attack"}, "root", "device"}`` → the document's key."""
    asked = job.get("spec")
    if not isinstance(asked, dict) or not all(isinstance(asked.get(name), str) for name in ("run", "method", "attack")):
        raise UsageError("Name a run, a model of it and an attack to measure the whole forget set.")
    tracker = Tracker(progress, cancelled)
    result = load_result(store, asked["run"])
    with tracker.stage("Reading data", 0):
        data = load_dataset(result["spec"]["dataset"], job.get("root"))
    document = make_wholeset(
        store,
        asked["run"],
        data,
        method=asked["method"],
        attack=asked["attack"],
        device=job.get("device") or "auto",
        tracker=tracker,
    )
    return document["key"]


def wholeset_costs(store: Store, run: str, data: Dataset, *, method: str, attack: str = "") -> dict[str, float]:
    """Stage → forward passes it takes at most; radii that are kept already cost nothing."""
    table_key, result = verdicts_of_run(store, run, method=method, attack=attack)
    table, forget = load_verdicts(store, table_key), torch.tensor(result["forget"]["indices"])
    names = _models(result, method)
    found = {}
    for norm in NORMS:
        left = sum(not store.has(radius_key(store, data, result, name, norm=norm)) for name in names)
        found[f"Radii, {norm}"] = left * len(forget) * PASSES
    found["Membership signals"] = 2.0 * len(names) * len(data.test_labels)
    each = verdict_cost(table.attack, table.taus.tolist(), table.draws, len(data.classes), len(table.models))
    kept = min(RETAINED, len(data.train_labels) - len(forget)) if len(table.references) >= 2 else 0
    found["Verdicts, retained samples"] = kept * each
    found["Verdicts, held-out samples"] = len(held_out(data, data.train_labels[forget])) * each
    return found


def radii_summary(radii: dict[str, Radii], method: str, references: Sequence[str]) -> dict[str, Any]:
    """One norm's radii of several models, as plain JSON values.

    Returns:
        ``said``, ``strong``, ``random`` of ``method``, by sample (None: none found); for each of :data:`KINDS` in
        ``share``: ``grid``, rising changes from below to above 0, and ``models``: name → share of the samples that the
        model says the label of, below 0 within a change of that size, above 0 against every change found of that
        size, at 0 to the sample itself; ``beyond_all``: samples that the model holds more firmly than every reference
        (a larger radius to the border, or a smaller one back), and ``expected``, how many that would be of one more
        re-training, N / (K + 1); None without references.
    """
    share = {}
    for kind in KINDS:
        signed = {name: each.signed(kind) for name, each in radii.items()}
        together = np.concatenate(list(signed.values()))
        reach = [np.abs(side[np.isfinite(side)]) for side in (together[together < 0], together[together > 0])]
        low, high = (float(np.quantile(side, 0.95)) if len(side) else 0.0 for side in reach)
        grid = _through_zero(-low, high)
        share[kind] = {
            "grid": [float(f"{change:.4g}") for change in grid],
            "models": {
                name: [
                    round(float((values > change if change >= 0 else values >= change - 1e-12).mean()), 4)
                    for change in grid
                ]
                for name, values in signed.items()
            },
        }
    own = radii[method]
    found: dict[str, Any] = {"share": share, "said": own.said.tolist()}
    for kind in KINDS:
        values = getattr(own, kind).tolist()
        found[kind] = [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]
    beyond, expected = None, None
    if references:
        highest = np.max([radii[name].signed() for name in references], axis=0)
        beyond, expected = int((own.signed() > highest).sum()), len(highest) / (len(references) + 1)
    return found | {"beyond_all": beyond, "expected": expected}


def _through_zero(low: float, high: float) -> Sequence[float]:
    """:data:`GRID` numbers or one more at even steps from about ``low`` (at most 0) to about ``high``, 0 among them."""
    step = (high - low) / (GRID - 1) or 0.1 / GRID
    return [step * at for at in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def _inputs(store: Store, run: str, method: str, attack: str) -> dict[str, Any]:
    verdicts, result = verdicts_of_run(store, run, method=method, attack=attack)
    row = next(row for row in result["models"] if row["name"] == method)
    inside = [] if role_of(method) == "reference" else list(siblings(store, row["key"], row["scores"]))
    return {
        "verdicts": verdicts,
        "model": method,
        "inside": inside,
        "norms": list(NORMS),
        "steps": STEPS,
        "restarts": RESTARTS,
        "search": SEARCH,
        "retained": RETAINED,
        "rate": RATE,
        "version": VERSION,
    }


def _models(result: dict[str, Any], method: str) -> list[str]:
    """The models whose radii are held against each other: the one in question, the Original, the references."""
    references = [row["name"] for row in result["models"] if row["role"] == "reference" and row.get("key")]
    return list(dict.fromkeys(["original", method, *references]))
