"""Reduction to the plane: known axes come back, and new points go where they belong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rurk_core.explore.reduction import pca, shepard


def test_pca_finds_the_axes_it_was_given():
    chance = torch.Generator().manual_seed(0)
    true = torch.linalg.qr(torch.randn(6, 6, generator=chance)).Q[:, :2]
    points = torch.randn(500, 2, generator=chance) * torch.tensor([5.0, 2.0]) @ true.T + 3
    mean, basis, explained = pca(points, 2)
    assert explained.sum() == pytest.approx(1, abs=1e-5) and explained[0] > explained[1]
    assert (basis.T @ basis).numpy() == pytest.approx(np.eye(2), abs=1e-5)
    rebuilt = (points - mean) @ basis @ basis.T + mean
    assert torch.allclose(rebuilt, points, atol=1e-4), "two axes hold all there is"
    assert (basis.abs().max(0).values == basis.max(0).values).all(), "signs are fixed"


def test_new_points_go_between_their_neighbours_and_fitted_ones_stay():
    anchors = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    values = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [50.0, 50.0]])
    assert torch.equal(shepard(anchors, anchors, values), values)
    middle = shepard(torch.tensor([[0.5, 0.0]]), anchors, values, neighbours=2)
    assert torch.allclose(middle, torch.tensor([[5.0, 0.0]]))
    steps = torch.linspace(0, 1, 400)[:, None] * torch.tensor([[1.0, 0.0]])
    path = shepard(steps, anchors, values)
    assert (path.diff(dim=0).norm(dim=1) < 0.2).all(), "no jump on the way from one to the other"
