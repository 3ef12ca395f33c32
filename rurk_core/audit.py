"""Residual knowledge of checkpoints made elsewhere: load safely, check that they fit, measure."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .data import DATASETS, forget_set, load_dataset, needs_losses
from .errors import RurkError, UsageError
from .experiment import (
    Progress,
    Tracker,
    accuracies,
    load_weights,
    score,
    versions,
)
from .models import Classifier, create_model
from .residual import summarise
from .spec import MAX_DRAWS, default_taus, parse_taus, whole
from .store import load_tensors
from .training import device_name, find_device
from .verdicts import count_verdicts

MAX_CHECKPOINT_BYTES = 4 * 2**30


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or a weights-only ``.pt``/``.pth`` state dict.

    Nothing in the file is ever executed: safetensors holds numbers only, and ``torch.load`` runs with
    ``weights_only=True``, which refuses anything else.

    Raises:
        UsageError: the file is missing, too large, damaged, or holds more than tensors.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError:
        raise UsageError(f"There is no checkpoint at {path}.") from None
    if not path.is_file() or size > MAX_CHECKPOINT_BYTES:
        raise UsageError(f"The checkpoint {path} is not a file of at most 4 GiB.")
    if path.suffix == ".safetensors":
        try:
            return load_tensors(path.read_bytes())
        except RurkError:
            raise UsageError(f"The checkpoint {path} is damaged or is not a safetensors file.") from None
    if path.suffix not in (".pt", ".pth"):
        raise UsageError(f"The checkpoint {path} must end in .safetensors, .pt or .pth.")
    try:
        # mmap keeps a zip archive from being unpacked into memory before it is checked
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:
        raise UsageError(
            f"The checkpoint {path} is damaged or holds more than a plain state dict; save it with "
            "torch.save(model.state_dict(), ...) or as safetensors."
        ) from None
    if isinstance(weights, dict) and isinstance(weights.get("state_dict"), dict):
        weights = weights["state_dict"]
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    ):
        raise UsageError(f"The checkpoint {path} does not hold a state dict (names with tensors).")
    if any(value.layout != torch.strided or value.is_quantized for value in weights.values()):
        raise UsageError(f"The checkpoint {path} holds sparse or quantised tensors; save plain ones.")
    return weights


def load_checkpoint(path: str | Path, model: str, input_shape: tuple[int, ...], classes: int) -> Classifier:
    """A registered architecture with the weights of a file.

    Weights saved without this project's normalisation constants (``mean``, ``std``) get the default ones.

    Raises:
        UsageError: as in :func:`read_checkpoint`, or the weights do not fit the architecture.
    """
    built = create_model(model, input_shape, classes)
    return load_weights(built, read_checkpoint(path), str(path))


def audit_checkpoints(
    *,
    dataset: str,
    forget: str,
    model: str,
    original: Path,
    unlearned: Sequence[Path],
    retrained: Sequence[Path],
    attack: str = "gaussian",
    taus: Any = "",
    draws: Any = 100,
    seed: Any = 7,
    root: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure unlearned checkpoints against re-trained ones; the result document of :func:`experiment.run`.

    Args:
        forget: a forget-set file, or a rule.
        attack, taus, draws, seed: as in an experiment; attacks are built on each unlearned model.

    Raises:
        UsageError: something does not fit; the sentence says what.
    """
    started = time.time()
    radii = parse_taus(taus or default_taus(dataset))
    draws, seed = whole("draws", draws, 1, MAX_DRAWS), whole("seed", seed, 0, 2**31 - 1)
    entry = DATASETS.get(dataset)
    model = model or (entry.default_model if entry else "resnet9:16")
    tracker, where = Tracker(progress), find_device(device)
    with tracker.stage("Reading data", 0):
        data = load_dataset(dataset, root)
    paths = {"original": original}
    paths |= _named("unlearned", unlearned) | _named("reference", retrained, always_numbered=True)
    models = {name: load_checkpoint(path, model, data.input_shape, len(data.classes)) for name, path in paths.items()}
    scored = {name: score(loaded, data, where, tracker) for name, loaded in models.items()}
    rule = f"file:{forget}" if Path(forget).is_file() else forget
    chosen = forget_set(data, rule, losses=scored["original"]["train_loss"] if needs_losses(rule) else None)
    references = [name for name in models if name.startswith("reference-")]
    index = torch.tensor(chosen.indices)
    residual = []
    for name in [n for n in models if n not in references]:
        with tracker.stage(f"Verdicts on {name}", 1):
            counted = count_verdicts(
                {n: models[n] for n in [name, *references]},
                references,
                data.train_images[index],
                data.train_labels[index],
                chosen.indices,
                attack=attack,
                taus=radii,
                draws=draws,
                seed=seed,
                classes=len(data.classes),
                source=name,
                device=where,
                on_chunk=tracker.step,
            )
        residual.append({"attack": attack, "method": name, "taus": summarise(counted, name)})
    return {
        "dataset": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "train": len(data.train_labels),
            "test": len(data.test_labels),
            "classes": list(data.classes),
            "source": data.source,
            "licence": data.licence,
        },
        "spec": {"model": model, "attack": attack, "taus": list(radii), "draws": draws},
        "seed": seed,
        "versions": versions(),
        "device": device_name(where),
        "seconds": round(time.time() - started, 3),
        "forget": json.loads(chosen.to_json()),
        "models": [
            {"name": name, "file": str(paths[name]), "seconds": 0.0} | accuracies(scored[name], data, chosen)
            for name in models
        ],
        "residual": residual,
    }


def _named(what: str, paths: Sequence[Path], *, always_numbered: bool = False) -> dict[str, Path]:
    if len(paths) == 1 and not always_numbered:
        return {what: paths[0]}
    return {f"{what}-{number + 1}": path for number, path in enumerate(paths)}
