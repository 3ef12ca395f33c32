"""``rurk run``: a whole experiment, and how a result is printed."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..progress import duration
from . import Command
from .output import Console, answer, live, read_json, table, where

if TYPE_CHECKING:
    from ..report.looks import Look
    from ..run.spec import Spec
    from ..store.store import Store


TRAINING = (
    "epochs, lr, batch, momentum, weight_decay, optimizer (sgd, muon), schedule (one_cycle, cosine, linear, constant), "
    "label_smoothing, augment (none, flip, crop_flip, alternating), grow, clip, precision (auto, float32, bfloat16)"
)
"""What TrainConfig has, written out: help is printed without loading torch."""


SPEC = {
    "dataset": "a name from 'rurk datasets', or a path (default: digits)",
    "forget": "class:0:0.5, class:0, indices:1,5-9, random:50, twins:50, hardest:50, easiest:50, file:F.json, "
    "or canaries, which --dataset NAME?canaries=20 plants",
    "model": "a name from 'rurk models', width after a colon: resnet9:32",
    "methods": "with commas: gd,rurk@digits:tau=0.1:v=2; or all",
    "references": "K, how many Re-trains (default: 8); findings need 3",
    "members": "M, further Originals: they tell memory of a very sample (default: 0)",
    "attacks": "with commas: gaussian,fgsm,pgd (default: gaussian)",
    "taus": "radii, from:to:how many or with commas: 0:0.3:11",
    "draws": "copies of a sample at each radius (default: 20)",
    "recipe": "how models are trained: quick, paper or fast (default: quick)",
    "relearn": "epochs after which re-learn time gives up, 0 = not measured (default: 30)",
    "seed": "seeds of everything are derived from it (default: 7)",
    "title": "a name for people",
}
"""What :func:`~rurk_core.run.spec.make_spec` takes as text, and what the flag for it says."""
FLAGS = {"attacks": "attack", "taus": "tau"}
"""Flags that are called otherwise."""


def register(command: Command) -> None:
    run = command("run", _run, "Train, unlearn, perturb and measure residual knowledge.")
    experiment_flags(run)
    run.add_argument("--plan", action="store_true", help="only say what would be done: passes, memory, time, growth")
    where(run)


def experiment_flags(parser: argparse.ArgumentParser, *, without: Collection[str] = ()) -> None:
    """The flags that describe an experiment, but for those of :data:`SPEC` in ``without``; see :func:`spec_values`."""
    parser.add_argument("--spec", type=Path, help="read the experiment from this JSON file; other flags override it")
    spec_flags(parser, [name for name in SPEC if name not in without])
    parser.add_argument(
        "--engine", default="embedded", help="embedded, torchrun, or ray: a cluster (ray:cpus=2,gpus=0.25)"
    )


def spec_flags(parser: argparse.ArgumentParser, names: Iterable[str], **help: str) -> None:
    """Flags for ``names`` of :data:`SPEC` and for training settings; ``help``: what some say instead."""
    for name in names:
        parser.add_argument(f"--{FLAGS.get(name, name)}", dest=name, help=help.get(name, SPEC[name]))
    for name, words in (
        ("train", f"a training setting, may be repeated: {TRAINING}"),
        ("pretrain", "one of pre-training, by the same names; epochs=0 leaves it out"),
    ):
        parser.add_argument(f"--{name}", action="append", metavar="NAME=VALUE", help=words)


def spec_values(options: argparse.Namespace) -> dict[str, Any]:
    """What the flags say, for :func:`~rurk_core.run.spec.make_spec`.

    Raises:
        UsageError: the file of ``--spec`` is no experiment.
    """
    values: dict[str, Any] = {}
    if getattr(options, "spec", None):
        values = read_json(options.spec)
        if not isinstance(values, dict):
            raise UsageError(f"The file {options.spec} must hold a JSON object with an experiment in it.")
    values |= {name: value for name in SPEC if (value := getattr(options, name, None)) is not None}
    for name in ("train", "pretrain"):
        if getattr(options, name):
            values[name] = dict(values.get(name) or {}) | dict(map(_setting, getattr(options, name)))
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
    spec = checked_spec(options, spec_values(options))
    store = Store(options.store)
    if options.plan:
        return answer(options, planned(options, spec, store), print_plan)
    with live(quiet=options.json) as progress:
        result = run(spec, store, root=options.data, device=options.device, engine=options.engine, progress=progress)
    return answer(options, result, print_result)


def planned(options: argparse.Namespace, spec: Spec, store: Store) -> dict[str, Any]:
    """:func:`~rurk_core.run.estimate.outline` of a run on the devices of ``options``, and what its speed is from."""
    from ..data import as_large, load_dataset
    from ..device import device_name, find_devices
    from ..evidence.words import power_words
    from ..run.estimate import latest_results, measured_speeds, outline, probed_speeds
    from ..run.plan import Work, start_data
    from ..run.stages import refusals

    data, devices = load_dataset(spec.dataset, options.data), find_devices(options.device)
    forget = as_large(data, spec.forget)
    work = Work(spec, store, data, start_data(spec, options.data), devices[0], root=options.data, forget=forget)
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
        out.print(note)
    stages = table(
        f"What is to be done: about {duration(found['seconds'])}",
        ("stage", "entries", "forward passes", "time"),
        left=("stage",),
    )
    for row in found["stages"]:
        cells = (str(row["entries"]), f"{row['passes']:,.0f}", duration(row["seconds"]))
        stages.add_row(stage_words(row["stage"]), *cells)
    out.print(stages)
    memory = ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in found["bytes"].items())
    out.print(f"Memory: {memory}.")
    growth = ", ".join(f"{name} ×{factor:.2f}" for name, factor in found["twice"].items())
    out.print(f"Work with twice as many: {growth}.")
    out.print(found["power"])
    speeds = [row["passes"] / row["seconds"] for row in found["stages"] if row["seconds"]]
    if speeds:
        each = f"{min(speeds):,.0f} to {max(speeds):,.0f}" if max(speeds) > 1.01 * min(speeds) else f"{speeds[0]:,.0f}"
        out.print(f"{each} forward passes a second, from {found['speeds_from']}.")


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"Write a training setting as name=value, not '{text}'.")
    return name, value


def print_result(result: dict[str, Any], out: Console) -> None:
    """The tables of a finished run: models and their accuracies, then residual knowledge by radius."""
    from ..perturb.copies import ATTACKS
    from ..report.looks import looks_of
    from ..run.standing import failed_trainings
    from ..run.titles import data_words

    data, forget, looks = result["dataset"], result["forget"], looks_of(result["models"])
    for sentence in [*result.get("audit", {}).get("misfits", {}).values(), *failed_trainings(result["models"])]:
        out.print(f"Warning: {sentence}", style="bold red")
    out.print(
        f"{data_words(data['name'])}: {data['train']} training and {data['test']} test samples; "
        f"{len(forget['indices'])} to forget ({forget['rule']}); {result['device']}",
    )
    shares = {f"{name}_accuracy": f"{name} %" for name in ("retain", "unlearn", "test")}
    shares |= {"mia_accuracy": "MIA %", "avg_gap": "gap %"}
    models = table(
        "Models (unlearn = 1 − accuracy on the forget set; gap: mean distance to Re-train)",
        ("model", "settings", *shares.values(), "re-learn", "seconds"),
        left=("model", "settings"),
    )
    for row in result["models"]:
        if "failed" in row:
            models.add_row(looks[row["name"]].title, row.get("preset", ""), "no result")
            continue
        cells = ["" if row.get(key) is None else f"{100 * row[key]:.2f}" for key in shares]
        seconds = "" if "audit" in result else f"{row['seconds']:.1f}"  # one made elsewhere took none here
        again = row.get("relearn")
        epochs = "" if not again else f"> {again['limit']}" if again["epochs"] is None else str(again["epochs"])
        models.add_row(looks[row["name"]].title, row.get("preset", ""), *cells, epochs, seconds)
    out.print(models)
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
    found = table(
        f"Residual knowledge, {attack}: copies recognised by the model / by re-trained ones = ratio of means"
        if compared
        else f"Recognition, {attack}: copies recognised by the model",
        ("model", *(f"τ = {row['tau']:g}" for row in shown), *(("r̂ undef.", "prevalence") if compared else ())),
        left=("model",),
        caption=_legend(apart is not None) if compared else "",
    )
    for entry in entries:
        last = entry["taus"][-1]
        share = "" if last["prevalence"] is None else f"{100 * last['prevalence']:.0f}%"
        cells = [_ratio(entry["taus"][index]) for index in picks]
        found.add_row(looks[entry["method"]].title, *cells, *([str(last["r_undefined"]), share] if compared else []))
    if apart:
        low_high = [taus[index]["reference_band"] for index in picks]
        found.add_section()
        ratios = ["" if low is None else f"{low:.2f}–{high:.2f}" for low, high in low_high]
        found.add_row("re-trained apart", *ratios, "", f"{100 * min(apart):.0f}–{100 * max(apart):.0f}%")
    out.print(found)


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
