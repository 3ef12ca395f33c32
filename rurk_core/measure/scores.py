"""One pass over the images of a data set feeds all that is said of a model: accuracies, membership, layers, maps.

No image goes through a network twice: the few samples whose layers are compared run through it block by block, all
others in large batches, and what later steps need of them is kept. Only where the losses themselves decide what is
to be forgotten, the samples whose layers are compared (128 at most), and of large sets those that maps show, are not
known beforehand and pass once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import Dataset, ForgetSet, Images, batches, retain_indices, to_pixels
from ..device import default_batch, memory_format, place
from ..models import Classifier
from .layers import centred_gram

LAYER_SAMPLES = 64
"""Forget samples, and as many retain samples, whose layers are compared: enough for an unbiased CKA to two digits."""
MAP_TRAIN, MAP_TEST = 4000, 2000
"""Samples whose last features are kept for maps; the forget set comes first."""


@torch.no_grad()
def score(
    model: Classifier,
    dataset: Dataset,
    device: torch.device,
    forget: ForgetSet | Callable[[Tensor], ForgetSet] | None = None,
    *,
    on_chunk: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What a model makes of every training and test sample.

    Args:
        forget: says which samples' layers are looked at, if need be from ``train_loss``; without it only the first
            four entries are returned.
        on_chunk: called as ``on_chunk(images done, images in all)``; raising in it stops the pass.

    Returns:
        scores: ``train_loss``, ``test_loss`` (float32, −log p(y|x), so that exp(−loss) is the probability of the
            correct class), ``train_class``, ``test_class`` (int16), and ``gram/forget/000/BLOCK``,
            ``gram/retain/000/BLOCK``, ... (float16,
            :func:`~rurk_core.measure.layers.centred_gram` of every block's output, numbered from the input; left out
            for fewer than four samples).
        features: ``train``, ``test`` (float16 [n, F], the input of the head) and ``train_index``, ``test_index``
            (int64 [n], the samples they belong to). A model whose blocks are unknown has neither grams nor features.
    """
    place(model, dataset.train_images[:1].to(device)).eval()
    look = _Look(model, device, len(dataset.classes))
    known, done, total = bool(model.block_names), 0, len(dataset.train_labels) + len(dataset.test_labels)
    scores: dict[str, Tensor] = {}
    features: dict[str, Tensor] = {}
    for split, images, labels in (
        ("train", dataset.train_images, dataset.train_labels),
        ("test", dataset.test_images, dataset.test_labels),
    ):
        logits = torch.empty(len(labels), len(dataset.classes))
        left = torch.ones(len(labels), dtype=torch.bool)
        limit = MAP_TRAIN if split == "train" else MAP_TEST
        first = forget if split == "train" and isinstance(forget, ForgetSet) else None
        # of the others the last features are not kept: they would take more than the images
        kept = map_samples(len(labels), limit, first) if known else torch.empty(0, dtype=torch.int64)
        found: dict[int, Tensor] = {}
        if first and known:
            for index, before, out in look.at_layers(dataset, first, scores):
                logits[index], left[index] = out, False
                found |= dict(zip(index.tolist(), before, strict=True))
        order = left.nonzero()[:, 0]
        logits[order], last = look.through(images, order, kept, _beyond(done, total, on_chunk))
        found |= dict(zip(order[torch.isin(order, kept)].tolist(), last, strict=True))
        done += len(labels)
        scores[f"{split}_loss"] = F.cross_entropy(logits, labels, reduction="none")
        scores[f"{split}_class"] = logits.argmax(1).to(torch.int16)
        if callable(forget):
            forget = forget(scores["train_loss"])
            if known:
                list(look.at_layers(dataset, forget, scores))
                kept = map_samples(len(labels), limit, forget)
                more = kept[[index not in found for index in kept.tolist()]]
                found |= dict(zip(more.tolist(), look.through(images, more, more, None)[1], strict=True))
        if known:
            features |= {split: torch.stack([found[index] for index in kept.tolist()]), f"{split}_index": kept}
    return scores, features


@dataclass(frozen=True)
class _Look:
    """Passes of samples through a model that keep what is inside."""

    model: Classifier
    device: torch.device
    classes: int

    def at_layers(
        self, dataset: Dataset, chosen: ForgetSet, scores: dict[str, Tensor]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Puts the grams of the samples whose layers are compared into ``scores``; (index, last features, logits)."""
        for name, index in _layer_samples(dataset, chosen).items():
            before = hidden = pixels = _pixels(dataset.train_images[index], self.device, self.model)
            for number, (block, hidden) in enumerate(_blocks(self.model, pixels)):
                scores[f"gram/{name}/{number:03d}/{block}"] = centred_gram(hidden).half().cpu()
                if block != "head":
                    before = hidden
            yield index, _half(before).cpu(), hidden.float().cpu()

    def through(
        self, images: Images, index: Tensor, wanted: Tensor, tell: Callable[[int], None] | None
    ) -> tuple[Tensor, Tensor]:
        """Logits [len(index), C] and, of the ``wanted`` among them, the last features (float16), both on the CPU."""
        # made beforehand and filled on the device: to fetch what is found batch by batch would wait each time, and
        # to gather it in small pieces would leave holes in the memory as large as the batches between them
        model, device, known = self.model, self.device, bool(self.model.block_names)
        chosen = torch.isin(index, wanted)
        logits = torch.empty(len(index), self.classes, device=device)
        width = model.head.in_features if known else 0
        last = torch.empty(int(chosen.sum()), width, dtype=torch.float16, device=device)
        order = index.split(default_batch(tuple(images.shape[1:]), device)) if len(index) else ()
        start = at = 0
        for here, rows in zip(order, batches(images, order), strict=True):
            pixels = _pixels(rows, device, model)
            end = start + len(here)
            if known:
                hidden = model.features(pixels)
                logits[start:end] = model.head(hidden)
                of_batch = chosen[start:end].nonzero()[:, 0]
                last[at : at + len(of_batch)] = _half(hidden[of_batch.to(device)])
                at += len(of_batch)
            else:
                logits[start:end] = model(pixels)
            start = end
            if tell:
                tell(int(here[-1]) + 1)
        return logits.cpu(), last.cpu()


def _beyond(done: int, total: int, on_chunk: Callable[[int, int], None] | None) -> Callable[[int], None] | None:
    """Progress within the images behind ``done``."""
    return (lambda images: on_chunk(done + images, total)) if on_chunk else None


def _layer_samples(dataset: Dataset, forget: ForgetSet) -> dict[str, Tensor]:
    """Seeded samples of either set, never the same one twice."""
    generator = torch.Generator().manual_seed(0)
    sets = {"forget": torch.tensor(forget.indices), "retain": retain_indices(dataset, forget)}
    picks = {
        name: members[torch.randperm(len(members), generator=generator)[:LAYER_SAMPLES]]
        for name, members in sets.items()
    }
    return {name: members for name, members in picks.items() if len(members) >= 4}


def map_samples(count: int, limit: int, forget: ForgetSet | None = None) -> Tensor:
    """At most ``limit`` of ``count`` samples, sorted; those to be forgotten before any other.

    Those of a smaller limit are among those of a larger one.
    """
    if count <= limit:
        return torch.arange(count)
    order = torch.rand(count, generator=torch.Generator().manual_seed(0))
    if forget:
        order[torch.tensor(forget.indices)] -= 1
    return order.argsort()[:limit].sort().values


def _pixels(images: Tensor, device: torch.device, model: Classifier) -> Tensor:
    pixels = to_pixels(images.to(device))
    return pixels.contiguous(memory_format=memory_format(pixels, model))


def _half(features: Tensor) -> Tensor:
    """float16; what is beyond its range stays finite."""
    return features.float().clamp(-65504, 65504).half()


def _blocks(model: Classifier, pixels: Tensor):
    """(name, output) of every block in turn, the head last; a block's output may be changed by the next one."""
    hidden = (pixels - model.mean) / model.std
    for name in model.block_names:
        hidden = model.block(name)(hidden)
        yield name, hidden
