"""What an unlearning method is, and the registry that makes one appear in the app, the command line and the tests.

A method is a function ``(original, retain, forget, config, *, generator, on_step) -> model`` with a frozen
settings class. It never changes ``original`` and draws all its randomness from ``generator``.
"""

from __future__ import annotations

import copy
import inspect
import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ..config import Config
from ..data import Images, held, joined
from ..errors import Cancelled, RurkError, UsageError
from ..models import Classifier
from ..training.live import announce
from ..training.loop import Diverged, OnStep, epoch_batches

logger = logging.getLogger("rurk_core.unlearning")


class MethodFailed(RurkError):
    """An unlearning method could not finish; the others of a comparison go on."""


@dataclass(frozen=True)
class Samples:
    """Images (uint8 or float32, N×...) and labels (int64 N) on the device the method runs on.

    A batch is ``samples.images[index]``, or :meth:`batch` with its labels. Where there are more images than the device
    holds, they are :class:`~rurk_core.data.stream.Streamed`: ``images[index]`` is a tensor all the same, but read for
    this, so ask for batches, choose by :meth:`take` and put sets together by :meth:`join`.
    """

    images: Images
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels of a few samples."""
        return self.images[index], self.labels[index]

    def take(self, index: Tensor) -> Samples:
        """A choice of any size."""
        return Samples(held(self.images, index, self.labels.device), self.labels[index])

    @classmethod
    def join(cls, *parts: Samples) -> Samples:
        """One behind the other."""
        return cls(joined([part.images for part in parts]), torch.cat([part.labels for part in parts]))


class Unlearner(Protocol):
    """The contract of a method.

    One that also has the keyword ``validation: Samples | None = None`` is given the held-out samples of the data set,
    which no model trains on; others need not know of them.
    """

    def __call__(
        self,
        original: Classifier,
        retain: Samples,
        forget: Samples,
        config: Any,
        *,
        generator: torch.Generator,
        on_step: OnStep | None = None,
    ) -> Classifier: ...


Check = Callable[[Classifier, Samples, Samples, Any], str | None]

Passes = Callable[[Any, int, int, int], float]
"""(settings, |S_r|, |S_f|, classes) → forward passes of one sample; one forward and back is worth three."""


def epochs_of_retain(config: Any, n_r: int, n_f: int, classes: int) -> float:
    """Training steps on all of S_r, ``config.epochs`` times."""
    return 3.0 * n_r * getattr(config, "epochs", 1)


@dataclass(frozen=True)
class Method:
    """A registered method.

    Attributes:
        key, title: its name in commands and for people.
        run: the function itself.
        config: its settings class; defaults are the paper's where the paper has them.
        needs: the data it touches: ``"S_r"``, ``"S_f"`` or ``"S_r and S_f"``.
        source: paper and equation.
        summary: what it does, in one line.
        cost: what it takes, in one line.
        batch_norm: what it does to the running statistics of batch normalisation, in one line.
        presets: name in plain words → settings that differ from the defaults.
        check: ``(original, retain, forget, config) -> sentence`` that says, before anything is trained, why the
            method cannot run on these; None where it can.
        estimate: the same arguments → a sentence on the memory it will take, for methods that take much.
        passes: what a run will take, for plans made before it; by default epochs of S_r.
        origin: the file of a method that is not part of this package; digest: the hash of that file.
        validates: whether it takes held-out samples (:class:`Unlearner`).
        letters: one to three that stand for it in figures, by default the first of its title; place: its colour, shape
            and line for good, counted from 0, by default chosen by its name.
    """

    key: str
    title: str
    run: Unlearner
    config: type[Config]
    needs: str
    source: str
    summary: str
    batch_norm: str
    cost: str = ""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    check: Check | None = None
    estimate: Check | None = None
    passes: Passes = epochs_of_retain
    origin: str = ""
    digest: str = ""
    validates: bool = False
    letters: str = ""
    place: int | None = None

    def __call__(
        self,
        original: Classifier,
        retain: Samples,
        forget: Samples,
        config: Any,
        *,
        validation: Samples | None = None,
        generator: torch.Generator,
        on_step: OnStep | None = None,
    ) -> Classifier:
        """Run it, with the held-out samples where it takes them."""
        more: dict[str, Any] = {"validation": validation} if self.validates else {}
        return self.run(original, retain, forget, config, generator=generator, on_step=on_step, **more)

    def cost_on(self, config: Any, n_r: int, n_f: int, classes: int) -> float:
        """``passes``, and where that fails or is no number, as it may in a method of the user's own, epochs of S_r."""
        try:
            found = float(self.passes(config, n_r, n_f, classes))
        except Exception as error:
            logger.info("%s does not say its passes", self.key, exc_info=error)
            found = math.nan
        return found if 0 <= found < math.inf else epochs_of_retain(config, n_r, n_f, classes)


METHODS: dict[str, Method] = {}


def register(**about: Any) -> Callable[[Unlearner], Unlearner]:
    """Decorator that puts a function into :data:`METHODS` under its own name.

    Args:
        about: attributes of :class:`Method`, all but ``key``, ``run``, ``validates``, ``origin`` and ``digest``.

    Raises:
        UsageError: the name is taken by another method, or is not lower-case letters, digits and underscores.
    """

    def add(run: Unlearner) -> Unlearner:
        key = run.__name__  # type: ignore[attr-defined]
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", key):
            raise UsageError(f"A method's name is made of lower-case letters, digits and underscores, not '{key}'.")
        if key in METHODS:
            raise UsageError(f"The name '{key}' is taken by another method.")
        presets = {"default": {}, **about.get("presets", {})}
        validates = "validation" in inspect.signature(run).parameters
        METHODS[key] = Method(**about | {"key": key, "run": run, "presets": presets, "validates": validates})
        return run

    return add


def find_method(key: str) -> Method:
    """The method called ``key``.

    Raises:
        UsageError: there is none.
    """
    if key not in METHODS:
        raise UsageError(f"There is no method '{key}'; choose one of {', '.join(METHODS)}.")
    return METHODS[key]


def method_config(method: Method, preset: str = "default", **settings: Any) -> Config:
    """The settings of a preset, with ``settings`` on top.

    Raises:
        UsageError: no such preset or setting, or a value out of range.
    """
    return method.config.from_dict({**method.presets[find_preset(method.presets, preset, method.key)], **settings})


def find_preset(presets: Mapping[str, Any], name: str, method: str) -> str:
    """The preset called ``name``, which may be written without capitals and with hyphens: "paper-cifar-10".

    Raises:
        UsageError: there is none.
    """
    by_slug = {slug(preset): preset for preset in presets}
    if slug(name) not in by_slug:
        raise UsageError(f"The method '{method}' has no preset '{name}'; choose one of {'; '.join(presets)}.")
    return name if name in presets else by_slug[slug(name)]


def slug(name: str) -> str:
    """
    >>> slug("paper, CIFAR-10 class")
    'paper-cifar-10-class'
    """
    return re.sub(r"[^\w]+|_", "-", name.lower()).strip("-")


def unlearn(
    method: Method,
    original: Classifier,
    retain: Samples,
    forget: Samples,
    config: Config,
    *,
    validation: Samples | None = None,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> tuple[Classifier, list[str]]:
    """Run a method and see that what it returns is a model of the Original's shape with finite weights.

    Args:
        validation: held-out samples of the data set, for methods that take them.

    Returns:
        The model in eval mode, and what the method had to say (its warnings: why it stopped, what it clipped).

    Raises:
        Diverged: a loss or a weight is NaN or infinite.
        MethodFailed: anything else went wrong in the method; the sentence names it.
        Cancelled: raised by ``on_step``.
    """
    with _warnings() as notes:
        try:
            model = method(
                original, retain, forget, config, validation=validation, generator=generator, on_step=on_step
            )
        except (Cancelled, Diverged):
            raise
        except RurkError as error:
            raise MethodFailed(str(error)) from error
        except Exception as error:
            logger.info("%s failed", method.key, exc_info=error)
            text = " ".join(str(error).split())[:300]
            raise MethodFailed(f"{method.title} stopped on an error, {type(error).__name__}: {text}") from error
    if not isinstance(model, Classifier):
        raise MethodFailed(f"{method.title} returned {type(model).__name__}, not a model.")
    wanted, found = original.state_dict(), model.state_dict()
    if {n: v.shape for n, v in wanted.items()} != {n: v.shape for n, v in found.items()}:
        raise MethodFailed(f"{method.title} returned a model of another shape than the Original's.")
    if not torch.stack([torch.isfinite(value).all() for value in found.values()]).all():
        raise Diverged(f"{method.title} ended with weights that are NaN or infinite; lower its learning rate.")
    return model.eval(), notes


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """The warnings that methods log meanwhile."""
    found: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler = Collect(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def trainable_copy(original: Classifier) -> Classifier:
    """A copy of ``original`` whose weights may be trained; the original is left as it is."""
    clone = copy.deepcopy(original).requires_grad_(True)
    announce(clone)
    return clone


def cycle_batches(samples: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of ``range(samples)`` without end, in a new random order every time round.

    Not ``itertools.cycle``, which would repeat the grouping of the first round for ever.
    """
    while True:
        yield from epoch_batches(samples, batch, generator)
