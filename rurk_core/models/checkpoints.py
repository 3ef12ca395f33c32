"""Checkpoints made elsewhere, read so that nothing in them can run and nothing can grow beyond the file's own size.

Three kinds are taken: safetensors files, weights-only state dicts (``.pt``, ``.pth``, ``.pth.tar``, ``.ckpt``,
``.bin``) and programs of ``torch.export`` (``.pt2``, see :mod:`rurk_core.models.exported_file`). Which of them a file
is, its first bytes say. Sizes and counts are checked before anything is read. Where a training script saved several
networks or averaged weights, ``FILE#name`` says which.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import UsageError
from . import Classifier, create_model
from .container import MAX_HEADER_BYTES, MAX_TENSORS, stored_archive
from .layouts import Weights, adapted, parts_of, plain_weights

MAX_CHECKPOINT_BYTES = 4 * 2**30
SUFFIXES = (".safetensors", ".pt", ".pth", ".tar", ".ckpt", ".bin", ".pt2")


@dataclass(frozen=True)
class Checkpoint:
    """A file that may hold a model, and which of the networks in it is meant.

    Attributes:
        file: as it was named; part: "" or the name behind "#".
        program: whether it is an exported program, which brings its own network.
    """

    file: Path
    part: str
    program: bool

    def __str__(self) -> str:
        return f"{self.file}#{self.part}" if self.part else str(self.file)


def find_checkpoint(path: str | Path) -> Checkpoint:
    """``path`` if it is a plain file, or a link to one, of at most 4 GiB with the suffix of a checkpoint.

    Raises:
        UsageError: it is missing, empty, too large, a folder, a device, or of another kind.
    """
    text = str(path).strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":  # as a shell or a file manager quotes it
        text = text[1:-1]
    try:
        path, part = Path(text).expanduser(), ""
        if not path.exists() and "#" in path.name:
            path, part = path.with_name(path.name.rpartition("#")[0]), path.name.rpartition("#")[2]
        found = path.stat()
    except (OSError, ValueError, RuntimeError):
        raise UsageError(f"There is no checkpoint at {text}.") from None
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"The checkpoint {path} is not a file.")
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"The checkpoint {path} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    if not 0 < found.st_size <= MAX_CHECKPOINT_BYTES:
        size = "is empty" if not found.st_size else f"has {found.st_size / 2**30:.1f} GiB; at most 4 are read"
        raise UsageError(f"The checkpoint {path} {size}.")
    return Checkpoint(path, part, path.suffix == ".pt2" or (path.suffix != ".safetensors" and _is_program(path)))


def _is_program(path: Path) -> bool:
    """Whether a zip archive is a program of torch.export, by the first of its parts."""
    try:
        with stored_archive(path) as archive:
            return any(name.endswith("/archive_format") for name in archive.namelist()[:MAX_TENSORS])
    except (UsageError, OSError, zipfile.BadZipFile):
        return False


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_checkpoint(path: str | Path) -> Weights:
    """The tensors of a safetensors file or of a weights-only state dict, on the CPU, under the names of the file.

    Nothing in the file is ever executed: safetensors holds numbers only, and ``torch.load`` runs with
    ``weights_only=True``. No tensor is larger than the bytes the file really holds for it.

    Raises:
        UsageError: as in :func:`find_checkpoint`, or the file is damaged, or holds more than tensors and numbers in
            dictionaries, or several networks of which none was named.
    """
    found = find_checkpoint(path)
    if found.program:
        raise UsageError(f"The checkpoint {found} is an exported program, not a state dict.")
    with found.file.open("rb") as file:
        zipped = file.read(4) == b"PK\3\4"
    tensors = found.file.suffix == ".safetensors" or (not zipped and _is_safetensors(found.file))
    weights = _safetensors(found.file) if tensors else _state_dict(found)
    if not 0 < len(weights) <= MAX_TENSORS:
        raise UsageError(f"The checkpoint {found} holds {len(weights)} tensors; a network has 1 to {MAX_TENSORS}.")
    for name, value in weights.items():
        if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            raise UsageError(f"The checkpoint {found} holds '{name[:60]}' in an unusual form; save dense tensors.")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UsageError(
                f"The checkpoint {found} is damaged: '{name[:60]}' claims {value.numel()} numbers but holds "
                f"{value.untyped_storage().nbytes() // value.element_size()}."
            )
    return weights


def load_checkpoint(
    path: str | Path, model: str, input_shape: tuple[int, ...], classes: int, *, normalise: str = ""
) -> Classifier:
    """A model of a file, in eval mode: a network by name with its weights, or an exported program.

    Weights saved without normalisation constants get those of ``normalise``, or the default ones.

    Args:
        model: network of the weights; an exported program brings its own.
        normalise: of pixels in [0, 1], as :func:`constants_of` reads it.

    Raises:
        UsageError: as in :func:`read_checkpoint`, or the model does not fit the data.
    """
    from .exported_file import load_exported

    found = find_checkpoint(path)
    if found.program:
        return load_exported(found.file, input_shape, classes)
    return fitted(read_checkpoint(path), str(found), model, input_shape, classes, normalise=normalise)


def read_apart(path: str, folder: str, input_shape: list[int], classes: int) -> None:
    """Read a checkpoint and leave it in ``folder`` as plain tensors, and the graph of a program as plain JSON.

    For a process of its own (:mod:`rurk_core.apart.reading`); :func:`load_apart` reads what it leaves.

    Raises:
        UsageError: as in :func:`load_checkpoint`.
    """
    from .exported_file import load_exported

    found = find_checkpoint(path)
    if found.program:
        model = load_exported(found.file, tuple(input_shape), classes)
        weights = {f"weight_{index}": value.data for index, value in enumerate(model.weights)}
        Path(folder, "program.json").write_text(json.dumps(model.program))
    else:
        weights = read_checkpoint(path)
    save_file({name: value.contiguous().clone() for name, value in weights.items()}, Path(folder, "weights"))


def load_apart(
    folder: str, name: str, model: str, input_shape: tuple[int, ...], classes: int, *, normalise: str = ""
) -> Classifier:
    """The model that :func:`read_apart` left in a folder, as :func:`load_checkpoint` gives it; ``name`` is its file."""
    from .exported import Exported

    weights, graph = load_file(Path(folder, "weights")), Path(folder, "program.json")
    if graph.exists():
        return Exported(json.loads(graph.read_text()), [weights[f"weight_{i}"] for i in range(len(weights))]).eval()
    return fitted(weights, name, model, input_shape, classes, normalise=normalise)


def fitted(
    weights: Weights, name: str, model: str, input_shape: tuple[int, ...], classes: int, *, normalise: str = ""
) -> Classifier:
    """A network with weights under the names that others give them; as :func:`load_checkpoint`."""
    from .weights import load_weights

    built = create_model(model, input_shape, classes)
    if normalise:
        mean, std = constants_of(normalise)
        built.mean.copy_(_per_channel(mean, built.mean))
        built.std.copy_(_per_channel(std, built.std))
    return load_weights(built, adapted(weights, built.state_dict()), name)


def constants_of(text: str) -> tuple[list[float], list[float]]:
    """Means and standard deviations of ``"0.49,0.48,0.45:0.25,0.24,0.26"``, one number or one per channel each.

    Raises:
        UsageError: it is not written like this, or a deviation is not above 0.
    """
    try:
        mean, std = ([float(number) for number in part.split(",")] for part in text.split(":"))
        if all(map(math.isfinite, mean + std)) and min(std) > 0:
            return mean, std
    except ValueError:
        pass
    raise UsageError(f"Normalisation is written mean:std, as in 0.49,0.48,0.45:0.25,0.24,0.26, not '{text[:60]}'.")


def _per_channel(values: list[float], wanted: Tensor) -> Tensor:
    if len(values) not in (1, wanted.numel()):
        raise UsageError(f"The normalisation has {len(values)} numbers, and the data {wanted.numel()} channels.")
    return torch.tensor(values).expand(wanted.numel()).reshape(wanted.shape)


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= MAX_HEADER_BYTES


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


def _state_dict(found: Checkpoint) -> Weights:
    with found.file.open("rb") as file:
        start = file.read(4)
    if start[:1] == b"\x80":
        raise UsageError(
            f"The checkpoint {found} is a pickle, as PyTorch wrote them before 1.6, which is not opened; where you "
            f"trust it, save it anew: torch.save(torch.load('{found.file.name}', weights_only=False), 'new.pth')."
        )
    if start != b"PK\3\4":
        raise UsageError(
            f"The checkpoint {found} is damaged or is not a checkpoint: its first bytes are of no known kind."
        )
    stored_archive(found.file).close()
    try:
        held = torch.load(found.file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise UsageError(_why_unread(found, str(error))) from None
    return _chosen(found, held)


def _why_unread(found: Checkpoint, error: str) -> str:
    """Damaged, or holding what could run code: told apart by what torch's reader of plain tensors met."""
    objects = re.search(r"GLOBAL ([\w.]{1,80})|(?:Unsupported (?:class|operand|global)|type) ([\w.]{1,80})", error)
    if "weights_only" in error or "Unsupported" in error or objects:
        what = next((name for name in objects.groups() if name), "") if objects else ""
        return (
            f"The checkpoint {found} holds more than a plain state dict: Python objects{f' ({what})' if what else ''}, "
            "which could run code when they are opened, so they are not. Save the tensors alone with "
            "torch.save(model.state_dict(), ...) or as safetensors."
        )
    return f"The checkpoint {found} is damaged: it cannot be read to its end."


def _chosen(found: Checkpoint, held: object) -> Weights:
    """The state dict meant: the whole file, the only one in it, or the one that was named."""
    nothing = UsageError(f"The checkpoint {found} does not hold a state dict (names with tensors).")
    if not isinstance(held, dict):
        raise nothing
    parts = parts_of(held)
    if found.part:
        if found.part not in parts:
            known = ", ".join(f"'{name[:40]}'" for name in list(parts)[:8]) or "none by name"
            raise UsageError(f"The checkpoint {found.file} holds no weights called '{found.part}', but {known}.")
        return parts[found.part]
    whole = plain_weights(held)
    if whole:
        return whole
    if len(parts) > 1:
        names = [f"'{name[:40]}'" for name in parts]
        raise UsageError(
            f"The checkpoint {found} holds several sets of weights, {', '.join(names[:8])}; say which one is meant, as "
            f"in {found.file.name}#{next(iter(parts))}."
        )
    if not parts:
        raise nothing
    return next(iter(parts.values()))
