"""Near neighbours from hand-made features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from rurk_core.evidence.twins import candidates, nearest, unit_features


def test_a_twin_that_stayed_is_found():
    features = normalize(torch.tensor([[1, 0.01], [1, 0.5], [0, 1.0], [0.2, 1.0], [1, 0.52]]))
    indices, labels = torch.tensor([10, 20, 30, 40, 50]), torch.tensor([0, 0, 1, 1, 0])
    found = nearest(normalize(torch.tensor([1.0, 0]), dim=0), features, indices, labels, 0, k=3)
    assert found.samples.tolist() == [10, 20, 50] and found.close
    assert found.distances[0] == pytest.approx(1 - 1 / np.sqrt(1 + 0.01**2), abs=1e-6)
    far = nearest(normalize(torch.tensor([-1.0, 0.1]), dim=0), features, indices, labels, 0)
    assert not far.close and far.usual == pytest.approx(found.usual) and len(far.samples) == 5


def test_candidates_are_those_that_stayed_the_own_class_first():
    labels = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1])
    assert candidates(labels, torch.tensor([0, 1]), 0).tolist() == [2, 3, 4, 5, 6, 7]
    assert candidates(labels, torch.tensor([0]), 0, limit=4).tolist() == [1, 2, 4, 6]
    assert candidates(labels, torch.tensor([0, 2, 4, 6]), 0, limit=2).tolist() == [1, 7]
    assert len(candidates(labels, torch.arange(8), 0)) == 0


def test_features_have_length_one_whatever_the_batch():
    from rurk_core.models import create_model

    model = create_model("cnn:4", (1, 8, 8), 10).eval()
    images = (torch.rand(7, 1, 8, 8) * 255).to(torch.uint8)
    found = unit_features(model, images)
    assert found.norm(dim=1).tolist() == pytest.approx([1] * 7)
    assert torch.allclose(found[3:4], unit_features(model, images[3:4]), atol=1e-6)
