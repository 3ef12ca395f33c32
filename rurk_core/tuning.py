"""Choosing a method's settings: such that residual knowledge lies in the band of the references, at the least loss.

The paper's settings over-forget a smaller network: λ and τ do not transfer between models. A search tries settings
on one half of the forget set, with two aims that pull against each other,

    distance  how far the ratio of means lies outside the band of the references, |log ratio| beyond the nearer edge
              of the band, averaged over the τ grid
    loss      how much retain and test accuracy fall below the mean of the references, in sum

shows the front between them, chooses on it, and judges the choice on the other half. Both halves are unlearned in
every trial: only what is looked at differs. Original and references are those of the store.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .config import Config
from .data import ForgetSet, load_dataset
from .engines import find_engine
from .errors import UsageError
from .experiment import finish_stages, load_result
from .models import Classifier
from .perturbations import ATTACKS
from .presets import check_name, save_preset
from .progress import Progress, Tracker
from .residual import Floats, Ints, reference_band
from .spec import Spec, spec_from_dict
from .stages import Work, derived_seed, load_model, refusals, split_samples, start_data
from .store import Store
from .training import Diverged, device_name, find_devices, logits_of, place
from .unlearning import METHODS, Method, MethodFailed, Samples, unlearn
from .verdicts import count_verdicts

MAX_TRIALS = 10_000


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


def searched(method: Method) -> dict[str, tuple[float, float, str]]:
    """The settings of a method that tuning may change: name → (from, to, "log" or "linear").

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
    name: str = "",
    root: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Search the settings of the one method of ``spec`` and keep the choice as a preset of ``store``.

    A search that was stopped goes on where it was, also with more trials; equal searches find equal settings. The
    first trials are the method's presets; settings without a search range keep the value they have in ``spec``.

    Args:
        trials: how many settings to try in all.
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
    if not 1 <= trials <= MAX_TRIALS:
        raise UsageError(f"'trials' must be a whole number from 1 to {MAX_TRIALS}, not {trials}.")
    run, method = spec.methods[0], METHODS[spec.methods[0].key]
    ranges = searched(method)
    attack = next((attack for attack in spec.attacks if not ATTACKS[attack].uses_model), None)
    if attack is None:
        raise UsageError("Tuning measures with random copies; name an attack such as 'gaussian'.")
    name = name or f"tuned {spec.dataset.rstrip('/').rpartition('/')[2]}"[:60]
    check_name(method, name)  # now, not when everything has been searched
    started, devices, tracker = time.time(), find_devices(device), Tracker(progress, cancelled)
    with tracker.stage("Reading data", 0):
        dataset = load_dataset(spec.dataset, root, progress=lambda done, total, what: tracker.step(done, total))
    identity = _identity(spec, method, dataset.fingerprint, attack)
    key = store.key("tuning", identity | {"trials": trials})
    if store.has(key):
        result = load_result(store, key)
        save_preset(store, result["preset"] | {"name": name})
        return result
    bare = dataclasses.replace(spec, methods=(), attacks=(attack,), relearn=0)
    work = Work(bare, store, dataset, start_data(spec, root), devices[0], tracker, root, devices=devices)
    stages = finish_stages(work, find_engine("embedded"))
    assert work.forget is not None
    for sentence in refusals(dataclasses.replace(work, spec=spec)).values():
        raise UsageError(sentence)
    keys = {stage.label: stage.key for stage in stages if stage.kind in ("original", "reference")}
    bench = _Bench(work, method, run.config, attack, {label: load_model(store, key) for label, key in keys.items()})
    copies = len(work.forget.indices) * len(spec.taus) * spec.draws
    tracker.expect({"Tuning": trials * (copies + 3.0 * len(dataset.train_labels) * getattr(run.config, "epochs", 1))})
    with tracker.stage("Tuning"):
        found = _search(work, bench, ranges, trials, store.key("tuning", identity))
        chosen = choose(found)
        result = {
            "key": key,
            "method": method.key,
            "spec": spec.to_dict(),
            "dataset": dataset.name,
            "seed": spec.seed,
            "device": device_name(devices[0]),
            "taus": list(spec.taus),
            "halves": {"validation": len(bench.validation), "judging": len(bench.judging)},
            "references": {"retain": bench.reference_retain, "test": bench.reference_test, "band": bench.band_list()},
            "search": {name: list(span) for name, span in ranges.items()},
            "trials": [dataclasses.asdict(trial) for trial in found],
            "front": front(found),
            "chosen": chosen.number,
            "judged": {str(n): bench.judge(found[n].settings) for n in dict.fromkeys((0, chosen.number))},
            "seconds": round(time.time() - started, 3),
        }
    settings = dataclasses.replace(run.config, **chosen.settings).to_dict()
    result["preset"] = {
        "method": method.key,
        "name": name,
        "settings": settings,
        "dataset": dataset.name,
        "model": spec.model,
        "found_by": f"{len(found)} trials, seed {spec.seed} ({key})",
    }
    save_preset(store, result["preset"])
    store.put(key, identity, {"result.json": json.dumps(result, allow_nan=False).encode()})
    return load_result(store, key)


def tune_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec", "trials", "name", "root", "device"}`` → the key of the tuning's result.

    ``spec`` is an experiment with one method; start it by
    ``start_job(store, job, runner="rurk_core.tuning:tune_job")``.
    """
    result = tune(
        spec_from_dict(job.get("spec")),
        store,
        trials=int(job.get("trials") or 30),
        name=str(job.get("name") or ""),
        root=job.get("root"),
        device=job.get("device") or "auto",
        progress=progress,
        cancelled=cancelled,
    )
    return result["key"]


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


def _search(
    work: Work, bench: _Bench, ranges: Mapping[str, tuple[float, float, str]], trials: int, key: str
) -> list[Trial]:
    """All trials, by number: those of the journal, and then new ones until there are ``trials``."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of PartialFixedSampler, there since 2.4
    folder = work.store.job_root.with_name("tuning")
    folder.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / f"{key}.jsonl")))
    study = optuna.create_study(
        study_name=key, storage=storage, directions=["minimize", "minimize"], load_if_exists=True
    )
    for left in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(left.number, state=optuna.trial.TrialState.FAIL)  # cut off when the search was stopped
    starts = _starts(bench, ranges)
    found = _ended(study)
    for number in range(len(found), trials):
        # a seed of its own for every trial: a search that was stopped goes on as if it had not been
        sampler: Any = optuna.samplers.TPESampler(
            seed=derived_seed(work.spec.seed, "trial", number), n_startup_trials=8
        )
        start, settings = starts[number] if number < len(starts) else ("", {})
        study.sampler = optuna.samplers.PartialFixedSampler(settings, sampler) if settings else sampler
        trial = study.ask()
        if not settings:
            settings = _suggest(trial, bench.base, ranges)
        elif all(low <= settings[name] <= high for name, (low, high, _) in ranges.items()):
            _suggest(trial, bench.base, ranges)  # so that the search learns from it
        note: dict[str, Any] = {"settings": settings, "start": start, "number": number}

        def report(share: float, number: int = number) -> None:
            work.tracker.step(int(1000 * (number + 0.9 * share)), 1000 * trials)

        try:
            note |= bench.measure(bench.attempt(settings, report), bench.validation)
            trial.set_user_attr("note", note)
            study.tell(trial, [note["distance"], note["loss"]])
        except (Diverged, MethodFailed) as error:
            trial.set_user_attr("note", note | {"failed": str(error)})
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        work.tracker.step(number + 1, trials)
    return _ended(study)[:trials]


def _ended(study: Any) -> list[Trial]:
    """The trials that came to an end, of a journal."""
    notes = [trial.user_attrs["note"] for trial in study.get_trials(deepcopy=False) if "note" in trial.user_attrs]
    return [Trial(**(note | {"ratios": tuple(note.get("ratios", ()))})) for note in notes]


def _starts(bench: _Bench, ranges: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The settings given, then those of the method's presets, each once."""
    found = [("as given", bench.base.to_dict())]
    found += [
        (name, bench.method.config.from_dict(dict(preset)).to_dict()) for name, preset in bench.method.presets.items()
    ]
    cut = [(name, {setting: values[setting] for setting in ranges}) for name, values in found]
    return [entry for at, entry in enumerate(cut) if entry[1] not in [other for _, other in cut[:at]]]


def _suggest(trial: Any, base: Config, ranges: Mapping[str, tuple[float, float, str]]) -> dict[str, Any]:
    settings = {}
    for name, (low, high, scale) in ranges.items():
        if isinstance(getattr(base, name), int):
            settings[name] = trial.suggest_int(name, int(low), int(high), log=scale == "log")
        else:
            settings[name] = float(f"{trial.suggest_float(name, low, high, log=scale == 'log'):.4g}")
    return settings


def _identity(spec: Spec, method: Method, fingerprint: str, attack: str) -> dict[str, Any]:
    values = spec.to_dict()
    for name in ("title", "relearn"):
        del values[name]
    (run,) = values["methods"]
    values["methods"] = {"method": run["method"], "config": run["config"], "code": method.digest}
    return values | {"attacks": [attack], "fingerprint": fingerprint}


def _plain(value: Floats | float) -> float | None:
    return float(value) if math.isfinite(value) else None
