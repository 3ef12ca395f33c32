"""``rurk calibrate``: whether the evidence for single samples keeps its word on a real experiment."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import Command
from .output import Console, Table, answer, live, table, where
from .run import checked_spec, experiment_flags, spec_values

if TYPE_CHECKING:
    from ..evidence.case import Case


def register(command: Command) -> None:
    calibrate = command(
        "calibrate", _calibrate, "Hand in re-trained models and the Original as 'unlearned': false alarms and power."
    )
    experiment_flags(calibrate, without=("title",))
    calibrate.add_argument("--rate", type=float, default=0.05, help="false-discovery rate of the lists (default: 0.05)")
    calibrate.add_argument(
        "--controls",
        type=int,
        default=0,
        metavar="N",
        help="also train N re-trainings with other settings, and N with other samples of the classes, and hand them in",
    )
    where(calibrate)


def _calibrate(options: argparse.Namespace) -> int:
    from ..evidence.calibration import calibrate, check_calibration
    from ..evidence.case import open_case
    from ..run.experiment import run
    from ..store.store import Store

    # nothing is unlearned here: the cheapest method stands in where none is named
    values = {"references": 8, "methods": "gd:epochs=0", "relearn": 0} | spec_values(options)
    spec, store = checked_spec(options, values), Store(options.store)
    check_calibration(spec.references, options.rate)
    if options.controls < 0:
        raise UsageError("The number of controls cannot be negative.")
    with live(quiet=options.json) as progress:
        result = run(spec, store, root=options.data, device=options.device, engine=options.engine, progress=progress)
    found = {}
    opened = {attack: open_case(store, result["key"], method="original", attack=attack) for attack in spec.attacks}
    controls = _controls(options, next(iter(opened.values()))) if options.controls else None
    for attack, case in opened.items():
        found[attack] = calibrate(case, controls=controls(case) if controls else None, rate=options.rate)
    document = {"run": result["key"], "dataset": result["dataset"]["name"], "seed": result["seed"], "attacks": found}
    return answer(options, document, print_calibrations)


def _controls(options: argparse.Namespace, case: Case) -> Callable[[Case], dict[str, Case]]:
    """Trained once; case → the cases of all controls under its attack."""
    from ..device import find_device
    from ..evidence.controls import cases_of, train_controls
    from ..run.stored import data_of

    device, data = find_device(options.device), data_of(case.result, options.data)
    say = (lambda name: None) if options.json else (lambda name: print("Training", name))
    trained = train_controls(case, data, options.controls, device, say)
    return lambda of: cases_of(of, data, trained, device)


COLUMNS = {
    "residual": "p ≤ .05 +",
    "over_forgotten": "p ≤ .05 −",
    "specific": "remembered",
    "any_residual": "any +",
    "any_over_forgotten": "any −",
    "set_residual": "set +",
    "set_over_forgotten": "set −",
}


def print_calibrations(document: dict[str, Any], out: Console) -> None:
    for attack, calibration in document["attacks"].items():
        out.print(calibration_table(attack, calibration))


def calibration_table(attack: str, calibration: dict[str, Any]) -> Table:
    """What every handed-in model was called."""
    from ..evidence.numbers import rate_text

    rate, findings = calibration["rate"], list(calibration["null"]["findings"])
    found = table(
        f"{attack}: models handed in as 'unlearned', each judged against the re-trained models left",
        ("handed in", *COLUMNS.values(), *(name.replace("_", " ") for name in findings)),
        left=("handed in",),
        caption="+: more than a re-training, −: less. p ≤ .05: of single samples. any: of models with a finding on "
        f"that side at all (false-discovery rate {rate_text(rate)}). set: of models whose set has p ≤ .05. remembered: "
        "samples found residual of which memory of the very sample is shown. Of re-trained, brittle and substitute "
        "models nothing should be.",
    )

    def add(name: str, row: dict[str, Any]) -> None:
        found.add_row(
            name, *[f"{row[key]:.1%}" for key in COLUMNS], *[f"{row['findings'][each]:.1%}" for each in findings]
        )

    for row in calibration["models"]:
        add(row["model"], row)
    found.add_section()
    add("re-trained, mean", calibration["null"])
    for kind, row in calibration["controls"].items():
        add(f"{kind}, mean", row)
    return found
