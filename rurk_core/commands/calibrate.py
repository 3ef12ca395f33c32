"""``rurk calibrate``: whether the evidence for single samples keeps its word on a real experiment."""

from __future__ import annotations

import argparse
from typing import Any

from . import Command
from .output import Console, Table, console, live, print_json, where
from .run import checked_spec, spec_flags, spec_values


def register(command: Command) -> None:
    calibrate = command(
        "calibrate", _calibrate, "Hand in re-trained models and the Original as 'unlearned': false alarms and power."
    )
    spec_flags(calibrate)
    calibrate.add_argument("--seed", help="seeds of everything are derived from it (default: 7)")
    calibrate.add_argument("--rate", type=float, default=0.05, help="false-discovery rate of the lists (default: 0.05)")
    where(calibrate)


def _calibrate(options: argparse.Namespace) -> int:
    from ..evidence.calibration import calibrate
    from ..perturb.copies import ATTACKS
    from ..run.experiment import run
    from ..run.stored import load_verdicts
    from ..store.store import Store

    # nothing is unlearned here: the cheapest method stands in where none is named
    values = {"references": 8, "methods": "gd:epochs=0", "relearn": 0} | spec_values(options, "seed")
    spec, store = checked_spec(options, values), Store(options.store)
    with live(quiet=options.json) as progress:
        result = run(spec, store, root=options.data, device=options.device, engine=options.engine, progress=progress)
    tables = {
        entry["attack"]: entry["verdicts"] for entry in result["residual"] if not ATTACKS[entry["attack"]].uses_model
    }
    if not tables:
        # says why, from the first table there is
        tables = {result["residual"][0]["attack"]: result["residual"][0]["verdicts"]}
    found = {
        attack: calibrate(load_verdicts(store, key), rate=options.rate).to_dict() for attack, key in tables.items()
    }
    document = {"run": result["key"], "dataset": result["dataset"]["name"], "seed": result["seed"], "attacks": found}
    if options.json:
        print_json(document)
    else:
        for attack, calibration in found.items():
            print_calibration(attack, calibration, console())
    return 0


def print_calibration(attack: str, calibration: dict[str, Any], out: Console) -> None:
    """What every handed-in model was called, and what the checks of the model behind it say."""
    table = Table(
        title=f"{attack}: models handed in as 'unlearned', each judged against the re-trained models left",
        title_justify="left",
        caption="alarm: p ≤ 0.05 for one sample; listed: false-discovery rate kept over the forget set. "
        "detectable: smallest excess over re-training seen with 80% probability (median), none: no such excess.",
        caption_justify="left",
    )
    for name in ("handed in", "alarm +", "alarm −", "listed +", "listed −", "clear", "cannot tell", "set p"):
        table.add_column(name, justify="left" if name == "handed in" else "right")
    table.add_column("detectable", justify="right")
    table.add_column("none", justify="right")
    names = ("alarms_residual", "alarms_forgotten", "listed_residual", "listed_forgotten", "clear", "cannot_tell")
    null = calibration["null"]["models"]
    for place, row in enumerate(calibration["models"]):
        if place == null:
            table.add_section()
        p, seen = row["set_p"], row["median_detectable"]
        table.add_row(
            row["model"],
            *[f"{row[name]:.1%}" for name in names],
            "" if p is None else f"{p:.3f}",
            "" if seen is None else f"+{seen:.1%}",
            f"{row['undetectable']:.0%}",
        )
    for kind in ("null", "planted"):
        if kind == "null":
            table.add_section()
        mean = calibration[kind]
        table.add_row(f"{kind}, mean", *[f"{mean[name]:.1%}" for name in names], "", "", "")
    out.print(table)
    checks = Table(
        title="Counts of the references against counts made anew by the fitted model",
        title_justify="left",
        caption="p near 0: the model does not hold there. between: whole references better or worse than others; "
        "samples then move together, so read the set's p and the list that is safe under any dependence.",
        caption_justify="left",
    )
    for name in ("feature", "seen", "95% of replicates", "p"):
        checks.add_column(name, justify="left" if name == "feature" else "right")
    for name, check in calibration["checks"].items():
        checks.add_row(name, f"{check['seen']:.4f}", f"{check['low']:.4f} to {check['high']:.4f}", f"{check['p']:.2f}")
    out.print(checks)
