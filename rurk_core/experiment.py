"""The steps of an experiment: every stage is looked up by its key first, so a run picks up where it stopped.

    Dataset → Original → forget set → Re-train ×K → unlearn (methods) → verdicts (attacks) → residual knowledge

A stage's key is the hash of all that decides its bytes (data fingerprint, architecture, settings, seed, forget
set), so two experiments share what they have in common.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import __version__
from .data import DATASETS, Dataset, ForgetSet, forget_set, load_dataset, needs_losses, retain_indices
from .errors import Cancelled, UsageError
from .models import Classifier, create_model
from .perturbations import ATTACKS
from .residual import Verdicts, summarise
from .spec import MethodSpec, Spec, spec_from_dict
from .store import Store, load_tensors, save_tensors
from .training import Diverged, default_device, fit, fit_references, logits_of, place
from .unlearning import METHODS, Samples
from .verdicts import count_verdicts, verdicts_from_bytes, verdicts_to_bytes

Progress = Callable[[dict[str, Any]], None]


def run(
    spec: Spec,
    store: Store,
    *,
    root: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Run an experiment, or return its stored result at once.

    Args:
        root: where data sets lie (default: the variable RURK_DATA, then a cache folder).
        device: "auto", "cpu", "cuda" or "cuda:1".
        progress: called with dictionaries ``{"stage", "done", "total", "overall", "eta", "loss"?}``.
        cancelled: asked between steps; once it says yes, :class:`Cancelled` is raised and finished stages stay.

    Returns:
        The result document: spec, seed, versions, device, data set, forget set, models with their accuracies,
        residual knowledge per attack, method and radius, and the keys of models and verdicts in the store.

    Raises:
        UsageError: something in the spec does not fit the data.
        RurkError: data cannot be read, training diverged, the disk is full, ...
        Cancelled: see above.
    """
    tracker, where = Tracker(progress, cancelled), _device(device)
    with tracker.stage("Reading data", 0):
        dataset = load_dataset(spec.dataset, root, progress=lambda done, total, what: tracker.step(done, total))
    work = _Work(spec, store, dataset, where, tracker, root)
    key = store.key("run", _run_identity(work))
    if store.has(key):
        return load_result(store, key)
    started = time.time()
    result = _measure(work)
    result |= {
        "key": key,
        "spec": spec.to_dict(),
        "seed": spec.seed,
        "versions": versions(),
        "device": device_name(work.device),
        "seconds": round(time.time() - started, 3),
    }
    identity = _run_identity(work) | {"title": spec.title or default_title(spec)}
    store.put(key, identity, {"result.json": json.dumps(result, allow_nan=False).encode()})
    return result


def run_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec": ..., "root": ..., "device": ...}`` → the run's key."""
    spec = spec_from_dict(job.get("spec"))
    device = job.get("device") or "auto"
    return run(spec, store, root=job.get("root"), device=device, progress=progress, cancelled=cancelled)["key"]


def load_result(store: Store, key: str) -> dict[str, Any]:
    """The result document of a finished run."""
    return store.read_json(key, "result.json")


def load_model(store: Store, key: str) -> Classifier:
    """The model of a finished stage, on the CPU, in eval mode."""
    info = store.read_json(key, "info.json")
    model = create_model(info["model"], tuple(info["input_shape"]), info["classes"])
    return load_weights(model, load_tensors(store.read(key, "model.safetensors")), key)


def load_verdicts(store: Store, key: str) -> Verdicts:
    """The verdict counts of a finished stage."""
    return verdicts_from_bytes(store.read(key, "verdicts.safetensors"))


def load_weights(model: Classifier, weights: dict[str, Tensor], name: str) -> Classifier:
    """Put ``weights`` into ``model`` after checking that they fit; returns it in eval mode.

    Raises:
        UsageError: names or shapes differ, or a value is NaN or infinite; the sentence says which.
    """
    own = model.state_dict()
    missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or extra:
        what = f"lacks '{missing[0]}'" if missing else f"has '{extra[0]}', which the model lacks"
        raise UsageError(
            f"The checkpoint '{name}' does not fit the model: it {what} "
            f"({len(missing)} names missing, {len(extra)} unknown); is the architecture right?"
        )
    for key, value in own.items():
        if weights[key].shape != value.shape:
            raise UsageError(
                f"The checkpoint '{name}' does not fit the model: '{key}' is {tuple(weights[key].shape)}, "
                f"expected {tuple(value.shape)}; is the width or the number of classes right?"
            )
        if weights[key].is_floating_point() and not torch.isfinite(weights[key]).all():
            raise UsageError(f"The checkpoint '{name}' holds NaN or infinite numbers in '{key}'.")
    model.load_state_dict(weights)
    return model.eval()


def versions() -> dict[str, str]:
    """What made a result: this project, Python and torch."""
    return {"rurk": __version__, "python": platform.python_version(), "torch": torch.__version__}


def device_name(device: torch.device) -> str:
    """A device in words: "cpu (2 threads)" or the GPU's name."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def default_title(spec: Spec) -> str:
    """What an experiment is called when nobody named it."""
    entry = DATASETS.get(spec.dataset)
    return f"{entry.title if entry else spec.dataset}, forget {spec.forget}"


# --- progress -----------------------------------------------------------------------------------------------


@dataclass
class Tracker:
    """Turns the steps of stages into overall progress and time left, and asks whether to stop.

    Costs are in forward passes of one sample. Time left comes from the cost done in this run and the time it
    took; stages found in the store cost nothing.
    """

    progress: Progress | None = None
    cancelled: Callable[[], bool] | None = None
    costs: dict[str, float] = field(default_factory=dict)
    current: str = ""
    worked: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def expect(self, costs: dict[str, float]) -> None:
        self.costs, self.worked, self.started = costs, 0.0, time.monotonic()

    @contextmanager
    def stage(self, name: str, cost: float | None = None) -> Iterator[None]:
        """Everything inside is the work of ``name``."""
        if cost is not None:
            self.costs[name] = cost
        self.current = name
        self.step(0, 1)
        yield
        self.step(1, 1)
        self.worked += self.costs.pop(name, 0.0)

    def found(self, name: str) -> None:
        """The stage is in the store already."""
        self.costs.pop(name, None)

    def check(self) -> None:
        """Raises :class:`Cancelled` if the user wants to stop."""
        if self.cancelled and self.cancelled():
            raise Cancelled("Stopped; what was finished is kept, and starting again goes on from there.")

    def step(self, done: int, total: int, loss: float | None = None) -> None:
        """Report; raises :class:`Cancelled` if the user wants to stop."""
        self.check()
        if not self.progress:
            return
        here = self.costs.get(self.current, 0.0)
        worked = self.worked + here * done / max(1, total)
        left = sum(self.costs.values()) - here * done / max(1, total)
        elapsed = time.monotonic() - self.started
        event: dict[str, Any] = {
            "stage": self.current,
            "done": done,
            "total": total,
            "overall": worked / (worked + left) if worked + left else 0.0,
            "eta": elapsed * left / worked if worked else None,
        }
        if loss is not None:
            event["loss"] = loss
        self.progress(event)


def _costs(work: _Work) -> dict[str, float]:
    """Expected cost of every stage, in forward passes of one sample (a training step counts three)."""
    spec, recipe = work.spec, work.spec.training()
    n = len(work.dataset.train_labels)
    assert work.forget is not None
    samples = len(work.forget.indices)
    costs = {"Original": 3.0 * n * recipe.train.epochs}
    if recipe.pretrain and work.pretrain_on:
        costs["Pre-training"] = 3.0 * 50_000 * recipe.pretrain.epochs
    costs["References"] = 2.0 * n * recipe.reference.epochs * spec.references
    for method in spec.methods:
        costs[method.label] = 3.0 * n * getattr(method.config, "epochs", 1)
    judges = len(spec.methods) + 1 + spec.references
    for attack in spec.attacks:
        kind = ATTACKS[attack]
        copies = samples * len(spec.taus) * spec.draws
        if not kind.uses_model:
            costs[f"Verdicts, {kind.title}"] = copies * judges
        else:
            per_copy = (2 + spec.references + 1) + (0 if kind.ray else 30)
            share = min(1.0, len(work.dataset.classes) / spec.draws) if kind.ray else 1.0
            for label in ("original", *(m.label for m in spec.methods)):
                costs[f"Verdicts, {kind.title} on {label}"] = copies * share * per_copy
    costs["Accuracies"] = (n + len(work.dataset.test_labels)) * judges
    return costs


# --- stages -------------------------------------------------------------------------------------------------


@dataclass
class _Work:
    """What the stages of one run share."""

    spec: Spec
    store: Store
    dataset: Dataset
    device: torch.device
    tracker: Tracker
    root: str | None
    forget: ForgetSet | None = None

    @property
    def pretrain_on(self) -> str | None:
        entry = DATASETS.get(self.spec.dataset)
        return entry.pretrain_on if entry else None


def _device(name: str) -> torch.device:
    try:
        device = default_device() if name == "auto" else torch.device(name)
    except RuntimeError:
        raise UsageError(f"There is no device '{name}'; write cpu, cuda or cuda:1.") from None
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and (device.index or 0) >= count):
        raise UsageError(f"The device '{name}' is not there; this machine has {count} GPUs and a CPU.")
    return device


def derived_seed(seed: int, *names: str | int) -> int:
    """A seed for one purpose, so that experiments with neighbouring seeds share no stream."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) >> 1


def _run_identity(work: _Work) -> dict[str, Any]:
    spec = work.spec.to_dict()
    del spec["title"]
    return spec | {"dataset": work.dataset.name, "fingerprint": work.dataset.fingerprint}


def _measure(work: _Work) -> dict[str, Any]:
    """Run all stages and gather the result document."""
    spec, store, dataset, tracker = work.spec, work.store, work.dataset, work.tracker
    late = needs_losses(spec.forget)
    # a rule that cannot be met is refused before anything is trained
    placeholder = torch.zeros(len(dataset.train_labels)) if late else None
    work.forget = forget_set(dataset, spec.forget, losses=placeholder)
    tracker.expect(_costs(work))
    start_key = _pretrained(work)
    keys = {"original": _original(work, start_key)}
    original = load_model(store, keys["original"])
    if late:
        losses = stored_scores(work, keys["original"], original)["train_loss"]
        work.forget = forget_set(dataset, spec.forget, losses=losses)
    forget = work.forget
    references = {f"reference-{k + 1}": key for k, key in enumerate(_references(work, start_key))}
    failed: dict[str, str] = {}
    for method in spec.methods:
        try:
            keys[method.label] = _unlearned(work, method, keys["original"], original)
        except Diverged as error:
            failed[method.label] = str(error)
    keys |= references
    models = {name: load_model(store, key) for name, key in keys.items()}
    tables = _verdicts(work, keys, models)
    with tracker.stage("Accuracies"):
        shares = {}
        for done, (name, model) in enumerate(models.items()):
            shares[name] = accuracies(stored_scores(work, keys[name], model), dataset, forget)
            tracker.step(done + 1, len(models))
    labels = {method.label: method for method in spec.methods}
    rows = []
    for name in [*keys, *failed]:
        row: dict[str, Any] = {"name": name, "role": _role(name), "key": keys.get(name)}
        if name in labels:
            row |= {"method": labels[name].key, "config": labels[name].config.to_dict()}
        if name in failed:
            row["failed"] = failed[name]
        else:
            row |= shares[name] | {"seconds": store.read_json(keys[name], "info.json")["seconds"]}
        rows.append(row)
    residual = []
    for (attack, _), key in tables.items():
        verdicts = load_verdicts(store, key)
        judged = [verdicts.source] if verdicts.source else [n for n in verdicts.models if _role(n) != "reference"]
        for name in judged:
            residual.append({"attack": attack, "method": name, "verdicts": key, "taus": summarise(verdicts, name)})
    return {
        "dataset": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "train": len(dataset.train_labels),
            "test": len(dataset.test_labels),
            "classes": list(dataset.classes),
            "source": dataset.source,
            "licence": dataset.licence,
        },
        "forget": json.loads(forget.to_json()),
        "models": rows,
        "residual": residual,
        "notes": _notes(work),
    }


def _role(name: str) -> str:
    """original, reference or unlearned."""
    return "reference" if name.startswith("reference-") else "original" if name == "original" else "unlearned"


def _notes(work: _Work) -> list[str]:
    notes = []
    if work.pretrain_on and work.spec.training().pretrain:
        notes.append(
            f"Original and Re-trains start from a model pre-trained on all of {work.pretrain_on}, as in the paper; "
            "that model has seen the forget set."
        )
    return notes


def _model_spec(work: _Work, dataset: Dataset, **more: Any) -> dict[str, Any]:
    return {"data": dataset.fingerprint, "model": work.spec.model, **more}


def _put_model(store: Store, key: str, spec: dict[str, Any], model: Classifier, dataset: Dataset, **info: Any):
    described = {
        "model": spec["model"],
        "input_shape": list(dataset.input_shape),
        "classes": len(dataset.classes),
        "versions": versions(),
        **info,
    }
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    files = {"model.safetensors": save_tensors(weights), "info.json": json.dumps(described).encode()}
    store.put(key, spec, files)


def _pretrained(work: _Work) -> str | None:
    """The model that Original and references start from, trained once per data set, architecture and seed."""
    config = work.spec.training().pretrain
    if not work.pretrain_on or config is None:
        return None
    dataset = load_dataset(work.pretrain_on, work.root)
    seed = derived_seed(work.spec.seed, "pretrained")
    spec = _model_spec(work, dataset, config=config.to_dict(), seed=seed)
    key = work.store.key("pretrained", spec)
    if work.store.has(key):
        work.tracker.found("Pre-training")
        return key
    with work.tracker.stage("Pre-training"):
        start = time.time()
        model = create_model(work.spec.model, dataset.input_shape, len(dataset.classes), seed=seed)
        images, labels = dataset.train_images.to(work.device), dataset.train_labels.to(work.device)
        fit(model, images, labels, config, seed=seed, on_step=work.tracker.step)
        correct = logits_of(model, dataset.test_images).argmax(1) == dataset.test_labels
        _put_model(
            work.store,
            key,
            spec,
            model,
            dataset,
            seconds=time.time() - start,
            test_accuracy=correct.float().mean().item(),
        )
    return key


def _start(work: _Work, start_key: str | None, seed: int) -> Classifier:
    """Fresh weights; where there is a pre-trained model, its weights under a fresh head."""
    model = create_model(work.spec.model, work.dataset.input_shape, len(work.dataset.classes), seed=seed)
    if start_key:
        weights = load_tensors(work.store.read(start_key, "model.safetensors"))
        own = model.state_dict()
        model.load_state_dict({n: own[n] if n.startswith("head.") else w for n, w in weights.items()})
    return model


def _original(work: _Work, start_key: str | None) -> str:
    config = work.spec.training().train
    seed = derived_seed(work.spec.seed, "original")
    spec = _model_spec(work, work.dataset, start=start_key, config=config.to_dict(), seed=seed)
    key = work.store.key("original", spec)
    if work.store.has(key):
        work.tracker.found("Original")
        return key
    with work.tracker.stage("Original"):
        start = time.time()
        images = work.dataset.train_images.to(work.device)
        labels = work.dataset.train_labels.to(work.device)
        model = fit(_start(work, start_key, seed), images, labels, config, seed=seed, on_step=work.tracker.step)
        _put_model(work.store, key, spec, model, work.dataset, seconds=time.time() - start)
    return key


def _references(work: _Work, start_key: str | None) -> list[str]:
    """K Re-trains, those not in the store trained together; each is stored as soon as it is finished."""
    assert work.forget is not None
    config = work.spec.training().reference
    digest = forget_digest(work.forget)
    seeds = [derived_seed(work.spec.seed, "reference", k) for k in range(work.spec.references)]
    specs = {
        seed: _model_spec(work, work.dataset, start=start_key, config=config.to_dict(), seed=seed, forget=digest)
        for seed in seeds
    }
    keys = {seed: work.store.key("reference", specs[seed]) for seed in seeds}
    missing = [seed for seed in seeds if not work.store.has(keys[seed])]
    if not missing:
        work.tracker.found("References")
    else:
        with work.tracker.stage("References"):
            start = time.time()
            retain = retain_indices(work.dataset, work.forget)
            images = work.dataset.train_images[retain].to(work.device)
            labels = work.dataset.train_labels[retain].to(work.device)
            build = partial(_start, work, start_key)
            for seed, model in fit_references(build, images, labels, config, seeds=missing, on_step=work.tracker.step):
                seconds = (time.time() - start) / len(missing)
                _put_model(work.store, keys[seed], specs[seed], model, work.dataset, seconds=seconds)
    return [keys[seed] for seed in seeds]


def forget_digest(forget: ForgetSet) -> str:
    """A short name for the set of indices, whatever rule chose them."""
    return hashlib.sha256(",".join(map(str, forget.indices)).encode()).hexdigest()[:16]


def _unlearned(work: _Work, method: MethodSpec, original_key: str, original: Classifier) -> str:
    assert work.forget is not None
    seed = derived_seed(work.spec.seed, "unlearn")
    spec = {
        "model": work.spec.model,
        "original": original_key,
        "forget": forget_digest(work.forget),
        "method": method.key,
        "config": method.config.to_dict(),
        "seed": seed,
    }
    key = work.store.key("unlearned", spec)
    if work.store.has(key):
        work.tracker.found(method.label)
        return key
    with work.tracker.stage(method.label):
        start = time.time()
        retain = retain_indices(work.dataset, work.forget)
        everything = Samples(work.dataset.train_images.to(work.device), work.dataset.train_labels.to(work.device))
        model = METHODS[method.key].run(
            place(original, everything.images),
            everything.take(retain.to(work.device)),
            everything.take(torch.tensor(work.forget.indices, device=work.device)),
            method.config,
            generator=torch.Generator(work.device).manual_seed(seed),
            on_step=work.tracker.step,
        )
        _put_model(work.store, key, spec, model, work.dataset, seconds=time.time() - start)
    return key


def _verdicts(work: _Work, keys: dict[str, str], models: dict[str, Classifier]) -> dict[tuple[str, str], str]:
    """Verdict tables, by (attack, attacked model); random draws need one table, attacks one per attacked model."""
    assert work.forget is not None
    references = [name for name in keys if _role(name) == "reference"]
    others = [name for name in keys if _role(name) != "reference"]
    index = torch.tensor(work.forget.indices)
    images, labels = work.dataset.train_images[index], work.dataset.train_labels[index]
    tables = {}
    for attack in work.spec.attacks:
        kind = ATTACKS[attack]
        for source in others if kind.uses_model else [""]:
            stage = f"Verdicts, {kind.title}" + (f" on {source}" if source else "")
            judges = [*dict.fromkeys(["original", source]), *references] if source else [*others, *references]
            spec: dict[str, Any] = {
                "data": work.dataset.fingerprint,
                "attack": attack,
                "source": source,
                "taus": list(work.spec.taus),
                "draws": work.spec.draws,
                "seed": derived_seed(work.spec.seed, "draws"),
                "forget": forget_digest(work.forget),
                "models": {name: keys[name] for name in judges},
            }
            key = tables[attack, source] = work.store.key("verdicts", spec)
            if work.store.has(key):
                work.tracker.found(stage)
                continue
            with work.tracker.stage(stage):
                counted = count_verdicts(
                    {name: models[name] for name in judges},
                    references,
                    images,
                    labels,
                    work.forget.indices,
                    attack=attack,
                    taus=work.spec.taus,
                    draws=work.spec.draws,
                    seed=spec["seed"],
                    classes=len(work.dataset.classes),
                    source=source,
                    device=work.device,
                    on_chunk=work.tracker.step,
                )
                work.store.put(key, spec, {"verdicts.safetensors": verdicts_to_bytes(counted)})
    return tables


def score(model: Classifier, dataset: Dataset, device: torch.device, tracker: Tracker) -> dict[str, Tensor]:
    """Loss and predicted class of every training and test sample, from one pass.

    Returns ``train_loss``, ``test_loss`` (float32, −log p(y|x)) and ``train_class``, ``test_class`` (int64).
    """
    place(model, dataset.train_images[:1].to(device))
    found = {}
    for split, images, labels in (
        ("train", dataset.train_images, dataset.train_labels),
        ("test", dataset.test_images, dataset.test_labels),
    ):
        logits = logits_of(model, images, on_chunk=lambda done, total: tracker.check())
        found[f"{split}_loss"] = F.cross_entropy(logits, labels, reduction="none")
        found[f"{split}_class"] = logits.argmax(1)
    return found


def stored_scores(work: _Work, model_key: str, model: Classifier) -> dict[str, Tensor]:
    """:func:`score` of a stored model, kept beside it."""
    spec = {"model": model_key, "data": work.dataset.fingerprint}
    key = work.store.key("scores", spec)
    if not work.store.has(key):
        found = score(model, work.dataset, work.device, work.tracker)
        work.store.put(key, spec, {"scores.safetensors": save_tensors(found)})
    return load_tensors(work.store.read(key, "scores.safetensors"))


def accuracies(found: dict[str, Tensor], dataset: Dataset, forget: ForgetSet) -> dict[str, float]:
    """Retain and test accuracy, and unlearn accuracy = 1 − accuracy on S_f, as the paper reports them."""
    right = (found["train_class"] == dataset.train_labels).double()
    index = torch.tensor(forget.indices)
    return {
        "retain_accuracy": right[retain_indices(dataset, forget)].mean().item(),
        "unlearn_accuracy": 1 - right[index].mean().item(),
        "test_accuracy": (found["test_class"] == dataset.test_labels).double().mean().item(),
    }
