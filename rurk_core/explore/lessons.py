"""Lessons in the plane: data with two values a sample, where all that a network believes can be drawn.

A lesson trains an Original and re-trained models on a few points, unlearns some of them step by step, and keeps what
each model says on a grid: at first, and at moments of the unlearning. It takes seconds on one core.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..config import Config
from ..data.recipes import TrainConfig
from ..errors import UsageError
from ..models import Classifier, create_model
from ..progress import Progress, Tracker
from ..run.code import code_of
from ..run.plan import derived_seed
from ..run.spec import whole
from ..store.store import Store
from ..store.tensors import load_tensors, save_tensors, tensor_metadata
from ..training.fit import fit
from ..unlearning import METHODS, Samples, find_method
from .planes import checked_points, find_plane, with_drawn

STEPS = 48
"""Grid points along each side; they run from 0 to 1, the edges included."""
FRAMES = 32
"""Moments of the unlearning that are kept, the Original first."""
FLOOR = -8.0
"""Log-probabilities below this are kept as this: far from every boundary."""
REFERENCES = 3
TRAIN = TrainConfig(epochs=120, lr=0.1, batch=32)
MODEL = "mlp:100"
"""One hidden layer of 100, as in the paper's Figure 1."""

SETTINGS: dict[str, dict[str, Any]] = {
    "rurk": {"lambda_f": 0.02, "lambda_a": 0.02, "tau": 0.08, "max_iterations": 0, "lr": 0.01},
    "neggrad_plus": {"beta": 0.02, "lr": 0.02},
    "eu_k": {"k": 1},  # so small a network has no more to choose from
    "cf_k": {"k": 1},
}
COMMON = {"epochs": 40, "lr": 0.05, "batch": 32}
"""What a method that trains gets on so little data, where it has such settings."""


@dataclass(frozen=True)
class Lesson:
    """What was learned, re-learned and unlearned on a plane.

    Attributes:
        plane, method, seed, forget: what it was made from (``forget`` holds indices of points).
        points, labels, classes, axes: the samples, as in :class:`Plane`.
        steps: int64 [T], steps of unlearning at each kept moment, the first 0.
        accuracy: float32 [T, 2], of the unlearned model on the points that stay and on those to forget.
        fields: uint8 [M, C, STEPS, STEPS] of "original" (M = 1), "references" (M = K) and "unlearned" (M = T):
            log-probabilities from ``FLOOR`` (0) to 0 (255); rows go up the second value, columns along the first.
    """

    plane: str
    method: str
    seed: int
    forget: tuple[int, ...]
    points: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    axes: tuple[str, str]
    steps: Tensor
    accuracy: Tensor
    fields: dict[str, Tensor]

    def to_bytes(self) -> bytes:
        """The file that :func:`lesson_from_bytes` reads: safetensors, deflated (fields are smooth)."""
        about = {
            "plane": self.plane,
            "method": self.method,
            "seed": self.seed,
            "forget": list(self.forget),
            "classes": list(self.classes),
            "axes": list(self.axes),
        }
        tensors = {"points": self.points, "labels": self.labels, "steps": self.steps, "accuracy": self.accuracy}
        return zlib.compress(save_tensors(tensors | self.fields, {"about": json.dumps(about)}), 9)


def lesson_from_bytes(data: bytes) -> Lesson:
    """The lesson of :meth:`Lesson.to_bytes`, from a file of ours (it is not checked for hostile sizes)."""
    plain = zlib.decompress(data)
    about: dict[str, Any] = json.loads(tensor_metadata(plain)["about"])
    values: dict[str, Any] = dict(load_tensors(plain))
    fields = {name: values.pop(name) for name in ("original", "references", "unlearned")}
    lists = {name: tuple(about[name]) for name in ("forget", "classes", "axes")}
    return Lesson(**(about | values | lists), fields=fields)


def teach(
    plane: str,
    method: str,
    forget: Sequence[int] = (),
    *,
    drawn: Sequence[Any] = (),
    seed: int = 7,
    tracker: Tracker | None = None,
) -> Lesson:
    """Train, re-train without the points to forget, unlearn them, and keep what is believed where.

    Args:
        plane: key of :data:`PLANES`; method: key of the unlearning methods; forget: indices of points, () for the
            plane's own choice; drawn: points added by hand, see :func:`with_drawn`.

    Raises:
        UsageError: no such plane or method, or points that cannot be forgotten: none of a class would be left.
    """
    samples, tracker = with_drawn(find_plane(plane), drawn), tracker or Tracker()
    config = lesson_config(method)
    gone = checked_points(samples, forget or samples.forget)
    stays = torch.ones(len(samples.labels), dtype=torch.bool)
    stays[list(gone)] = False
    everything = Samples(samples.points, samples.labels)
    retain, forgotten = everything.take(stays.nonzero()[:, 0]), everything.take((~stays).nonzero()[:, 0])

    def trained(data: Samples, *names: str | int) -> Classifier:
        number = derived_seed(seed, *names)
        fresh = create_model(MODEL, (2,), len(samples.classes), seed=number)
        return fit(fresh, data.images, data.labels, TRAIN, seed=number, on_step=tracker.step)

    tracker.expect({"Original": 1.0, "Re-trained models": float(REFERENCES), "Unlearning": 1.0})
    with tracker.stage("Original"):
        original = trained(everything, "original")
    with tracker.stage("Re-trained models"):
        references = [trained(retain, "reference", k) for k in range(REFERENCES)]
    with tracker.stage("Unlearning"):
        steps, moments = _watched(original, retain, forgotten, method, config, derived_seed(seed, "unlearn"), tracker)
    accuracy = [[_accuracy(model, data) for data in (retain, forgotten)] for model in moments]
    return Lesson(
        plane,
        method,
        seed,
        gone,
        samples.points,
        samples.labels,
        samples.classes,
        samples.axes,
        torch.tensor(steps),
        torch.tensor(accuracy),
        {
            "original": field_of([original]),
            "references": field_of(references),
            "unlearned": field_of(moments),
        },
    )


def lesson_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec": {…}}``, arguments of :func:`teach` by name → the key of a lesson."""
    key, inputs = lesson_key(job.get("spec"))
    if not store.trusts(key):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # so small a network only waits for a second one
        try:
            lesson = teach(**inputs, tracker=Tracker(progress, cancelled))
        finally:
            torch.set_num_threads(threads)
        store.put(key, inputs | {"code": code_of("lesson", inputs["method"])}, {"lesson.bin": lesson.to_bytes()})
    return key


def lesson_key(spec: Any) -> tuple[str, dict[str, Any]]:
    """The key of the lesson that a job's spec describes, and the checked arguments of :func:`teach`."""
    if not isinstance(spec, dict):
        raise UsageError("A lesson must be an object with 'plane', 'method', 'forget' and 'seed'.")
    plane, method = str(spec.get("plane")), str(spec.get("method"))
    lesson_config(method)
    drawn = spec.get("drawn") or []
    samples = with_drawn(find_plane(plane), drawn if isinstance(drawn, list) else [drawn])
    inputs = {
        "plane": plane,
        "method": method,
        "forget": list(checked_points(samples, spec.get("forget") or ())),
        "seed": whole("seed", spec.get("seed", 7), 0, 2**31 - 1),
    }
    if drawn:
        inputs["drawn"] = [list(point) for point in drawn]
    return Store.key("lesson", inputs | {"code": code_of("lesson", method)}), inputs


def load_lesson(store: Store, key: str) -> Lesson:
    """A stored lesson."""
    return lesson_from_bytes(store.read(key, "lesson.bin"))


def telling_point(lesson: Lesson, tau: float) -> int:
    """The forgotten point around which the Original and the re-trained models differ most, within ``tau``.

    It knows nothing of the method, so it is the same one for all of them.
    """
    asked = grid()
    own = lesson.labels[list(lesson.forget)]
    near = torch.cdist(lesson.points[list(lesson.forget)], asked) <= tau

    def recognised(fields: Tensor) -> Tensor:
        says = fields.flatten(2).argmax(1)  # [M, STEPS²]
        right = says[:, None] == own[None, :, None]
        return ((right & near).sum(2) / near.sum(1).clamp(min=1)).mean(0)

    apart = recognised(lesson.fields["original"]) - recognised(lesson.fields["references"])
    return lesson.forget[int(apart.abs().argmax())]


def lesson_config(method: str) -> Config:
    """The settings of a method on so little data."""
    kind = find_method(method)
    known = {name for name in COMMON if name in kind.config.__dataclass_fields__}
    if method == "retrain":
        return TRAIN
    return kind.config.from_dict({name: COMMON[name] for name in known} | SETTINGS.get(method, {}))


def grid() -> Tensor:
    """float32 [STEPS², 2]: the points at which models are asked, along the first value, then up the second."""
    line = torch.linspace(0, 1, STEPS)
    second, first = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([first.ravel(), second.ravel()], 1)


@torch.no_grad()
def field_of(models: Sequence[nn.Module]) -> Tensor:
    """What models say on the grid: uint8 [M, C, STEPS, STEPS], as in :class:`Lesson`."""
    asked = grid()
    logs = torch.stack([model(asked).log_softmax(1) for model in models])
    scaled = (255 * (1 - logs.clamp(FLOOR, 0) / FLOOR)).round().to(torch.uint8)
    return scaled.transpose(1, 2).reshape(len(models), -1, STEPS, STEPS)


def _watched(
    original: Classifier,
    retain: Samples,
    forget: Samples,
    method: str,
    config: Config,
    seed: int,
    tracker: Tracker,
) -> tuple[list[int], list[Classifier]]:
    """Unlearn, and keep copies of the model on the way: (steps, models), the Original first and the result last.

    Every method works on a deep copy of the Original, hooks included: a hook on the Original tells which model is
    being changed. A method that changes the weights in one step leaves two moments.
    """
    at_work: list[nn.Module] = [original]

    def notice(module: nn.Module, _: Any) -> None:
        at_work[0] = module

    steps, moments, state = [0], [_plain_copy(original)], {"done": 0}

    def look(done: int, total: int, loss: float) -> None:
        tracker.step(done, total, loss)
        state["done"] = done
        if at_work[0] is not original and done < total and done * (FRAMES - 1) // total >= len(steps):
            steps.append(done)
            moments.append(_plain_copy(at_work[0]))

    hook = original.register_forward_pre_hook(notice)
    try:
        generator = torch.Generator().manual_seed(seed)
        result = METHODS[method].run(original, retain, forget, config, generator=generator, on_step=look)
    finally:
        hook.remove()
    return [*steps, max(state["done"], 1)], [*moments, _plain_copy(result)]


def _plain_copy(model: nn.Module) -> Classifier:
    """The model's weights in a model without hooks."""
    head = model.head
    assert isinstance(head, nn.Linear)
    clone = create_model(MODEL, (2,), head.out_features)
    clone.load_state_dict(model.state_dict())
    return clone.eval()


@torch.no_grad()
def _accuracy(model: nn.Module, data: Samples) -> float:
    return (model(data.images).argmax(1) == data.labels).float().mean().item()
