"""``rurk evidence``: how strong the evidence is, sample by sample, for the models of a finished run."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import UsageError
from . import Command
from .output import Console, Table, console, live, print_json, where


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
    from ..data import load_dataset
    from ..device import find_devices
    from ..evidence.case import evidence_of_run
    from ..evidence.radii import radii_of_run
    from ..evidence.retained import retained_of_run
    from ..evidence.signals import signals_of_run
    from ..evidence.unreferenced import without_references
    from ..evidence.whole_set import PARTS, make_wholeset
    from ..progress import Tracker
    from ..report.document import latest_run
    from ..run.result import load_result
    from ..run.stored import role_of
    from ..store.store import Store

    store = Store(options.store)
    key = latest_run(store) if options.run == "latest" else options.run
    result = load_result(store, key)
    names = [row["name"] for row in result["models"] if row.get("key")]
    references = [name for name in names if role_of(name) == "reference"]
    methods = [options.method] if options.method else [name for name in names if name not in references]
    device = str(find_devices(options.device)[0])
    document: dict[str, Any] = {"run": key, "models": {}}
    with live(quiet=options.json) as progress:
        tracker = Tracker(progress)
        with tracker.stage("Reading data"):
            data = load_dataset(result["spec"].get("dataset", result["dataset"]["name"]), options.data)
        radii = {}
        for norm in options.radius:
            with tracker.stage(f"Radii, {norm}"):
                radii[norm] = radii_of_run(
                    store,
                    key,
                    data,
                    norm=norm,
                    models=[*methods, *[name for name in references if name not in methods]],
                    device=device,
                    on_sample=tracker.step,
                )
        for method in methods:
            found = evidence_of_run(store, key, method=method, attack=options.attack, rate=options.rate)
            entry: dict[str, Any] = {"evidence": found.to_dict()}
            document["models"][method] = entry
            if options.whole:
                whole = make_wholeset(
                    store, key, data, method=method, attack=options.attack, device=device, tracker=tracker
                )
                entry |= {name: whole[name] for name in (*PARTS, "missing", "key")}
                continue
            entry["membership"] = [signal.to_dict() for signal in signals_of_run(store, key, data, method, radii=radii)]
            if radii:
                entry["radii"] = {norm: each[method].to_dict() for norm, each in radii.items()}
            if options.retained:
                if options.retained < 1:
                    raise UsageError("'--retained' must be at least 1.")
                with tracker.stage(f"Retained samples, {method}"):
                    entry["retained"] = retained_of_run(
                        store,
                        key,
                        data,
                        method=method,
                        attack=options.attack,
                        count=options.retained,
                        device=device,
                        on_chunk=tracker.step,
                    ).to_dict()
            if options.unreferenced:
                with tracker.stage(f"Held-out samples, {method}"):
                    entry["unreferenced"] = without_references(
                        store,
                        key,
                        data,
                        method=method,
                        attack=options.attack,
                        rate=options.rate,
                        device=device,
                        on_chunk=tracker.step,
                    ).to_dict()
    if options.json:
        print_json(document)
    else:
        for method, entry in document["models"].items():
            print_evidence(method, entry, console())
    return 0


def print_evidence(method: str, entry: dict[str, Any], out: Console, *, shown: int = 12) -> None:
    """One model: what its forget set amounts to, its most conspicuous samples, its membership signals."""
    evidence = entry["evidence"]
    whole, power, counts = evidence["overall"], evidence["power"], evidence["verdicts"]
    said = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    out.print(f"{method} under {evidence['attack']}: {said}.", highlight=False)
    p = "" if whole["p"] is None else f", p = {whole['p']:.3f}"
    out.print(
        f"The set as a whole: {whole['excess']:+.1%} of the copies beyond {evidence['references']} re-trained models "
        f"(95%: {whole['low']:+.1%} to {whole['high']:+.1%}{p}).",
        highlight=False,
    )
    median = power["median_detectable_excess"]
    could = "nothing" if median is None else f"an excess of {median:.1%} (median)"
    out.print(
        f"With these references {could} could have been seen in a single sample with 80% probability, and none at all "
        f"in {power['undetectable']:.0%} of the samples.",
        highlight=False,
    )
    table = Table(title="Strongest evidence of residual knowledge", title_justify="left")
    for name in ("sample", "recognised", "re-training", "excess, 95%", "p", "q", "verdict"):
        table.add_column(name, justify="left" if name == "verdict" else "right")
    ranked = sorted(evidence["samples"], key=lambda row: (row["p_residual"], -row["excess"]))
    for row in ranked[:shown]:
        table.add_row(
            str(row["sample"]),
            f"{row['recognised']:.0%}",
            f"{row['expected']:.0%}",
            f"{row['excess']:+.0%} ({row['low']:+.0%} to {row['high']:+.0%})",
            f"{row['p_residual']:.4f}",
            f"{row['q_residual']:.3f}",
            row["verdict"].replace("_", " "),
        )
    out.print(table)
    if entry["membership"]:
        out.print(signals_table(entry["membership"]))
    if entry.get("retained"):
        retained = entry["retained"]
        out.print(
            f"Of the {len(retained['samples'])} retained samples nearest to the forget set {len(retained['changed'])} "
            f"changed beyond the spread of re-trainings: {', '.join(map(str, retained['changed'])) or 'none'}.",
            highlight=False,
        )
    if entry.get("unreferenced"):
        weaker = entry["unreferenced"]
        told = [row["verdict"] for row in weaker["samples"]]
        line = (
            f"Without re-trained models (weaker): {told.count('residual')} residual, {told.count('over_forgotten')} "
            f"over-forgotten, {told.count('cannot_tell')} cannot tell"
        )
        if agreement := weaker["agreement"]:
            # the share of equal answers alone flatters: both say nothing of most samples
            line += (
                f"; at p ≤ {evidence['rate']:g} it accuses {agreement['alarms']:.0%} of the samples, re-trained models "
                f"{agreement['alarms_calibrated']:.0%}, with the same answer for {agreement['same']:.0%} and a rank "
                f"correlation of {agreement['rank_correlation']:.2f} between the excesses"
            )
        out.print(f"{line}.", highlight=False)
    for sentence in entry.get("missing", {}).values():
        out.print(sentence, highlight=False)
    if "key" in entry:
        out.print(f"Kept as {entry['key']}.", highlight=False)


def signals_table(membership: list[dict[str, Any]]) -> Table:
    """Membership signals side by side, with the models behind each."""
    table = Table(
        title="Membership signals: the model against re-trained ones",
        title_justify="left",
        caption="in / out: models that saw the samples, and that never did, behind a rule; –: one rule for all",
        caption_justify="left",
    )
    for name in ("signal", "in / out", "AUC, 95%", "TPR at 0.1% FPR", "TPR at 1% FPR"):
        table.add_column(name, justify="left" if name == "signal" else "right")
    for signal in membership:
        rates = [
            f"{point['tpr']:.1%}" if point["resolved"] else f"{point['tpr']:.1%} at 0 of {signal['negatives']}"
            for point in signal["tpr"]
        ]
        table.add_row(
            signal["name"],
            f"{signal['inside']} / {signal['outside']}" if signal["outside"] else "–",
            f"{signal['auc']:.3f} ({signal['low']:.3f} to {signal['high']:.3f})",
            *rates,
        )
    return table
