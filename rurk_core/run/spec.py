"""What an experiment is: one typed, validated, hashable description, the same from app, command line and Python."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import Config
from ..data import dataset_entry, find_recipe, plain_name
from ..data.recipes import Recipe, TrainConfig
from ..errors import UsageError
from ..models import MODELS, is_library, parse_model
from ..perturb.copies import ATTACKS, find_attack
from ..unlearning import METHODS, Method, find_method
from ..unlearning.base import find_preset, slug
from .auto import is_auto

Presets = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Method → name → settings."""
DRAWS = 20
"""Copies of a sample at each radius unless told otherwise. Findings rest on the mean log-odds of copies, of which few
tell much: from 10 the Original is told apart on as many samples of CIFAR-10 as from 100, and on more than by counts of
100 everywhere (docs/calibration.md). The paper's c = 100 is what the presets "as in the paper" and ``rurk reproduce``
take."""
MAX_DRAWS = 100_000
MAX_REFERENCES = 64
MAX_TAU = 2.0
"""The largest radius of attacks whose radius is that of a single pixel."""
CHANGED = ", changed"


@dataclass(frozen=True)
class MethodSpec:
    """One unlearning run: a method, its resolved settings, and the name it goes by in tables and pictures.

    ``preset`` says where the settings come from: "default", "paper, CIFAR-10", a tuned preset of a store; with
    ", changed" behind it where some differ. It decides nothing.
    """

    key: str
    config: Config
    label: str
    preset: str = "default"

    def to_dict(self) -> dict[str, Any]:
        return {"method": self.key, "label": self.label, "preset": self.preset, "config": self.config.to_dict()}

    def about(self) -> dict[str, Any]:
        """What a result document says of it."""
        return {"method": self.key, "preset": self.preset, "config": self.config.to_dict()}


@dataclass(frozen=True)
class Spec:
    """An experiment, complete: everything that decides its numbers, and nothing else but a title.

    Attributes:
        dataset: key of :data:`~rurk_core.data.DATASETS` or a path.
        forget: rule of :func:`~rurk_core.data.forget_set`.
        model: as for :func:`~rurk_core.models.create_model`.
        methods: the unlearning runs to compare.
        references: K, Re-trains with different seeds.
        members: M, further Originals with different seeds: what models that saw a sample say of it, so that it
            can be told whether a model remembers this very sample; 0 leaves them out.
        attacks: keys of :data:`~rurk_core.perturb.copies.ATTACKS`.
        taus: radii in pixel units, rising; draws: copies of a sample at each of them.
        recipe: "quick" or "paper"; train: settings of the Original and the references that differ from it;
            pretrain: settings of the model they start from that differ from it.
        relearn: epochs of fine-tuning on the forget set after which re-learn time gives up; 0 leaves it out.
        seed: seeds of everything are derived from this one.
        title: a name for people; not part of the key.
    """

    dataset: str
    forget: str
    model: str
    methods: tuple[MethodSpec, ...]
    references: int = 8
    members: int = 0
    attacks: tuple[str, ...] = ("gaussian",)
    taus: tuple[float, ...] = ()
    draws: int = DRAWS
    recipe: str = "quick"
    train: tuple[tuple[str, Any], ...] = ()
    pretrain: tuple[tuple[str, Any], ...] = ()
    relearn: int = 30
    seed: int = 7
    title: str = ""

    def training(self) -> Recipe:
        """The recipe with this experiment's own settings on top.

        Networks of one input size are never trained on smaller images, which recipes ask for because it is cheaper.

        Raises:
            UsageError: that was asked for in so many words.
        """
        found = find_recipe(self.recipe, self.dataset)
        one_size = not parse_model(self.model)[0].any_size
        if one_size and (dict(self.train) | dict(self.pretrain)).get("grow"):
            raise UsageError(f"The network '{self.model}' takes images of one size only; leave 'grow' at 0.")

        def own(config: TrainConfig, settings: tuple[tuple[str, Any], ...]) -> TrainConfig:
            return TrainConfig.from_dict({**config.to_dict(), **({"grow": 0.0} if one_size else {}), **dict(settings)})

        start = own(found.pretrain, self.pretrain) if found.pretrain else None
        return Recipe(own(found.train, self.train), own(found.reference, self.train), start, found.origin)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; :func:`make_spec` reads them back.

        Without ``members`` where there are none: so runs of versions that knew none are the same runs.
        """
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if not self.members:
            del values["members"]
        return values | {
            "methods": [method.to_dict() for method in self.methods],
            "attacks": list(self.attacks),
            "taus": list(self.taus),
            "train": dict(self.train),
            "pretrain": dict(self.pretrain),
        }


def make_spec(
    dataset: str = "digits",
    forget: str = "class:0:0.5",
    model: str = "",
    methods: Any = ("gd", "neggrad_plus", "rurk"),
    references: int = 8,
    members: int = 0,
    attacks: Any = ("gaussian",),
    taus: Any = "",
    draws: int = DRAWS,
    recipe: str = "quick",
    train: dict[str, Any] | None = None,
    pretrain: dict[str, Any] | None = None,
    relearn: int = 30,
    seed: int = 7,
    title: str = "",
    presets: Presets | None = None,
) -> Spec:
    """A checked :class:`Spec`; what is left out is filled in with the data set's defaults.

    Args:
        methods: text like ``"gd,rurk@digits:tau=0.1"``, or a list of such texts or of dictionaries with
            ``method``, ``preset``, ``config`` and ``label``.
        attacks: text with commas, or a list.
        taus: ``"0:0.3:11"`` (from, to, how many), ``"0,0.1"``, or a list of numbers.
        presets: method → name → settings, beside those that come with the methods (tuned ones of a store).

    Raises:
        UsageError: anything unknown, out of range or of the wrong type.
    """
    if not isinstance(dataset, str) or not dataset:
        raise UsageError("Name a data set, for example 'digits'.")
    if not isinstance(forget, str) or not forget:
        raise UsageError("Say what to forget, for example 'class:0:0.5'.")
    for settings in (train, pretrain):
        if settings is not None and not isinstance(settings, dict):
            raise UsageError("The training settings must be names with values.")
    if not isinstance(title, str):
        raise UsageError("The title must be text.")
    entry, model = dataset_entry(dataset), model or dataset_entry(dataset).model
    parse_model(model)
    spec = Spec(
        dataset=dataset,
        forget=forget,
        model=model,
        methods=parse_methods(methods, dataset, presets or {}),
        references=whole("references", references, 1, MAX_REFERENCES),
        members=whole("members", members, 0, MAX_REFERENCES),
        attacks=(kinds := parse_attacks(attacks)),
        taus=asked_radii(parse_taus(taus if taus not in ("", None, [], ()) else entry.taus), kinds),
        draws=whole("draws", draws, 1, MAX_DRAWS),
        recipe=recipe,
        train=_typed(train or {}),
        pretrain=_typed(pretrain or {}),
        relearn=whole("relearn", relearn, 0, 1000),
        seed=whole("seed", seed, 0, 2**31 - 1),
        title=title,
    )
    _check_together(spec)
    return spec


def _check_together(spec: Spec) -> None:
    """Raises UsageError where settings that are right each do not make an experiment together."""
    if is_library(spec.model):
        raise UsageError(f"The network '{spec.model}' can be audited only; to train choose one of {', '.join(MODELS)}.")
    images_only = next((name for name in spec.attacks if ATTACKS[name].images), "")
    if images_only and dataset_entry(spec.dataset).kind == "table":
        raise UsageError(
            f"'{images_only}' perturbs images, and '{spec.dataset}' is a table; choose noise or an attack."
        )
    if spec.references < 2 and any(is_auto(method.config) for method in spec.methods):
        raise UsageError("A strength that is 'auto' lies in the band of the references; give at least two of them.")
    spec.training()


def _typed(settings: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Training settings in their own types, so that the text of a command gives the very experiment of a number."""
    config = TrainConfig.from_dict(settings)
    return tuple(sorted((name, getattr(config, name)) for name in settings))


def spec_from_dict(values: Any) -> Spec:
    """The spec of :meth:`Spec.to_dict`, or of a file somebody wrote by hand.

    Raises:
        UsageError: not a dictionary, an unknown name, or as in :func:`make_spec`.
    """
    if not isinstance(values, dict):
        raise UsageError("An experiment must be a JSON object with names and values.")
    known = [field.name for field in dataclasses.fields(Spec)]
    for name in values:
        if name not in known:
            raise UsageError(f"An experiment has no '{name}'; it has {', '.join(known)}.")
    return make_spec(**values)


def whole(name: str, value: Any, low: int, high: int) -> int:
    """``value`` as a whole number in [low, high], or a UsageError."""
    try:
        number = int(str(value))
    except (TypeError, ValueError):
        number = low - 1
    if not low <= number <= high:
        raise UsageError(f"'{name}' must be a whole number from {low} to {high}, not '{value}'.")
    return number


def parse_taus(value: Any) -> tuple[float, ...]:
    """Radii from ``"start:stop:count"``, ``"a,b,c"`` or a list: rising, distinct, at least 0.

    Pixels run from 0 to 1; a radius may be written as a fraction of 255.

    >>> parse_taus("0:0.3:4")
    (0.0, 0.1, 0.2, 0.3)
    >>> parse_taus("0,8/255")
    (0.0, 0.031373)

    Raises:
        UsageError: not written like this.
    """
    try:
        if isinstance(value, str) and ":" in value:
            start, stop, count = value.split(":")
            n, low, high = int(count), _radius(start), _radius(stop)
            if not 1 <= n <= 1000:
                raise ValueError
            numbers = [low] if n == 1 else [round(low + (high - low) * i / (n - 1), 12) for i in range(n)]
        else:
            parts = value.split(",") if isinstance(value, str) else value
            numbers = [_radius(part) for part in parts]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise UsageError(
            f"Radii are written 'start:stop:count' (0:0.3:11) or as numbers with commas, not '{value}'."
        ) from None
    if not numbers or not all(math.isfinite(tau) and 0 <= tau <= 100 for tau in numbers):
        raise UsageError("Radii must be numbers from 0 to 100, in pixel units (pixels run from 0 to 1).")
    if sorted(set(numbers)) != numbers:
        raise UsageError("Radii must rise and must not repeat.")
    return tuple(numbers)


def asked_radii(taus: tuple[float, ...], attacks: Sequence[str]) -> tuple[float, ...]:
    """``taus``, unless they are in the units of 8-bit pixels as it seems: beyond 2, where they move single pixels.

    In the l2 ball the radius is a length over all pixels, and may be larger.

    Raises:
        UsageError: the question whether they are.
    """
    moved = next((attack for attack in attacks if ATTACKS[attack].ball != "l2"), None)
    if moved and taus[-1] > MAX_TAU:
        raise UsageError(
            f"A radius of {taus[-1]:g} is far beyond pixels, which run from 0 to 1 here; is {taus[-1]:g}/255 meant? "
            "Then write that."
        )
    return taus


def _radius(part: Any) -> float:
    """A number, or a fraction like 8/255, which is rounded to six digits as people write it in full."""
    if isinstance(part, str) and "/" in part:
        above, below = part.split("/")
        return round(float(above) / float(below), 6)
    return float(part)


def parse_attacks(value: Any) -> tuple[str, ...]:
    """Attack keys from text with commas or a list; each once, at least one."""
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not parts or not all(isinstance(p, str) for p in parts):
        raise UsageError("Name at least one attack, for example 'gaussian'.")
    for part in parts:
        find_attack(part)
    return tuple(dict.fromkeys(parts))


def parse_methods(value: Any, dataset: str, presets: Presets | None = None) -> tuple[MethodSpec, ...]:
    """Methods from ``"gd,rurk@digits:tau=0.1:v=2"`` or a list; labels are made unique. ``"all"``: all but Re-train.

    Where no preset is named, "safe" is taken if the method has it, else the one called like the data set, else the
    default. Names of presets may be written with hyphens: ``"scrub@paper-cifar-10"``.
    """
    if value == "all":
        value = [key for key in METHODS if key != "retrain"]
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not parts:
        raise UsageError(f"Name at least one unlearning method: {', '.join(METHODS)}.")
    found: list[MethodSpec] = []
    for part in parts:
        entry = _parse_method(part) if isinstance(part, str) else part
        if isinstance(entry, MethodSpec):
            entry = entry.to_dict()
        if not isinstance(entry, dict) or not isinstance(entry.get("method"), str):
            raise UsageError(f"A method is a name or an object with 'method', not {part!r}.")
        unknown = set(entry) - {"method", "preset", "config", "label"}
        if unknown:
            raise UsageError(f"A method has no '{min(unknown)}'; it has method, preset, config and label.")
        method = find_method(entry["method"])
        settings = entry.get("config") or {}
        if not isinstance(settings, dict):
            raise UsageError(f"The settings of '{method.key}' must be names with values.")
        known = {**method.presets, **(presets or {}).get(method.key, {})}
        preset, config = _settings(method, known, str(entry.get("preset") or ""), settings, dataset)
        label = entry.get("label") or method.key
        taken = {other.label for other in found}
        if not isinstance(label, str) or len(label) > 60:
            raise UsageError("A method's label must be text of at most 60 letters.")
        if label in ("original", "retrained") or label.startswith(("reference-", "member-")):
            raise UsageError(f"The label '{label}' is kept for the models every experiment has.")
        unique, copy = label, 2
        while unique in taken:
            unique, copy = f"{label}-{copy}", copy + 1
        found.append(MethodSpec(method.key, config, unique, preset))
    return tuple(found)


def _settings(
    method: Method, presets: Mapping[str, Mapping[str, Any]], name: str, settings: dict[str, Any], dataset: str
) -> tuple[str, Config]:
    """(what to call the settings, the settings) of a preset with own ones on top."""
    name = name.removesuffix(CHANGED) or likely_preset(presets, dataset)
    if settings.keys() == {field.name for field in method.config.settings()}:
        config = method.config.from_dict(settings)  # complete: the preset is but a name, perhaps of another store
        chosen = {slug(preset): preset for preset in presets}.get(slug(name))
        if chosen is None:
            return name[:60], config
    else:
        chosen = find_preset(presets, name, method.key)
        config = method.config.from_dict({**presets[chosen], **settings})
    unchanged = config == method.config.from_dict(dict(presets[chosen]))
    return (chosen if unchanged else chosen + CHANGED), config


def likely_preset(presets: Collection[str], dataset: str) -> str:
    """The preset that is taken where none is named: "safe", the one called like the data set, or the default."""
    return next(name for name in ("safe", plain_name(dataset), "default") if name in presets)


def _parse_method(text: str) -> dict[str, Any]:
    """``"rurk@digits:tau=0.1"`` → {"method": "rurk", "preset": "digits", "config": {"tau": "0.1"}}."""
    name, *settings = text.split(":")
    key, _, preset = name.partition("@")
    config = {}
    for setting in settings:
        left, equals, right = setting.partition("=")
        if not equals:
            raise UsageError(f"Write a setting of '{key}' as name=value, not '{setting}'.")
        config[left.strip()] = right.strip()
    return {"method": key.strip(), "preset": preset.strip(), "config": config}
