"""``rurk reproduce``: the paper's tables and figures run again, ours beside its numbers."""

from __future__ import annotations

import argparse
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from . import Command
from .compare import across_runs, parse_seeds
from .output import console, duration, live, print_json, where


def register(command: Command) -> None:
    reproduce = command("reproduce", _reproduce, "Run a table or figure of the paper and put its numbers beside.")
    reproduce.add_argument("target", help="table1, figure1, figure2, table_c2 ... table_c8")
    reproduce.add_argument("--dataset", default="", help="another data set than the table's own")
    reproduce.add_argument(
        "--scale", default="quick", help="quick: two cores, a quarter of an hour; paper: its setting, for a GPU"
    )
    reproduce.add_argument("--seeds", default="", help="other seeds than the scale's, with commas")
    where(reproduce)


def _reproduce(options: argparse.Namespace) -> int:
    from ..reproduce import reproduce
    from ..store import Store

    with live(quiet=options.json) as show:
        found = reproduce(
            options.target,
            Store(options.store),
            dataset=options.dataset,
            scale=options.scale,
            seeds=parse_seeds(options.seeds) if options.seeds else (),
            root=options.data,
            device=options.device,
            progress=lambda at, of: across_runs(show, at, of),
        )
    if options.json:
        print_json(found)
    else:
        print_reproduction(found, console())
    return 0


def print_reproduction(found: dict[str, Any], out: Console) -> None:
    """Our numbers, the paper's, the difference; what the paper says in words; what differs from its set-up."""
    seeds = ", ".join(map(str, found["seeds"]))
    table = Table(
        title=f"{found['target']}: {found['title']} ({found['dataset']}, {found['scale']}, seeds {seeds}, "
        f"{duration(found['seconds'])})",
        title_justify="left",
        caption="ours ± deviation over seeds / the paper's (difference); = within our deviation, – not reported here",
        caption_justify="left",
    )
    columns = list(dict.fromkeys(_column(line) for line in found["lines"] if "failed" not in line))
    table.add_column("model")
    for name in columns:
        table.add_column(name, justify="right")
    for title, lines in groupby(found["lines"], key=lambda line: line["title"]):
        cells = {}
        for line in lines:
            if "failed" in line:
                cells[columns[0] if columns else ""] = "failed"
            else:
                cells[_column(line)] = _cell(line)
        table.add_row(title, *[cells.get(name, "") for name in columns])
    out.print(table)
    for line in found["lines"]:
        if "failed" in line:
            out.print(f"{line['title']}: {line['failed']}", markup=False)
    for claim in found["claims"]:
        for model, at in claim["found"].items():
            out.print(
                f"The paper: {model} {claim['says']}. Ours: so at {at['holds']} of {at['of']} radii"
                + (f" (r̂ from {at['lowest']:.2f} to {at['highest']:.2f})." if at["of"] else "."),
                markup=False,
                highlight=False,
            )
    out.print(f"The paper's numbers: {found['source']}", markup=False, highlight=False)
    out.print("What differs from the paper's set-up:")
    for sentence in found["differences"]:
        out.print(f"  - {sentence}", markup=False, highlight=False)


def _column(line: dict[str, Any]) -> str:
    return f"τ = {line['tau']:.3g}" if "tau" in line else f"{line['metric']} ({line['unit']})"


def _cell(line: dict[str, Any]) -> str:
    """ "5.67 ± 1.20 / 8.33 (−2.66)", over three lines."""
    ours = "undefined" if line["ours"] is None else f"{'> ' if line['over'] else ''}{line['ours']:.2f}"
    if line["sd"] is not None:
        ours += f" ± {line['sd']:.2f}"
    paper = "–" if line["paper"] is None else f"{'> ' if line['paper_over'] else ''}{line['paper']:.2f}"
    apart = "" if line["difference"] is None else f" ({'= ' if line['agrees'] else ''}{line['difference']:+.2f})"
    return f"{ours}\n/ {paper}{apart}"
