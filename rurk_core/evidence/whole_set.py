"""Evidence on a forget set as a whole, in one document of the store: what samples one by one do not show.

    radii         how far samples have to be moved until a model says their label again, against the references
    membership    ROC curves: the radius as a membership signal beside the paper's SVC, LiRA and RMIA
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
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..data import Dataset
from ..device import device_name, find_device
from ..errors import RurkError, UsageError
from ..measure.radius import NORMS, PASSES, RESTARTS, STEPS, Radii
from ..progress import Progress, Tracker
from ..run.code import code_of
from ..run.plan import held_out, verdict_cost
from ..run.stored import data_of, role_of, versions
from ..store.store import Store
from .case import Case, judge_case, open_case
from .law import RATE
from .null import NEEDED
from .radii import radii_of, radius_key
from .retained import RETAINED, retained_of
from .signals import siblings, signals_of
from .unreferenced import without_references

PARTS = ("radii", "membership", "retained", "unreferenced")
KINDS = ("strong", "random")
"""How radii are found: by search, and along random directions."""
GRID = 41
"""Changes at which the shares of samples are given."""


def whole_set_key(case: Case) -> str:
    """The entry of the document on a case as it would be made now, whether it is there or not.

    Another run with the same method and other seeds makes it another document: its models then sharpen the
    membership attacks. What was measured before stays true and is found by :func:`kept_whole_set`.
    """
    return case.store.key("wholeset", _inputs(case))


def kept_whole_set(case: Case) -> str:
    """The entry of the document to be shown; "" where there is none.

    That of :func:`whole_set_key`, or else the newest that was made when there were more or fewer models of other seeds.
    """
    key = whole_set_key(case)
    return key if case.store.trusts(key) else next(_of_other_siblings(case), "")


def _of_other_siblings(case: Case) -> Iterator[str]:
    """Documents on a case that differ in nothing but the models of other seeds, newest first."""
    wanted = _inputs(case) | {"inside": None}
    for entry in case.store.list("wholeset"):
        with contextlib.suppress(RurkError):  # damaged
            same = case.store.document(entry.key)["spec"] | {"inside": None} == wanted
            if same and case.store.trusts(entry.key):
                yield entry.key


def other_siblings(case: Case, key: str) -> tuple[int, int] | None:
    """Models of other seeds when the document ``key`` was made, and those there are now; None where they are the same.

    Raises:
        RurkError: the document is damaged.
    """
    then, now = case.store.document(key)["spec"]["inside"], _inputs(case)["inside"]
    return None if then == now else (len(then), len(now))


def find_whole_set(case: Case) -> dict[str, Any] | None:
    """The stored document, see :func:`kept_whole_set`; None where it was not made yet or is damaged."""
    key = kept_whole_set(case)
    return _read(case.store, key) if key else None


def _read(store: Store, key: str) -> dict[str, Any] | None:
    with contextlib.suppress(RurkError):
        return store.read_json(key, "wholeset.json") if store.trusts(key) else None
    return None


def make_whole_set(
    case: Case, data: Dataset, *, device: str = "auto", tracker: Tracker | None = None
) -> dict[str, Any]:
    """Measure what is missing and keep the document; at once where it is in the store.

    Args:
        data: the data set of the run.

    Returns:
        Plain JSON values: ``method``, ``attack``, ``rate``, ``samples`` (training indices), ``references`` (how many),
        the four parts named above, and ``missing``: part → the sentences that say why it, or some of it, is None. The
        parts are the ``to_dict`` of what measures them; ``radii`` is described at :func:`radii_summary`.

    Raises:
        UsageError: other data than the run's.
        RurkError: something stored is damaged, or the store cannot be written to.
        Cancelled: the tracker was asked to stop; what is finished stays.
    """
    key, inputs = whole_set_key(case), _inputs(case)
    if found := _read(case.store, key):
        return found
    started, where, tracker = time.time(), find_device(device), tracker or Tracker()
    tracker.expect(whole_set_costs(case, data))
    names, references = _models(case), case.references
    radii = {}
    for norm in NORMS:
        with tracker.stage(f"Radii, {norm}"):
            radii[norm] = radii_of(case, data, norm=norm, models=names, device=str(where), on_sample=tracker.step)
    parts: dict[str, Any] = {"radii": {norm: radii_summary(r, case.method, references) for norm, r in radii.items()}}
    missing: dict[str, str] = {}
    asked: dict[str, Any] = {"device": str(where), "on_chunk": tracker.step}
    for name, title, measure in (
        ("membership", "Membership signals", lambda: _signals(case, data, radii, missing)),
        ("retained", "Verdicts, retained samples", lambda: retained_of(case, data, **asked).to_dict()),
        ("unreferenced", "Verdicts, held-out samples", lambda: _unreferenced(case, data, asked)),
    ):
        parts[name] = None
        with tracker.stage(title):
            try:
                parts[name] = measure()
            except UsageError as error:  # too few references, or no test samples of these classes
                missing[name] = str(error)
    document = {
        "key": key,
        "method": case.method,
        "attack": case.attack,
        "rate": RATE,
        "samples": case.result["forget"]["indices"],
        "references": len(references),
        **parts,
        "missing": missing,
        "made_with": made_with(where, started),
    }
    if case.store.owns(key):  # damaged, or it would have been found
        case.store.delete(key)
    case.store.put(key, inputs, {"wholeset.json": json.dumps(document, allow_nan=False).encode()})
    return document


def made_with(where: torch.device, started: float) -> dict[str, Any]:
    """Versions, device and time of a document."""
    taken = round(time.time() - started, 3)
    return {"versions": versions(), "device": device_name(where), "seconds": taken}


def _signals(
    case: Case, data: Dataset, radii: dict[str, dict[str, Radii]], missing: dict[str, str]
) -> list[dict[str, Any]]:
    """The signals there are; what there is not goes to ``missing``."""
    if not case.references:
        raise UsageError("A membership signal is read against re-trained models, and the run has none.")
    signals, words = signals_of(case, data, radii=radii)
    if words:
        missing["membership"] = words
    return [
        signal.to_dict() | {"curve": [[round(float(x), 4) for x in axis] for axis in signal.curve()]}
        for signal in signals
    ]


def _unreferenced(case: Case, data: Dataset, asked: dict[str, Any]) -> dict[str, Any]:
    """The weaker answer, and beside it the excess that the re-trained models say."""
    found = without_references(case, data, **asked).to_dict()
    judged = judge_case(case)
    if judged is not None and judged.references >= NEEDED:
        for row, excess in zip(found["samples"], judged.own - judged.expected, strict=True):
            row["calibrated"] = round(float(excess), 6)
    return found


def whole_set_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec": {"run", "method", "attack"}, "root", "device"}`` → the document's key."""
    asked = job.get("spec")
    if not isinstance(asked, dict) or not all(isinstance(asked.get(name), str) for name in ("run", "method", "attack")):
        raise UsageError("Name a run, a model of it and an attack to measure the whole forget set.")
    case = open_case(store, asked["run"], method=asked["method"], attack=asked["attack"])
    tracker = Tracker(progress, cancelled)
    with tracker.stage("Reading data", 0):
        data = data_of(case.result, job.get("root"))
    return make_whole_set(case, data, device=job.get("device") or "auto", tracker=tracker)["key"]


def whole_set_costs(case: Case, data: Dataset) -> dict[str, float]:
    """Stage → forward passes it takes at most; radii that are kept already cost nothing."""
    table, forget = case.verdicts, torch.tensor(case.result["forget"]["indices"])
    names = _models(case)
    found = {}
    for norm in NORMS:
        left = sum(not case.store.trusts(radius_key(case, data, name, norm=norm)) for name in names)
        found[f"Radii, {norm}"] = left * len(forget) * PASSES
    found["Membership signals"] = 2.0 * len(names) * len(data.test_labels)
    each = verdict_cost(table.attack, table.taus.tolist(), table.draws, len(data.classes), len(table.models))
    kept = min(RETAINED, len(data.train_labels) - len(forget)) if len(case.references) >= 2 else 0
    found["Verdicts, retained samples"] = kept * each
    measured = case.peers is not None and not case.on_itself
    found["Verdicts, held-out samples"] = 0.0 if measured else len(held_out(data, data.train_labels[forget])) * each
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


def _inputs(case: Case) -> dict[str, Any]:
    row = next(row for row in case.result["models"] if row["name"] == case.method)
    inside = [] if role_of(case.method) == "reference" else list(siblings(case.store, row["key"], row["scores"]))
    return {
        "verdicts": case.key,
        "model": case.method,
        "inside": inside,
        "norms": list(NORMS),
        "steps": STEPS,
        "restarts": RESTARTS,
        "retained": RETAINED,
        "rate": RATE,
        "code": code_of("wholeset"),
    }


def _models(case: Case) -> list[str]:
    """The models whose radii are held against each other: the one in question, the Original, the references."""
    references = [name for name in case.keys if role_of(name) == "reference"]
    return list(dict.fromkeys(["original", case.method, *references]))
