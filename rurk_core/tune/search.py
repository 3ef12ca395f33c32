"""The search of settings: which to try, and trials shared by several processes."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..config import Config
from ..errors import RurkError, UsageError
from ..jobs.processes import write_json
from ..run.plan import derived_seed
from ..store.names import explain
from ..training.loop import Diverged
from ..unlearning import Method, MethodFailed
from .aims import Trial
from .bench import Bench

STARTUP = 8
"""Trials that are drawn at random before what was found guides the next."""
POLL = 0.2
"""Seconds between two looks at trials that other processes are at."""

Ranges = Mapping[str, tuple[float, float, str]]
"""Setting → (from, to, "log" or "linear")."""


def searched(method: Method) -> Ranges:
    """The settings of a method that tuning may change.

    Raises:
        UsageError: there are none.
    """
    found = {field.name: field.metadata["search"] for field in method.config.settings() if field.metadata.get("search")}
    if not found:
        raise UsageError(f"{method.title} has no settings to tune.")
    return found


def search(bench: Bench, trials: int, folder: Path) -> list[Trial]:
    """Try settings until ``trials`` have been tried, beside whoever does so in the same folder; all of them in order.

    Raises:
        RurkError: the folder cannot be written; Cancelled: as for a run.
    """
    ranges, starts, tracker = searched(bench.method), _starts(bench), bench.work.tracker
    found: dict[int, Trial] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            found |= _ended(folder, [number for number in range(trials) if number not in found])
            tracker.step(len(found), trials)
            if len(found) == trials:
                return [found[number] for number in range(trials)]
            claim = _claim(folder, [number for number in range(trials) if number not in found])
            if claim is None:
                time.sleep(POLL)  # others are at the last ones, and may yet be killed
                continue
            number, lock = claim
            if number < len(starts):
                start, settings = starts[number]
            else:
                seed = derived_seed(bench.work.spec.seed, "trial", number)
                start, settings = "", suggest(found.values(), ranges, bench.base, seed)

            def report(share: float, done: int = len(found)) -> None:
                tracker.step(int(1000 * (done + 0.9 * share)), 1000 * trials)

            try:
                write_json(folder / f"{number}.json", dataclasses.asdict(_try(bench, number, start, settings, report)))
            finally:
                lock.release()
    except OSError as error:
        raise RurkError(explain(error, "The search", folder)) from None


def _ended(folder: Path, numbers: Sequence[int]) -> dict[int, Trial]:
    """Those of the trials that have ended; a damaged file is a trial that has not."""
    found = {}
    for number in numbers:
        try:
            values = json.loads((folder / f"{number}.json").read_text())
            found[number] = Trial(**values | {"ratios": tuple(values["ratios"]), "number": number})
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            continue
    return found


def _claim(folder: Path, numbers: Sequence[int]) -> tuple[int, FileLock] | None:
    """The first trial that nobody is at, and its lock, held; None where there is none."""
    for number in numbers:
        lock = FileLock(folder / f"{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        if not _ended(folder, [number]):
            return number, lock
        lock.release()  # it ended between two looks
    return None


def _try(bench: Bench, number: int, start: str, settings: Mapping[str, Any], report: Callable[[float], None]) -> Trial:
    try:
        measured = bench.measure(bench.attempt(settings, report), bench.validation)
    except (Diverged, MethodFailed) as error:
        return Trial(number, dict(settings), start, failed=str(error))
    return Trial(number, dict(settings), start, **measured | {"ratios": tuple(measured["ratios"])})


def suggest(found: Iterable[Trial], ranges: Ranges, base: Config, seed: int) -> dict[str, Any]:
    """Settings worth trying after those that were tried, by a tree-structured Parzen estimator with two aims.

    Args:
        base: tells whole numbers from others; seed: of this suggestion, which depends on nothing else.
    """
    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spans: dict[str, BaseDistribution] = {
        name: IntDistribution(int(low), int(high), log=scale == "log")
        if isinstance(getattr(base, name), int)
        else FloatDistribution(low, high, log=scale == "log")
        for name, (low, high, scale) in ranges.items()
    }
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    for trial in sorted(found, key=lambda trial: trial.number):
        inside = all(low <= trial.settings[name] <= high for name, (low, high, _) in ranges.items())
        if inside and trial.distance is not None and trial.loss is not None:
            values = [trial.distance, trial.loss]
            study.add_trial(optuna.trial.create_trial(params=trial.settings, distributions=spans, values=values))
    asked = study.ask(spans).params
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in asked.items()}


def _starts(bench: Bench) -> list[tuple[str, dict[str, Any]]]:
    """The settings given, then those of the method's presets, each once."""
    ranges = searched(bench.method)
    found = [("as given", bench.base.to_dict())]
    found += [
        (name, bench.method.config.from_dict(dict(preset)).to_dict()) for name, preset in bench.method.presets.items()
    ]
    cut = [(name, {setting: values[setting] for setting in ranges}) for name, values in found]
    return [entry for at, entry in enumerate(cut) if entry[1] not in [other for _, other in cut[:at]]]
