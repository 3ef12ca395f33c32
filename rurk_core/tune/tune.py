"""Choosing a method's settings: such that residual knowledge lies in the band of the references, at the least loss.

The paper's settings over-forget a smaller network: λ and τ do not transfer between models. A search tries settings
on one half of the forget set, with two aims that pull against each other::

    distance  how far the ratio of means lies outside the band of the references, |log ratio| beyond the nearer edge
              of the band, averaged over the τ grid
    loss      how much accuracy on the retained samples and on those held out for validation falls below the mean of
              the references, in sum; the test set decides nothing

shows the front between them, chooses on it, and judges the choice on the other half. Both halves are unlearned in
every trial: only what is looked at differs. Original and references are those of the store.

Any number of processes may share a search and its budget, through files alone::

    <store>/tuning/<key of the search>/7.json    trial 7, once it has ended
                                       lock      its byte 7 is locked by the process that is at trial 7

The locks are the kernel's, so a trial whose process was killed is free at once.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from ..data import load_dataset, plain_name
from ..device import device_name, find_devices
from ..errors import RurkError, UsageError, need
from ..jobs.processes import die_with_parent, locked, tie_children
from ..perturb.copies import ATTACKS
from ..progress import Progress, Tracker
from ..run.auto import is_auto
from ..run.code import code_of
from ..run.presets import check_name, save_preset
from ..run.result import load_result
from ..run.spec import Spec, spec_from_dict
from ..store.store import Store
from ..unlearning import METHODS, Method
from .aims import Trial, choose, front
from .bench import Bench, make_bench
from .search import search, searched

MAX_TRIALS = 10_000
MAX_PROCESSES = 64


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
        root, device, progress, cancelled: as in :func:`~rurk_core.run.experiment.run`.

    Returns:
        The result document: trials, the numbers of those on the front, the chosen one and the one it started from,
        each judged on the other half of the forget set, and the name of the preset.

    Raises:
        UsageError: not exactly one method, nothing to tune, fewer than four samples to forget, an attack that is
            built on the model (its copies differ from trial to trial), or the method cannot run here.
        RurkError, Cancelled: as for a run.
    """
    spec = _checked(spec, store, trials, processes)
    method = METHODS[spec.methods[0].key]
    name = name or f"tuned {plain_name(spec.dataset).rstrip('/').rpartition('/')[2]}"[:60]
    check_name(method, name)  # now, not when everything has been searched
    started, devices, tracker = time.time(), find_devices(device), Tracker(progress, cancelled)
    with tracker.stage("Reading data", 0):
        dataset = load_dataset(spec.dataset, root, progress=lambda done, total, what: tracker.step(done, total))
    identity = _identity(spec, method, dataset.fingerprint)
    key = store.key("tuning", asked := identity | {"trials": trials})
    folder = store.beside("tuning") / store.key("tuning", identity)
    if not store.trusts(key):
        with locked(folder / "models.lock", "The search", tracker.check):  # what all start from is trained once
            bench = make_bench(spec, store, dataset, devices, tracker, root)
        tracker.expect({"Tuning": trials * _passes(spec, bench)})
        with tracker.stage("Tuning"):
            with _helpers(processes - 1, spec, store, trials, folder, devices, root):
                found = search(bench, trials, folder)
            with locked(folder / "judging.lock", "The search", tracker.check):  # and judged once
                if not store.trusts(key):
                    taken = {"device": device_name(devices[0]), "seconds": round(time.time() - started, 3)}
                    result = _judged(bench, found) | {"key": key, "spec": spec.to_dict(), **taken}
                    result["preset"] = _preset(result, bench, name)
                    store.put(key, asked, {"result.json": json.dumps(result, allow_nan=False).encode()})
    result = load_result(store, key)
    save_preset(store, result["preset"] | {"name": name})
    return result


def _passes(spec: Spec, bench: Bench) -> float:
    """Forward passes of one trial."""
    copies = len(bench.forget) * len(spec.taus) * spec.draws
    return copies + 3.0 * len(bench.work.dataset.train_labels) * getattr(spec.methods[0].config, "epochs", 1)


def _checked(spec: Spec, store: Store, trials: int, processes: int) -> Spec:
    """``spec`` with the one attack that tuning measures with; raises as :func:`tune`."""
    if len(spec.methods) != 1:
        raise UsageError("Name exactly one method to tune.")
    if is_auto(spec.methods[0].config):
        raise UsageError(
            "A strength that is 'auto' is found by an experiment, against its references; to tune the method, name a "
            "preset or a number instead."
        )
    for what, number, most in (("trials", trials, MAX_TRIALS), ("processes", processes, MAX_PROCESSES)):
        if not 1 <= number <= most:
            raise UsageError(f"'{what}' must be a whole number from 1 to {most}, not {number}.")
    need("optuna", "A search of settings")  # here, not when the first trials have been made
    if processes > 1 and store.url.startswith("memory://"):
        raise UsageError(f"Several processes cannot share the store {store.url}; name a folder.")
    searched(METHODS[spec.methods[0].key])
    attack = next((attack for attack in spec.attacks if not ATTACKS[attack].uses_model), None)
    if attack is None:
        raise UsageError("Tuning measures with random copies; name an attack such as 'gaussian'.")
    return dataclasses.replace(spec, attacks=(attack,))


def tune_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec", "trials", "processes", "name", "root", "device"}`` → the result's key.

    ``spec`` is an experiment with one method; start it by
    ``start_job(store, job, runner="rurk_core.tune.tune:tune_job")``.
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
    values["methods"] = {"method": run["method"], "config": run["config"], "code": code_of("tuning", method.key)}
    return values | {"fingerprint": fingerprint}


def _judged(bench: Bench, found: Sequence[Trial]) -> dict[str, Any]:
    """What a search has found, and what the other half of the forget set says of where it began and of its choice."""
    chosen, spec = choose(found), bench.work.spec
    return {
        "method": bench.method.key,
        "dataset": bench.work.dataset.name,
        "selected_on": bench.selected_on(),
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


def _preset(result: dict[str, Any], bench: Bench, name: str) -> dict[str, Any]:
    return {
        "method": result["method"],
        "name": name,
        "settings": dataclasses.replace(bench.base, **result["trials"][result["chosen"]]["settings"]).to_dict(),
        "dataset": result["dataset"],
        "model": bench.work.spec.model,
        "found_by": f"{len(result['trials'])} trials, seed {result['seed']} ({result['key']})",
    }


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
        search(make_bench(asked, store, dataset, find_devices(device), Tracker(), root), trials, folder)
