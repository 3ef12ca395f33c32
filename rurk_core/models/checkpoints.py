"""Checkpoints made elsewhere, read so that nothing in them can run and nothing can grow beyond the file's own size.

Three kinds are taken: safetensors files, weights-only state dicts (``.pt``, ``.pth``) and programs of
``torch.export`` (``.pt2``, see :mod:`rurk_core.models.exported_file`). Sizes and counts are checked before anything is
read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from ..errors import UsageError
from . import Classifier, create_model
from .container import MAX_HEADER_BYTES, MAX_TENSORS, stored_archive

MAX_CHECKPOINT_BYTES = 4 * 2**30
SUFFIXES = (".safetensors", ".pt", ".pth", ".pt2")


def checked_file(path: str | Path) -> Path:
    """``path`` if it is a plain file of at most 4 GiB with the suffix of a checkpoint.

    Raises:
        UsageError: it is missing, empty, too large, a folder, a link, a device, or of another kind.
    """
    path = Path(path)
    try:
        found = path.lstat()
    except (OSError, ValueError):
        raise UsageError(f"There is no checkpoint at {path}.") from None
    if stat.S_ISLNK(found.st_mode):
        raise UsageError(f"The checkpoint {path} is a link; name the file itself ({os.path.realpath(path)}).")
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"The checkpoint {path} is not a file.")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"The checkpoint {path} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    if not 0 < found.st_size <= MAX_CHECKPOINT_BYTES:
        size = "is empty" if not found.st_size else f"has {found.st_size / 2**30:.1f} GiB; at most 4 are read"
        raise UsageError(f"The checkpoint {path} {size}.")
    return path


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or of a weights-only ``.pt``/``.pth`` state dict, on the CPU.

    Nothing in the file is ever executed: safetensors holds numbers only, and ``torch.load`` runs with
    ``weights_only=True``. No tensor is larger than the bytes the file really holds for it.

    Raises:
        UsageError: as in :func:`checked_file`, or the file is damaged or holds more than plain tensors.
    """
    path = checked_file(path)
    if path.suffix == ".pt2":
        raise UsageError(f"The checkpoint {path} is an exported program, not a state dict.")
    weights = _safetensors(path) if path.suffix == ".safetensors" else _state_dict(path)
    if not 0 < len(weights) <= MAX_TENSORS:
        raise UsageError(f"The checkpoint {path} holds {len(weights)} tensors; a network has 1 to {MAX_TENSORS}.")
    for name, value in weights.items():
        if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            raise UsageError(f"The checkpoint {path} holds '{name[:60]}' in an unusual form; save plain dense tensors.")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UsageError(
                f"The checkpoint {path} is damaged: '{name[:60]}' claims {value.numel()} numbers but holds "
                f"{value.untyped_storage().nbytes() // value.element_size()}."
            )
    return weights


def load_checkpoint(path: str | Path, model: str, input_shape: tuple[int, ...], classes: int) -> Classifier:
    """A model of a file, in eval mode: a registered architecture with its weights, or an exported program.

    Weights saved without this project's normalisation constants (``mean``, ``std``) get the default ones.

    Args:
        model: architecture of the weights; an exported program brings its own.

    Raises:
        UsageError: as in :func:`read_checkpoint`, or the model does not fit the data.
    """
    from .exported_file import load_exported
    from .weights import load_weights

    path = checked_file(path)
    if path.suffix == ".pt2":
        return load_exported(path, input_shape, classes)
    built, weights = create_model(model, input_shape, classes), read_checkpoint(path)
    constants = {name: value for name, value in built.state_dict().items() if name in ("mean", "std")}
    return load_weights(built, constants | weights, str(path))


def _safetensors(path: Path) -> dict[str, Tensor]:
    damaged = UsageError(f"The checkpoint {path} is damaged or is not a safetensors file.")
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > MAX_HEADER_BYTES or header + 8 > path.stat().st_size:
        raise damaged
    try:
        with safe_open(path, "pt", device="cpu") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names} if len(names) <= MAX_TENSORS else {}
    except Exception:
        raise damaged from None


def _state_dict(path: Path) -> dict[str, Tensor]:
    refused = UsageError(
        f"The checkpoint {path} is damaged or holds more than a plain state dict; save it with "
        "torch.save(model.state_dict(), ...) or as safetensors."
    )
    with path.open("rb") as file:
        if file.read(4) != b"PK\3\4":
            raise refused
    stored_archive(path).close()
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:
        raise refused from None
    if isinstance(weights, dict) and isinstance(weights.get("state_dict"), dict):
        weights = weights["state_dict"]
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    ):
        raise UsageError(f"The checkpoint {path} does not hold a state dict (names with tensors).")
    return weights
