"""``rurk compare``: methods beside each other over several seeds, as a table, JSON, CSV or LaTeX."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from . import Command
from .output import Console, answer, live, table, where
from .run import checked_spec, experiment_flags, spec_values

DEFAULT_SEEDS = "131,42,7"


def register(command: Command) -> None:
    compare = command("compare", _compare, "Run methods with several seeds and compare them to Re-train.")
    experiment_flags(compare, without=("seed", "title"))
    compare.add_argument(
        "--seeds", default=DEFAULT_SEEDS, help=f"of training and of unlearning (default: {DEFAULT_SEEDS}, the paper's)"
    )
    compare.add_argument("--csv", action="store_true", help="print the table as CSV, a line per number")
    compare.add_argument("--latex", action="store_true", help="print the table as LaTeX (booktabs)")
    where(compare)


def _compare(options: argparse.Namespace) -> int:
    from ..compare.table import compare
    from ..compare.texts import flat, to_csv, to_latex
    from ..run.experiment import run
    from ..store.store import Store

    if options.json + options.csv + options.latex > 1:
        raise UsageError("Choose one of --json, --csv and --latex.")
    values = spec_values(options)
    values.setdefault("methods", "all")
    specs = [checked_spec(options, values | {"seed": seed}) for seed in parse_seeds(options.seeds)]
    store, results = Store(options.store), []
    with live(quiet=options.json or options.csv or options.latex) as show:
        for at, spec in enumerate(specs):
            progress = across_runs(show, at, len(specs))
            results.append(
                run(spec, store, root=options.data, device=options.device, engine=options.engine, progress=progress)
            )
    comparison = compare(results)
    if options.csv or options.latex:
        print(to_csv(flat(comparison)) if options.csv else to_latex(comparison), end="")
        return 0
    return answer(options, comparison, print_comparison)


def parse_seeds(text: str) -> list[int]:
    """``"131,42,7"`` → [131, 42, 7]; ``"3"`` → one seed, 3.

    Raises:
        UsageError: not whole numbers, or one twice.
    """
    from ..run.spec import whole

    seeds = [whole("seeds", part.strip(), 0, 2**31 - 1) for part in text.split(",")]
    if len(set(seeds)) != len(seeds):
        raise UsageError(f"A seed stands twice in '{text}'; each counts once.")
    return seeds


def across_runs(show: Callable[[dict[str, Any]], None], at: int, of: int) -> Callable[[dict[str, Any]], None]:
    """The progress function of run ``at`` (from 0) of several that fill one line together."""

    from ..run.titles import stage_words

    def tell(event: dict[str, Any]) -> None:
        stage, whole = f"{stage_words(event['stage'])}, run {at + 1} of {of}", (at + event["overall"]) / of
        # the time left of one run says nothing of the others
        show(event | {"stage": stage, "overall": whole, "eta": event["eta"] if at + 1 == of else None})

    return tell


def print_comparison(comparison: dict[str, Any], out: Console) -> None:
    """The table of the paper: mean ± deviation over seeds, and under it the gap to Re-train."""
    from ..compare.columns import COLUMNS, RETRAIN
    from ..compare.table import ranks
    from ..compare.texts import cell_text, gap_text
    from ..run.titles import data_words

    data, rows = comparison["dataset"], comparison["rows"]
    shown = [key for key in COLUMNS if any(row["cells"][key] for row in rows)]
    marks = {key: ranks(rows, key) for key in shown}
    seeds = ", ".join(map(str, comparison["seeds"]))
    heads = [f"{COLUMNS[key].title} ({COLUMNS[key].unit})" for key in shown]
    found = table(
        f"{data_words(data['name'])}, {len(comparison['forget']['indices'])} to forget; seeds {seeds}",
        ("method", "settings", *heads),
        left=("method", "settings"),
        caption="The target is Re-train. In brackets: the distance to it, ≈ where one more re-training lies as near in "
        "95% of all cases. * nearest, ! furthest.",
    )
    for row in rows:
        if row["failed"] and not any(row["cells"].values()):
            found.add_row(row["title"], row["settings"], "failed", *[""] * (len(shown) - 1))
            continue
        cells = []
        for key in shown:
            cell = row["cells"][key]
            mark = {"best": "* ", "worst": "! "}.get(marks[key].get(row["name"], ""), "")
            gap = gap_text(key, cell)
            cells.append(f"{mark}{cell_text(key, cell)}" + (f"\n({gap})" if gap else "") if cell else "–")
        found.add_row(row["title"], row["settings"], *cells, end_section=row["name"] == RETRAIN)
    out.print(found)
    for row in rows:
        for seed, why in row["failed"].items():
            out.print(f"{row['title']}, seed {seed}: {why}")
    for note in comparison["notes"]:
        out.print(f"Note: {note}")
