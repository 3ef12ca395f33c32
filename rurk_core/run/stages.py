"""The stages of an experiment: what each needs, what it costs, and how it is run.

    Original → forget set → Re-train ×K → unlearn (methods) → scores, re-learning (models) → verdicts (attacks)

A stage makes one entry of the store, named by the hash of all that decides its bytes (data fingerprint,
architecture, settings, seed, forget set, keys of the stages it needs). So a run picks up where it stopped, two
experiments share what they have in common, and any process that can read the data and the store can run a stage.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import Config
from ..data import Dataset, ForgetSet, forget_set, held, retain_indices
from ..data.dataset import numbered
from ..device import logits_of, place
from ..measure.cost import peak_memory
from ..measure.metrics import accuracies, mia_accuracy
from ..measure.relearn import RELEARN_FACTOR, relearn
from ..measure.residual import Ints
from ..measure.scores import score
from ..measure.verdicts import count_on_themselves, count_verdicts, verdicts_to_bytes
from ..models import Classifier, create_model
from ..perturb.copies import ATTACKS, copies
from ..store.tensors import load_tensors, save_tensors
from ..training.fit import fit
from ..training.live import Watch, watching
from ..training.references import at_once, fit_references
from ..unlearning import METHODS, Samples, unlearn
from ..unlearning.ceiling import limits, losses_of
from .auto import TRIALS, apart, choose, is_auto, said
from .plan import Stage, Work
from .stored import load_model, role_of, stored_scores, versions

logger = logging.getLogger(__name__)


def _pretrain(work: Work, stage: Stage) -> None:
    """The model that Original and references start from, trained once per data set, architecture and seed."""
    dataset, config = work.start_data, work.spec.training().pretrain
    assert dataset is not None and config is not None
    started, seed = time.perf_counter(), stage.inputs["seed"]
    model = create_model(work.spec.model, dataset.input_shape, len(dataset.classes), seed=seed)
    images, labels = held(dataset.train_images, None, work.device), dataset.train_labels.to(work.device)
    fit(model, images, labels, config, seed=seed, on_step=work.tracker.step, share=work.share)
    right = logits_of(model, dataset.test_images).argmax(1) == dataset.test_labels
    _put_model(work, stage, model, dataset, time.perf_counter() - started, test_accuracy=right.float().mean().item())


def _train_original(work: Work, stage: Stage) -> None:
    started, config = time.perf_counter(), work.spec.training().train
    images, labels = held(work.dataset.train_images, None, work.device), work.dataset.train_labels.to(work.device)
    model = _start(work, stage.inputs["start"], stage.inputs["seed"])
    watch = _watch(work, {"accuracy": Samples(images, labels)})
    watch.model = model
    fit(model, images, labels, config, seed=stage.inputs["seed"], on_step=watch, share=work.share)
    _put_model(work, stage, model, work.dataset, time.perf_counter() - started)


def _train_references(work: Work, stages: Sequence[Stage]) -> None:
    """Re-trains, trained together; each is stored as soon as it is finished."""
    assert work.forget is not None
    started, config = time.perf_counter(), work.spec.training().reference
    retain = retain_indices(work.dataset, work.forget)
    images, labels = held(work.dataset.train_images, retain, work.device), work.dataset.train_labels[retain]
    labels = labels.to(work.device)
    by_seed = {stage.inputs["seed"]: stage for stage in stages}
    build = partial(_start, work, stages[0].inputs["start"])
    trained = fit_references(
        build, images, labels, config, seeds=list(by_seed), on_step=work.tracker.step, share=work.share
    )
    beside = at_once(work.device, len(stages), work.share)
    for done, (seed, model) in enumerate(trained):
        # those trained beside it are about as far: its share of the time, not the time until it was finished
        share = (time.perf_counter() - started) / (beside * (done // beside + 1))
        _put_model(work, by_seed[seed], model, work.dataset, share)


def _unlearn(work: Work, stage: Stage) -> None:
    assert work.forget is not None
    method = next(method for method in work.spec.methods if method.label == stage.label)
    retain, forget = split_samples(work)
    original = place(load_model(work.store, stage.inputs["original"]), retain.images)
    original.precision = stage.inputs.get("precision", "auto")
    watch = _watch(work, {"retain_accuracy": retain, "forget_accuracy": forget})
    started = time.perf_counter()
    validation, runs = validation_samples(work), TRIALS if is_auto(method.config) else 1

    def attempt(config: Config, number: int) -> tuple[Classifier, list[str]]:
        return unlearn(
            METHODS[method.key],
            original,
            retain,
            forget,
            config,
            validation=validation,
            generator=torch.Generator(work.device).manual_seed(stage.inputs["seed"]),
            on_step=lambda step, steps, loss: watch(number * steps + step, runs * steps, loss),
        )

    about: dict[str, Any] = {}
    with peak_memory(work.device) as peak, watching(watch):
        if is_auto(method.config):
            (model, notes), trials = choose(
                attempt,
                _apart_from_references(work, stage.inputs["search"]),
                method.config,
                _as_references(work, stage.inputs["search"], original, retain, forget),
            )
            about["auto"] = [asdict(trial) for trial in trials]
            notes = [*notes, said(trials)]
        else:
            model, notes = attempt(method.config, 0)
    seconds = time.perf_counter() - started
    _put_model(work, stage, model, work.dataset, seconds, peak_memory_mb=peak.megabytes, notes=notes, **about)


def _as_references(work: Work, search: dict[str, Any], original: Classifier, retain: Samples, forget: Samples) -> float:
    """The q at which the mean ceiling of copies of forget samples is the mean loss that the references have on them."""
    references = [place(load_model(work.store, key), forget.images) for key in search["references"]]
    held_out, own, ceiling = validation_samples(work), 0.0, 0.0
    for tau in search["taus"]:

        def moved(pixels: Tensor, labels: Tensor, tau: float = tau) -> Tensor:
            asked = {"ids": range(len(pixels)), "seed": search["seed"], "classes": len(work.dataset.classes)}
            return copies(search["attack"], pixels, labels, tau=tau, draws=1, **asked)[:, 0]

        limit = limits(original, retain, forget, held_out, 1.0, moved)
        assert limit is not None
        ceiling += limit[forget.labels].mean().item()
        own += float(np.mean([losses_of(model, forget, moved).mean().item() for model in references]))
    return own / max(ceiling, 1e-6)


def _apart_from_references(work: Work, search: dict[str, Any]) -> Callable[[tuple[Classifier, list[str]]], float]:
    """How far a model's recognition of the forget set lies from the band of the references that ``search`` names."""
    assert work.forget is not None
    samples, index = work.forget.indices, torch.tensor(work.forget.indices)
    images, labels = held(work.dataset.train_images, index, "cpu"), work.dataset.train_labels[index]

    def recognised(models: dict[str, Classifier]) -> Ints:
        counted = count_verdicts(
            models,
            [],
            images,
            labels,
            samples,
            **{name: search[name] for name in ("attack", "taus", "draws", "seed")},
            classes=len(work.dataset.classes),
            device=work.device,
            on_chunk=lambda done, total: work.tracker.check(),
        )
        return np.stack([counted.recognised(name) for name in models])

    references = recognised({key: load_model(work.store, key) for key in search["references"]})
    return lambda made: apart(recognised({"m": made[0]})[0], references)


def _watch(work: Work, sets: dict[str, Samples]) -> Watch:
    """Steps go to the tracker, with live accuracies if anybody listens."""
    shown = {name: (samples.images, samples.labels) for name, samples in sets.items() if work.tracker.progress}
    return Watch(work.tracker.step, shown)


def split_samples(work: Work) -> tuple[Samples, Samples]:
    """(S_r, S_f) on the device, or streamed to it."""
    assert work.forget is not None
    images, labels = work.dataset.train_images, work.dataset.train_labels
    chosen = retain_indices(work.dataset, work.forget), torch.tensor(work.forget.indices)
    retain, forget = (Samples(held(images, index, work.device), labels[index].to(work.device)) for index in chosen)
    return retain, forget


def validation_samples(work: Work) -> Samples | None:
    """The held-out samples on the device, or streamed to it; None where the data set has none."""
    images, labels = work.dataset.validation_images, work.dataset.validation_labels
    if images is None or labels is None:
        return None
    return Samples(held(images, None, work.device), labels.to(work.device))


def refusals(work: Work) -> dict[str, str]:
    """Label → why that unlearning run cannot be made on this model and data, known before anything is trained."""
    asked = [method for method in work.spec.methods if METHODS[method.key].check or METHODS[method.key].estimate]
    if not asked:
        return {}
    model = create_model(work.spec.model, work.dataset.input_shape, len(work.dataset.classes))
    retain, forget = split_samples(work)
    found = {}
    for spec in asked:
        method = METHODS[spec.key]
        reason = method.check(model, retain, forget, spec.config) if method.check else None
        if reason:
            found[spec.label] = f"{method.title} cannot run here: {reason}"
        elif method.estimate and (words := method.estimate(model, retain, forget, spec.config)):
            logger.warning(words)
    return found


def _score(work: Work, stage: Stage) -> None:
    model, rule = load_model(work.store, stage.inputs["model"]), stage.inputs.get("rule", "")

    def forget(losses: Tensor) -> ForgetSet:
        return work.forget or forget_set(work.dataset, rule, losses=losses)

    scores, features = score(
        model, work.dataset, work.device, work.forget or forget, on_chunk=lambda done, total: work.tracker.check()
    )
    chosen = forget(scores["train_loss"])
    files = {"scores.safetensors": save_tensors(scores)}
    if features:
        files["features.safetensors"] = save_tensors(features)
    shares = accuracies(scores, work.dataset, chosen) | mia_accuracy(scores, work.dataset, chosen)
    files["shares.json"] = json.dumps(shares).encode()
    work.store.put(stage.key, stage.inputs, files)


def _relearn(work: Work, stage: Stage) -> None:
    assert work.forget is not None
    index = torch.tensor(work.forget.indices)
    images, labels = held(work.dataset.train_images, index, work.device), work.dataset.train_labels[index]
    labels = labels.to(work.device)
    target = RELEARN_FACTOR * stored_scores(work.store, stage.inputs["target"])["train_loss"][index].mean().item()
    model = place(load_model(work.store, stage.inputs["model"]), images)
    model.precision = stage.inputs.get("precision", "auto")
    found = relearn(model, images, labels, target, limit=stage.inputs["limit"], seed=stage.inputs["seed"])
    work.store.put(stage.key, stage.inputs, {"relearned.json": json.dumps(found.to_dict()).encode()})


def _judge(work: Work, stage: Stage) -> None:
    assert work.forget is not None
    index = torch.tensor(work.forget.indices)
    inputs = stage.inputs
    counted = count_verdicts(
        {name: load_model(work.store, key) for name, key in inputs["models"].items()},
        [name for name in inputs["models"] if role_of(name) == "reference"],
        held(work.dataset.train_images, index, "cpu"),
        work.dataset.train_labels[index],
        work.forget.indices,
        attack=inputs["attack"],
        taus=inputs["taus"],
        draws=inputs["draws"],
        seed=inputs["seed"],
        classes=len(work.dataset.classes),
        source=inputs["source"],
        device=work.device,
        on_chunk=work.tracker.step,
        on_note=work.tracker.note,
    )
    work.store.put(stage.key, inputs, {"verdicts.safetensors": verdicts_to_bytes(counted)})


def _judge_peers(work: Work, stage: Stage) -> None:
    inputs, data = stage.inputs, work.dataset
    index = torch.tensor(inputs["samples"])
    images, labels = numbered(data, index)
    models = {name: load_model(work.store, key) for name, key in inputs["models"].items()}
    asked: dict[str, Any] = {
        "attack": inputs["attack"],
        "taus": inputs["taus"],
        "draws": inputs["draws"],
        "seed": inputs["seed"],
        "classes": len(data.classes),
        "device": work.device,
        "on_note": work.tracker.note,
    }
    if ATTACKS[inputs["attack"]].uses_model:
        counted = count_on_themselves(models, images, labels, inputs["samples"], **asked, on_chunk=work.tracker.step)
    else:
        references = [name for name in models if role_of(name) == "reference"]
        counted = count_verdicts(
            models, references, images, labels, inputs["samples"], **asked, on_chunk=work.tracker.step
        )
    work.store.put(stage.key, inputs, {"verdicts.safetensors": verdicts_to_bytes(counted)})


def _each(run: Callable[[Work, Stage], None]) -> Callable[[Work, Sequence[Stage]], None]:
    """Stages that gain nothing from being run together."""

    def one_after_another(work: Work, stages: Sequence[Stage]) -> None:
        for done, stage in enumerate(stages):
            run(work, stage)
            work.tracker.step(done + 1, len(stages))

    return one_after_another


RUN: dict[str, Callable[[Work, Sequence[Stage]], None]] = {
    "pretrained": _each(_pretrain),
    "original": _each(_train_original),
    "reference": _train_references,
    "unlearned": _each(_unlearn),
    "scores": _each(_score),
    "relearned": _each(_relearn),
    "verdicts": _each(_judge),
    "peers": _each(_judge_peers),
    "members": _each(_judge_peers),
}
"""Kind → what makes the entries of stages of that kind that share a name."""


def _start(work: Work, start: str | None, seed: int) -> Classifier:
    """Fresh weights; where there is a pre-trained model, its weights under a fresh head."""
    model = create_model(work.spec.model, work.dataset.input_shape, len(work.dataset.classes), seed=seed)
    if start:
        weights = load_tensors(work.store.read(start, "model.safetensors"))
        own = model.state_dict()
        model.load_state_dict({n: own[n] if n.startswith("head.") else w for n, w in weights.items()})
    return model


def _put_model(work: Work, stage: Stage, model: Classifier, dataset: Dataset, seconds: float, **info: Any) -> None:
    described = {
        "model": work.spec.model,
        "input_shape": list(dataset.input_shape),
        "classes": len(dataset.classes),
        "versions": versions(),
        "seconds": seconds,
        **info,
    }
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    files = {"model.safetensors": save_tensors(weights), "info.json": json.dumps(described).encode()}
    work.store.put(stage.key, stage.inputs, files)
