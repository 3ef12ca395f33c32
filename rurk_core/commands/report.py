"""``rurk report``: what a run found, as one page to keep and a document to compute with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import Command
from .output import Console, answer, named_run, where, writable


def register(command: Command) -> None:
    report = command("report", _report, "Write a report on a run or on one of its samples.")
    report.add_argument("run", help="the key of a run or audit, or 'latest'")
    report.add_argument("--sample", type=int, help="only this training index of the forget set")
    report.add_argument("--out", type=Path, default=Path("report"), help="the folder to write to (default: report)")
    where(report, device=False)


def _report(options: argparse.Namespace) -> int:
    from ..perturb.copies import ATTACKS
    from ..report.document import make_report, write_report
    from ..report.looks import looks_of
    from ..run.result import load_result

    writable(options.out / "report.html")
    store, run = named_run(options)
    report = make_report(store, run, sample=options.sample, root=options.data)
    paths = write_report(report, options.out)

    def show(document: dict[str, Any], out: Console) -> None:
        looks = looks_of(load_result(store, run)["models"])
        for said in document["answers"]:
            out.print(f"{looks[said['method']].title}, {ATTACKS[said['attack']].title}: {said['sentence']}")
        for path in paths:
            out.print(f"{path} ({path.stat().st_size / 1e3:,.0f} kB)")

    return answer(options, report.document, show)
