"""What commands share: flags that say where things are, progress, tables, one JSON document."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except ImportError:  # a GPU node that only computes
    from .plain import Console, Table, Text  # type: ignore[assignment]  # noqa: F401

from .. import default_store
from ..errors import UsageError


def where(parser: argparse.ArgumentParser, *, store: bool = True, data: bool = True, device: bool = True) -> None:
    if store:
        parser.add_argument(
            "--store",
            default=default_store(),
            help="where results live (default: the variable RURK_STORE, or rurk-store)",
        )
    if not data:
        return
    parser.add_argument("--data", help="where data sets lie (default: the variable RURK_DATA)")
    if device:
        parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, cuda:0,cuda:1 or all")


def read_json(path: Path) -> Any:
    path = path.expanduser()
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"The file {path} cannot be read as JSON ({error}).") from None


def writable(path: Path) -> None:
    """UsageError where no file or folder can be made of this name: better said before long work than after it."""
    path = path.expanduser().absolute()
    place = next(each for each in path.parents if each.exists())
    if not (place.is_dir() and os.access(place, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))):
        raise UsageError(f"{path} cannot be written; name another place with --out.")


@contextmanager
def live(*, quiet: bool) -> Iterator[Any]:
    """A progress line on the terminal (standard error); nothing where there is no terminal."""
    from ..run.titles import stage_words

    terminal = Console(stderr=True)
    if not terminal.is_terminal:
        stage = ""

        def line(event: dict[str, Any]) -> None:
            nonlocal stage
            if event["stage"] != stage and not quiet:
                stage = event["stage"]
                print(f"{stage_words(stage)} ({event['overall']:.0%} done)", file=sys.stderr)

        yield line
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description:<24}", markup=False), BarColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=terminal, transient=True) as bar:
        task = bar.add_task("", total=1.0, note="")

        def show(event: dict[str, Any]) -> None:
            eta = event["eta"]
            left = f"about {duration(eta)} left" if eta is not None else ""
            loss = f"  loss {event['loss']:.3f}" if "loss" in event else ""
            bar.update(
                task,
                completed=event["overall"],
                description=stage_words(event["stage"]),
                note=f"{event['overall']:4.0%}  {left}{loss}",
            )

        yield show


def duration(seconds: float) -> str:
    """12.3 → "12 s", 150 → "2.5 min"."""
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.1f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def print_list(options: argparse.Namespace, title: str, rows: list[dict[str, Any]]) -> int:
    if options.json:
        print_json(rows)
        return 0
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*[cell(value) for value in row.values()])
    console().print(table)
    return 0


def console() -> Console:
    # a pipe has no width: keep tables whole there; titles and paths may look like markup and are shown as they are
    return Console(markup=False) if sys.stdout.isatty() else Console(markup=False, width=160)


def cell(value: Any) -> str:
    return "" if value is None else str(value)


def print_json(document: Any) -> None:
    json.dump(document, sys.stdout, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
