"""``rurk evidence``: how strong the evidence is, sample by sample, for the models of a finished run."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ..errors import UsageError
from . import Command
from .output import Console, Table, answer, live, named_run, table, where

SHOWN = 12
"""Samples in the table of a model; JSON has all."""


def register(command: Command) -> None:
    evidence = command("evidence", _evidence, "Say of every sample whether it is residual, over-forgotten or clear.")
    evidence.add_argument("run", help="the key of a run or audit, or 'latest'")
    evidence.add_argument("--method", help="only this model (default: all but the re-trained ones)")
    evidence.add_argument("--attack", default="", help="one the run was measured under (default: its first)")
    evidence.add_argument("--rate", type=float, default=0.05, help="false-discovery rate of the lists (default: 0.05)")
    evidence.add_argument("--radius", action="append", choices=("l2", "linf"), default=[], help="search radii too")
    evidence.add_argument("--retained", type=int, default=0, metavar="N", help="the N nearest samples that stayed, too")
    evidence.add_argument("--unreferenced", action="store_true", help="also what can be said without re-trained models")
    evidence.add_argument(
        "--whole", action="store_true", help="all of these, and keep them for the Review page and for reports"
    )
    where(evidence)


def _evidence(options: argparse.Namespace) -> int:
    from ..device import find_devices
    from ..evidence.case import open_case
    from ..progress import Tracker
    from ..report.looks import looks_of
    from ..run.result import load_result
    from ..run.stored import data_of, role_of

    if options.retained < 0:
        raise UsageError("'--retained' must be a whole number of at least 0.")
    store, key = named_run(options)
    result = load_result(store, key)
    names = [row["name"] for row in result["models"] if row.get("key")]
    methods = [options.method] if options.method else [name for name in names if role_of(name) != "reference"]
    device = str(find_devices(options.device)[0])
    document: dict[str, Any] = {"run": key, "models": {}}
    with live(quiet=options.json) as progress:
        tracker = Tracker(progress)
        with tracker.stage("Reading data"):
            data = data_of(result, options.data)
        for method in methods:
            case = open_case(store, key, method=method, attack=options.attack)
            document["models"][method] = _of_model(case, data, options, device, tracker)

    def show(document: dict[str, Any], out: Console) -> None:
        looks = looks_of(result["models"])
        for method, entry in document["models"].items():
            print_evidence(looks[method].title, entry, out, audit="audit" in result)

    return answer(options, document, show)


def _of_model(case: Any, data: Any, options: argparse.Namespace, device: str, tracker: Any) -> dict[str, Any]:
    """All that was asked for on one model, as plain JSON values."""
    from ..evidence.findings import find
    from ..evidence.radii import radii_of
    from ..evidence.retained import retained_of
    from ..evidence.signals import signals_of
    from ..evidence.unreferenced import without_references
    from ..evidence.whole_set import PARTS, make_whole_set
    from ..evidence.words import sample_words, set_words, settling_words

    found = find(case, rate=options.rate)
    rows = [one.to_dict() | {"sentence": sample_words(one, found)} for one in found.samples]
    evidence = {"attack": case.attack, "sentence": set_words(found), **found.to_dict(), "samples": rows}
    evidence["settling"] = [asdict(one) | {"sentence": settling_words(one, found)} for one in found.settling()]
    entry: dict[str, Any] = {"evidence": evidence}
    if options.whole:
        whole = make_whole_set(case, data, device=device, tracker=tracker)
        return entry | {name: whole[name] for name in (*PARTS, "missing", "key")}
    radii = {}
    for norm in options.radius:
        with tracker.stage(f"Radii, {norm}"):
            names = [case.method, *case.references]
            radii[norm] = radii_of(case, data, norm=norm, models=names, device=device, on_sample=tracker.step)
    if radii:
        entry["radii"] = {norm: each[case.method].to_dict() for norm, each in radii.items()}
    if case.references:
        signals, words = signals_of(case, data, radii=radii)
        entry["membership"] = [signal.to_dict() for signal in signals]
        entry["missing"] = {"membership": words} if words else {}
    asked: dict[str, Any] = {"device": device, "on_chunk": tracker.step}
    if options.retained:
        with tracker.stage(f"Retained samples, {case.method}"):
            entry["retained"] = retained_of(case, data, count=options.retained, **asked).to_dict()
    if options.unreferenced:
        with tracker.stage(f"Held-out samples, {case.method}"):
            entry["unreferenced"] = without_references(case, data, rate=options.rate, **asked).to_dict()
    return entry


def print_evidence(title: str, entry: dict[str, Any], out: Console, *, audit: bool = False) -> None:
    """One model: what its forget set amounts to, its most conspicuous samples, its membership signals.

    Args:
        audit: whether the models were made elsewhere, so that no command makes more of them.
    """
    from ..evidence.law import RATE
    from ..evidence.whole_words import retained_words, unreferenced_words
    from ..perturb.copies import ATTACKS

    evidence = entry["evidence"]
    out.print(f"{title} under {ATTACKS[evidence['attack']].title}: {evidence['sentence']}")
    for one in evidence["settling"]:
        how = "" if audit else f" (the same experiment with --{one['what']} {one['number']})"
        out.print(f"{one['sentence']}{how}")
    without = not any(row["references"] for row in evidence["samples"])
    found = table(
        "Most recognised" if without else "Most beyond a re-training",
        ("sample", "copies", "re-trained", "log-odds", "a re-training, 95%", "p", "q", "finding", "this sample"),
        left=("finding", "this sample"),
    )
    for row in evidence["samples"][:SHOWN]:
        found.add_row(*_cells(row))
    out.print(found)
    if entry.get("membership"):
        out.print(signals_table(entry["membership"]))
    if entry.get("retained"):
        out.print(retained_words(entry["retained"]))
    if entry.get("unreferenced"):
        rate = RATE if "key" in entry else evidence["rate"]  # a kept document has a level of its own
        out.print(" ".join(unreferenced_words(entry["unreferenced"], rate)))
    for sentence in entry.get("missing", {}).values():
        out.print(sentence)
    if "key" in entry:
        out.print(f"Kept as {entry['key']}.")


def _cells(row: dict[str, Any]) -> list[str]:
    """A sample of the table; p and q are of the side on which it lies."""
    from ..evidence.findings import SAID
    from ..evidence.null import NEEDED
    from ..evidence.numbers import share_text, small

    each, own, low = row["references"], row.get("log_odds"), row.get("low")
    chances = ["", ""]
    if low is not None and own is not None and len(each) >= NEEDED:
        side = "forgotten" if own < row["expected"] else "residual"
        chances = [small(row[f"{name}_{side}"]) for name in ("p", "q")]
    return [
        str(row["sample"]),
        share_text(row["recognised"], row["copies"]),
        share_text(sum(each), len(each) * row["copies"]) if each else "",
        "" if own is None else f"{own:+.1f}",
        "" if low is None else f"{low:+.1f} to {row['high']:+.1f}",
        *chances,
        SAID[row["finding"]],
        (row.get("specific") or "").replace("_", " "),
    ]


def signals_table(membership: list[dict[str, Any]]) -> Table:
    """Membership signals side by side, with the models behind each."""
    found = table(
        "Membership signals: the model against re-trained ones",
        ("signal", "in / out", "AUC, 95%", "TPR at 0.1% FPR", "TPR at 1% FPR"),
        left=("signal",),
        caption="in / out: models that saw the samples, and that never did, behind a rule; –: one rule for all; "
        "copies: mean log-odds of the perturbed copies; an honest re-training's interval holds 0.5 in 95%",
    )
    for signal in membership:
        rates = [
            f"{point['tpr']:.1%}" if point["resolved"] else f"{point['tpr']:.1%} at 0 of {signal['negatives']}"
            for point in signal["tpr"]
        ]
        found.add_row(
            signal["name"],
            f"{signal['inside']} / {signal['outside']}" if signal["outside"] else "–",
            f"{signal['auc']:.3f}"
            + ("" if signal["low"] is None else f" ({signal['low']:.3f} to {signal['high']:.3f})"),
            *rates,
        )
    return found
