"""An experiment: plan its stages, let an engine run those that are missing, gather the result document.

Dataset → Original → forget set → Re-train ×K → unlearn (methods) → verdicts (attacks) → residual knowledge
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..data import Dataset, as_large, forget_set, load_dataset, needs_losses
from ..device import device_names, find_devices
from ..errors import Damaged, RurkError
from ..progress import Progress, Tracker
from ..store.store import Store
from .archive import entries_of
from .code import code_of_run
from .engines import Engine, find_engine
from .estimate import latest_results, measured_speeds
from .plan import Stage, Work, expected_seconds, plan, start_data
from .result import gather, gathered_notes, load_result
from .spec import Spec, spec_from_dict
from .stages import refusals
from .stored import stored_scores, versions
from .titles import spoken_title


def run(
    spec: Spec,
    store: Store,
    *,
    root: str | None = None,
    device: str = "auto",
    engine: str = "embedded",
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Run an experiment, or return its stored result at once.

    Args:
        root: where data sets lie (default: the variable RURK_DATA, then a cache folder).
        device: "auto", "cpu", "cuda", "cuda:1"; several with commas, or "all" GPUs.
        engine: a name in :data:`~rurk_core.run.engines.ENGINES`, settings after a colon.
        progress: called with dictionaries ``{"stage", "done", "total", "overall", "eta", "loss"?}``; while a model is
            trained also with ``accuracy``, or ``retain_accuracy`` and ``forget_accuracy``, on a few samples.
        cancelled: asked between steps; once it says yes, :class:`Cancelled` is raised and finished stages stay.

    Returns:
        The result document: spec, seed, versions, device, data set, forget set, models with their accuracies,
        residual knowledge per attack, method and radius, and the keys of models and verdicts in the store.

    Raises:
        UsageError: something in the spec does not fit the data.
        RurkError: data cannot be read, training diverged, the disk is full, ...
        Cancelled: see above.
    """
    run_stages, devices, tracker = find_engine(engine), find_devices(device), Tracker(progress, cancelled)
    with tracker.stage("Reading data", 0):
        dataset = load_dataset(spec.dataset, root, progress=lambda done, total, what: tracker.step(done, total))
    identity = _run_identity(spec, dataset)
    key = store.key("run", identity)
    if found := _stored(store, key):
        return found
    started = time.perf_counter()
    work = Work(spec, store, dataset, start_data(spec, root), devices[0], tracker, root, devices=devices)
    about = {method.label: method.about() for method in spec.methods}
    gathered, mended = _mended(work, lambda: _measured(work, run_stages, about))
    result = gathered | {
        "notes": [*gathered_notes(work), *mended],
        "key": key,
        "spec": spec.to_dict(),
        "seed": spec.seed,
        "versions": versions(),
        "device": device_names(devices),
        "engine": engine,
        "seconds": round(time.perf_counter() - started, 3),
    }
    identity |= {"title": spec.title or spoken_title(spec.to_dict(), dataset.classes)}
    store.put(key, identity, {"result.json": json.dumps(result, allow_nan=False).encode()})
    return result


def run_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec": ..., "root": ..., "device": ..., "engine": ...}`` → the run's key."""
    spec = spec_from_dict(job.get("spec"))
    device, engine = job.get("device") or "auto", job.get("engine") or "embedded"
    result = run(
        spec, store, root=job.get("root"), device=device, engine=engine, progress=progress, cancelled=cancelled
    )
    return result["key"]


def _run_identity(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    values = spec.to_dict()
    del values["title"]
    for method in values["methods"]:
        del method["preset"]  # the name of what the settings are already
    code = code_of_run(method.key for method in spec.methods)
    return values | {"dataset": dataset.name, "fingerprint": dataset.fingerprint, "code": code}


def _stored(store: Store, key: str) -> dict[str, Any] | None:
    """The result of an earlier run with all it rests on; None where that is missing or damaged.

    Everything is read and compared with its hash: to ask again for a run is the way to have it mended.
    """
    if not store.trusts(key):
        return None
    try:
        for part in entries_of(store, key):
            store.verify(part)
        return load_result(store, key)
    except RurkError:
        if store.owns(key):
            store.delete(key)
        return None


def _measured(work: Work, run_stages: Engine, about: dict[str, Any]) -> dict[str, Any]:
    """What stages have to say; ``entries`` are the keys of all that it rests on."""
    stages = finish_stages(work, run_stages)
    return gather(work, stages, about) | {"took": _took(work, stages), "entries": [stage.key for stage in stages]}


def _took(work: Work, stages: Sequence[Stage]) -> dict[str, dict[str, float]]:
    """Kind of work → forward passes and seconds of the stages that this run ran itself; plans are made with it."""
    kinds = {stage.name: stage.work for stage in stages}
    found: dict[str, dict[str, float]] = {}
    for name, seconds in work.tracker.taken.items():
        if name in kinds and name in work.passes:
            row = found.setdefault(kinds[name], {"passes": 0.0, "seconds": 0.0})
            row["passes"] += work.passes[name]
            row["seconds"] += seconds
    return found


def _mended(work: Work, attempt: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """``attempt`` until it meets no damaged entry; each is removed, so that its stage is run anew, and noted."""
    notes: dict[str, str] = {}
    while True:
        try:
            return attempt(), list(notes.values())
        except Damaged as error:
            if error.key in notes or not work.store.owns(error.key):
                raise
            work.store.delete(error.key)
            notes[error.key] = f"The stored entry {error.key} was damaged and has been computed anew."
            work.tracker.note(notes[error.key])


def finish_stages(work: Work, run_stages: Engine) -> list[Stage]:
    """Have the engine run the plan; returns the plan whose entries are all in the store.

    There is more than one plan where the forget set depends on the Original, or where a method failed: the
    tables of verdicts then name the models that are left.
    """
    rule, dataset = work.spec.forget, work.dataset
    work.forget = as_large(dataset, rule)
    work.failed |= refusals(work)
    expect(work, plan(work))
    if needs_losses(rule):
        work.forget = None
        stages = _checked_plan(work)
        run_stages(work, stages)
        losses = stored_scores(work.store, stages[-1].key)["train_loss"]
        work.forget = forget_set(dataset, rule, losses=losses)
    while True:
        stages = _checked_plan(work)
        expect(work, stages)
        failed = run_stages(work, stages)
        if not failed:
            return stages
        work.failed |= failed


def _checked_plan(work: Work) -> list[Stage]:
    """The plan, after a look whether the entries it finds are whole."""
    stages = plan(work)
    for stage in stages:
        if work.store.trusts(stage.key):
            work.store.verify(stage.key)
    return stages


def expect(work: Work, stages: Sequence[Stage]) -> None:
    """Tell the tracker what is to be done, in seconds where earlier runs tell how many that is."""
    devices = device_names(work.devices or (work.device,))
    work.speeds = measured_speeds(latest_results(work.store), work.spec.model, devices) or work.speeds
    passes: dict[str, float] = {}
    costs: dict[str, float] = {}
    for stage in stages:
        if not work.store.trusts(stage.key):
            passes[stage.name] = passes.get(stage.name, 0.0) + stage.cost
            costs[stage.name] = costs.get(stage.name, 0.0) + expected_seconds([stage], work.speeds)
    work.passes |= passes
    work.tracker.expect(costs)
