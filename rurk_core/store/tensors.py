"""Tensors as safetensors bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..errors import RurkError
from .names import one_line

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Tensors of any device as the bytes of a safetensors file; equal tensors give equal bytes."""
    from safetensors.torch import save

    # cloned, because safetensors refuses tensors that share memory (tied weights, views)
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    return save(plain, metadata)


def load_tensors(data: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU; no code in the file is ever run.

    Raises:
        RurkError: the bytes are cut short or are no safetensors file.
    """
    from safetensors.torch import load

    try:
        return load(data)
    except Exception as error:
        raise RurkError(f"The tensors cannot be read, the file is damaged ({one_line(error)}).") from None


def tensor_metadata(data: bytes) -> dict[str, str]:
    """The texts saved beside the tensors of a safetensors file; raises as :func:`load_tensors`."""
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        metadata = header.get("__metadata__") or {}
        return {str(name): str(value) for name, value in metadata.items()}
    except (ValueError, AttributeError, RecursionError):
        raise RurkError("The tensors cannot be read, the file is damaged (no header).") from None
