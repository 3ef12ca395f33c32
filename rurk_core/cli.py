"""The command line ``rurk``; every command is a file of :mod:`rurk_core.commands`.

Tables and progress go to the terminal; with ``--json`` standard output holds one JSON document and nothing else.
Exit code 0; 2 when what was asked for is not possible; 1 when a run failed; 130 after Ctrl-C (the run resumes).
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from . import __version__
from .commands import FILES
from .commands.output import Console
from .errors import Cancelled, RurkError, UsageError


class _Parser(argparse.ArgumentParser):
    """argparse, but every complaint is one sentence with exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}; see '{self.prog} --help'.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that is not UTF-8 shows "?" for what it lacks
            stream.reconfigure(errors="replace")
    errors = Console(stderr=True, markup=False)
    try:
        options = _parser().parse_args(arguments)
        if options.own_methods:
            os.environ["RURK_METHODS"] = os.path.abspath(os.path.expanduser(options.own_methods))
            if not os.path.isdir(os.environ["RURK_METHODS"]):
                raise UsageError(f"There is no folder {options.own_methods} to load methods from.")
        if os.environ.get("RURK_METHODS"):
            from .unlearning.own import load_own_methods

            for sentence in load_own_methods().values():
                errors.print(sentence, style="yellow", highlight=False, soft_wrap=True)
        return options.command(options)
    except KeyboardInterrupt:
        errors.print("Stopped. What was finished is kept: the same command goes on from there.")
        return 130
    except RurkError as error:
        errors.print(str(error), style="red", highlight=False, soft_wrap=True)
        return 2 if isinstance(error, UsageError) else 130 if isinstance(error, Cancelled) else 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="rurk", description="See what a machine-unlearned image classifier still knows.")
    parser.add_argument("--version", action="version", version=f"rurk {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, run: Any, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(command=run)
        sub.add_argument("--json", action="store_true", help="print one JSON document on standard output")
        sub.add_argument("--own-methods", metavar="DIR", help="load unlearning methods from the files of this folder")
        return sub

    for file in FILES:
        importlib.import_module(f".commands.{file}", __package__).register(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
