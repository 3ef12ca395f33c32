"""Many numbers brought into the plane: PCA, UMAP, and where a new point lies among those that were fitted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError, need

NEIGHBOURS = 15
EPOCHS = 200
"""What umap-learn takes for large sets; the 500 it takes for small ones change what is seen little."""


def shepard(points: Tensor, anchors: Tensor, values: Tensor, neighbours: int = NEIGHBOURS) -> Tensor:
    """Values at ``points`` [n, k] from those at ``anchors`` [N, k]: the mean of the nearest, weighted by 1/distance².

    A point that is an anchor gets its value exactly.

    >>> shepard(torch.tensor([[1.0], [0.5]]), torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [8.0]]))
    tensor([[8.],
            [4.]])
    """
    found = []
    for chunk in points.split(1024):
        # not by the matrix product, which is inexact where distances are small
        near = torch.cdist(chunk, anchors, compute_mode="donot_use_mm_for_euclid_dist").topk(
            min(neighbours, len(anchors)), largest=False
        )
        squared = near.values.double() ** 2
        exact = squared <= 1e-12 * (1 + squared[:, -1:])
        weight = torch.where(exact.any(1, keepdim=True), exact.double(), 1 / squared.clamp(min=1e-300))
        weight /= weight.sum(1, keepdim=True)
        found.append((weight[..., None] * values[near.indices].double()).sum(1).to(values.dtype))
    return torch.cat(found) if found else values[:0]


def pca(vectors: Tensor, kept: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [F], principal axes [F, k] and their shares of the variance [k], at least 2 and at most ``kept`` of them.

    The sign of an axis is set so that its largest weight is positive: equal data give equal maps on any machine.
    """
    from sklearn.decomposition import PCA

    if vectors.shape[1] < 2:
        raise UsageError("The network's last features are a single number, of which no map can be made.")
    fitted = PCA(min(kept, *vectors.shape), svd_solver="covariance_eigh").fit(vectors.double().numpy())
    axes = fitted.components_
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]
    explained = np.nan_to_num(fitted.explained_variance_ratio_)
    return (
        torch.from_numpy(fitted.mean_).float(),
        torch.from_numpy(np.ascontiguousarray(axes.T)).float(),
        torch.from_numpy(explained).float(),
    )


def umap(points: Tensor, seed: int, on_step: Callable[[int, int], None] | None = None) -> Tensor:
    """UMAP of points [N, k] into the plane, float32 [N, 2] (McInnes et al. 2018, arXiv 1802.03426).

    Args:
        on_step: called as ``on_step(epochs done, epochs in all)``; raising in it stops the work.
    """
    import warnings

    need("umap", "A UMAP map", "umap-learn")
    from umap import UMAP

    class Listener:
        """What umap-learn's progress bar writes to."""

        def write(self, text: str) -> None:
            done, _, total = text.strip().partition("/")
            if on_step and done.isdigit() and total.isdigit():
                on_step(int(done), int(total))

        def flush(self) -> None:
            pass

    threads = torch.get_num_threads()
    bar = {"disable": False, "file": Listener(), "bar_format": "{n_fmt}/{total_fmt}", "mininterval": 0}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*n_jobs.*", category=UserWarning)
        fitted = UMAP(n_neighbors=min(NEIGHBOURS, len(points) - 1), n_epochs=EPOCHS, random_state=seed, tqdm_kwds=bar)
        try:
            return torch.from_numpy(np.asarray(fitted.fit_transform(points.numpy()), np.float32))
        finally:  # it sets the threads of all that computes here, and sums of floats hang on their number
            torch.set_num_threads(threads)
