"""Duplicates and near-twins: training samples that lie next to another of their class, pixel by pixel."""

from __future__ import annotations

import torch

from .dataset import Dataset, to_pixels

CHUNK = 1024


def twins(dataset: Dataset) -> list[int]:
    """Training indices, those first that lie nearest to another sample of their class (root mean square of pixels).

    One that is nearest to a sample that is named stays, and so does one whose nearest is named: what they
    teach, a re-trained model knows too. Takes the square of the samples of a class, a minute for CIFAR-10.

    >>> from rurk_core.data import load_dataset
    >>> len(twins(load_dataset("iris"))) > 10
    True
    """
    n = len(dataset.train_labels)
    near, other = torch.full((n,), torch.inf, dtype=torch.float64), torch.full((n,), -1)
    for label in dataset.train_labels.unique():
        index = (dataset.train_labels == label).nonzero()[:, 0]
        if len(index) < 2:
            continue
        pixels = to_pixels(dataset.train_images[index]).flatten(1).double()
        for here in torch.arange(len(index)).split(CHUNK):
            apart = torch.cdist(pixels[here], pixels) / pixels.shape[1] ** 0.5
            apart[torch.arange(len(here)), here] = torch.inf
            least = apart.min(1)
            near[index[here]], other[index[here]] = least.values, index[least.indices]
    named: dict[int, None] = {}
    stay: set[int] = set()
    for sample in near.argsort(stable=True).tolist():
        twin = int(other[sample])
        if twin >= 0 and sample not in stay and twin not in named:
            named[sample] = None
            stay.add(twin)
    return list(named)
