"""``rurk run``: a whole experiment, and how a result is printed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import Command
from .output import Console, Table, console, duration, live, print_json, read_json, where

if TYPE_CHECKING:
    from ..report.looks import Look
    from ..run.spec import Spec
    from ..store.store import Store


TRAINING = (
    "epochs, lr, batch, momentum, weight_decay, optimizer (sgd, muon), schedule (one_cycle, cosine, linear, constant), "
    "label_smoothing, augment (none, flip, crop_flip, alternating), grow, precision (auto, float32, bfloat16)"
)
"""What TrainConfig has, written out: help is printed without loading torch."""


def register(command: Command) -> None:
    run = command("run", _run, "Train, unlearn, perturb and measure residual knowledge.")
    spec_flags(run)
    run.add_argument("--plan", action="store_true", help="only say what would be done: passes, memory, time, growth")
    run.add_argument("--seed", help="seeds of everything are derived from it (default: 7)")
    run.add_argument("--title", help="a name for people")
    where(run)


def spec_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that describe an experiment, but for its seed; :func:`spec_values` reads them."""
    add = parser.add_argument
    add("--spec", type=Path, help="read the experiment from this JSON file; other flags override it")
    add("--dataset", help="a name from 'rurk datasets', or a path (default: digits)")
    add(
        "--forget", help="class:0:0.5, class:0, indices:1,5-9, random:50, twins:50, hardest:50, easiest:50, file:F.json"
    )
    add("--model", help="a name from 'rurk models', width after a colon: resnet9:32")
    add("--methods", help="with commas: gd,rurk@digits:tau=0.1:v=2; or all")
    add("--references", help="K, how many Re-trains (default: 8); findings need 3")
    add("--members", help="M, further Originals: they tell memory of a very sample (default: 0)")
    add("--attack", dest="attacks", help="with commas: gaussian,fgsm,pgd (default: gaussian)")
    add("--tau", dest="taus", help="radii, from:to:how many or with commas: 0:0.3:11")
    add("--draws", help="copies of a sample at each radius (default: 20)")
    add("--recipe", help="how models are trained: quick, paper or fast (default: quick)")
    add("--train", action="append", metavar="NAME=VALUE", help=f"a training setting, may be repeated: {TRAINING}")
    add(
        "--pretrain",
        action="append",
        metavar="NAME=VALUE",
        help="one of pre-training, by the same names; epochs=0 leaves it out",
    )
    add("--relearn", help="epochs after which re-learn time gives up, 0 = not measured (default: 30)")
    add("--engine", default="embedded", help="embedded, torchrun, or ray: a cluster (ray:cpus=2,gpus=0.25)")


_SPEC_FLAGS = (
    "dataset",
    "forget",
    "model",
    "methods",
    "references",
    "members",
    "attacks",
    "taus",
    "draws",
    "recipe",
    "relearn",
)


def spec_values(options: argparse.Namespace, *more: str) -> dict[str, Any]:
    """What the flags say, for :func:`~rurk_core.run.spec.make_spec`; ``more`` names flags of the command itself.

    Raises:
        UsageError: the file of ``--spec`` is no experiment.
    """
    values: dict[str, Any] = {}
    if options.spec:
        values = read_json(options.spec)
        if not isinstance(values, dict):
            raise UsageError(f"The file {options.spec} must hold a JSON object with an experiment in it.")
    for name in (*_SPEC_FLAGS, *more):
        if getattr(options, name) is not None:
            values[name] = getattr(options, name)
    for name in ("train", "pretrain"):
        if getattr(options, name):
            values[name] = dict(values.get(name) or {}) | dict(setting_of(text) for text in getattr(options, name))
    return values


def checked_spec(options: argparse.Namespace, values: dict[str, Any]) -> Spec:
    """The experiment, or one sentence on what is wrong with it."""
    from ..run.presets import presets_of
    from ..run.spec import make_spec
    from ..store.store import Store

    try:
        return make_spec(**values, presets=presets_of(Store(options.store)))
    except TypeError:
        raise UsageError(f"The file {options.spec} names something an experiment does not have.") from None


def _run(options: argparse.Namespace) -> int:
    from ..run.experiment import run
    from ..store.store import Store

    if options.engine == "torchrun":
        from ..run.engines.torchrun import follow, follows

        if follows():
            return follow()
    spec = checked_spec(options, spec_values(options, "seed", "title"))
    store = Store(options.store)
    if options.plan:
        found = planned(options, spec, store)
        if options.json:
            print_json(found)
        else:
            print_plan(found, console())
        return 0
    with live(quiet=options.json) as progress:
        result = run(spec, store, root=options.data, device=options.device, engine=options.engine, progress=progress)
    if options.json:
        print_json(result)
    else:
        print_result(result, console())
    return 0


def planned(options: argparse.Namespace, spec: Spec, store: Store) -> dict[str, Any]:
    """:func:`~rurk_core.run.estimate.outline` of a run on the devices of ``options``, and what its speed is from."""
    import torch

    from ..data import forget_set, load_dataset, needs_losses
    from ..device import device_name, find_devices
    from ..evidence.words import power_words
    from ..run.estimate import latest_results, measured_speeds, outline, probed_speeds
    from ..run.plan import Work, start_data
    from ..run.stages import refusals

    data, devices = load_dataset(spec.dataset, options.data), find_devices(options.device)
    losses = torch.zeros(len(data.train_labels)) if needs_losses(spec.forget) else None
    chosen = forget_set(data, spec.forget, losses=losses)
    work = Work(spec, store, data, start_data(spec, options.data), devices[0], root=options.data, forget=chosen)
    known = measured_speeds(latest_results(store), spec.model, device_name(devices[0]))
    speeds = known or probed_speeds(spec.model, data.input_shape, len(data.classes), devices[0])
    work.failed |= refusals(work)  # what cannot be run costs nothing
    notes = [*data.notes, *work.failed.values()]
    found = outline(work, speeds) | {"notes": notes, "power": power_words(spec.references)}
    return found | {"speeds": speeds, "speeds_from": "earlier runs" if known else f"a probe on {devices[0]}"}


def print_plan(found: dict[str, Any], out: Console) -> None:
    """What :func:`planned` found."""
    from ..run.titles import stage_words

    for note in found["notes"]:
        out.print(note, highlight=False, markup=False)
    table = Table(title=f"What is to be done: about {duration(found['seconds'])}", title_justify="left")
    for name in ("stage", "entries", "forward passes", "time"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for row in found["stages"]:
        table.add_row(stage_words(row["stage"]), str(row["entries"]), f"{row['passes']:,.0f}", duration(row["seconds"]))
    out.print(table)
    memory = ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in found["bytes"].items())
    out.print(f"Memory: {memory}.", highlight=False)
    growth = ", ".join(f"{name} ×{factor:.2f}" for name, factor in found["twice"].items())
    out.print(f"Work with twice as many: {growth}.", highlight=False)
    out.print(found["power"], highlight=False)
    speeds = [row["passes"] / row["seconds"] for row in found["stages"] if row["seconds"]]
    if speeds:
        each = f"{min(speeds):,.0f} to {max(speeds):,.0f}" if max(speeds) > 1.01 * min(speeds) else f"{speeds[0]:,.0f}"
        out.print(f"{each} forward passes a second, from {found['speeds_from']}.", highlight=False)


def setting_of(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"Write a training setting as name=value, not '{text}'.")
    return name, value


def print_result(result: dict[str, Any], out: Console) -> None:
    """The tables of a finished run: models and their accuracies, then residual knowledge by radius."""
    from ..perturb.copies import ATTACKS
    from ..report.looks import looks_of
    from ..run.titles import data_words

    data, forget, looks = result["dataset"], result["forget"], looks_of(result["models"])
    for sentence in result.get("audit", {}).get("misfits", {}).values():
        out.print(f"Warning: {sentence}", style="bold red", highlight=False)
    out.print(
        f"{data_words(data['name'])}: {data['train']} training and {data['test']} test samples; "
        f"{len(forget['indices'])} to forget ({forget['rule']}); {result['device']}",
        highlight=False,
    )
    table = Table(
        title="Models (unlearn = 1 − accuracy on the forget set; gap: mean distance to Re-train)",
        title_justify="left",
    )
    shares = {f"{name}_accuracy": f"{name} %" for name in ("retain", "unlearn", "test")}
    shares |= {"mia_accuracy": "MIA %", "avg_gap": "gap %"}
    for name in ("model", "settings", *shares.values(), "re-learn", "seconds"):
        table.add_column(name, justify="left" if name in ("model", "settings") else "right")
    for row in result["models"]:
        if "failed" in row:
            table.add_row(looks[row["name"]].title, row.get("preset", ""), "no result")
            continue
        cells = ["" if row.get(key) is None else f"{100 * row[key]:.2f}" for key in shares]
        seconds = "" if "audit" in result else f"{row['seconds']:.1f}"  # one made elsewhere took none here
        again = row.get("relearn")
        epochs = "" if not again else f"> {again['limit']}" if again["epochs"] is None else str(again["epochs"])
        table.add_row(looks[row["name"]].title, row.get("preset", ""), *cells, epochs, seconds)
    out.print(table)
    for attack in dict.fromkeys(entry["attack"] for entry in result["residual"]):
        entries = [entry for entry in result["residual"] if entry["attack"] == attack]
        print_residual(entries, ATTACKS[attack].title, looks, out)
    for row in result["models"]:
        if "failed" in row:
            out.print(f"{looks[row['name']].title}: {row['failed']}")
        for note in dict.fromkeys(row.get("notes", ())):  # one on clean samples may be said again of copies
            title = looks[row["name"]].title
            out.print(note if note.startswith(f"{title}: ") else f"{title}: {note}")
    for note in result.get("notes", ()):
        out.print(f"Note: {note}")


def print_residual(entries: list[dict[str, Any]], attack: str, looks: dict[str, Look], out: Console) -> None:
    """Ratio of means per method and radius, always with its numerator and denominator; counts without references."""
    taus = entries[0]["taus"]
    shown = taus if len(taus) <= 6 else [taus[round(i * (len(taus) - 1) / 5)] for i in range(6)]
    picks = [taus.index(row) for row in shown]
    apart = taus[-1]["among_references"]["prevalence"]
    apart = None if not apart or None in apart else apart
    compared = taus[-1]["denominator"] is not None
    table = Table(
        title=f"Residual knowledge, {attack}: copies recognised by the model / by re-trained ones = ratio of means"
        if compared
        else f"Recognition, {attack}: copies recognised by the model",
        title_justify="left",
        caption=_legend(apart is not None) if compared else None,
        caption_justify="left",
    )
    table.add_column("model")
    for name in [f"τ = {row['tau']:g}" for row in shown] + (["r̂ undef.", "prevalence"] if compared else []):
        table.add_column(name, justify="right")
    for entry in entries:
        last = entry["taus"][-1]
        share = "" if last["prevalence"] is None else f"{100 * last['prevalence']:.0f}%"
        cells = [_ratio(entry["taus"][index]) for index in picks]
        table.add_row(looks[entry["method"]].title, *cells, *([str(last["r_undefined"]), share] if compared else []))
    if apart:
        low_high = [taus[index]["reference_band"] for index in picks]
        table.add_section()
        ratios = ["" if low is None else f"{low:.2f}–{high:.2f}" for low, high in low_high]
        table.add_row("re-trained apart", *ratios, "", f"{100 * min(apart):.0f}–{100 * max(apart):.0f}%")
    out.print(table)


def _legend(several: bool) -> str:
    """What the columns of the table are; ``several``: whether re-trained models are compared with each other."""
    said = (
        "r̂ undef.: samples of which no re-trained model recognises a copy, at the largest τ. Prevalence: share of "
        "which more copies are recognised than by a re-trained model, there"
    )
    return f"{said}, mean over these; re-trained apart: each against the others." if several else f"{said}."


def _ratio(row: dict[str, Any]) -> str:
    from ..run.standing import count_words

    if row["denominator"] is None:  # an audit without references
        return f"{row['numerator']:.0f} of {row['trials']}"
    value = "undefined" if row["ratio_of_means"] is None else f"{row['ratio_of_means']:.2f}"
    return f"{row['numerator']:.0f}/{count_words(row['denominator'])} = {value}"
