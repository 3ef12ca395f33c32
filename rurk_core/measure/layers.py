"""How alike two models represent the same samples, layer by layer: centred kernel alignment."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..arrays import Floats


def centred_gram(features: Tensor) -> Tensor:
    """The inner products of n samples' features, U-centred and brought to length 1: all that linear CKA needs.

    U-centring (Székely & Rizzo 2014) makes the inner product of two such vectors the *unbiased* estimate of HSIC (Song
    et al. 2012, Nguyen et al. 2021). The usual double centring is biased towards 1 when features outnumber samples, as
    they do in every convolution: two random networks look alike.

    Args:
        features: [n, ...], n ≥ 4; anything after the first axis is flattened.

    Returns:
        float32 [n (n − 1) / 2], the part above the diagonal; zeros where all samples have equal features.
    """
    x = features.flatten(1).float()
    n = len(x)
    if n < 4:
        raise ValueError("unbiased CKA needs at least 4 samples")
    x = x - x.mean(0)
    gram = (x @ x.T).double().fill_diagonal_(0)
    rows = gram.sum(1) / (n - 2)
    gram = gram - rows[:, None] - rows[None, :] + gram.sum() / ((n - 1) * (n - 2))
    upper = gram[tuple(torch.triu_indices(n, n, 1, device=gram.device))]
    scale = upper.norm()
    # what is left of equal features is rounding
    return (upper / scale if scale > 1e-6 * max(1.0, float(x.square().sum())) else torch.zeros_like(upper)).float()


def cka(grams: Tensor) -> Floats:
    """Linear CKA (Kornblith et al. 2019) between every two of M models on the same samples, one block.

    1: equal up to a rotation and a scale; around 0, and as an unbiased estimate also a little below: nothing in common.

    Args:
        grams: [M, n (n − 1) / 2] of :func:`centred_gram`, in any float type.

    Returns:
        float64 [M, M], symmetric; NaN for a model whose features do not vary.
    """
    vectors = grams.double()
    length = vectors.norm(dim=1, keepdim=True)
    vectors = torch.where(length > 0, vectors / length, torch.nan)
    return (vectors @ vectors.T).clamp(-1, 1).numpy()


def similarities(scores: Mapping[str, Mapping[str, Tensor]]) -> dict[str, object] | None:
    """Linear CKA between every two models, per block, on forget and on retain samples.

    Args:
        scores: model → what :func:`score` found, all for the same forget set.

    Returns:
        A document of ``"models"`` [M names], ``"blocks"`` [B names], ``"samples"`` (how many, by set), ``"forget"`` and
        ``"retain"`` [B][M][M], with None where a block's features do not vary; a set with fewer than four samples is
        left out. None where no layer was looked at. Models with other blocks than the first are left out.
    """
    grams = {model: sorted(name for name in found if name.startswith("gram/")) for model, found in scores.items()}
    first = next((names for names in grams.values() if names), None)
    if first is None:
        return None
    models = [model for model, names in grams.items() if names == first]
    samples: dict[str, int] = {}
    found: dict[str, object] = {"models": models, "samples": samples}
    for kind in ("forget", "retain"):
        names = [name for name in first if name.startswith(f"gram/{kind}/")]
        if not names:
            continue
        found["blocks"] = [name.split("/", 3)[3] for name in names]
        matrices = [cka(torch.stack([scores[model][name] for model in models])) for name in names]
        found[kind] = [
            [[None if value != value else round(float(value), 4) for value in row] for row in matrix]
            for matrix in matrices
        ]
        # n (n − 1) / 2 pairs
        samples[kind] = round((1 + (1 + 8 * len(scores[models[0]][names[0]])) ** 0.5) / 2)
    return found
