"""What the stage of a sample is made of: its copies, what models say of them, and planes through it.

Everything is a function of the run, the sample, a radius and a model alone, and kept for those who ask again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..arrays import Floats
from ..data import Dataset, to_pixels
from ..device import logits_of
from ..errors import UsageError
from ..evidence.findings import Findings
from ..evidence.words import sample_sentences
from ..measure.judged import drawn
from ..measure.residual import Verdicts, telling_radius
from ..measure.verdicts import log_odds
from ..perturb.copies import ATTACKS, find_attack
from ..perturb.planes import Plane, adversarial_direction, plane, random_direction
from ..run.stored import load_verdicts
from ..store.store import Store

SHOWN = 100
"""Copies on a stage, at most; of a run with more draws the first are."""
REACH = 1.3
"""How far a plane goes, in distances of the farthest copies."""
ROOM = 32_000_000
"""Bytes of copies, of answers, and of fields that are kept, each."""
CUTS = {"adversarial": "adversarial × random", "copies": "what tells the copies apart", "samples": "two other samples"}
"""The planes there are; ``adversarial:2`` has another random direction, ``samples:3:8`` goes through those two."""

T = TypeVar("T")


class Once:
    """Results by key, the last ``size`` of them and no more than ``room`` bytes of arrays, but always the last one.

    Who asks for one that is being made waits for it.
    """

    def __init__(self, size: int, room: float = float("inf")) -> None:
        self._size, self._room, self._lock = size, room, threading.Lock()
        self._kept: OrderedDict[Hashable, Future] = OrderedDict()
        self._bytes: dict[Hashable, int] = {}

    def __call__(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            mine = key not in self._kept
            found = self._kept.setdefault(key, Future())
            self._kept.move_to_end(key)
        if mine:
            try:
                made = make()
            except BaseException as error:
                with self._lock:
                    self._kept.pop(key, None)
                found.set_exception(error)
            else:
                found.set_result(made)
                self._make_room(key, int(getattr(made, "nbytes", 0)))
        return found.result()

    def _make_room(self, key: Hashable, size: int) -> None:
        with self._lock:
            self._bytes[key] = size
            while len(self._kept) > 1 and (len(self._kept) > self._size or sum(self._bytes.values()) > self._room):
                self._bytes.pop(self._kept.popitem(last=False)[0], None)


@dataclass(frozen=True)
class Scene:
    """A run under an attack with one model in question: what stages are made of. Safe to be asked from several threads.

    Attributes:
        like: verdicts whose radii, draws, seed and models are taken; of the attack itself where it was measured.
        measured: whether it was; found: what is said of the samples then, or None.
        model: name → classifier on the CPU, frozen; asked for once and again, and so should keep them.
        own: where the samples are pictures of somebody's own, the model by which their classes go.
    """

    result: dict[str, Any]
    data: Dataset
    method: str
    attack: str
    like: Verdicts
    measured: bool
    found: Findings | None
    model: Callable[[str], nn.Module]
    own: str = ""
    _moved: Once = field(default_factory=lambda: Once(48, ROOM), repr=False)
    _answers: Once = field(default_factory=lambda: Once(6000, ROOM), repr=False)
    _planes: Once = field(default_factory=lambda: Once(24), repr=False)
    fields: Once = field(default_factory=lambda: Once(400, ROOM), repr=False)

    # --- what it is about ---------------------------------------------------------------------------------------

    @property
    def references(self) -> tuple[str, ...]:
        return tuple(name for name in self.like.references if name != self.method)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that always judge: the Original, the model in question, the re-trained ones."""
        first = [name for name in ("original", self.method) if name in self.names]
        return tuple(dict.fromkeys([*first, *self.references]))

    @property
    def names(self) -> list[str]:
        """Names of all models of the run that there are."""
        return [row["name"] for row in self.result["models"] if row.get("key")]

    @property
    def taus(self) -> list[float]:
        return [float(tau) for tau in self.like.taus]

    @property
    def copies_each(self) -> int:
        return min(self.like.draws, SHOWN)

    def judge(self, name: str) -> nn.Module:
        """A model of the run, frozen.

        Raises:
            UsageError: the run has none of that name.
        """
        if name not in self.names:
            raise UsageError(f"The run has no model '{name}'.")
        return self.model(name)

    def pixels(self, sample: int) -> Tensor:
        """The sample, float32 in [0, 1]; raises UsageError where there is none."""
        self.label(sample)
        return to_pixels(self.data.train_images[[sample]])[0]

    def label(self, sample: int) -> int:
        """The class of a training sample; raises UsageError where there is none."""
        if not 0 <= sample < len(self.data.train_labels):
            raise UsageError(f"There is no training sample {sample}; they are 0 to {len(self.data.train_labels) - 1}.")
        return int(self.data.train_labels[sample])

    def place(self, sample: int) -> int | None:
        """The sample's row in ``like``, where that counted its copies."""
        if self.own:
            return None
        at = np.flatnonzero(self.like.samples == sample)
        return int(at[0]) if len(at) else None

    def telling(self, sample: int) -> int:
        """Which radius to look at first: where the model and the re-trained ones differ most, if that is known."""
        place = self.place(sample)
        if place is None or self.method not in self.like.models:
            return len(self.taus) // 2
        return self.taus.index(telling_radius(self.like, self.method, place))

    def said(self, sample: int) -> list[str]:
        """The finding as a sentence, and sentences on what it rests on; or why there is no finding."""
        if self.own:
            own = self.label(sample)
            chance, title = float(self._beliefs(sample, self.own)[own]), self.data.classes[own]
            taker = "the Original" if self.own == "original" else "the model in question"
            return [
                f"Your picture: {taker} takes it for “{title}” ({chance:.0%}). No model was trained on it, so there is "
                "nothing to find; a copy counts as recognised where a model says that too."
            ]
        if sample not in self.result["forget"]["indices"]:
            return ["This sample stays, and the re-trained models saw it; findings are made of samples to forget."]
        if self.found is None:
            return ["This perturbation was measured of this sample only; a finding needs the whole forget set."]
        return sample_sentences(next(one for one in self.found.samples if one.sample == sample), self.found)

    def ordered(self, sample: int) -> list[int]:
        """All classes: the sample's own, then those its copies are taken for most."""
        own, place = self.label(sample), self.place(sample)
        if self.own:
            counts = np.sum([self._beliefs(sample, name) for name in self.models], axis=0)
        else:
            counts = np.zeros(len(self.data.classes)) if place is None else self.like.counts[:, place].sum((0, 1))
        return [own, *(int(c) for c in np.argsort(-counts, kind="stable") if c != own)]

    def _beliefs(self, sample: int, name: str) -> Floats:
        """What a model believes of the sample itself: probabilities, float32 [C]."""
        return logits_of(self.judge(name), self.pixels(sample)[None]).softmax(1)[0].numpy()

    # --- copies and what is said of them ------------------------------------------------------------------------

    def _question(self, sample: int) -> Verdicts:
        """The settings of the copies of one sample, as a table without answers."""
        m, t, c = len(self.models), len(self.taus), len(self.data.classes)
        return replace(
            self.like,
            attack=self.attack,
            source=self.method if find_attack(self.attack).uses_model else "",
            draws=self.copies_each,
            samples=np.array([sample]),
            labels=np.array([self.label(sample)]),
            models=self.models,
            references=self.references,
            counts=np.zeros((m, 1, t, c), np.int32),
            agreement=np.zeros((m, len(self.references), 1, t), np.int32),
            margins=np.zeros((m, 1, t), np.float32),
        )

    def moved(self, sample: int, at: int) -> Tensor:
        """The copies at one radius: float32 [n, ...]."""

        def make() -> Tensor:
            about = self._question(sample)
            source = self.judge(about.source) if about.source else None
            return drawn(about, self.data.train_images[sample], 0, self.taus[at], source, len(self.data.classes))

        return self._moved((sample, at), make)

    def logits(self, sample: int, at: int, name: str) -> Floats:
        """What a model says of the copies at one radius: float32 [n, C]."""

        def make() -> Floats:
            return logits_of(self.judge(name), self.moved(sample, at)).numpy()

        return self._answers((sample, at, name), make)

    def table(self, sample: int) -> Verdicts:
        """Counts and margins of one sample at all radii, as a run has them of all; see :attr:`copies_each`."""
        found = self._question(sample)
        own = torch.tensor(found.labels)
        for t in range(len(self.taus)):
            taken = []
            for m, name in enumerate(self.models):
                logits = self.logits(sample, t, name)
                taken.append(logits.argmax(1))
                found.counts[m, 0, t] = np.bincount(taken[m], minlength=logits.shape[1])
                found.margins[m, 0, t] = log_odds(torch.from_numpy(logits), own.expand(len(logits))).mean()  # type: ignore[index]
            for k, name in enumerate(self.references):
                found.agreement[:, k, 0, t] = [(row == taken[self.models.index(name)]).sum() for row in taken]
        return found

    # --- planes ---------------------------------------------------------------------------------------------------

    def cut(self, sample: int, text: str) -> tuple[Plane, float, dict[str, Any]]:
        """(plane through the sample, how far it goes on either side, what to write on it).

        Raises:
            UsageError: no such plane, or no such samples.
        """
        return self._planes((sample, text), lambda: self._cut(sample, text))

    def _cut(self, sample: int, text: str) -> tuple[Plane, float, dict[str, Any]]:
        kind, *rest = text.split(":")
        if kind not in CUTS or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in rest):
            raise UsageError(f"There is no plane '{text}'; choose one of {', '.join(CUTS)}.")
        x, numbers = self.pixels(sample), [int(part) for part in rest]
        if kind == "samples":
            return self._through(sample, numbers or self._others(sample))
        if kind == "copies":
            (across, right), (up, above) = self._telling_apart(sample)
            return plane(x, across, up), self._extent(sample), {"across": right, "up": above, "marks": []}
        turn = numbers[0] if numbers else 0
        across, words = adversarial_direction(self.judge(self.method), x, self.label(sample)), ("adversarial", "random")
        if not across.any():  # so certain a model has no gradient
            across, words = random_direction(x.shape, turn + 1, sample), ("random", "random")
        axes = {"across": f"{words[0]} direction", "up": f"{words[1]} direction", "marks": []}
        return plane(x, across, random_direction(x.shape, turn, sample)), self._extent(sample), axes

    def _others(self, sample: int) -> list[int]:
        """Two samples to cut through: of the class its copies are taken for most beside its own, and of its own.

        Where there is none of such a class, any other takes its place.
        """
        labels, (own, other, *_) = self.data.train_labels.numpy(), [*self.ordered(sample), self.label(sample)]
        each = np.delete(np.arange(len(labels)), sample)
        of = labels[each]
        return list(
            dict.fromkeys([*each[of == other][:1].tolist(), *each[of == own][:2].tolist(), *each[:2].tolist()])
        )[:2]

    def _through(self, sample: int, others: Sequence[int]) -> tuple[Plane, float, dict[str, Any]]:
        if len(others) != 2:
            raise UsageError("A plane through samples needs two of them besides the one in the middle.")
        x, ends = self.pixels(sample), torch.stack([self.pixels(other) for other in others])
        cut = plane(x, ends[0] - x, ends[1] - x)
        at = cut.coordinates(ends)
        marks = [
            {
                "letter": letter,
                "sample": other,
                "class": self.label(other),
                "x": round(place[0], 5),
                "y": round(place[1], 5),
            }
            for letter, other, place in zip("AB", others, at.tolist(), strict=True)
        ]
        return cut, 1.2 * float(at.abs().max()), {"across": "through A", "up": "through B", "marks": marks}

    def _telling_apart(self, sample: int) -> list[tuple[Tensor, str]]:
        """The changes that go with being recognised by the model, and by the re-trained ones: two, with their names.

        Each is Σ (margin − mean)·change over the copies, the first weights of partial least squares. Where models take
        all copies alike there is none, or no other, and what the copies themselves vary in takes its place, or chance.
        """
        at = self.telling(sample) if self.taus[self.telling(sample)] > 0 else len(self.taus) - 1
        moved, own = self.moved(sample, at), torch.tensor([self.label(sample)])
        change = (moved - self.pixels(sample)).flatten(1)
        shape = self.data.train_images.shape[1:]

        def along(names: Sequence[str]) -> Tensor:
            each = [torch.from_numpy(self.logits(sample, at, name)) for name in names]
            margin = torch.stack([log_odds(logits, own.expand(len(logits))) for logits in each]).mean(0)
            return (margin - margin.mean()) @ change

        _, size, principal = torch.linalg.svd(change - change.mean(0), full_matrices=False)
        offered = [(along([self.method]), "what the model recognises", 1 - 1e-4)]
        if self.references:
            offered.append((along(self.references), "what re-trained models recognise", 1 - 1e-4))
        offered += [(one, "main direction of the copies", 0.9) for one in principal[size > 1e-6][:3]]
        offered += [(random_direction(shape, turn, sample).flatten(), "random direction", 0.9) for turn in range(2)]
        found: list[tuple[Tensor, str]] = []
        for direction, words, alike in offered:
            unit = direction / direction.norm().clamp(min=1e-12)
            if direction.norm() > 1e-6 and all(abs(float(unit @ other)) < alike for other, _ in found):
                found.append((unit, words))
        return [(unit.view(shape), words) for unit, words in found[:2]]

    def _extent(self, sample: int) -> float:
        """Half the side of the plane around a sample, in RMS changes of a pixel."""
        tau, ball = max(self.taus), ATTACKS[self.attack].ball
        if tau == 0:
            return 0.1
        if ball == "share":
            apart = (self.moved(sample, self.taus.index(tau)) - self.pixels(sample)).flatten(1)
            return REACH * max(1e-3, float(apart.square().mean(1).sqrt().max()))
        return REACH * tau / (self.pixels(sample).numel() ** 0.5 if ball == "l2" else 1)

    def noise(self, sample: int) -> Tensor:
        """The directions δ of the copies on rays [n, ...]: read off copies of a grey image, which nothing clips."""
        about, image, tau = self._question(sample), self.pixels(sample), 1e-3
        if not about.source:
            image = torch.full_like(image, 0.5)
        source = self.judge(about.source) if about.source else None
        change = drawn(about, image, 0, tau, source, len(self.data.classes)) - image
        # signs of a gradient at the sample itself: clipping leaves the sign where it can move
        return change.sign() if about.source else change / tau

    def same(self, sample: int, at: int, names: Sequence[str]) -> bool | None:
        """Whether these copies give the counts that the run has; None where it has none of just as many."""
        place = self.place(sample)
        if not self.measured or place is None or self.copies_each != self.like.draws:
            return None
        counted = [name for name in names if name in self.like.models]
        own = self.label(sample)
        return all(
            int((self.logits(sample, at, name).argmax(1) == own).sum())
            == int(self.like.counts[self.like.models.index(name), place, at, own])
            for name in counted
        )


def open_scene(
    store: Store,
    result: dict[str, Any],
    data: Dataset,
    *,
    method: str,
    attack: str,
    found: Findings | None,
    model: Callable[[str], nn.Module],
) -> Scene:
    """The scene of a model of a run under an attack, which need not be one that the run measured.

    Args:
        found: what is said under that attack, where it was measured.

    Raises:
        UsageError: no such model or attack, or an attack on images and the data are a table.
    """
    if find_attack(attack).images and data.train_images.dim() != 4:
        raise UsageError("This perturbation is one of images, and the data set is a table; choose noise or an attack.")
    like, measured = verdicts_like(store, result, method, attack)
    return Scene(result, data, method, attack, like, measured, found if measured else None, model)


def verdicts_like(store: Store, result: dict[str, Any], method: str, attack: str) -> tuple[Verdicts, bool]:
    """A model's verdicts under an attack, or under the first that the run measured; and whether they are of the attack.

    Raises:
        UsageError: no such model.
    """
    entries = {entry["attack"]: entry["verdicts"] for entry in result["residual"] if entry["method"] == method}
    if not entries:
        raise UsageError(f"The run has no unlearned model '{method}'.")
    return load_verdicts(store, entries.get(attack, next(iter(entries.values())))), attack in entries
