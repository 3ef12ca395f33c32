"""The one large measurement: what each model takes every perturbed copy for, kept as counts per class.

Copies are made once per radius and judged by every model while they are in cache; counts stay on the device
until the end. Memory does not grow with draws or radii: a chunk of copies is made, judged and forgotten.
Where bfloat16 is faster the models judge in it, and float32 decides whatever is close (:class:`Judge`).

Beside the counts the mean log-odds of the sample's own label are kept (:func:`log_odds`): counts of 0 or of all copies
throw away by how much. So is the difference between two halves of the draws, which says what draws alone make of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Images, to_pixels
from ..device import default_batch, fast_bfloat16
from ..errors import RurkError, UsageError
from ..perturb.copies import DRAW_BLOCK, along_ray, find_attack, pgd_blocks, ray_blocks, transform_blocks
from ..perturb.transforms import TRANSFORMS
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


@torch.no_grad()
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
    _check(models, [*references, *([source] if kind.uses_model else [])], samples, taus, draws)
    device = torch.device(device)
    batch = batch or default_batch(tuple(images.shape[1:]), device)
    try_fast = fast_bfloat16(device) and len(samples) * len(taus) * draws >= WORTH * batch
    judges = {name: Judge(model, device, images, try_fast=try_fast) for name, model in models.items()}
    tally = _Tally(judges, references, labels, len(taus), classes, device)
    make = partial(_blocks, attack, judges[source].exact if kind.uses_model else None, taus, draws, seed, classes)
    tally.judge_all(make, images, list(samples), len(taus) * draws, min(draws, DRAW_BLOCK), batch, on_chunk, on_note)
    still = [t for t, tau in enumerate(taus) if tau == 0]
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
        counts=tally.counts.to(torch.int32).cpu().numpy(),
        agreement=tally.agreement.to(torch.int32).cpu().numpy(),
        margins=(tally.margins / draws).cpu().numpy(),
        halves=tally.halves(draws, still).cpu().numpy() if draws > 1 and not kind.uses_model else None,
    )


def _check(
    models: Mapping[str, nn.Module], names: Sequence[str], samples: Sequence[int], taus: Sequence[float], draws: int
) -> None:
    if not len(samples) or draws < 1 or not len(taus):
        raise UsageError("Verdicts need at least one sample, one draw and one radius.")
    if any(not 0 <= tau < float("inf") for tau in taus):
        raise UsageError("Every radius τ must be a number of at least 0.")
    for name in names:
        if name not in models:
            raise UsageError(f"There is no model '{name}' among {', '.join(models)}.")


class _Tally:
    """What judges have said so far, on the device: nothing is fetched before the end."""

    def __init__(
        self,
        judges: Mapping[str, Judge],
        references: Sequence[str],
        labels: Tensor,
        radii: int,
        classes: int,
        device: torch.device,
    ) -> None:
        n, m = len(labels), len(judges)
        self.judges, self.labels = judges, labels.to(device)
        self.at = torch.tensor([list(judges).index(name) for name in references], dtype=torch.int64, device=device)
        self.counts = torch.zeros(m, n, radii, classes, dtype=torch.int64, device=device)
        self.agreement = torch.zeros(m, len(self.at), n, radii, dtype=torch.int64, device=device)
        self.margins = torch.zeros(m, n, radii, device=device)
        self.odd = torch.zeros(m, n, radii, device=device)

    def judge_all(
        self,
        make: Callable[[Tensor, Tensor, list[int]], Iterator[tuple[int, Tensor, Tensor]]],
        images: Images,
        samples: list[int],
        copies: int,
        block: int,
        batch: int,
        on_chunk: OnChunk | None,
        on_note: Callable[[str], None] | None,
    ) -> None:
        """Judge ``copies`` of every sample, a few samples at a time; half as many in a pass where memory runs out.

        Args:
            make: (pixels, labels, ids) of a few samples → their copies, as :func:`_blocks` has them; block: how many at
                once of a sample, at most.
        """
        device, start = self.margins.device, 0
        while start < len(samples):
            here = slice(start, min(start + max(1, batch // block), len(samples)))
            try:
                pixels = to_pixels(images[here].to(device))
                for t, moved, weight in make(pixels, self.labels[here], samples[here]):
                    self.add(moved, weight, here, t, batch)
                    if on_chunk:
                        on_chunk(here.start * copies, len(samples) * copies)
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise RurkError(
                        f"The device {device} has not the memory to judge a single copy; choose a smaller model, "
                        "or run on the CPU."
                    ) from None
                batch //= 2
                self.forget(here)  # what this chunk has counted so far is counted again
                if on_note:
                    on_note(f"Out of memory on {device}: going on with {batch} copies in a pass.")
            else:
                start = here.stop
        if on_chunk:
            on_chunk(len(samples) * copies, len(samples) * copies)

    def add(self, moved: Tensor, weight: Tensor, here: slice, t: int, batch: int) -> None:
        """Judge copies ``moved`` [S, B, ...] of the samples ``here`` at radius t, each ``weight`` [S, B] times."""
        flat = moved.reshape(-1, *moved.shape[2:])
        parts = flat.split(batch)
        logits = torch.stack(
            [torch.cat([judge(p, batch) for p in parts]).view(*weight.shape, -1) for judge in self.judges.values()]
        )
        taken = logits.argmax(-1)
        own = self.labels[here][:, None].expand_as(taken)
        odds = log_odds(logits, own) * weight
        self.margins[:, here, t] += odds.sum(-1)
        # blocks begin at a draw of even number
        self.odd[:, here, t] += odds[..., 1::2].sum(-1)
        self.counts[:, here, t].scatter_add_(2, taken, weight.expand_as(taken))
        self.agreement[:, :, here, t] += ((taken[:, None] == taken[self.at][None]) * weight).sum(-1)

    def halves(self, draws: int, still: Sequence[int]) -> Tensor:
        """Mean over the even draws minus that over the odd ones [M, N, T]; 0 at the radii ``still``, of one copy."""
        found = (self.margins - self.odd) / (draws - draws // 2) - self.odd / (draws // 2)
        found[..., list(still)] = 0
        return found

    def forget(self, here: slice) -> None:
        self.counts[:, here] = 0
        self.agreement[:, :, here] = 0
        self.margins[:, here] = 0
        self.odd[:, here] = 0


def _blocks(
    attack: str,
    attacked: nn.Module | None,
    taus: Sequence[float],
    draws: int,
    seed: int,
    classes: int,
    x: Tensor,
    y: Tensor,
    ids: list[int],
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """All copies of a few samples: (place of the radius, copies [S, B, ...], how often each counts [S, B])."""
    moving = [(t, tau) for t, tau in enumerate(taus) if tau > 0]
    for t, tau in enumerate(taus):
        if tau == 0:  # every copy is the sample itself
            yield t, x.unsqueeze(1), torch.full((len(ids), 1), draws, device=x.device)
    if find_attack(attack).ray and moving:
        for delta, weight in ray_blocks(attack, attacked, x, y, ids, draws, seed, classes):
            for t, tau in moving:
                yield t, along_ray(x, delta, tau), weight
        return
    for t, tau in moving:
        if attack in TRANSFORMS:
            for moved in transform_blocks(attack, x, ids, tau, draws, seed):
                yield t, moved, torch.ones(moved.shape[:2], dtype=torch.int64, device=x.device)
        else:
            assert attacked is not None
            for moved in pgd_blocks(attack, attacked, x, y, ids, tau, draws, seed, classes):
                yield t, moved, torch.ones(moved.shape[:2], dtype=torch.int64, device=x.device)


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


def count_alike(
    table: Verdicts,
    models: Mapping[str, nn.Module],
    images: Images,
    labels: Tensor,
    samples: Sequence[int],
    *,
    classes: int,
    device: torch.device | str = "cpu",
    on_chunk: OnChunk | None = None,
) -> Verdicts:
    """Judge these samples by these models as ``table`` was made: its attack, radii, draws, seed and source.

    References are those of the table that are among ``models``. Else as :func:`count_verdicts`.
    """
    asked: dict[str, Any] = {
        "attack": table.attack,
        "taus": table.taus.tolist(),
        "draws": table.draws,
        "seed": table.seed,
        "classes": classes,
        "device": device,
        "on_chunk": on_chunk,
    }
    if table.source == EACH:
        return count_on_themselves(models, images, labels, samples, **asked)
    references = [name for name in table.references if name in models]
    return count_verdicts(models, references, images, labels, samples, source=table.source, **asked)


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
    if verdicts.halves is not None:
        tensors["halves"] = verdicts.halves
    about = {name: getattr(verdicts, name) for name in ("attack", "source", "draws", "seed", "models", "references")}
    return save_tensors({n: torch.from_numpy(a) for n, a in tensors.items()}, {"verdicts": json.dumps(about)})


def verdicts_from_bytes(data: bytes) -> Verdicts:
    """Read :func:`verdicts_to_bytes` back; files of versions that kept no margins or halves have None.

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
            halves=tensors["halves"].numpy() if "halves" in tensors else None,
        )
    except (KeyError, TypeError, ValueError):
        raise RurkError("The verdict file is damaged or of another kind; delete it and run again.") from None
