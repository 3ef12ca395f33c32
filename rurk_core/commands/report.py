"""``rurk report``: what a run found, as one page to keep and a document to compute with."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import bundled_stores
from . import Command
from .output import console, print_json, where, writable


def register(command: Command) -> None:
    report = command("report", _report, "Write a report on a run or on one of its samples.")
    report.add_argument("run", help="the key of a run or audit, or 'latest'")
    report.add_argument("--sample", type=int, help="only this training index of the forget set")
    report.add_argument("--out", type=Path, default=Path("report"), help="the folder to write to (default: report)")
    where(report, device=False)


def _report(options: argparse.Namespace) -> int:
    from ..perturb.copies import ATTACKS
    from ..report.document import latest_run, make_report, write_report
    from ..report.looks import looks_of
    from ..run.result import load_result
    from ..store.store import Store

    writable(options.out / "report.html")
    store = Store(options.store, bundled=bundled_stores())
    run = latest_run(store) if options.run == "latest" else options.run
    report = make_report(store, run, sample=options.sample, root=options.data)
    paths = write_report(report, options.out)
    if options.json:
        print_json(report.document)
    else:
        looks = looks_of(load_result(store, run)["models"])
        for answer in report.document["answers"]:
            of = f"{looks[answer['method']].title}, {ATTACKS[answer['attack']].title}"
            console().print(f"{of}: {answer['sentence']}")
        for path in paths:
            console().print(f"{path} ({path.stat().st_size / 1e3:,.0f} kB)", highlight=False)
    return 0
