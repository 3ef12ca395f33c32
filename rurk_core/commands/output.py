"""What commands share: flags that say where things are, progress, tables, one JSON document."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except ImportError:  # a GPU node that only computes
    from .plain import Console, Table, Text  # type: ignore[assignment]  # noqa: F401

from .. import bundled_stores, default_store
from ..errors import UsageError
from ..progress import duration

if TYPE_CHECKING:
    from ..store.store import Store


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


def answer(options: argparse.Namespace, document: Any, show: Callable[[Any, Console], None]) -> int:
    """``document`` as JSON where that was asked for, else as ``show`` prints it; exit code 0."""
    if options.json:
        json.dump(document, sys.stdout, ensure_ascii=False, allow_nan=False)
        sys.stdout.write("\n")
    else:
        # a pipe has no width: keep tables whole there; titles and paths may look like markup and are shown as they are
        show(document, Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 160))
    return 0


def answer_list(options: argparse.Namespace, title: str, rows: list[dict[str, Any]]) -> int:
    """Rows of the same names as JSON or as a table."""

    def show(rows: list[dict[str, Any]], out: Console) -> None:
        found = table(title, rows[0])
        for row in rows:
            found.add_row(*["" if value is None else str(value) for value in row.values()])
        out.print(found)

    return answer(options, rows, show)


def table(title: str, columns: Iterable[str], *, left: Collection[str] | None = None, caption: str = "") -> Table:
    """An empty table; its columns are numbers, but for those named ``left`` (None: all are text)."""
    found = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for name in columns:
        found.add_column(name, justify="left" if left is None or name in left else "right")
    return found


def named_run(options: argparse.Namespace) -> tuple[Store, str]:
    """The store with what came along, and the key of the run that ``options`` names: "latest" is the newest."""
    from ..report.document import latest_run
    from ..store.store import Store

    store = Store(options.store, bundled=bundled_stores())
    return store, latest_run(store) if options.run == "latest" else options.run
