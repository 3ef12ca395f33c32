"""Re-recognition radii of a run's models, kept in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..data import Dataset
from ..errors import RurkError, UsageError
from ..measure.radius import RESTARTS, STEPS, OnSample, Radii, measure
from ..run.code import code_of
from ..store.tensors import load_tensors, save_tensors, tensor_metadata
from .case import Case, kept


def radii_of(
    case: Case,
    data: Dataset,
    *,
    norm: str = "linf",
    models: Sequence[str] | None = None,
    device: str = "cpu",
    seed: int = 0,
    on_sample: OnSample | None = None,
) -> dict[str, Radii]:
    """Re-recognition radii of the forget set under the models of a run, each kept in the store.

    About 2 s a model for 71 digits on two cores, minutes for large networks: a page asks for what is kept
    (``store.has`` of :func:`radius_key`) and leaves the rest to a background job.

    Args:
        data: the run's data set; norm: "l2" or "linf"; models: names, all by default.
        on_sample: called as ``on_sample(samples done, samples in all)`` over all models; raising in it stops.

    Returns:
        Model → :class:`~rurk_core.measure.radius.Radii`, in the order of the forget set.
    """
    data, keys = case.of(data), case.keys
    indices = case.result["forget"]["indices"]
    index = torch.tensor(indices)
    names = list(keys) if models is None else list(models)
    for name in names:
        if name not in keys:
            raise UsageError(f"The run has no model '{name}'; it has {', '.join(keys)}.")
    found = {}
    for done, name in enumerate(names):

        def report(here: int, total: int, done: int = done) -> None:
            if on_sample:
                on_sample(done * total + here, len(names) * total)

        def search(name: str = name, report: OnSample = report) -> Radii:
            return measure(
                case.model(name),
                data.train_images[index],
                data.train_labels[index],
                index.tolist(),
                norm=norm,
                device=device,
                seed=seed,
                on_sample=report,
            )

        inputs = _radius_inputs(data, indices, keys[name], norm, seed)
        found[name] = kept(case.store, "radii", inputs, search, radii_to_bytes, radii_from_bytes)
        report(1, 1)
    return found


def radius_key(case: Case, data: Dataset, model: str, *, norm: str, seed: int = 0) -> str:
    """The entry of :func:`radii_of` for one model of the run."""
    inputs = _radius_inputs(data, case.result["forget"]["indices"], case.keys[model], norm, seed)
    return case.store.key("radii", inputs)


def _radius_inputs(data: Dataset, indices: Sequence[int], model: str, norm: str, seed: int) -> dict[str, Any]:
    return {
        "model": model,
        "data": data.fingerprint,
        "samples": list(indices),
        "norm": norm,
        "steps": STEPS,
        "restarts": RESTARTS,
        "seed": seed,
        "code": code_of("radii"),
    }


def radii_to_bytes(radii: Radii) -> bytes:
    """A safetensors file."""
    arrays = {name: torch.from_numpy(getattr(radii, name)) for name in ("said", "strong", "random")}
    return save_tensors(arrays, {"norm": radii.norm})


def radii_from_bytes(data: bytes) -> Radii:
    """Read :func:`radii_to_bytes` back; a RurkError where it is something else."""
    arrays, about = load_tensors(data), tensor_metadata(data)
    try:
        return Radii(about["norm"], *(arrays[name].numpy() for name in ("said", "strong", "random")))
    except KeyError:
        raise RurkError("The file of radii is damaged or of another kind; delete it and ask again.") from None
