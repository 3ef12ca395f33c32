"""What every method must do, whoever wrote it: the tests run these checks, and so does ``rurk check-methods``.

original     the Original is left as it is
repeatable   equal seeds give equal weights, whatever the global random state
result       the result is a model of the Original's shape, in eval mode, with finite weights
progress     ``on_step`` is told of steps up to the last one
cancel       an exception raised in ``on_step`` stops the method
nan          a NaN is an error that names the step, and never a model
settings     every preset is valid, and every setting and the method itself say what they are
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from ..config import Config
from ..data.recipes import TrainConfig
from ..errors import Cancelled
from ..models import Classifier, create_model
from ..training.fit import fit
from ..training.loop import Diverged
from .base import Method, Samples, method_config

SHORT = {"epochs": 2, "batch": 16, "forget_batch": 16, "copies": 2, "noise_steps": 3, "steps": 5, "k": 2}
"""Settings that make a method quick, where it has them."""


@dataclass(frozen=True)
class Setting:
    """A small trained network, and data split into whole classes to keep and to forget."""

    original: Classifier
    retain: Samples
    forget: Samples


def small_setting() -> Setting:
    """80 images of 8×8 pixels in four classes, the first of them to forget; a ResNet-9 of width 4."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(80) % 4
    images = torch.rand(80, 1, 8, 8, generator=generator) * 0.4 + labels[:, None, None, None] * 0.15
    gone = labels == 0
    config = TrainConfig(epochs=4, batch=16)
    original = fit(create_model("resnet9:4", (1, 8, 8), 4, seed=1), images, labels, config, seed=1)
    return Setting(original, Samples(images[~gone], labels[~gone]), Samples(images[gone], labels[gone]))


class Subject:
    """A method under test; it runs once, and once more to see whether it repeats."""

    def __init__(self, method: Method, setting: Setting):
        self.method, self.setting = method, setting

    @cached_property
    def config(self) -> Config:
        known = {field.name for field in self.method.config.settings()}
        short: dict[str, Any] = {name: value for name, value in SHORT.items() if name in known}
        return method_config(self.method, **short)

    def run(self, setting: Setting | None = None, on_step: Callable[[int, int, float], None] | None = None) -> Any:
        of = setting or self.setting
        generator = torch.Generator().manual_seed(5)
        return self.method.run(of.original, of.retain, of.forget, self.config, generator=generator, on_step=on_step)

    @cached_property
    def first(self) -> tuple[Any, list[tuple[int, int]], dict[str, Any], dict[str, Any]]:
        """(the model, the steps told, the Original before, the Original after)."""
        steps: list[tuple[int, int]] = []
        before = _state(self.setting.original)
        torch.manual_seed(1)
        model = self.run(on_step=lambda step, total, loss: steps.append((step, total)))
        return model, steps, before, _state(self.setting.original)


def _state(model: Classifier) -> dict[str, Any]:
    return {
        "weights": copy.deepcopy(model.state_dict()),
        "training": model.training,
        "requires_grad": [weight.requires_grad for weight in model.parameters()],
        "gradients": [weight.grad for weight in model.parameters() if weight.grad is not None],
    }


def original(subject: Subject) -> None:
    _, _, before, after = subject.first
    changed = [name for name, value in after["weights"].items() if not torch.equal(value, before["weights"][name])]
    assert not changed, f"it changes the Original ({changed[0]}); work on trainable_copy(original)"
    for what in ("training", "requires_grad", "gradients"):
        assert len(after["gradients"]) == 0 and after[what] == before[what], f"it changes the Original's {what}"


def repeatable(subject: Subject) -> None:
    first = subject.first[0].state_dict()
    torch.manual_seed(2)
    second = subject.run().state_dict()
    differ = [name for name in first if not torch.equal(first[name], second[name])]
    assert not differ, f"equal seeds give other weights ({differ[0]}); draw everything from the generator given"


def result(subject: Subject) -> None:
    model = subject.first[0]
    assert isinstance(model, Classifier), f"it returns {type(model).__name__}, not a model"
    assert not model.training, "the model it returns is not in eval mode"
    shapes = {name: value.shape for name, value in subject.setting.original.state_dict().items()}
    assert {name: v.shape for name, v in model.state_dict().items()} == shapes, "the model has another shape"
    assert all(torch.isfinite(value).all() for value in model.state_dict().values()), "a weight is not finite"


def progress(subject: Subject) -> None:
    steps = subject.first[1]
    assert steps, "it never calls on_step; call report(on_step, step, steps, loss, ...) after each step"
    assert steps[-1][0] == steps[-1][1], f"the last step it tells is {steps[-1][0]} of {steps[-1][1]}"


def cancel(subject: Subject) -> None:
    def stop(*_: Any) -> None:
        raise Cancelled("stop")

    try:
        subject.run(on_step=stop)
    except Cancelled:
        return
    raise AssertionError("it goes on when on_step raises Cancelled")


def nan(subject: Subject) -> None:
    of = subject.setting
    retain, forget = (
        Samples(torch.full_like(part.images[:], float("nan")), part.labels) for part in (of.retain, of.forget)
    )
    try:
        subject.run(Setting(of.original, retain, forget))
    except Diverged as error:
        assert "step" in str(error), f"its error does not name the step: {error}"
        return
    raise AssertionError("NaN images do not raise Diverged; call report(...) with the loss of each step")


def settings(subject: Subject) -> None:
    method = subject.method
    for preset in method.presets:
        method_config(method, preset)
    for field in method.config.settings():
        assert field.metadata.get("help"), f"the setting '{field.name}' has no help"
    passes = method.passes(subject.config, 60, 20, 4)
    assert 0 <= passes < math.inf, f"its passes are {passes}"
    for what in ("title", "needs", "source", "summary", "cost", "batch_norm"):
        assert getattr(method, what), f"it does not say its {what}"


CHECKS: dict[str, Callable[[Subject], None]] = {
    check.__name__: check for check in (original, repeatable, result, progress, cancel, nan, settings)
}
"""Name → function that raises where a method does not conform."""


def conform(method: Method, setting: Setting) -> dict[str, str]:
    """Check → what is wrong, for the checks that a method does not pass."""
    subject, problems = Subject(method, setting), {}
    for name, check in CHECKS.items():
        try:
            check(subject)
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            problems[name] = text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}"
    return problems
