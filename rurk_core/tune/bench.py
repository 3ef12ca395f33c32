"""Original, references and samples of a tuning, made once for all trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import Config
from ..data import Dataset
from ..device import logits_of, place
from ..errors import UsageError
from ..measure.residual import Ints, reference_band
from ..measure.verdicts import count_verdicts
from ..models import Classifier
from ..progress import Tracker
from ..run.engines import find_engine
from ..run.experiment import finish_stages
from ..run.plan import Work, derived_seed, start_data
from ..run.spec import Spec
from ..run.stages import refusals, split_samples, validation_samples
from ..run.stored import load_model
from ..store.store import Store
from ..training.loop import Diverged
from ..unlearning import METHODS, Method, MethodFailed, Samples, unlearn
from .aims import band_distance, halves, plain


def make_bench(
    spec: Spec, store: Store, dataset: Dataset, devices: Sequence[torch.device], tracker: Tracker, root: str | None
) -> Bench:
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
    return Bench(work, METHODS[run.key], run.config, spec.attacks[0], models)


class Bench:
    """Unlearns with given settings and measures: what stays the same from trial to trial is measured once."""

    def __init__(self, work: Work, method: Method, base: Config, attack: str, models: Mapping[str, Classifier]):
        assert work.forget is not None
        self.work, self.method, self.base, self.attack = work, method, base, attack
        self.retain, self.forget = split_samples(work)
        self.original = place(models["original"], self.retain.images)
        self.original.precision = work.spec.training().train.precision
        self.references = {name: model for name, model in models.items() if name != "original"}
        self.validation, self.judging = halves(work.forget, derived_seed(work.spec.seed, "halves"))
        self.test = Samples(work.dataset.test_images, work.dataset.test_labels)
        self.held_out = validation_samples(work)
        each = list(self.references.values())
        self.reference_retain = float(np.mean([_accuracy(model, self.retain) for model in each]))
        self.reference_test = float(np.mean([_accuracy(model, self.test) for model in each]))
        apart = self.held_out
        self.reference_held_out = float(np.mean([_accuracy(model, apart) for model in each])) if apart else 0.0
        self.known = {half: self._recognised(self.references, half) for half in (self.validation, self.judging)}

    def band_list(self) -> list[list[float | None]]:
        """[lowest, highest] ratio between references at every τ, on the validation half."""
        low, high = reference_band(self.known[self.validation])
        return [[plain(a), plain(b)] for a, b in zip(low, high, strict=True)]

    def selected_on(self) -> str:
        """What the choice rests on, in words."""
        if self.held_out is None:
            return "the forget set's first half and retained accuracy alone, as nothing is held out of the data set"
        count = len(self.held_out)
        return f"the forget set's first half, retained accuracy and {count} samples held out for validation"

    def attempt(self, settings: Mapping[str, Any], report: Callable[[float], None]) -> Classifier:
        seed = derived_seed(self.work.spec.seed, "unlearn")
        model, _ = unlearn(
            self.method,
            self.original,
            self.retain,
            self.forget,
            dataclasses.replace(self.base, **settings),
            validation=validation_samples(self.work),
            generator=torch.Generator(self.work.device).manual_seed(seed),
            on_step=lambda step, steps, loss: report(step / max(1, steps)),
        )
        return model

    def measure(self, model: Classifier, half: tuple[int, ...]) -> dict[str, Any]:
        """Both aims and what they are made of, on one half of the forget set."""
        u, v = self._recognised({"m": model}, half)[0], self.known[half]
        retain, test = _accuracy(model, self.retain), _accuracy(model, self.test)
        mean = v.mean(0).sum(0)
        ratios = [plain(a / b) if b else None for a, b in zip(u.sum(0), mean, strict=True)]
        loss = max(0.0, self.reference_retain - retain)
        if self.held_out:  # and never the test set
            loss += max(0.0, self.reference_held_out - _accuracy(model, self.held_out))
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


def _accuracy(model: Classifier, samples: Samples) -> float:
    said: Tensor = logits_of(place(model, samples.images[:1]), samples.images).argmax(1)
    return (said == samples.labels.cpu()).float().mean().item()
