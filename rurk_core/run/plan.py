"""The plan of a run: its stages, what each needs, and what it costs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..data import Dataset, ForgetSet, dataset_entry, load_dataset, needs_losses, with_validation
from ..perturb.copies import ATTACKS
from ..progress import Tracker
from ..store.store import Store
from ..training.shared import Share
from ..unlearning import METHODS
from .auto import DRAWS, TRIALS, is_auto, looked_at
from .code import code_of
from .spec import MethodSpec, Spec

PEERS = 200
"""Held-out samples of each forgotten class that all models judge too, at most."""
ALL_PEERS = 600
"""The same of all classes together, at least 40 of each."""
PEER_DRAWS = 20
"""Copies of a held-out sample at each radius, at most: their mean log-odds need no more."""
MODEL_KINDS = ("original", "unlearned", "reference", "audited")
"""Kinds of entries that hold a model to be judged."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One entry of the store that is to be made.

    Attributes:
        kind: kind of the entry, and name of its function in :data:`RUN`.
        name: what progress calls it; stages of one name are neighbours in a plan and may be run together.
        label: the model it makes or measures: "original", "reference-1", "member-1", a method's label; the
            attack of verdicts.
        inputs: plain JSON that decides its bytes; the digest of the code that makes them is put in ("code").
        needs: keys of the entries it reads.
        cost: expected work in forward passes of one sample (a training step counts three).
    """

    kind: str
    name: str
    label: str
    inputs: dict[str, Any]
    needs: tuple[str, ...] = ()
    cost: float = 0.0

    def __post_init__(self) -> None:
        if "code" not in self.inputs:
            code = code_of(self.kind, self.inputs.get("method", ""))
            object.__setattr__(self, "inputs", self.inputs | {"code": code})

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
    """The data to pre-train on, where the data set and the recipe ask for it; no epochs of it are no pre-training."""
    recipe = spec.training().pretrain
    wanted = dataset_entry(spec.dataset).pretrain_on if recipe and recipe.epochs else None
    return load_dataset(with_validation(wanted, 0), root) if wanted else None


def expected_seconds(stages: Iterable[Stage], speeds: Mapping[str, float]) -> float:
    """How long ``stages`` will take at ``speeds`` (:func:`speed_of`)."""
    return sum(stage.cost / speed_of(stage.work, speeds) for stage in stages)


def speed_of(work: str, speeds: Mapping[str, float]) -> float:
    """Forward passes of one sample a second, of a kind of work as in :attr:`Stage.work`.

    Args:
        speeds: of kinds of work ("unlearned rurk"), of what begins like them ("unlearned"), and "" of all others.
    """
    return next(speeds[name] for name in (work, work.split()[0], "") if name in speeds)


def plan(work: Work) -> list[Stage]:
    """All stages of a run, each behind those it needs; unlearning runs that failed are left out.

    Where the forget set is not known yet, the plan ends with the Original's scores, which decide it.
    """
    first = _first_stages(work)
    original = first[-1]
    if work.forget is None:
        return [*first, scores_stage(work, original)]
    recipe, digest = work.spec.training(), forget_digest(work.forget)
    n_r = len(work.dataset.train_labels) - len(work.forget.indices)
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
        _unlearned_stage(work, method, original, references)
        for method in work.spec.methods
        if method.label not in work.failed
    ]
    models = [original, *unlearned, *references]
    members = _members(work, start)
    scores = [scores_stage(work, stage) for stage in [*models, *members]]
    relearned = [_relearn_stage(work, stage, scores[0]) for stage in models[1:] if work.spec.relearn]
    verdicts = verdict_stages(work, [original, *unlearned], references)
    judged = [*verdicts, *peer_stages(work, models), *member_stages(work, members)]
    return [*first, *references, *unlearned, *members, *scores, *relearned, *judged]


def _unlearned_stage(work: Work, method: MethodSpec, original: Stage, references: Sequence[Stage]) -> Stage:
    """A run of a method; one that finds its strength is several runs, and reads the references."""
    assert work.forget is not None
    n_f, found = len(work.forget.indices), METHODS[method.key]
    n_r, classes = len(work.dataset.train_labels) - n_f, len(work.dataset.classes)
    inputs = {
        "model": work.spec.model,
        "original": original.key,
        "forget": forget_digest(work.forget),
        "method": method.key,
        "config": method.config.to_dict(),
        "seed": derived_seed(work.spec.seed, "unlearn"),
    }
    cost = found.cost_on(method.config, n_r, n_f, classes)
    if not is_auto(method.config):
        return Stage("unlearned", method.label, method.label, inputs, (original.key,), cost)
    judges = [stage.key for stage in references]
    random = next((attack for attack in work.spec.attacks if not ATTACKS[attack].uses_model), "gaussian")
    seen, seed = looked_at(work.spec.taus), derived_seed(work.spec.seed, "strength")
    inputs["search"] = {"references": judges, "attack": random, "taus": seen, "draws": DRAWS, "seed": seed}
    cost = TRIALS * cost + n_f * DRAWS * len(seen) * (TRIALS + len(references))
    return Stage("unlearned", f"{method.label}, its strength", method.label, inputs, (original.key, *judges), cost)


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
    return [*stages, _original(work, start, derived_seed(work.spec.seed, "original"))]


def _members(work: Work, start: str | None) -> list[Stage]:
    """Further Originals, with other seeds."""
    each = [_original(work, start, derived_seed(work.spec.seed, "member", k)) for k in range(work.spec.members)]
    return [replace(stage, name="Members", label=f"member-{k + 1}") for k, stage in enumerate(each)]


def _original(work: Work, start: str | None, seed: int) -> Stage:
    config = work.spec.training().train
    inputs = _model_inputs(work, work.dataset) | {"start": start, "config": config.to_dict(), "seed": seed}
    cost = 3.0 * len(work.dataset.train_labels) * config.epochs
    return Stage("original", "Original", "original", inputs, (start,) if start else (), cost)


def _precision(work: Work) -> dict[str, str]:
    """The arithmetic of unlearning and re-learning, where the experiment names one for its training."""
    found = work.spec.training().train.precision
    return {} if found == "auto" else {"precision": found}


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
    } | _precision(work)
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
                "margins": True,
            }
            name = f"Verdicts, {kind.title}" + (f" on {source.label}" if source else "")
            stages.append(Stage("verdicts", name, attack, inputs, tuple(s.key for s in judges), cost))
    return stages


def peer_stages(work: Work, models: Sequence[Stage]) -> list[Stage]:
    """What evidence needs beside the verdicts, one table an attack: the same models on held-out samples of the classes.

    Under an attack that is built on a model, every model is attacked in turn and judges its own copies, on the forget
    set as well: only so is an unlearned model one more draw of the experiment its references went through.
    """
    assert work.forget is not None
    stages, held = [], _held_out_ids(work)
    for attack in work.spec.attacks:
        kind = ATTACKS[attack]
        samples = [*(work.forget.indices if kind.uses_model else ()), *held]
        name = f"Verdicts, {kind.title} on {'each model' if kind.uses_model else 'held-out samples'}"
        if samples:
            draws = min(work.spec.draws, PEER_DRAWS)
            stages.append(_table_stage(work, "peers", name, attack, samples, draws, models))
    return stages


def member_stages(work: Work, members: Sequence[Stage]) -> list[Stage]:
    """What models that saw the samples say of them, in tables of their own, so that all others stay as they are.

    Two an attack: of the forget set and, where there are any, of held-out samples.
    """
    assert work.forget is not None
    stages, held = [], _held_out_ids(work)
    for attack in work.spec.attacks if members else ():
        few = min(work.spec.draws, PEER_DRAWS)
        draws = few if ATTACKS[attack].uses_model else work.spec.draws
        name = f"Verdicts, {ATTACKS[attack].title} of members"
        stages.append(_table_stage(work, "members", name, attack, list(work.forget.indices), draws, members))
        if held:
            stages.append(_table_stage(work, "members", name, attack, held, few, members))
    return stages


def _table_stage(
    work: Work, kind: str, name: str, attack: str, samples: list[int], draws: int, models: Sequence[Stage]
) -> Stage:
    """Verdicts of ``models`` on samples, those behind the training samples from the test set."""
    spec, own = work.spec, ATTACKS[attack].uses_model
    inputs = {
        "data": work.dataset.fingerprint,
        "attack": attack,
        "taus": list(spec.taus),
        "draws": draws,
        "seed": derived_seed(spec.seed, "draws"),
        "samples": samples,
        "models": {stage.label: stage.key for stage in models},
    }
    each = verdict_cost(attack, spec.taus, draws, len(work.dataset.classes), 1 if own else len(models))
    cost = len(samples) * each * (len(models) if own else 1)
    return Stage(kind, name, attack, inputs, tuple(stage.key for stage in models), cost)


def _held_out_ids(work: Work) -> list[int]:
    """Of :func:`held_out`, numbered behind the training samples."""
    assert work.forget is not None
    data = work.dataset
    held = held_out(data, data.train_labels[torch.tensor(work.forget.indices)])
    return (len(data.train_labels) + held).tolist()


def held_out(data: Dataset, labels: Tensor) -> Tensor:
    """Test indices of the classes of ``labels``, at most :data:`PEERS` of each; int64."""
    classes = labels.unique()
    each = min(PEERS, max(40, ALL_PEERS // len(classes)))
    return torch.cat([(data.test_labels == label).nonzero()[:, 0][:each] for label in classes])


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
