"""The stages of an experiment: what each needs, what it costs, and how it is run.

    Original → forget set → Re-train ×K → unlearn (methods) → scores, re-learning (models) → verdicts (attacks)

A stage makes one entry of the store, named by the hash of all that decides its bytes (data fingerprint,
architecture, settings, seed, forget set, keys of the stages it needs). So a run picks up where it stopped, two
experiments share what they have in common, and any process that can read the data and the store can run a stage.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from . import __version__
from .data import DATASETS, Dataset, ForgetSet, forget_set, held, load_dataset, needs_losses, retain_indices
from .errors import UsageError
from .exported import EXPORTED, Exported
from .metrics import RELEARN_FACTOR, accuracies, mia_accuracy, peak_memory, relearn
from .models import Classifier, create_model
from .perturbations import ATTACKS
from .progress import Tracker
from .residual import Verdicts
from .scores import score
from .spec import Spec
from .store import Store, load_tensors, save_tensors
from .together import Share
from .training import fit, fit_references, logits_of, place
from .unlearning import METHODS, Samples, unlearn
from .verdicts import count_verdicts, verdicts_from_bytes, verdicts_to_bytes
from .watching import Watch, watching

logger = logging.getLogger(__name__)

MODEL_KINDS = ("original", "unlearned", "reference", "audited")
"""Kinds of entries that hold a model to be judged."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One entry of the store that is to be made.

    Attributes:
        kind: kind of the entry, and name of its function in :data:`RUN`.
        name: what progress calls it; stages of one name are neighbours in a plan and may be run together.
        label: the model it makes or measures: "original", "reference-1", a method's label; the attack of verdicts.
        inputs: plain JSON that decides its bytes.
        needs: keys of the entries it reads.
        cost: expected work in forward passes of one sample (a training step counts three).
    """

    kind: str
    name: str
    label: str
    inputs: dict[str, Any]
    needs: tuple[str, ...] = ()
    cost: float = 0.0

    @cached_property
    def key(self) -> str:
        return Store.key(self.kind, self.inputs)

    @property
    def work(self) -> str:
        """What has a speed of its own: the kind, and of methods and attacks which: "unlearned rurk"."""
        which = self.inputs["method"] if self.kind == "unlearned" else self.inputs.get("attack", "")
        return f"{self.kind} {which}".strip()


@dataclass
class Work:
    """What the stages of one run share.

    Attributes:
        start_data: the data of the model that the Original and the Re-trains start from, if there is one.
        forget: None as long as the rule waits for the Original's losses.
        failed: labels of unlearning runs that cannot be made or did not end well, with the sentence that says why.
        passes: forward passes of the stages that were missing, by their names; speeds: how fast they should go.
        devices: where there are several, an engine may use all of them; ``device`` is the first.
        share: the part of this process in training, where several train one model together.
    """

    spec: Spec
    store: Store
    dataset: Dataset
    start_data: Dataset | None
    device: torch.device
    tracker: Tracker = field(default_factory=Tracker)
    root: str | None = None
    forget: ForgetSet | None = None
    failed: dict[str, str] = field(default_factory=dict)
    passes: dict[str, float] = field(default_factory=dict)
    speeds: Mapping[str, float] = field(default_factory=lambda: {"": 1.0})
    devices: tuple[torch.device, ...] = ()
    share: Share | None = None


def start_data(spec: Spec, root: str | None) -> Dataset | None:
    """The data to pre-train on, where the data set and the recipe ask for it."""
    entry = DATASETS.get(spec.dataset)
    wanted = entry.pretrain_on if entry and spec.training().pretrain else None
    return load_dataset(wanted, root) if wanted else None


def expected_seconds(stages: Iterable[Stage], speeds: Mapping[str, float]) -> float:
    """How long ``stages`` will take at ``speeds`` (:func:`speed_of`)."""
    return sum(stage.cost / speed_of(stage.work, speeds) for stage in stages)


def speed_of(work: str, speeds: Mapping[str, float]) -> float:
    """Forward passes of one sample a second, of a kind of work as in :attr:`Stage.work`.

    Args:
        speeds: of kinds of work ("unlearned rurk"), of what begins like them ("unlearned"), and "" of all others.
    """
    return next(speeds[name] for name in (work, work.split()[0], "") if name in speeds)


# --- the plan -----------------------------------------------------------------------------------------------


def plan(work: Work) -> list[Stage]:
    """All stages of a run, each behind those it needs; unlearning runs that failed are left out.

    Where the forget set is not known yet, the plan ends with the Original's scores, which decide it.
    """
    first = _first_stages(work)
    original = first[-1]
    if work.forget is None:
        return [*first, scores_stage(work, original)]
    recipe, digest = work.spec.training(), forget_digest(work.forget)
    n_f, classes = len(work.forget.indices), len(work.dataset.classes)
    n_r = len(work.dataset.train_labels) - n_f
    start = first[0].key if len(first) > 1 else None
    references = [
        Stage(
            "reference",
            "References",
            f"reference-{k + 1}",
            _model_inputs(work, work.dataset)
            | {
                "start": start,
                "config": recipe.reference.to_dict(),
                "seed": derived_seed(work.spec.seed, "reference", k),
                "forget": digest,
            },
            (start,) if start else (),
            3.0 * n_r * recipe.reference.epochs,
        )
        for k in range(work.spec.references)
    ]
    unlearned = [
        Stage(
            "unlearned",
            method.label,
            method.label,
            {
                "model": work.spec.model,
                "original": original.key,
                "forget": digest,
                "method": method.key,
                "config": method.config.to_dict(),
                "seed": derived_seed(work.spec.seed, "unlearn"),
            }
            | ({"code": METHODS[method.key].digest} if METHODS[method.key].digest else {}),
            (original.key,),
            METHODS[method.key].cost_on(method.config, n_r, n_f, classes),
        )
        for method in work.spec.methods
        if method.label not in work.failed
    ]
    models = [original, *unlearned, *references]
    scores = [scores_stage(work, stage) for stage in models]
    relearned = [_relearn_stage(work, stage, scores[0]) for stage in models[1:] if work.spec.relearn]
    verdicts = verdict_stages(work, [original, *unlearned], references)
    return [*first, *references, *unlearned, *scores, *relearned, *verdicts]


def _first_stages(work: Work) -> list[Stage]:
    """The Original, behind the model it starts from where there is one."""
    recipe, stages = work.spec.training(), []
    start = None
    if work.start_data is not None:
        assert recipe.pretrain is not None
        inputs = _model_inputs(work, work.start_data) | {
            "config": recipe.pretrain.to_dict(),
            "seed": derived_seed(work.spec.seed, "pretrained"),
        }
        cost = 3.0 * len(work.start_data.train_labels) * recipe.pretrain.epochs
        stages.append(Stage("pretrained", "Pre-training", "pretrained", inputs, (), cost))
        start = stages[0].key
    inputs = _model_inputs(work, work.dataset) | {
        "start": start,
        "config": recipe.train.to_dict(),
        "seed": derived_seed(work.spec.seed, "original"),
    }
    cost = 3.0 * len(work.dataset.train_labels) * recipe.train.epochs
    return [*stages, Stage("original", "Original", "original", inputs, (start,) if start else (), cost)]


def scores_stage(work: Work, model: Stage) -> Stage:
    """Loss and class of every sample under a model; by those of the Original some rules choose the forget set."""
    samples = len(work.dataset.train_labels) + len(work.dataset.test_labels)
    inputs = {"model": model.key, "data": work.dataset.fingerprint}
    if needs_losses(work.spec.forget) and model.label == "original":
        inputs["rule"] = work.spec.forget
    elif work.forget is not None:
        inputs["forget"] = forget_digest(work.forget)
    return Stage("scores", "Accuracies", model.label, inputs, (model.key,), samples)


def _relearn_stage(work: Work, model: Stage, target: Stage) -> Stage:
    """How fast a model learns the forget set again; ``target``, the Original's scores, says what "again" is."""
    assert work.forget is not None
    inputs = {
        "model": model.key,
        "target": target.key,
        "limit": work.spec.relearn,
        "seed": derived_seed(work.spec.seed, "relearn"),
    }
    # half of the limit is a guess: models that recognise the forget set are done at once
    cost = 2.0 * len(work.forget.indices) * work.spec.relearn
    return Stage("relearned", "Re-learning", model.label, inputs, (model.key, target.key), cost)


def verdict_stages(work: Work, judged: list[Stage], references: list[Stage]) -> list[Stage]:
    """Random draws need one table for all models, attacks one per attacked model."""
    assert work.forget is not None
    spec, stages, classes = work.spec, [], len(work.dataset.classes)
    for attack in spec.attacks:
        kind = ATTACKS[attack]
        for source in judged if kind.uses_model else [None]:
            judges = [*dict.fromkeys([judged[0], source]), *references] if source else [*judged, *references]
            cost = len(work.forget.indices) * verdict_cost(attack, spec.taus, spec.draws, classes, len(judges))
            inputs = {
                "data": work.dataset.fingerprint,
                "attack": attack,
                "source": source.label if source else "",
                "taus": list(spec.taus),
                "draws": spec.draws,
                "seed": derived_seed(spec.seed, "draws"),
                "forget": forget_digest(work.forget),
                "models": {stage.label: stage.key for stage in judges},
            }
            name = f"Verdicts, {kind.title}" + (f" on {source.label}" if source else "")
            stages.append(Stage("verdicts", name, attack, inputs, tuple(s.key for s in judges), cost))
    return stages


def verdict_cost(attack: str, taus: Sequence[float], draws: int, classes: int, judges: int) -> float:
    """Forward passes that the verdicts on one sample take."""
    # at radius 0 every copy is the sample itself, judged once
    copies, kind = sum(draws if tau else 1 for tau in taus), ATTACKS[attack]
    if not kind.uses_model:
        return float(copies * judges)
    share = min(1.0, classes / draws) if kind.ray else 1.0
    return copies * share * (judges + 1 + (0 if kind.ray else 30))


def _model_inputs(work: Work, dataset: Dataset) -> dict[str, Any]:
    return {"data": dataset.fingerprint, "model": work.spec.model}


def derived_seed(seed: int, *names: str | int) -> int:
    """A seed for one purpose, so that experiments with neighbouring seeds share no stream."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) >> 1


def forget_digest(forget: ForgetSet) -> str:
    """A short name for the set of indices, whatever rule chose them."""
    return hashlib.sha256(",".join(map(str, forget.indices)).encode()).hexdigest()[:16]


# --- running them -------------------------------------------------------------------------------------------


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
    for seed, model in trained:
        _put_model(work, by_seed[seed], model, work.dataset, (time.perf_counter() - started) / len(stages))


def _unlearn(work: Work, stage: Stage) -> None:
    assert work.forget is not None
    method = next(method for method in work.spec.methods if method.label == stage.label)
    retain, forget = split_samples(work)
    original = place(load_model(work.store, stage.inputs["original"]), retain.images)
    watch = _watch(work, {"retain_accuracy": retain, "forget_accuracy": forget})
    started = time.perf_counter()
    with peak_memory(work.device) as peak, watching(watch):
        model, notes = unlearn(
            METHODS[method.key],
            original,
            retain,
            forget,
            method.config,
            generator=torch.Generator(work.device).manual_seed(stage.inputs["seed"]),
            on_step=watch,
        )
    seconds = time.perf_counter() - started
    _put_model(work, stage, model, work.dataset, seconds, peak_memory_mb=peak.megabytes, notes=notes)


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


# --- reading what they made ---------------------------------------------------------------------------------


def load_model(store: Store, key: str) -> Classifier:
    """The model of a finished stage, on the CPU, in eval mode."""
    info, weights = store.read_json(key, "info.json"), load_tensors(store.read(key, "model.safetensors"))
    if info["model"] == EXPORTED:
        program = store.read_json(key, "program.json")
        return Exported(program, [weights[f"weight_{i}"] for i in range(len(weights))]).eval()
    return load_weights(create_model(info["model"], tuple(info["input_shape"]), info["classes"]), weights, key)


def load_verdicts(store: Store, key: str) -> Verdicts:
    """The verdict counts of a finished stage."""
    return verdicts_from_bytes(store.read(key, "verdicts.safetensors"))


def stored_scores(store: Store, key: str) -> dict[str, Tensor]:
    """:func:`~rurk_core.scores.score` of a model, from its finished stage (``row["scores"]`` of a result)."""
    return load_tensors(store.read(key, "scores.safetensors"))


def stored_features(store: Store, key: str) -> dict[str, Tensor]:
    """The inputs of the head for the samples of maps, from the same pass; see :func:`~rurk_core.scores.score`.

    Raises:
        RurkError: the entry has none: the experiment that came with the app is stored without them.
    """
    return load_tensors(store.read(key, "features.safetensors"))


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


def role_of(name: str) -> str:
    """original, reference or unlearned."""
    return "reference" if name.startswith("reference-") else "original" if name == "original" else "unlearned"


def versions() -> dict[str, str]:
    """What made a result: this project, Python and torch."""
    return {"rurk": __version__, "python": platform.python_version(), "torch": torch.__version__}
