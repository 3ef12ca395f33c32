"""Choosing a method's settings: such that residual knowledge lies in the band of the references, at the least loss.

The paper's settings over-forget a smaller network: λ and τ do not transfer between models. A search tries settings
on one half of the forget set, with two aims that pull against each other::

    distance  how far the ratio of means lies outside the band of the references, |log ratio| beyond the nearer edge
              of the band, averaged over the τ grid
    loss      how much retain and test accuracy fall below the mean of the references, in sum

shows the front between them, chooses on it, and judges the choice on the other half. Both halves are unlearned in
every trial: only what is looked at differs. Original and references are those of the store.

Any number of processes may share a search and its budget, through files alone::

    <store>/tuning/<key of the search>/7.json    trial 7, once it has ended
                                       lock      its byte 7 is locked by the process that is at trial 7

The locks are the kernel's, so a trial whose process was killed is free at once.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from .config import Config
from .data import Dataset, ForgetSet, load_dataset
from .engines import find_engine
from .errors import RurkError, UsageError, need
from .experiment import finish_stages, load_result
from .models import Classifier
from .perturbations import ATTACKS
from .presets import check_name, save_preset
from .processes import die_with_parent, locked, tie_children, write_json
from .progress import Progress, Tracker
from .residual import Floats, Ints, reference_band
from .spec import Spec, spec_from_dict
from .stages import Work, derived_seed, load_model, refusals, split_samples, start_data
from .store import Store, explain
from .training import Diverged, device_name, find_devices, logits_of, place
from .unlearning import METHODS, Method, MethodFailed, Samples, unlearn
from .verdicts import count_verdicts

MAX_TRIALS = 10_000
MAX_PROCESSES = 64
STARTUP = 8
"""Trials that are drawn at random before what was found guides the next."""
POLL = 0.2
"""Seconds between two looks at trials that other processes are at."""

Ranges = Mapping[str, tuple[float, float, str]]
"""Setting → (from, to, "log" or "linear")."""


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Attributes:
        settings: what was searched, name → value; start: name of the preset it is, if it is one.
        distance, loss: the two aims, see above; None where the method failed, with the sentence in ``failed``.
        ratios: ratio of means at every τ on the validation half; retain, test: accuracies.
    """

    number: int
    settings: dict[str, Any]
    start: str = ""
    distance: float | None = None
    loss: float | None = None
    ratios: tuple[float | None, ...] = ()
    retain: float | None = None
    test: float | None = None
    failed: str = ""


def searched(method: Method) -> Ranges:
    """The settings of a method that tuning may change.

    Raises:
        UsageError: there are none.
    """
    found = {field.name: field.metadata["search"] for field in method.config.settings() if field.metadata.get("search")}
    if not found:
        raise UsageError(f"{method.title} has no settings to tune.")
    return found


def tune(
    spec: Spec,
    store: Store,
    *,
    trials: int = 30,
    processes: int = 1,
    name: str = "",
    root: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Search the settings of the one method of ``spec`` and keep the choice as a preset of ``store``.

    A search that was stopped or killed goes on where it was, also with more trials; alone, a process finds equal
    settings in equal searches. Several, started here or by hand with equal arguments, share the trials; what a later
    trial tries then depends on which have ended by then. The first trials are the method's presets; settings without
    a search range keep the value they have in ``spec``.

    Args:
        trials: how many settings to try in all, whoever tries them.
        processes: how many processes try them, this one included; they share this machine's cores and the devices.
        name: of the preset (default: "tuned" and the data set).
        root, device, progress, cancelled: as in :func:`~rurk_core.experiment.run`.

    Returns:
        The result document: trials, the numbers of those on the front, the chosen one and the one it started from,
        each judged on the other half of the forget set, and the name of the preset.

    Raises:
        UsageError: not exactly one method, nothing to tune, fewer than four samples to forget, an attack that is
            built on the model (its copies differ from trial to trial), or the method cannot run here.
        RurkError, Cancelled: as for a run.
    """
    if len(spec.methods) != 1:
        raise UsageError("Name exactly one method to tune.")
    for what, number, most in (("trials", trials, MAX_TRIALS), ("processes", processes, MAX_PROCESSES)):
        if not 1 <= number <= most:
            raise UsageError(f"'{what}' must be a whole number from 1 to {most}, not {number}.")
    need("optuna", "A search of settings")  # here, not when the first trials have been made
    if processes > 1 and store.url.startswith("memory://"):
        raise UsageError(f"Several processes cannot share the store {store.url}; name a folder.")
    run, method = spec.methods[0], METHODS[spec.methods[0].key]
    searched(method)
    attack = next((attack for attack in spec.attacks if not ATTACKS[attack].uses_model), None)
    if attack is None:
        raise UsageError("Tuning measures with random copies; name an attack such as 'gaussian'.")
    spec = dataclasses.replace(spec, attacks=(attack,))
    name = name or f"tuned {spec.dataset.rstrip('/').rpartition('/')[2]}"[:60]
    check_name(method, name)  # now, not when everything has been searched
    started, devices, tracker = time.time(), find_devices(device), Tracker(progress, cancelled)
    with tracker.stage("Reading data", 0):
        dataset = load_dataset(spec.dataset, root, progress=lambda done, total, what: tracker.step(done, total))
    identity = _identity(spec, method, dataset.fingerprint)
    key, folder = (
        store.key("tuning", identity | {"trials": trials}),
        store.beside("tuning") / store.key("tuning", identity),
    )
    if not store.has(key):
        with locked(folder / "models.lock", "The search", tracker.check):  # what all start from is trained once
            bench = _bench(spec, store, dataset, devices, tracker, root)
        copies = len(bench.forget) * len(spec.taus) * spec.draws
        passes = 3.0 * len(dataset.train_labels) * getattr(run.config, "epochs", 1)
        tracker.expect({"Tuning": trials * (copies + passes)})
        with tracker.stage("Tuning"):
            with _helpers(processes - 1, spec, store, trials, folder, devices, root):
                found = search(bench, trials, folder)
            with locked(folder / "judging.lock", "The search", tracker.check):  # and judged once
                if not store.has(key):
                    result = _judged(bench, found) | {
                        "key": key,
                        "spec": spec.to_dict(),
                        "device": device_name(devices[0]),
                        "seconds": round(time.time() - started, 3),
                    }
                    result["preset"] = _preset(result, bench, name)
                    store.put(key, identity, {"result.json": json.dumps(result, allow_nan=False).encode()})
    result = load_result(store, key)
    save_preset(store, result["preset"] | {"name": name})
    return result


def tune_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec", "trials", "processes", "name", "root", "device"}`` → the result's key.

    ``spec`` is an experiment with one method; start it by
    ``start_job(store, job, runner="rurk_core.tuning:tune_job")``.
    """
    result = tune(
        spec_from_dict(job.get("spec")),
        store,
        trials=int(job.get("trials") or 30),
        processes=int(job.get("processes") or 1),
        name=str(job.get("name") or ""),
        root=job.get("root"),
        device=job.get("device") or "auto",
        progress=progress,
        cancelled=cancelled,
    )
    return result["key"]


def _identity(spec: Spec, method: Method, fingerprint: str) -> dict[str, Any]:
    values = spec.to_dict()
    for name in ("title", "relearn"):
        del values[name]
    (run,) = values["methods"]
    values["methods"] = {"method": run["method"], "config": run["config"], "code": method.digest}
    return values | {"fingerprint": fingerprint}


def _judged(bench: _Bench, found: Sequence[Trial]) -> dict[str, Any]:
    """What a search has found, and what the other half of the forget set says of where it began and of its choice."""
    chosen, spec = choose(found), bench.work.spec
    return {
        "method": bench.method.key,
        "dataset": bench.work.dataset.name,
        "seed": spec.seed,
        "taus": list(spec.taus),
        "halves": {"validation": len(bench.validation), "judging": len(bench.judging)},
        "references": {"retain": bench.reference_retain, "test": bench.reference_test, "band": bench.band_list()},
        "search": {name: list(span) for name, span in searched(bench.method).items()},
        "trials": [dataclasses.asdict(trial) for trial in found],
        "front": front(found),
        "chosen": chosen.number,
        "judged": {str(n): bench.judge(found[n].settings) for n in dict.fromkeys((0, chosen.number))},
    }


def _preset(result: dict[str, Any], bench: _Bench, name: str) -> dict[str, Any]:
    return {
        "method": result["method"],
        "name": name,
        "settings": dataclasses.replace(bench.base, **result["trials"][result["chosen"]]["settings"]).to_dict(),
        "dataset": result["dataset"],
        "model": bench.work.spec.model,
        "found_by": f"{len(result['trials'])} trials, seed {result['seed']} ({result['key']})",
    }


# --- the aims -----------------------------------------------------------------------------------------------


def band_distance(u: Ints, v: Ints) -> float:
    """How far the ratio of means lies outside the references' band: mean over radii of |log ratio| beyond its edge.

    Args:
        u: copies recognised by the model, [N, T]; v: the same for K references, [K, N, T].

    Half a copy is added to every sum, so that a model that recognises nothing has a distance too. A single
    reference has no band; the ratio is then held against 1.
    """
    total, reference = u.sum(0) + 0.5, v.mean(0).sum(0) + 0.5
    low, high = reference_band(v) if len(v) > 1 else (np.ones(u.shape[1]), np.ones(u.shape[1]))
    ratio, floor = np.log(total / reference), 0.5 / reference
    low, high = (np.log(np.maximum(np.nan_to_num(edge, nan=1.0), floor)) for edge in (low, high))
    return float(np.maximum(0.0, np.maximum(low - ratio, ratio - high)).mean())


def front(trials: Sequence[Trial]) -> list[int]:
    """Numbers of the trials that no other beats in one aim without losing in the other, by rising distance."""
    ended = [trial for trial in trials if trial.distance is not None and trial.loss is not None]
    best, kept = math.inf, []
    for trial in sorted(ended, key=lambda trial: (trial.distance, trial.loss, trial.number)):
        if trial.loss is not None and trial.loss < best:
            best = trial.loss
            kept.append(trial.number)
    return kept


def choose(trials: Sequence[Trial]) -> Trial:
    """Inside the band the trial with the least loss; where none is inside, that with the least sum of both aims.

    Raises:
        UsageError: no trial ended.
    """
    ended = [trial for trial in trials if trial.distance is not None and trial.loss is not None]
    if not ended:
        raise UsageError("Every trial failed; the first said: " + next((t.failed for t in trials), "nothing"))
    inside = [trial for trial in ended if trial.distance == 0]
    return min(inside or ended, key=lambda trial: ((trial.distance or 0.0) + (trial.loss or 0.0), trial.number))


def _bench(
    spec: Spec, store: Store, dataset: Dataset, devices: Sequence[torch.device], tracker: Tracker, root: str | None
) -> _Bench:
    """Where settings of the one method of ``spec`` are tried; Original and references are trained if need be.

    Raises:
        UsageError: the method cannot run on this model and data.
    """
    bare = dataclasses.replace(spec, methods=(), relearn=0)
    work = Work(bare, store, dataset, start_data(spec, root), devices[0], tracker, root, devices=tuple(devices))
    stages = finish_stages(work, find_engine("embedded"))
    for sentence in refusals(dataclasses.replace(work, spec=spec)).values():
        raise UsageError(sentence)
    run, keys = spec.methods[0], {s.label: s.key for s in stages if s.kind in ("original", "reference")}
    models = {label: load_model(store, key) for label, key in keys.items()}
    return _Bench(work, METHODS[run.key], run.config, spec.attacks[0], models)


def against_references(result: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, float]:
    """Retain and test accuracy of what was measured less the references' mean, in percentage points; lost is below 0.

    >>> against_references({"references": {"retain": 1.0, "test": 0.75}}, {"retain": 0.5, "test": 0.875})
    {'retain': -50.0, 'test': 12.5}
    """
    return {part: 100 * (measured[part] - result["references"][part]) for part in ("retain", "test")}


class _Bench:
    """Unlearns with given settings and measures: what stays the same from trial to trial is measured once."""

    def __init__(self, work: Work, method: Method, base: Config, attack: str, models: Mapping[str, Classifier]):
        assert work.forget is not None
        self.work, self.method, self.base, self.attack = work, method, base, attack
        self.retain, self.forget = split_samples(work)
        self.original = place(models["original"], self.retain.images)
        self.references = {name: model for name, model in models.items() if name != "original"}
        self.validation, self.judging = halves(work.forget, derived_seed(work.spec.seed, "halves"))
        self.test = Samples(work.dataset.test_images, work.dataset.test_labels)
        each = list(self.references.values())
        self.reference_retain = float(np.mean([_accuracy(model, self.retain) for model in each]))
        self.reference_test = float(np.mean([_accuracy(model, self.test) for model in each]))
        self.known = {half: self._recognised(self.references, half) for half in (self.validation, self.judging)}

    def band_list(self) -> list[list[float | None]]:
        """[lowest, highest] ratio between references at every τ, on the validation half."""
        low, high = reference_band(self.known[self.validation])
        return [[_plain(a), _plain(b)] for a, b in zip(low, high, strict=True)]

    def attempt(self, settings: Mapping[str, Any], report: Callable[[float], None]) -> Classifier:
        seed = derived_seed(self.work.spec.seed, "unlearn")
        model, _ = unlearn(
            self.method,
            self.original,
            self.retain,
            self.forget,
            dataclasses.replace(self.base, **settings),
            generator=torch.Generator(self.work.device).manual_seed(seed),
            on_step=lambda step, steps, loss: report(step / max(1, steps)),
        )
        return model

    def measure(self, model: Classifier, half: tuple[int, ...]) -> dict[str, Any]:
        """Both aims and what they are made of, on one half of the forget set."""
        u, v = self._recognised({"m": model}, half)[0], self.known[half]
        retain, test = _accuracy(model, self.retain), _accuracy(model, self.test)
        mean = v.mean(0).sum(0)
        ratios = [_plain(a / b) if b else None for a, b in zip(u.sum(0), mean, strict=True)]
        loss = max(0.0, self.reference_retain - retain) + max(0.0, self.reference_test - test)
        return {"distance": band_distance(u, v), "loss": loss, "ratios": ratios, "retain": retain, "test": test}

    def judge(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """:meth:`measure` on the judging half; None where the method fails."""
        try:
            return self.measure(self.attempt(settings, lambda share: self.work.tracker.check()), self.judging)
        except (Diverged, MethodFailed):
            return None

    def _recognised(self, models: Mapping[str, Classifier], half: tuple[int, ...]) -> Ints:
        """[models, N, T] copies given their label; every call sees the same copies."""
        index, spec = torch.tensor(half), self.work.spec
        counted = count_verdicts(
            models,
            [],
            self.work.dataset.train_images[index],
            self.work.dataset.train_labels[index],
            half,
            attack=self.attack,
            taus=spec.taus,
            draws=spec.draws,
            seed=derived_seed(spec.seed, "draws"),
            classes=len(self.work.dataset.classes),
            device=self.work.device,
            on_chunk=lambda done, total: self.work.tracker.check(),
        )
        return np.stack([counted.recognised(name) for name in models])


def halves(forget: ForgetSet, seed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The forget set at random in two halves, each rising.

    Raises:
        UsageError: it has fewer than four samples.
    """
    if len(forget.indices) < 4:
        raise UsageError("Tuning needs at least four samples to forget: half to search with, half to judge by.")
    order = torch.randperm(len(forget.indices), generator=torch.Generator().manual_seed(seed)).tolist()
    middle = len(order) // 2
    first, second = (tuple(sorted(forget.indices[i] for i in part)) for part in (order[:middle], order[middle:]))
    return first, second


def _accuracy(model: Classifier, samples: Samples) -> float:
    said: Tensor = logits_of(place(model, samples.images[:1]), samples.images).argmax(1)
    return (said == samples.labels.cpu()).float().mean().item()


# --- the search ---------------------------------------------------------------------------------------------


def search(bench: _Bench, trials: int, folder: Path) -> list[Trial]:
    """Try settings until ``trials`` have been tried, beside whoever does so in the same folder; all of them in order.

    Raises:
        RurkError: the folder cannot be written; Cancelled: as for a run.
    """
    ranges, starts, tracker = searched(bench.method), _starts(bench), bench.work.tracker
    found: dict[int, Trial] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "lock", "a") as lock:
            while True:
                found |= _ended(folder, [number for number in range(trials) if number not in found])
                tracker.step(len(found), trials)
                if len(found) == trials:
                    return [found[number] for number in range(trials)]
                number = _claim(lock, folder, [number for number in range(trials) if number not in found])
                if number is None:
                    time.sleep(POLL)  # others are at the last ones, and may yet be killed
                    continue
                if number < len(starts):
                    start, settings = starts[number]
                else:
                    seed = derived_seed(bench.work.spec.seed, "trial", number)
                    start, settings = "", suggest(found.values(), ranges, bench.base, seed)

                def report(share: float, done: int = len(found)) -> None:
                    tracker.step(int(1000 * (done + 0.9 * share)), 1000 * trials)

                write_json(folder / f"{number}.json", dataclasses.asdict(_try(bench, number, start, settings, report)))
                fcntl.lockf(lock, fcntl.LOCK_UN, 1, number)
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


def _claim(lock: IO[str], folder: Path, numbers: Sequence[int]) -> int | None:
    """The first trial that nobody is at, now locked by this process; None where there is none."""
    for number in numbers:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except (BlockingIOError, PermissionError):
            continue
        if not _ended(folder, [number]):
            return number
        fcntl.lockf(lock, fcntl.LOCK_UN, 1, number)  # it ended between two looks
    return None


def _try(bench: _Bench, number: int, start: str, settings: Mapping[str, Any], report: Callable[[float], None]) -> Trial:
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


def _starts(bench: _Bench) -> list[tuple[str, dict[str, Any]]]:
    """The settings given, then those of the method's presets, each once."""
    ranges = searched(bench.method)
    found = [("as given", bench.base.to_dict())]
    found += [
        (name, bench.method.config.from_dict(dict(preset)).to_dict()) for name, preset in bench.method.presets.items()
    ]
    cut = [(name, {setting: values[setting] for setting in ranges}) for name, values in found]
    return [entry for at, entry in enumerate(cut) if entry[1] not in [other for _, other in cut[:at]]]


# --- beside other processes ---------------------------------------------------------------------------------


@contextmanager
def _helpers(
    count: int,
    spec: Spec,
    store: Store,
    trials: int,
    folder: Path,
    devices: Sequence[torch.device],
    root: str | None,
) -> Iterator[None]:
    """``count`` other processes at the same search; one that is killed is missed, and nothing is lost."""
    if not count:
        yield
        return
    context, threads = multiprocessing.get_context("spawn"), torch.get_num_threads()
    each, places = max(1, threads // (count + 1)), [other.url for other in store.bundled]
    helpers = []
    for number in range(1, count + 1):
        device = str(devices[number % len(devices)])
        given = (spec.to_dict(), store.url, places, trials, folder, device, root, each)
        helpers.append(context.Process(target=_help, args=given))
    torch.set_num_threads(each)
    try:
        for helper in helpers:
            helper.start()
        yield
    finally:
        torch.set_num_threads(threads)
        for helper in helpers:
            helper.terminate()
            helper.join()


def _help(
    spec: dict[str, Any],
    place: str,
    bundled: list[str],
    trials: int,
    folder: Path,
    device: str,
    root: str | None,
    threads: int,
) -> None:
    """A helper's life: what it cannot do, the process that started it does or reports."""
    die_with_parent()
    tie_children()
    torch.set_num_threads(threads)
    with suppress(RurkError):
        asked, store = spec_from_dict(spec), Store(place, bundled=bundled)
        dataset = load_dataset(asked.dataset, root)
        search(_bench(asked, store, dataset, find_devices(device), Tracker(), root), trials, folder)


def _plain(value: Floats | float) -> float | None:
    return float(value) if math.isfinite(value) else None
