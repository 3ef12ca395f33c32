"""``rurk check-methods``: whether methods do what every method must."""

from __future__ import annotations

import argparse

from ..errors import RurkError
from . import Command
from .output import Table, console, print_json


def register(command: Command) -> None:
    check = command("check-methods", _check, "Run the conformance checks on unlearning methods, also your own.")
    check.add_argument(
        "methods", nargs="*", metavar="METHOD", help="which (default: your own; all where there are none)"
    )


def _check(options: argparse.Namespace) -> int:
    from ..unlearning import METHODS, find_method
    from ..unlearning.conformance import CHECKS, conform, small_setting
    from ..unlearning.own import PROBLEMS

    own = [method for method in METHODS.values() if method.origin]
    methods = [find_method(name) for name in options.methods] or own or list(METHODS.values())
    setting = small_setting()
    found = {method.key: conform(method, setting) for method in methods}
    if options.json:
        print_json(
            [
                {"name": method.key, "file": method.origin or None, "passed": not found[method.key]}
                | {"problems": found[method.key]}
                for method in methods
            ]
        )
    else:
        table = Table(title="Conformance of unlearning methods", title_justify="left")
        for name in ("method", *CHECKS):
            table.add_column(name)
        for key, problems in found.items():
            table.add_row(key, *["fails" if name in problems else "ok" for name in CHECKS])
        console().print(table)
        for key, problems in found.items():
            for name, text in problems.items():
                console().print(f"{key}, {name}: {text}", highlight=False)
    failed = [key for key, problems in found.items() if problems]
    if failed or PROBLEMS:
        names = ", ".join([*failed, *PROBLEMS])
        raise RurkError(f"Not every method conforms: {names}.")
    return 0
