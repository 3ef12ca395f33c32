"""``rurk tune``: choose a method's settings by the references' band."""

from __future__ import annotations

import argparse
from typing import Any

from . import Command
from .output import Console, Table, console, live, print_json, where


def register(command: Command) -> None:
    tune = command("tune", _tune, "Search a method's settings: residual knowledge in the references' band, least loss.")
    tune.add_argument("method", help="one of 'rurk methods', settings to keep behind it: rurk:search=fgsm")
    tune.add_argument("--trials", default="30", help="settings to try in all (default: 30)")
    tune.add_argument(
        "--jobs", default="1", help="processes that try settings at once (default: 1); they share the trials"
    )
    tune.add_argument("--name", default="", help="of the preset that is kept in the store (default: tuned DATASET)")
    tune.add_argument("--dataset", help="a name from 'rurk datasets', or a path (default: digits)")
    tune.add_argument("--forget", help="as for 'rurk run'")
    tune.add_argument("--model", help="a name from 'rurk models', width after a colon")
    tune.add_argument("--references", help="K, how many Re-trains (default: 8)")
    tune.add_argument("--tau", dest="taus", help="radii, as for 'rurk run'")
    tune.add_argument("--attack", dest="attacks", help="of random copies: gaussian (default), shift, jpeg, ...")
    tune.add_argument("--train", action="append", metavar="NAME=VALUE", help="a training setting, may be repeated")
    tune.add_argument("--pretrain", action="append", metavar="NAME=VALUE", help="a pre-training setting, likewise")
    tune.add_argument("--draws", help="copies of a sample at each radius (default: 20)")
    tune.add_argument("--recipe", help="how models are trained: quick, paper or fast (default: quick)")
    tune.add_argument("--seed", help="of models, draws and the search (default: 7)")
    where(tune)


def _tune(options: argparse.Namespace) -> int:
    from ..run.presets import presets_of
    from ..run.spec import make_spec, whole
    from ..store.store import Store
    from ..tune.tune import MAX_PROCESSES, MAX_TRIALS, tune
    from .run import setting_of

    store = Store(options.store)
    names = ("dataset", "forget", "model", "references", "attacks", "taus", "draws", "recipe", "seed")
    values = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    for name in ("train", "pretrain"):
        values[name] = dict(setting_of(text) for text in getattr(options, name) or ())
    spec = make_spec(**values, methods=options.method, presets=presets_of(store))
    trials = whole("trials", options.trials, 1, MAX_TRIALS)
    with live(quiet=options.json) as progress:
        result = tune(
            spec,
            store,
            trials=trials,
            processes=whole("jobs", options.jobs, 1, MAX_PROCESSES),
            name=options.name,
            root=options.data,
            device=options.device,
            progress=progress,
        )
    if options.json:
        print_json(result)
    else:
        print_tuning(result, console())
    return 0


def print_tuning(result: dict[str, Any], out: Console) -> None:
    """The front, the chosen trial, and what it does on the other half of the forget set."""
    from ..tune.aims import against_references
    from ..unlearning.base import slug

    front, trials = result["front"], result["trials"]
    table = Table(
        title=f"{result['method']}: the trade-off front of {len(trials)} trials (validation half of the forget set)",
        title_justify="left",
        caption="distance: how far outside the references' band, mean over τ of |log ratio|; loss: accuracy below the "
        "references, retained + validation samples.",
        caption_justify="left",
    )
    for name in ("trial", "settings", "distance", "loss", "retain %", "test %", ""):
        table.add_column(name)
    for number in dict.fromkeys((0, *front, result["chosen"])):
        trial = trials[number]
        settings = ", ".join(f"{name}={value:g}" for name, value in trial["settings"].items())
        mark = "chosen" if number == result["chosen"] else "" if number in front else "start"
        if trial["failed"]:
            table.add_row(str(number), settings, "failed", "", "", "", mark)
            continue
        cells = (f"{trial['distance']:.3f}", f"{trial['loss']:.4f}", f"{100 * trial['retain']:.2f}")
        table.add_row(str(number), settings, *cells, f"{100 * trial['test']:.2f}", mark)
    out.print(table)
    for number, judged in result["judged"].items():
        what = "chosen" if int(number) == result["chosen"] else "start"
        said = "failed"
        if judged:
            apart = against_references(result, judged)
            lost = ", ".join(f"{part} {100 * judged[part]:.2f}% ({apart[part]:+.2f})" for part in apart)
            said = f"distance {judged['distance']:.3f}, {lost}"
        out.print(f"Judged on the other half, trial {number} ({what}): {said}", highlight=False)
    kept = ", ".join(f"{part} {100 * result['references'][part]:.2f}%" for part in ("retain", "test"))
    out.print(f"The references: {kept}; in brackets is the difference to them, in percentage points.", highlight=False)
    if "selected_on" in result:
        out.print(f"Chosen on {result['selected_on']}; the test set decided nothing.", highlight=False)
    preset = result["preset"]
    out.print(f"Kept as {preset['method']}@{slug(preset['name'])}", highlight=False)
