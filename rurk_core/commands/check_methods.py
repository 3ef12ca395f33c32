"""``rurk check-methods``: whether methods do what every method must."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import RurkError
from . import Command
from .output import Console, answer, table


def register(command: Command) -> None:
    check = command("check-methods", _check, "Run the conformance checks on unlearning methods, also your own.")
    check.add_argument(
        "methods", nargs="*", metavar="METHOD", help="which (default: your own; all where there are none)"
    )


def _check(options: argparse.Namespace) -> int:
    from ..unlearning import METHODS, find_method
    from ..unlearning.conformance import conform, small_setting
    from ..unlearning.own import PROBLEMS

    own = [method for method in METHODS.values() if method.origin]
    methods = [find_method(name) for name in options.methods] or own or list(METHODS.values())
    setting = small_setting()
    rows: list[dict[str, Any]] = []
    for method in methods:
        problems = conform(method, setting)
        rows.append({"name": method.key, "file": method.origin or None, "passed": not problems, "problems": problems})
    answer(options, rows, _print)
    if failed := [row["name"] for row in rows if not row["passed"]] + list(PROBLEMS):
        raise RurkError(f"Not every method conforms: {', '.join(failed)}.")
    return 0


def _print(rows: list[dict[str, Any]], out: Console) -> None:
    from ..unlearning.conformance import CHECKS

    found = table("Conformance of unlearning methods", ("method", *CHECKS))
    for row in rows:
        found.add_row(row["name"], *["fails" if name in row["problems"] else "ok" for name in CHECKS])
    out.print(found)
    for row in rows:
        for name, text in row["problems"].items():
            out.print(f"{row['name']}, {name}: {text}")
