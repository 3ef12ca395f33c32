"""``rurk tune``: choose a method's settings by the references' band."""

from __future__ import annotations

import argparse
from typing import Any

from . import Command
from .output import Console, answer, live, table, where
from .run import checked_spec, spec_flags, spec_values


def register(command: Command) -> None:
    tune = command("tune", _tune, "Search a method's settings: residual knowledge in the references' band, least loss.")
    tune.add_argument("method", help="one of 'rurk methods', settings to keep behind it: rurk:search=fgsm")
    tune.add_argument("--trials", default="30", help="settings to try in all (default: 30)")
    tune.add_argument(
        "--jobs", default="1", help="processes that try settings at once (default: 1); they share the trials"
    )
    tune.add_argument(
        "--name",
        default="",
        help="of the preset that is kept in the store, used as METHOD@NAME with - for blanks (default: tuned-DATASET: "
        "what rurk finds on digits is rurk@tuned-digits)",
    )
    spec_flags(
        tune,
        ("dataset", "forget", "model", "references", "taus", "attacks", "draws", "recipe", "seed"),
        attacks="of random copies: gaussian (default), shift, jpeg, ...",
        seed="of models, draws and the search (default: 7)",
    )
    where(tune)


def _tune(options: argparse.Namespace) -> int:
    from ..run.spec import whole
    from ..store.store import Store
    from ..tune.tune import MAX_PROCESSES, MAX_TRIALS, tune

    spec = checked_spec(options, spec_values(options) | {"methods": options.method})
    trials = whole("trials", options.trials, 1, MAX_TRIALS)
    with live(quiet=options.json) as progress:
        result = tune(
            spec,
            Store(options.store),
            trials=trials,
            processes=whole("jobs", options.jobs, 1, MAX_PROCESSES),
            name=options.name,
            root=options.data,
            device=options.device,
            progress=progress,
        )
    return answer(options, result, print_tuning)


def print_tuning(result: dict[str, Any], out: Console) -> None:
    """The front, the chosen trial, and what it does on the other half of the forget set."""
    from ..tune.aims import against_references
    from ..unlearning.base import slug

    front, trials = result["front"], result["trials"]
    found = table(
        f"{result['method']}: the trade-off front of {len(trials)} trials (validation half of the forget set)",
        ("trial", "settings", "distance", "loss", "retain %", "test %", ""),
        caption="distance: how far outside the references' band, mean over τ of |log ratio|; loss: accuracy below the "
        "references, retained + validation samples.",
    )
    for number in dict.fromkeys((0, *front, result["chosen"])):
        trial = trials[number]
        settings = ", ".join(f"{name}={value:g}" for name, value in trial["settings"].items())
        mark = "chosen" if number == result["chosen"] else "" if number in front else "start"
        if trial["failed"]:
            found.add_row(str(number), settings, "failed", "", "", "", mark)
            continue
        cells = (f"{trial['distance']:.3f}", f"{trial['loss']:.4f}", f"{100 * trial['retain']:.2f}")
        found.add_row(str(number), settings, *cells, f"{100 * trial['test']:.2f}", mark)
    out.print(found)
    for number, judged in result["judged"].items():
        what = "chosen" if int(number) == result["chosen"] else "start"
        said = "failed"
        if judged:
            apart = against_references(result, judged)
            lost = ", ".join(f"{part} {100 * judged[part]:.2f}% ({apart[part]:+.2f})" for part in apart)
            said = f"distance {judged['distance']:.3f}, {lost}"
        out.print(f"Judged on the other half, trial {number} ({what}): {said}")
    kept = ", ".join(f"{part} {100 * result['references'][part]:.2f}%" for part in ("retain", "test"))
    out.print(f"The references: {kept}; in brackets is the difference to them, in percentage points.")
    if "selected_on" in result:
        out.print(f"Chosen on {result['selected_on']}; the test set decided nothing.")
    preset = result["preset"]
    out.print(f"Kept as {preset['method']}@{slug(preset['name'])}")
