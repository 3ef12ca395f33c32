"""``rurk reproduce``: the paper's tables and figures run again, ours beside its numbers."""

from __future__ import annotations

import argparse
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ..progress import duration
from . import Command
from .compare import across_runs, parse_seeds
from .output import Console, answer, live, table, where
from .run import planned, print_plan

if TYPE_CHECKING:
    from ..store.store import Store


def register(command: Command) -> None:
    reproduce = command("reproduce", _reproduce, "Run a table or figure of the paper and put its numbers beside.")
    reproduce.add_argument("target", help="table1, figure1, figure2, table_c2 ... table_c8")
    reproduce.add_argument(
        "--dataset",
        default="",
        help="another data set than the table's own; quick and laptop take small_cifar5 for cifar10",
    )
    reproduce.add_argument(
        "--scale",
        default="quick",
        help="quick: two cores, a quarter of an hour; laptop: two cores, three hours; paper: its setting, for a GPU",
    )
    reproduce.add_argument("--seeds", default="", help="other seeds than the scale's, with commas")
    reproduce.add_argument(
        "--plan", action="store_true", help="only say what would be run, how long it takes and what differs"
    )
    where(reproduce)


def _reproduce(options: argparse.Namespace) -> int:
    from ..compare.reproduce import reproduce
    from ..store.store import Store

    if options.plan:
        return _plan(options, Store(options.store))
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
    return answer(options, found, print_reproduction)


def _plan(options: argparse.Namespace, store: Store) -> int:
    from ..compare.differences import differences
    from ..compare.targets import TARGETS, plan

    seeds = parse_seeds(options.seeds) if options.seeds else ()
    specs = plan(options.target, dataset=options.dataset, scale=options.scale, seeds=seeds)
    runs = [planned(options, spec, store) for spec in specs]
    found = {
        "target": options.target,
        "title": TARGETS[options.target].title,
        "seeds": [spec.seed for spec in specs],
        "methods": [method.about() | {"label": method.label} for method in specs[0].methods],
        "runs": runs,
        "seconds": sum(run["seconds"] for run in runs),
        "differences": differences(options.target, specs, options.scale),
    }
    return answer(options, found, print_planned)


def print_planned(found: dict[str, Any], out: Console) -> None:
    """What would be run, how long it takes and what differs."""
    out.print(f"{found['target']}: {found['title']}")
    settings = ", ".join(f"{method['label']} ({method['preset']})" for method in found["methods"])
    out.print(f"Methods and their settings: {settings}.")
    for seed, run in zip(found["seeds"], found["runs"], strict=True):
        out.print(f"Seed {seed}:")
        print_plan(run, out)
    out.print(f"About {duration(found['seconds'])} in all. What differs from the paper's set-up:")
    for sentence in found["differences"]:
        out.print(f"  - {sentence}")


def print_reproduction(found: dict[str, Any], out: Console) -> None:
    """Our numbers, the paper's, the difference; what the paper says in words; what differs from its set-up."""
    from ..perturb.copies import ATTACKS

    seeds = ", ".join(map(str, found["seeds"]))
    out.print(
        f"{found['target']}: {found['title']} ({found['dataset']}, {found['scale']}, seeds {seeds}, "
        f"{duration(found['seconds'])})",
    )
    for attack in dict.fromkeys(line["attack"] for line in found["lines"] if "attack" in line) or [""]:
        of_it = [line for line in found["lines"] if "failed" in line or line.get("attack", "") == attack]
        _print_lines(of_it, ATTACKS[attack].title if attack else "", out)
    for line in found["lines"]:
        if "failed" in line:
            out.print(f"{line['title']}: {line['failed']}")
    for claim in found["claims"]:
        for model, at in claim["found"].items():
            said = f" (r̂ from {at['lowest']:.2f} to {at['highest']:.2f})" if at["lowest"] is not None else ""
            out.print(
                f"The paper: {model} {claim['says']}. Here: {at['verdict']}; so at {at['holds']} and surely not so at "
                f"{at['fails']} of {at['of']} radii{said}.",
            )
    out.print(f"The paper's numbers: {found['source']}")
    out.print("What differs from the paper's set-up:")
    for sentence in found["differences"]:
        out.print(f"  - {sentence}")


def _print_lines(lines: list[dict[str, Any]], title: str, out: Console) -> None:
    columns = list(dict.fromkeys(_column(line) for line in lines if "failed" not in line))
    found = table(
        title,
        ("model", *columns),
        left=("model",),
        caption="ours ± deviation over seeds, below it / the paper's where it is reported here (difference); = a mean "
        "over three other seeds of ours would lie as near in 95% of all cases",
    )
    for model, own in groupby(lines, key=lambda line: line["title"]):
        cells = {}
        for line in own:
            if "failed" in line:
                cells[columns[0] if columns else ""] = "failed"
            else:
                cells[_column(line)] = _cell(line)
        found.add_row(model, *[cells.get(name, "") for name in columns])
    out.print(found)
    doubts = [f"{line['title']}: {line['doubt']}" for line in lines if line.get("doubt")]
    if doubts:
        out.print(f"* Avg. Gap of the paper, not from its cells. {'; '.join(doubts)}.")


def _column(line: dict[str, Any]) -> str:
    return f"τ {line['tau']:.3g}" if "tau" in line else f"{line['metric']} ({line['unit']})"


def _cell(line: dict[str, Any]) -> str:
    """ "5.67 ± 1.20", and below it "/ 8.33 (−2.66)" where the paper has a number; a digit less over many radii."""
    digits = 1 if "tau" in line and line["unit"] == "%" else 2
    ours = "undefined" if line["ours"] is None else f"{'> ' if line['over'] else ''}{line['ours']:.{digits}f}"
    if line["sd"] is not None:
        between = "±" if "tau" in line else " ± "
        ours += f"{between}{line['sd']:.{digits}f}"
    if line["paper"] is None:
        return ours
    apart = "" if line["difference"] is None else f" ({'=' if line['agrees'] else ''}{line['difference']:+.{digits}f})"
    apart += "*" if line["doubt"] else ""
    return f"{ours}\n/ {'> ' if line['paper_over'] else ''}{line['paper']:.{digits}f}{apart}"
