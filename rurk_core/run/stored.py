"""Reading what finished stages made."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from .. import __version__
from ..data import Dataset, load_dataset, split_validation, with_validation
from ..errors import Damaged
from ..measure.residual import Verdicts
from ..measure.verdicts import verdicts_from_bytes
from ..models import Classifier, create_model
from ..models.exported import EXPORTED, Exported
from ..models.weights import load_weights
from ..store.names import one_line
from ..store.store import Store
from ..store.tensors import load_tensors

MAX_SIDE = 100_000
"""Of an input, and of classes."""


Load = Callable[[str, str | None], Dataset]


class Reader(Protocol):
    """A store, or a file of an exported experiment."""

    def read(self, key: str, name: str) -> bytes: ...
    def read_json(self, key: str, name: str) -> dict[str, Any]: ...
    def document(self, key: str) -> dict[str, Any]: ...


def data_of(result: dict[str, Any], root: str | None = None, *, load: Load = load_dataset) -> Dataset:
    """The data that a run names; of a set of which nothing was held out when it ran, and is today, as it was then.

    The caller compares the fingerprint: what lies here may be other data.

    Args:
        load: (name, root) → data set.

    Raises:
        RurkError: they cannot be read.
    """
    name, wanted = result["spec"]["dataset"], result["dataset"]["fingerprint"]
    found = load(name, root)
    if found.fingerprint == wanted or split_validation(name)[1] is not None:
        return found
    whole = load(with_validation(name, 0), root)
    return whole if whole.fingerprint == wanted else found


def load_model(store: Reader, key: str) -> Classifier:
    """The model of a finished stage, on the CPU, in eval mode.

    Nothing is allocated but what the file holds: the network is built without storage and compared with it first.

    Raises:
        RurkError: it is missing, damaged, or not the model that its entry says.
    """
    weights = load_tensors(store.read(key, "model.safetensors"))
    name, shape, classes = described(store, key)
    try:
        if name == EXPORTED:
            program = store.read_json(key, "program.json")
            return Exported(program, [weights[f"weight_{i}"] for i in range(len(weights))]).eval()
        with torch.device("meta"):
            model = create_model(name, shape, classes)
        model = load_weights(model, {each: value.clone() for each, value in weights.items()}, key)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise Damaged(f"The model {key} is not the one its entry says ({one_line(error)}).", key) from None
    if any(value.is_meta for value in (*model.parameters(), *model.buffers())):  # what a library keeps beside weights
        return load_weights(create_model(name, shape, classes), weights, key)
    return model


def described(store: Reader, key: str) -> tuple[str, tuple[int, ...], int]:
    """Network, input shape and number of classes of a stored model, checked."""
    info = store.read_json(key, "info.json")
    name, shape, classes = info.get("model"), info.get("input_shape"), info.get("classes")
    numbers: list[Any] = [*shape, classes] if isinstance(shape, list) else []
    whole = all(type(number) is int and 1 <= number <= MAX_SIDE for number in numbers)
    if not isinstance(name, str) or not 2 <= len(numbers) <= 5 or not whole:
        raise Damaged(f"The model {key} is not described as models are.", key)
    return name, tuple(numbers[:-1]), numbers[-1]


def load_verdicts(store: Store, key: str) -> Verdicts:
    """The verdict counts of a finished stage."""
    return verdicts_from_bytes(store.read(key, "verdicts.safetensors"))


def stored_scores(store: Store, key: str) -> dict[str, Tensor]:
    """:func:`~rurk_core.measure.scores.score` of a model, from its finished stage (``row["scores"]`` of a result)."""
    return load_tensors(store.read(key, "scores.safetensors"))


def stored_features(store: Store, key: str) -> dict[str, Tensor]:
    """The inputs of the head for the samples of maps, from the same pass; see :func:`~rurk_core.measure.scores.score`.

    Raises:
        RurkError: the entry has none: the experiment that came with the app is stored without them.
    """
    return load_tensors(store.read(key, "features.safetensors"))


def role_of(name: str) -> str:
    """original, member (a further Original), reference or unlearned."""
    for role in ("reference", "member"):
        if name.startswith(f"{role}-"):
            return role
    return "original" if name == "original" else "unlearned"


def versions() -> dict[str, str]:
    """What made a result: this project, Python and torch."""
    return {"rurk": __version__, "python": platform.python_version(), "torch": torch.__version__}
