"""Models made elsewhere, measured like those of an experiment: load safely, check that they fit, judge, keep.

An audit is stored as a run: the same result document, with ``"audit"`` in it and the files' fingerprints beside
the models, so that every page, command and report takes it as it takes an experiment.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..apart.reading import Reading
from ..data import (
    Dataset,
    as_large,
    dataset_entry,
    forget_set,
    load_dataset,
    made_for,
    needs_losses,
    split_validation,
    with_validation,
)
from ..data.forget_lists import find_list
from ..device import device_name, find_device
from ..errors import UsageError
from ..models import parse_model
from ..models.checkpoints import Checkpoint, constants_of, file_fingerprint, find_checkpoint, load_apart
from ..models.exported import EXPORTED, Exported
from ..perturb.copies import ATTACKS, input_gradient
from ..progress import Progress, Tracker
from ..store.store import Store
from ..store.tensors import save_tensors
from .code import code_of_run
from .engines.embedded import run_stages
from .experiment import expect
from .misfit import misfits
from .plan import Stage, Work, peer_stages, scores_stage, verdict_stages
from .result import gather
from .spec import DRAWS, MAX_DRAWS, MAX_REFERENCES, Spec, asked_radii, parse_attacks, parse_taus, whole
from .stored import load_model, role_of, stored_scores, versions

MAX_UNLEARNED = 32


def audit(
    store: Store,
    *,
    dataset: str,
    forget: str,
    original: str | Path,
    unlearned: Sequence[str | Path],
    retrained: Sequence[str | Path] = (),
    model: str = "",
    normalise: str = "",
    attacks: Any = ("gaussian",),
    taus: Any = "",
    draws: Any = DRAWS,
    seed: Any = 7,
    title: str = "",
    root: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Measure unlearned models of files against the Original and re-trained ones; the stored result, if there is one.

    Args:
        dataset: a key of :data:`~rurk_core.data.DATASETS` or a path; forget: a forget-set file, or a rule.
        original, unlearned, retrained: checkpoints as for :func:`~rurk_core.models.checkpoints.load_checkpoint`;
            references may be left out: recognition is then counted, and nothing says what is residual.
        model: architecture of state dicts (default: the data set's); exported programs bring their own.
        normalise: of state dicts that bring none, as :func:`~rurk_core.models.checkpoints.constants_of` reads it; left
            out, it is that of this project's networks.
        attacks, taus, draws, seed: as in an experiment; attacks are built on each unlearned model.

    Returns:
        The result document of :func:`~rurk_core.run.experiment.run`; its ``"audit"`` has ``"files"``, by model the
        name and the SHA-256 of its file, ``"misfits"``, by model why it seems not to fit the data, and ``"options"``.

    Raises:
        UsageError: a file is not what it should be, or something does not fit; the sentence says what.
    """
    started, paths = time.time(), _named(original, unlearned, retrained)
    spec = _spec(dataset, os.fspath(forget), model, len(retrained), attacks, taus, draws, seed, title)
    tracker, where = Tracker(progress, cancelled), find_device(device)
    with tracker.stage("Reading data", 0):
        spec, data = _of_the_set(spec, dataset, root)
    work = Work(spec, store, data, None, where, tracker)
    files = {name: {"file": str(path), "sha256": file_fingerprint(path.file)} for name, path in paths.items()}
    models = _models_and_forget_set(work, paths, files, normalise)
    if store.trusts(key := store.key("run", identity := _identity(work, models))):
        return store.read_json(key, "result.json")
    wrong = _misfits(work, models)
    result = _measured(work, models, files) | {
        "key": key,
        "spec": spec.to_dict(),
        "audit": {"files": files, "misfits": wrong, "options": {"normalise": normalise} if normalise else {}},
        "seed": spec.seed,
        **{"versions": versions(), "device": device_name(where), "seconds": round(time.time() - started, 3)},
        "notes": [*wrong.values(), *([] if retrained else [WITHOUT_REFERENCES]), *data.notes],
    }
    shown = title or f"Audit of {', '.join(Path(path).stem for path in unlearned[:3])} on {data.name}"
    store.put(key, identity | {"title": shown}, {"result.json": json.dumps(result, allow_nan=False).encode()})
    return result


def _spec(
    dataset: str, forget: str, model: str, references: int, attacks: Any, taus: Any, draws: Any, seed: Any, title: str
) -> Spec:
    """The checked description of an audit; what is left out is filled in as for an experiment."""
    entry, (_, share) = dataset_entry(dataset), split_validation(dataset)
    spec = Spec(
        # models from elsewhere know of no part that is held out here, and indices count all training samples
        dataset=with_validation(dataset, 0) if share is None else dataset,
        forget=f"file:{find_list(forget)}" if os.path.isfile(find_list(forget)) else forget,
        model=model or entry.model,
        methods=(),
        references=references,
        attacks=(kinds := parse_attacks(attacks)),
        taus=asked_radii(parse_taus(taus or entry.taus), kinds),
        draws=whole("draws", draws, 1, MAX_DRAWS),
        seed=whole("seed", seed, 0, 2**31 - 1),
        title=title,
    )
    parse_model(spec.model)
    return spec


def _of_the_set(spec: Spec, dataset: str, root: str | None) -> tuple[Spec, Dataset]:
    """The data, of which a part is held out if the forget set was saved where that was so: an experiment's own."""
    data, saved = load_dataset(spec.dataset, root), made_for(spec.forget)
    if saved and saved != data.fingerprint and (held := load_dataset(dataset, root)).fingerprint == saved:
        return replace(spec, dataset=dataset), held
    return spec, data


def _models_and_forget_set(
    work: Work, paths: dict[str, Checkpoint], files: dict[str, dict[str, str]], normalise: str
) -> list[Stage]:
    """Read the models into the store and choose ``work.forget``, if need be by the losses of the first of them."""
    if normalise:
        constants_of(normalise)  # refused before anything is read
    spec, data = work.spec, work.dataset
    chosen = as_large(data, spec.forget)
    with work.tracker.stage("Reading models", 0), Reading() as reading:
        models = [_kept(work, reading, name, path, files[name]["sha256"], normalise) for name, path in paths.items()]
    if any(ATTACKS[attack].uses_model for attack in spec.attacks):
        _need_gradients(work, [stage for stage in models if paths[stage.label].program])
    if needs_losses(spec.forget):
        first = scores_stage(work, models[0])
        expect(work, [first])
        run_stages(work, [first])
        chosen = forget_set(data, spec.forget, losses=stored_scores(work.store, first.key)["train_loss"])
    work.forget = chosen
    return models


def _misfits(work: Work, models: Sequence[Stage]) -> dict[str, str]:
    """Model → why it seems not to fit the data."""
    assert work.forget is not None
    with work.tracker.stage("Looking whether the models fit", 0):
        loaded = {stage.label: load_model(work.store, stage.key) for stage in models}
        return misfits(loaded, work.dataset, work.forget, work.device)


def _measured(work: Work, models: Sequence[Stage], files: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Scores and verdicts of all models, as a result has them."""
    others, references = (
        [s for s in models if (role_of(s.label) == "reference") is wanted] for wanted in (False, True)
    )
    stages = [
        *(scores_stage(work, stage) for stage in models),
        *verdict_stages(work, others, references),
        *peer_stages(work, models),
    ]
    expect(work, stages)
    run_stages(work, stages)
    return gather(work, [*models, *stages], files)


def _identity(work: Work, models: Sequence[Stage]) -> dict[str, Any]:
    """All that decides the numbers of an audit."""
    assert work.forget is not None
    return {
        "audit": {stage.label: stage.key for stage in models},
        "fingerprint": work.dataset.fingerprint,
        "forget": list(work.forget.indices),
        "attacks": list(work.spec.attacks),
        "taus": list(work.spec.taus),
        "draws": work.spec.draws,
        "seed": work.spec.seed,
        "code": code_of_run(()),
    }


WITHOUT_REFERENCES = (
    "There is no re-trained model, so nothing says how far retraining would still recognise these samples: what is "
    "counted is recognition, not residual knowledge."
)


def audit_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec": arguments of :func:`audit`, "root", "device"}`` → the run's key."""
    values = job.get("spec")
    if not isinstance(values, dict):
        raise UsageError("An audit must be a JSON object with names and values.")
    try:
        found = audit(
            store,
            **values,
            root=job.get("root"),
            device=job.get("device") or "auto",
            progress=progress,
            cancelled=cancelled,
        )
    except TypeError:
        raise UsageError("The audit names something an audit does not have, or lacks a model or the data.") from None
    return found["key"]


def _named(
    original: str | Path, unlearned: Sequence[str | Path], retrained: Sequence[str | Path]
) -> dict[str, Checkpoint]:
    """Checked files by the names their models go by."""
    if not 1 <= len(unlearned) <= MAX_UNLEARNED or len(retrained) > MAX_REFERENCES:
        raise UsageError(
            f"An audit takes 1 to {MAX_UNLEARNED} unlearned models and up to {MAX_REFERENCES} re-trained ones, not "
            f"{len(unlearned)} and {len(retrained)}."
        )
    named = {"original": original}
    named |= {f"unlearned-{i + 1}" if len(unlearned) > 1 else "unlearned": path for i, path in enumerate(unlearned)}
    named |= {f"reference-{i + 1}": path for i, path in enumerate(retrained)}
    return {name: find_checkpoint(path) for name, path in named.items()}


READ = "rurk_core.models.checkpoints:read_apart"


def _kept(work: Work, reading: Reading, name: str, path: Checkpoint, sha256: str, normalise: str) -> Stage:
    """A file's model in the store, put there if it fits the data, as a stage that is finished."""
    data = work.dataset
    architecture = EXPORTED if path.program else work.spec.model
    shape, classes = list(data.input_shape), len(data.classes)
    inputs = {"sha256": sha256, "model": architecture, "input_shape": shape, "classes": classes}
    if path.part:
        inputs["part"] = path.part
    if normalise and not path.program:
        inputs["normalise"] = normalise
    stage = Stage("audited", "Reading models", name, inputs)
    if not work.store.trusts(stage.key):
        with tempfile.TemporaryDirectory() as folder:
            what = f"The checkpoint {path}"
            reading.ask(READ, [str(path), folder, shape, classes], size=path.file.stat().st_size, what=what)
            loaded = load_apart(folder, str(path), architecture, data.input_shape, classes, normalise=normalise)
        info = {**inputs, "file": path.file.name, "seconds": 0.0, "versions": versions()}
        files = {"model.safetensors": save_tensors(loaded.state_dict()), "info.json": json.dumps(info).encode()}
        if isinstance(loaded, Exported):
            files["program.json"] = json.dumps(loaded.program).encode()
        work.store.put(stage.key, stage.inputs, files)
    work.tracker.check()
    return stage


def _need_gradients(work: Work, stages: Sequence[Stage]) -> None:
    """Attacks follow the gradient of a model's loss; a program that casts to whole numbers has none."""
    pixels = torch.full((2, *work.dataset.input_shape), 0.5)
    for stage in stages:
        try:
            input_gradient(load_model(work.store, stage.key), pixels, torch.zeros(2, dtype=torch.int64))
        except RuntimeError:
            raise UsageError(
                f"The exported program '{stage.label}' gives no gradients, which attacks need; choose random draws "
                f"({', '.join(name for name, attack in ATTACKS.items() if not attack.uses_model)})."
            ) from None
