"""The command line: ``rurk datasets | models | methods | attacks | run | residual``.

Tables and progress go to the terminal; with ``--json`` standard output holds one JSON document and nothing else.
Exit code 0; 2 when what was asked for is not possible; 1 when a run failed; 130 after Ctrl-C (the run resumes).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from . import __version__
from .errors import Cancelled, RurkError, UsageError

DEFAULT_STORE = "rurk-store"


class _Parser(argparse.ArgumentParser):
    """argparse, but every complaint is one sentence with exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}; see '{self.prog} --help'.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    errors = Console(stderr=True)
    try:
        options = _parser().parse_args(arguments)
        return options.command(options)
    except KeyboardInterrupt:
        errors.print("Stopped. What was finished is kept: the same command goes on from there.")
        return 130
    except RurkError as error:
        errors.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
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
        return sub

    command("datasets", _datasets, "List the data sets.")
    command("models", _models, "List the networks.")
    command("methods", _methods, "List the unlearning methods with their settings.")
    command("attacks", _attacks, "List the ways to perturb.")

    run = command("run", _run, "Train, unlearn, perturb and measure residual knowledge.")
    run.add_argument("--spec", type=Path, help="read the experiment from this JSON file; other flags override it")
    run.add_argument("--dataset", help="a name from 'rurk datasets', or a path (default: digits)")
    run.add_argument("--forget", help="class:0:0.5, class:0, indices:1,5-9, random:50, hardest:50, file:F.json")
    run.add_argument("--model", help="a name from 'rurk models', width after a colon: resnet9:32")
    run.add_argument("--methods", help="with commas: gd,rurk@digits:tau=0.1:v=2")
    run.add_argument("--references", help="K, how many Re-trains (default: 3)")
    run.add_argument("--attack", dest="attacks", help="with commas: gaussian,fgsm,pgd (default: gaussian)")
    run.add_argument("--tau", dest="taus", help="radii, from:to:how many or with commas: 0:0.3:11")
    run.add_argument("--draws", help="copies of a sample at each radius (default: 100)")
    run.add_argument("--recipe", help="how models are trained: quick or paper (default: quick)")
    run.add_argument("--train", action="append", metavar="NAME=VALUE", help="a training setting, may be repeated")
    run.add_argument("--pretrain", action="append", metavar="NAME=VALUE", help="a pre-training setting, likewise")
    run.add_argument("--seed", help="seeds of everything are derived from it (default: 7)")
    run.add_argument("--title", help="a name for people")
    _where(run)

    residual = command("residual", _residual, "Measure residual knowledge of checkpoints made elsewhere.")
    residual.add_argument("--dataset", required=True, help="a name from 'rurk datasets', or a path")
    residual.add_argument("--forget", required=True, help="a forget-set file, or a rule as for 'rurk run'")
    residual.add_argument("--model", help="architecture of all checkpoints (default: the data set's)")
    residual.add_argument("--original", required=True, type=Path, help="checkpoint trained on everything")
    residual.add_argument("--unlearned", required=True, type=Path, nargs="+", help="checkpoints to judge")
    residual.add_argument("--retrained", required=True, type=Path, nargs="+", help="one or more references")
    residual.add_argument("--attack", default="gaussian", help="one of 'rurk attacks' (default: gaussian)")
    residual.add_argument("--tau", help="radii, as for 'rurk run'")
    residual.add_argument("--draws", default="100", help="copies of a sample at each radius (default: 100)")
    residual.add_argument("--seed", default="7", help="keys the draws (default: 7)")
    _where(residual, store=False)
    return parser


def _where(parser: argparse.ArgumentParser, *, store: bool = True) -> None:
    if store:
        parser.add_argument("--store", default=DEFAULT_STORE, help=f"where results live (default: {DEFAULT_STORE})")
    parser.add_argument("--data", help="where data sets lie (default: the variable RURK_DATA)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")


# --- lists --------------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace, title: str, rows: list[dict[str, Any]]) -> int:
    if options.json:
        _print_json(rows)
        return 0
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*[_cell(value) for value in row.values()])
    _console().print(table)
    return 0


def _datasets(options: argparse.Namespace) -> int:
    from .data import DATASETS

    rows = [
        {
            "name": key,
            "title": entry.title,
            "model": entry.default_model,
            "licence": entry.licence,
            "source": entry.source,
        }
        for key, entry in DATASETS.items()
    ]
    return _list(options, "Data sets (a path to a Parquet file or an image folder works too)", rows)


def _models(options: argparse.Namespace) -> int:
    from .models import MODELS

    rows = [
        {"name": key, "width": found.width or None, "input": "images" if found.images_only else "any"}
        | {"what": found.summary}
        for key, found in MODELS.items()
    ]
    return _list(options, "Networks", rows)


def _attacks(options: argparse.Namespace) -> int:
    from .perturbations import ATTACKS

    rows = [{"name": k, "title": a.title, "τ is": a.ball, "what": a.summary} for k, a in ATTACKS.items()]
    return _list(options, "Perturbations", rows)


def _methods(options: argparse.Namespace) -> int:
    from .unlearning import METHODS

    rows: list[dict[str, Any]] = []
    for key, method in METHODS.items():
        settings = {field.name: field.default for field in fields(method.config)}
        rows.append(
            {
                "name": key,
                "needs": method.needs,
                "what": method.summary,
                "settings": settings if options.json else ", ".join(f"{n}={v}" for n, v in settings.items()),
                "presets": dict(method.presets) if options.json else ", ".join(method.presets),
                "source": method.source,
            }
        )
        if options.json:
            rows[-1] |= {
                "batch_norm": method.batch_norm,
                "help": {field.name: field.metadata.get("help", "") for field in fields(method.config)},
            }
    return _list(options, "Unlearning methods", rows)


# --- run ----------------------------------------------------------------------------------------------------

_SPEC_FLAGS = (
    "dataset",
    "forget",
    "model",
    "methods",
    "references",
    "attacks",
    "taus",
    "draws",
    "recipe",
    "seed",
)


def _run(options: argparse.Namespace) -> int:
    from .experiment import run
    from .spec import make_spec
    from .store import Store

    values: dict[str, Any] = {}
    if options.spec:
        values = _read_json(options.spec)
        if not isinstance(values, dict):
            raise UsageError(f"The file {options.spec} must hold a JSON object with an experiment in it.")
    for name in (*_SPEC_FLAGS, "title"):
        if getattr(options, name) is not None:
            values[name] = getattr(options, name)
    for name in ("train", "pretrain"):
        if getattr(options, name):
            values[name] = dict(values.get(name) or {}) | dict(_setting(text) for text in getattr(options, name))
    try:
        spec = make_spec(**values)
    except TypeError:
        raise UsageError(f"The file {options.spec} names something an experiment does not have.") from None
    store = Store(options.store)
    with _live(quiet=options.json) as progress:
        result = run(spec, store, root=options.data, device=options.device, progress=progress)
    if options.json:
        _print_json(result)
    else:
        print_result(result, _console())
    return 0


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"Write a training setting as name=value, not '{text}'.")
    return name, value


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"The file {path} cannot be read as JSON ({error}).") from None


@contextmanager
def _live(*, quiet: bool) -> Iterator[Any]:
    """A progress line on the terminal (standard error); nothing where there is no terminal."""
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        stage = ""

        def line(event: dict[str, Any]) -> None:
            nonlocal stage
            if event["stage"] != stage and not quiet:
                stage = event["stage"]
                print(f"{stage} ({event['overall']:.0%} done)", file=sys.stderr)

        yield line
        return
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0, note="")

        def show(event: dict[str, Any]) -> None:
            eta = event["eta"]
            left = f"about {_duration(eta)} left" if eta is not None else ""
            loss = f"  loss {event['loss']:.3f}" if "loss" in event else ""
            bar.update(
                task,
                completed=event["overall"],
                description=event["stage"],
                note=f"{event['overall']:4.0%}  {left}{loss}",
            )

        yield show


def _duration(seconds: float) -> str:
    """12.3 → "12 s", 150 → "2.5 min"."""
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.1f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def print_result(result: dict[str, Any], console: Console) -> None:
    """The tables of a finished run: models and their accuracies, then residual knowledge by radius."""
    data, forget = result["dataset"], result["forget"]
    console.print(
        f"{data['name']}: {data['train']} training and {data['test']} test samples; "
        f"{len(forget['indices'])} to forget ({forget['rule']}); {result['device']}",
        highlight=False,
        markup=False,
    )
    table = Table(title="Models (unlearn accuracy = 1 − accuracy on the forget set)", title_justify="left")
    for name in ("model", "retain %", "unlearn %", "test %", "seconds"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for row in result["models"]:
        if "failed" in row:
            table.add_row(row["name"], "diverged", "", "", "")
            continue
        shares = [f"{100 * row[key]:.2f}" for key in ("retain_accuracy", "unlearn_accuracy", "test_accuracy")]
        table.add_row(row["name"], *shares, f"{row['seconds']:.1f}")
    console.print(table)
    for attack in dict.fromkeys(entry["attack"] for entry in result["residual"]):
        print_residual([e for e in result["residual"] if e["attack"] == attack], attack, console)
    for row in result["models"]:
        if "failed" in row:
            console.print(f"{row['name']}: {row['failed']}", markup=False)
    for note in result.get("notes", ()):
        console.print(f"Note: {note}", markup=False)


def print_residual(entries: list[dict[str, Any]], attack: str, console: Console) -> None:
    """Ratio of means per method and radius, always with its numerator and denominator."""
    taus = entries[0]["taus"]
    shown = taus if len(taus) <= 6 else [taus[round(i * (len(taus) - 1) / 5)] for i in range(6)]
    picks = [taus.index(row) for row in shown]
    table = Table(
        title=f"Residual knowledge, {attack}: copies recognised by the model / by the Re-trains = ratio of means",
        title_justify="left",
        caption="r̂ undef.: samples no reference recognises, at the largest τ. Prevalence: share with r̂ > 1, there.",
        caption_justify="left",
    )
    table.add_column("model")
    for row in shown:
        table.add_column(f"τ = {row['tau']:g}", justify="right")
    table.add_column("r̂ undef.", justify="right")
    table.add_column("prevalence", justify="right")
    for entry in entries:
        cells = [_ratio(entry["taus"][index]) for index in picks]
        last = entry["taus"][-1]
        table.add_row(entry["method"], *cells, str(last["r_undefined"]), f"{100 * last['prevalence']:.0f}%")
    low_high = [taus[index]["reference_band"] for index in picks]
    if low_high[0][0] is not None:
        table.add_section()
        table.add_row("references apart", *[f"{low:.2f}–{high:.2f}" for low, high in low_high], "", "")
    console.print(table)


def _ratio(row: dict[str, Any]) -> str:
    value = "undefined" if row["ratio_of_means"] is None else f"{row['ratio_of_means']:.2f}"
    return f"{row['numerator']:.0f}/{row['denominator']:.0f} = {value}"


# --- residual of given checkpoints --------------------------------------------------------------------------


def _residual(options: argparse.Namespace) -> int:
    from .audit import audit_checkpoints

    with _live(quiet=options.json) as progress:
        result = audit_checkpoints(
            dataset=options.dataset,
            forget=options.forget,
            model=options.model or "",
            original=options.original,
            unlearned=options.unlearned,
            retrained=options.retrained,
            attack=options.attack,
            taus=options.tau or "",
            draws=options.draws,
            seed=options.seed,
            root=options.data,
            device=options.device,
            progress=progress,
        )
    if options.json:
        _print_json(result)
    else:
        print_result(result, _console())
    return 0


# --- output -------------------------------------------------------------------------------------------------


def _console() -> Console:
    # a pipe has no width: keep tables whole there
    return Console() if sys.stdout.isatty() else Console(width=160)


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _print_json(document: Any) -> None:
    json.dump(document, sys.stdout, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    sys.exit(main())
