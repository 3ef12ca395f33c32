"""The one large measurement: what each model takes every perturbed copy for, kept as counts per class.

Copies are made once per radius and judged by every model while they are in cache; counts stay on the device
until the end. Memory does not grow with draws or radii: a chunk of copies is made, judged and forgotten.
Where bfloat16 is faster the models judge in it, and float32 decides whatever is close (:class:`Judge`).

Beside the counts the mean log-odds of the sample's own label are kept (:func:`log_odds`): counts of 0 or of all copies
throw away by how much.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Images, to_pixels
from ..device import default_batch, fast_bfloat16
from ..errors import RurkError, UsageError
from ..perturb.copies import DRAW_BLOCK, along_ray, find_attack, pgd_blocks, ray_blocks
from ..store.tensors import load_tensors, save_tensors, tensor_metadata
from .frozen import WORTH, Judge
from .residual import Verdicts

OnChunk = Callable[[int, int], None]
"""Called as ``on_chunk(copies judged, copies in all)``; raising in it stops the measurement."""


LOG_ODDS_BOUND = 12.0
"""Log-odds of one copy are clipped to ± this (p = 6e-6 from certain), so that one copy does not decide a mean."""
EACH = "each model itself"
"""The source of copies that were built on every model anew, see :func:`count_on_themselves`."""


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """log p_y − log(1 − p_y) from logits [..., C] and labels [...]: z_y − log Σ_{c ≠ y} exp z_c, clipped.

    Within ±:data:`LOG_ODDS_BOUND`; 0 where it is undefined (logits that are NaN, or infinite on both sides).
    """
    own = logits.gather(-1, labels[..., None])
    others = logits.scatter(-1, labels[..., None], -torch.inf).logsumexp(-1)
    return (own[..., 0] - others).clamp(-LOG_ODDS_BOUND, LOG_ODDS_BOUND).nan_to_num(0.0)


def count_verdicts(
    models: Mapping[str, nn.Module],
    references: Sequence[str],
    images: Images,
    labels: Tensor,
    samples: Sequence[int],
    *,
    attack: str,
    taus: Sequence[float],
    draws: int,
    seed: int,
    classes: int,
    source: str = "",
    device: torch.device | str = "cpu",
    batch: int | None = None,
    on_chunk: OnChunk | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Verdicts:
    """Judge ``draws`` perturbed copies of every sample at every radius by every model.

    Args:
        models: name → classifier; all judge the same copies.
        references: names in ``models`` that are re-trained.
        images: uint8 or float32 [N, ...], the forget samples; labels: int64 [N].
        samples: their N training indices, which key the draws.
        attack: key of :data:`ATTACKS`; ``source`` names the model it is built on, if it needs one.
        taus: radii in pixel units, each at least 0.
        draws: copies of a sample at each radius (the paper's c = 100).
        batch: copies in a forward pass; by default what fits the cache of the device. Where the device has not
            the memory for so many, half as many are tried, and half of that, and ``on_note`` is told.

    Raises:
        UsageError: no samples, no draws, a negative radius, an unknown attack or model name.
        RurkError: the device has not the memory for a single copy.
    """
    kind = find_attack(attack)
    if not len(samples) or draws < 1 or not len(taus):
        raise UsageError("Verdicts need at least one sample, one draw and one radius.")
    if any(not 0 <= tau < float("inf") for tau in taus):
        raise UsageError("Every radius τ must be a number of at least 0.")
    for name in [*references, *([source] if kind.uses_model else [])]:
        if name not in models:
            raise UsageError(f"There is no model '{name}' among {', '.join(models)}.")
    device = torch.device(device)
    pixel_shape = tuple(images.shape[1:])
    batch = batch or default_batch(pixel_shape, device)
    total = len(samples) * len(taus) * draws
    try_fast = fast_bfloat16(device) and total >= WORTH * batch
    judges = {name: Judge(model, device, images, try_fast=try_fast) for name, model in models.items()}
    attacked = judges[source].exact if kind.uses_model else None
    counts = torch.zeros(len(judges), len(samples), len(taus), classes, dtype=torch.int64, device=device)
    at = torch.tensor([list(models).index(name) for name in references], dtype=torch.int64, device=device)
    agreement = torch.zeros(len(judges), len(at), len(samples), len(taus), dtype=torch.int64, device=device)
    margins = torch.zeros(len(judges), len(samples), len(taus), device=device)

    def judge(moved: Tensor, weight: Tensor, here: slice, t: int) -> None:
        """Count copies ``moved`` [S, B, ...] of the samples ``here`` at radius t, each ``weight`` [S, B] times."""
        flat = moved.reshape(-1, *pixel_shape)
        logits = torch.stack(
            [
                torch.cat([judge_of(part, batch) for part in flat.split(batch)]).view(*weight.shape, -1)
                for judge_of in judges.values()
            ]
        )
        taken = logits.argmax(-1)
        own = labels[here].to(device)[:, None].expand_as(taken)
        margins[:, here, t] += (log_odds(logits, own) * weight).sum(-1)
        counts[:, here, t].scatter_add_(2, taken, weight.expand_as(taken))
        agreement[:, :, here, t] += ((taken[:, None] == taken[at][None]) * weight).sum(-1)
        if on_chunk:
            on_chunk(here.start * len(taus) * draws, total)

    def judge_samples(here: slice) -> None:
        """All copies of the samples ``here``."""
        x = to_pixels(images[here].to(device))
        y = labels[here].to(device)
        ids = list(samples[here])
        moving = [(t, tau) for t, tau in enumerate(taus) if tau > 0]
        for t, tau in enumerate(taus):
            if tau == 0:  # every copy is the sample itself
                judge(x.unsqueeze(1), torch.full((len(ids), 1), draws, device=device), here, t)
        if kind.ray and moving:
            for delta, weight in ray_blocks(attack, attacked, x, y, ids, draws, seed, classes):
                for t, tau in moving:
                    judge(along_ray(x, delta, tau), weight, here, t)
        elif moving:
            assert attacked is not None
            for t, tau in moving:
                for moved in pgd_blocks(attack, attacked, x, y, ids, tau, draws, seed, classes):
                    ones = torch.ones(moved.shape[:2], dtype=torch.int64, device=device)
                    judge(moved, ones, here, t)

    start = 0
    with torch.no_grad():
        while start < len(samples):
            here = slice(start, min(start + max(1, batch // min(draws, DRAW_BLOCK)), len(samples)))
            try:
                judge_samples(here)
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise RurkError(
                        f"The device {device} has not the memory to judge a single copy; choose a smaller model, "
                        "or run on the CPU."
                    ) from None
                batch //= 2
                # what this chunk has counted so far is counted again
                counts[:, here] = 0
                agreement[:, :, here] = 0
                margins[:, here] = 0
                if on_note:
                    on_note(f"Out of memory on {device}: going on with {batch} copies in a pass.")
            else:
                start = here.stop
    if on_chunk:
        on_chunk(total, total)
    return Verdicts(
        attack=attack,
        source=source if kind.uses_model else "",
        draws=draws,
        seed=seed,
        taus=np.asarray(taus, float),
        samples=np.asarray(samples, np.int64),
        labels=labels.cpu().numpy().astype(np.int64),
        models=tuple(models),
        references=tuple(references),
        counts=counts.to(torch.int32).cpu().numpy(),
        agreement=agreement.to(torch.int32).cpu().numpy(),
        margins=(margins / draws).cpu().numpy(),
    )


def count_on_themselves(models: Mapping[str, nn.Module], *arguments: Any, **settings: Any) -> Verdicts:
    """Every model judges copies that were built on itself, by an attack that builds them on a model.

    Copies built on one model treat the others alike but not that one, so an honest re-training would stand out under
    them. Here each model goes through the same experiment, and a re-training is one more draw of it. Costs as many
    attacks as there are models; a model's copies are only seen by itself, so there is nothing to agree on.

    Args:
        arguments, settings: images, labels, samples and all else of :func:`count_verdicts` but references and source.

    Returns:
        One table with ``source`` :data:`EACH`, all models and no references.

    Raises:
        UsageError: the attack is not built on a model; else as :func:`count_verdicts`.
    """
    if not find_attack(settings["attack"]).uses_model:
        raise UsageError(f"The attack '{settings['attack']}' is not built on a model; its copies are the same for all.")
    each = [count_verdicts({name: model}, [], *arguments, source=name, **settings) for name, model in models.items()]
    parts: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in each]) for name in ("counts", "agreement", "margins")
    }
    return replace(each[0], source=EACH, models=tuple(models), **parts)


def verdicts_to_bytes(verdicts: Verdicts) -> bytes:
    """A safetensors file; counts in the smallest integer type that holds ``draws``."""
    small = np.uint8 if verdicts.draws < 2**8 else np.int16 if verdicts.draws < 2**15 else np.int32
    tensors = {
        "counts": verdicts.counts.astype(small),
        "agreement": verdicts.agreement.astype(small),
        "taus": verdicts.taus,
        "samples": verdicts.samples,
        "labels": verdicts.labels,
    }
    if verdicts.margins is not None:
        tensors["margins"] = verdicts.margins
    about = {name: getattr(verdicts, name) for name in ("attack", "source", "draws", "seed", "models", "references")}
    return save_tensors({n: torch.from_numpy(a) for n, a in tensors.items()}, {"verdicts": json.dumps(about)})


def verdicts_from_bytes(data: bytes) -> Verdicts:
    """Read :func:`verdicts_to_bytes` back; files of versions that kept no margins have None.

    Raises:
        RurkError: the file is damaged or holds something else.
    """
    tensors, metadata = load_tensors(data), tensor_metadata(data)
    try:
        about = json.loads(metadata["verdicts"])
        return Verdicts(
            attack=about["attack"],
            source=about["source"],
            draws=int(about["draws"]),
            seed=int(about["seed"]),
            taus=tensors["taus"].numpy(),
            samples=tensors["samples"].numpy(),
            labels=tensors["labels"].numpy(),
            models=tuple(about["models"]),
            references=tuple(about["references"]),
            counts=tensors["counts"].numpy().astype(np.int32),
            agreement=tensors["agreement"].numpy().astype(np.int32),
            margins=tensors["margins"].numpy() if "margins" in tensors else None,
        )
    except (KeyError, TypeError, ValueError):
        raise RurkError("The verdict file is damaged or of another kind; delete it and run again.") from None
