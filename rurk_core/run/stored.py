"""Reading what finished stages made."""

from __future__ import annotations

import platform

import torch
from torch import Tensor

from .. import __version__
from ..measure.residual import Verdicts
from ..measure.verdicts import verdicts_from_bytes
from ..models import Classifier, create_model
from ..models.exported import EXPORTED, Exported
from ..models.weights import load_weights
from ..store.store import Store
from ..store.tensors import load_tensors


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
