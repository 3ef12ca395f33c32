"""Ranking of samples from hand-made counts, and near neighbours from hand-made features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from rurk_core.evidence.findings import find, in_words
from rurk_core.evidence.twins import candidates, nearest, unit_features
from rurk_core.measure.residual import Verdicts


def verdicts(u, references, draws=10):
    """Counts of label 0 per sample and radius for a model "m" and the references."""
    names = ["m", *(f"reference-{k + 1}" for k in range(len(references)))]
    own = np.array([u, *references])
    counts = np.stack([own, draws - own], axis=-1).astype(np.int32)
    n, t = own.shape[1:]
    return Verdicts(
        "gaussian",
        "",
        draws,
        0,
        np.arange(t) / 10,
        np.arange(n) + 100,
        np.zeros(n, int),
        tuple(names),
        tuple(names[1:]),
        counts,
        np.zeros((len(names), len(references), n, t), np.int32),
    )


def test_samples_are_ranked_by_their_evidence():
    """Twenty samples that re-trainings hardly know and twenty they half know; one of the first is fully known."""
    each = [[[1 + k]] * 20 + [[48 + k]] * 20 for k in range(3)]
    own = [[2]] * 20 + [[50]] * 20
    own[7] = [100]
    found = find(verdicts(own, each, draws=100), "m")
    first = found.samples[0]
    assert (first.sample, first.place, first.verdict, first.recognised) == (107, 7, "residual", 100)
    assert first.references == (1, 2, 3) and first.copies == 100 and first.excess > 80
    assert found.counts()["residual"] == 1 and sum(found.counts().values()) == 40
    sentence = in_words(first)
    assert sentence.startswith("Residual knowledge: 100.0% of the copies") and "95% interval" in sentence
    assert found.evidence.row(7)["q_residual"] == first.evidence["q_residual"] <= 0.05


def test_one_reference_is_no_evidence():
    found = find(verdicts([[1, 1], [9, 10]], [[[4, 4], [4, 6]]]), "m")
    assert [(f.sample, f.excess, f.verdict) for f in found.samples] == [
        (101, pytest.approx(45), "cannot_tell"),
        (100, pytest.approx(-30), "cannot_tell"),
    ]
    assert found.evidence is None and "does not say how far re-trainings differ" in in_words(found.samples[0])


def test_without_references_the_order_is_by_recognition():
    found = find(verdicts([[1, 1], [9, 10]], []), "m")
    assert [(f.sample, f.excess, f.verdict) for f in found.samples] == [
        (101, None, "cannot_tell"),
        (100, None, "cannot_tell"),
    ]
    assert "there is no re-trained model" in in_words(found.samples[0])


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
