"""Programs of ``torch.export`` (``.pt2``) as classifiers, without torch's own loader.

``torch.export.load`` of torch 2.15 unpickles weights, constants and example inputs with ``weights_only=False`` and
evaluates the symbolic shapes as Python text: a hostile file runs code four different ways before anything is
returned (tests/test_hostile_checkpoints.py keeps one of each). So a program is read here from its parts instead: the
graph is JSON, weights are raw bytes, and nothing else in the archive is opened. The graph is walked node by node,
and only operators of :data:`OPERATORS` exist; all of them compute on tensors, none touches a file, a process or
the random state. A dry run on tensors without storage bounds every intermediate size before the first real one.
"""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError
from .container import MAX_HEADER_BYTES, MAX_TENSORS, stored_archive
from .exported import DTYPES, FORMAT, NOT_PICTURES, Exported, checked_name
from .program_bounds import MAX_RANK, Bounds

MAX_GRAPH_BYTES = MAX_HEADER_BYTES
MAX_NODES = 20_000
MAX_GROWTH = 2
"""Weights may share what the file holds, but be this many times as large at most."""


def load_exported(path: Path, input_shape: tuple[int, ...], classes: int) -> Exported:
    """An exported program as a classifier for this data, in eval mode.

    Raises:
        UsageError: the archive is damaged, holds what it must not, or the program does not fit the data.
    """
    try:
        with stored_archive(path) as archive:
            model = Exported(*read_exported(archive, classes))
        fits(model, input_shape, classes)
    except UsageError as error:
        sentence = str(error)
        raise UsageError(sentence if str(path) in sentence else f"The checkpoint {path}: {sentence}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError, RecursionError, zipfile.BadZipFile):
        raise UsageError(f"The checkpoint {path} is damaged or is not a program of torch.export.save.") from None
    return model.eval()


def read_exported(archive: zipfile.ZipFile, classes: int) -> tuple[dict[str, Any], list[Tensor]]:
    """The graph and the weights of an archive, and nothing else of it.

    Args:
        classes: how many logits are looked for, where the program returns several tensors.

    Returns:
        The program: ``inputs`` (names of weights in the graph), ``pixels``, ``output`` and ``features`` (names of
        values), ``nodes`` (``target``, ``inputs``, ``outputs`` as torch's schema writes them); and a tensor for each
        of ``inputs``.

    Raises:
        UsageError, KeyError, TypeError, ValueError: it is not such an archive.
    """
    names = archive.namelist()
    root = names[0].partition("/")[0]
    if archive.read(f"{root}/archive_format") != b"pt2" or archive.read(f"{root}/byteorder") != b"little":
        raise KeyError
    model = _json(archive, f"{root}/models/model.json")
    version = int(model["schema_version"]["major"])
    if version != 8:
        raise UsageError(f"its graph has version {version}, and only version 8 (torch 2.7 and newer) is known.")
    graph, signature = model["graph_module"]["graph"], model["graph_module"]["signature"]
    if len(graph["nodes"]) > MAX_NODES or len(signature["input_specs"]) > MAX_TENSORS:
        raise UsageError(f"its graph has more than {MAX_NODES} nodes or {MAX_TENSORS} inputs.")
    places = _places(archive, root)
    inputs, entries, pixels = [], [], []
    for spec in signature["input_specs"]:
        ((kind, held),) = spec.items()
        if kind == "user_input":
            pixels.append(checked_name(held["arg"]))
        elif kind in ("parameter", "buffer", "tensor_constant"):
            inputs.append(str(held["arg"]["name"]))
            entries.append(places[held[f"{kind}_name"]])
        else:
            raise UsageError(f"its graph takes a '{str(kind)[:40]}', which is not allowed.")
    if not inputs:
        raise UsageError("it holds no weights.")
    output = _logits(signature["output_specs"], graph.get("tensor_values", {}), classes)
    if len(pixels) != 1:
        raise UsageError(f"it has {len(pixels)} inputs; {NOT_PICTURES}.")
    nodes = [{key: node[key] for key in ("target", "inputs", "outputs")} for node in graph["nodes"]]
    program = {
        "format": FORMAT,
        "inputs": inputs,
        "pixels": pixels[0],
        "output": output,
        "features": _features(nodes, output),
        "nodes": nodes,
    }
    taken = graph.get("tensor_values", {}).get(pixels[0], {}).get("dtype", 7)
    if taken not in (6, 7, 8, 13):
        raise UsageError(f"it takes pixels that are no floating-point numbers; {NOT_PICTURES}.")
    if taken != 7:
        program["dtype"] = taken
    return program, _weights(archive, root, entries)


def _logits(specs: list[dict[str, Any]], values: dict[str, Any], classes: int) -> str:
    """The name of the output, or of the only one of several that has a number for each class."""
    if any("user_output" not in held for held in specs):
        raise UsageError("it changes its own buffers; call model.eval() before torch.export.export.")
    outputs = [_plain_name(held["user_output"]["arg"]) for held in specs]
    if len(outputs) == 1 and outputs[0]:
        return outputs[0]
    found = []
    for name in filter(None, outputs):
        sizes = values.get(name, {}).get("sizes", [])
        if len(sizes) == 2 and sizes[1].get("as_int") == classes:
            found.append(name)
    if len(found) != 1:
        raise UsageError(
            f"it has {len(outputs)} outputs, of which {len(found) or 'none'} could be the logits of {classes} classes; "
            f"{NOT_PICTURES} alone."
        )
    return found[0]


def _plain_name(argument: dict[str, Any]) -> str:
    """The name of a tensor; "" for numbers and for nothing, which programs return as well."""
    return checked_name(argument) if "as_tensor" in argument else ""


def _places(archive: zipfile.ZipFile, root: str) -> dict[str, dict[str, Any]]:
    """Where weights and constants lie, by name."""
    weights = _json(archive, f"{root}/data/weights/model_weights_config.json")["config"]
    constants = _json(archive, f"{root}/data/constants/model_constants_config.json")["config"]
    return weights | {name: {**entry, "folder": "constants"} for name, entry in constants.items()}


def _features(nodes: list[dict[str, Any]], output: str) -> str:
    """The name of what the last linear layer takes; ``output`` where there is none."""
    last = nodes[-1]
    taken = {"torch.ops.aten.linear.default": "input", "torch.ops.aten.addmm.default": "mat1"}.get(last["target"])
    if taken and checked_name(last["outputs"][0]) == output:
        return next(checked_name(entry["arg"]) for entry in last["inputs"] if entry["name"] == taken)
    return output


def _json(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    if archive.getinfo(name).file_size > MAX_GRAPH_BYTES:
        raise UsageError("its graph is too large to be read.")
    found = json.loads(archive.read(name))
    if not isinstance(found, dict):
        raise ValueError(name)
    return found


def _weights(archive: zipfile.ZipFile, root: str, entries: list[dict[str, Any]]) -> list[Tensor]:
    """A tensor for each entry; what is one tensor in the file is one here."""
    size, read = sum(part.file_size for part in archive.infolist()), dict[str, Tensor]()
    found = []
    for entry in entries:
        same = json.dumps(entry, sort_keys=True)
        if same not in read:
            read[same] = _weight(archive, root, entry)
            if sum(value.nbytes for value in read.values()) > MAX_GROWTH * size:
                raise UsageError("it is damaged: its weights are larger than the file.")
        found.append(read[same])
    return found


def _weight(archive: zipfile.ZipFile, root: str, entry: dict[str, Any]) -> Tensor:
    """A tensor from raw bytes; one that was pickled is refused, not opened."""
    if entry["use_pickle"] or entry["tensor_meta"] is None:
        raise UsageError(
            "it holds pickled tensors or objects, which could run code; save the model's state dict for a registered "
            "architecture instead."
        )
    meta = entry["tensor_meta"]
    if meta["dtype"] not in DTYPES:
        raise UsageError(
            "it holds weights of a kind that is not read (complex or quantised); export the model in float32."
        )
    folder, name = entry.get("folder", "weights"), str(entry["path_name"])
    raw = archive.read(f"{root}/data/{folder}/{name}")
    if max(len(meta["sizes"]), len(meta["strides"])) > MAX_RANK:
        raise UsageError(f"it holds weights of more than {MAX_RANK} dimensions.")
    sizes, strides = ([_whole(item) for item in meta[key]] for key in ("sizes", "strides"))
    offset, dtype = _whole(meta["storage_offset"]), DTYPES[meta["dtype"]]
    count = math.prod(sizes)
    reach = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True)) + 1
    if not count:
        return torch.empty(sizes, dtype=dtype)
    if max(count + offset, reach) * dtype.itemsize > len(raw):
        raise UsageError(f"it is damaged: '{name[:40]}' claims more numbers than it holds.")
    flat = torch.frombuffer(bytearray(raw), dtype=dtype)
    value = flat.as_strided(sizes, strides, offset).clone(memory_format=torch.contiguous_format)
    if not torch.isfinite(value).all():
        raise UsageError("it holds NaN or infinite numbers.")
    return value


def _whole(item: dict[str, Any]) -> int:
    number = item["as_int"]
    if type(number) is not int or not 0 <= number < 2**40:
        raise ValueError(number)
    return number


def fits(model: Exported, input_shape: tuple[int, ...], classes: int) -> None:
    """Run two batches without storage and within bounds, then two real ones, and look at what comes out.

    Raises:
        UsageError: it takes too much, or does not return finite logits for this data.
    """
    try:
        shapes = []
        with torch.no_grad():
            dry = Exported(model.program, [value.to("meta") for value in model.weights])
            weights = sum(value.numel() for value in model.weights)
            for batch in (2, 3):
                with Bounds(weights) as bounds:
                    dry._walk(torch.empty(batch, *input_shape, device="meta"), model._ends[1], bounds.living)
                shapes.append(model(torch.full((batch, *input_shape), 0.5)))
            model.features(torch.full((2, *input_shape), 0.5))
    except UsageError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise UsageError(
            f"it cannot take batches of {'×'.join(map(str, input_shape))} of any length ({reason}); "
            "export it with a dynamic first dimension, from a model for this data."
        ) from None
    for batch, found in zip((2, 3), shapes, strict=True):
        if found.shape != (batch, classes) or not torch.isfinite(found).all():
            raise UsageError(
                f"it returns {tuple(found.shape)} for {batch} samples, not {batch}×{classes} finite "
                f"logits; {NOT_PICTURES}."
            )
