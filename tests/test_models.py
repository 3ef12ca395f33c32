"""Conformance over the registry of networks."""

from __future__ import annotations

import pytest
import torch

from rurk_core.errors import UsageError
from rurk_core.models import MODELS, create_model, parse_model

SMALL = {name: f"{name}:4" if about.width else name for name, about in MODELS.items()}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28)])
class TestEveryModel:
    def test_logits_features_and_head(self, name, shape):
        model = create_model(SMALL[name], shape, 7).eval()
        pixels = torch.rand(3, *shape)
        features = model.features(pixels)
        assert features.dim() == 2 and features.shape[1] == model.head.in_features
        assert torch.equal(model(pixels), model.head(features)) and model(pixels).shape == (3, 7)

    def test_blocks_run_in_their_order(self, name, shape):
        model = create_model(SMALL[name], shape, 4).eval()
        assert model.block_names[-1] == "head" and len(set(model.block_names)) == len(model.block_names)
        hidden = (torch.rand(2, *shape) - model.mean) / model.std
        expected = model(hidden * model.std + model.mean)
        for block in model.block_names:
            hidden = model.block(block)(hidden)
        assert torch.allclose(hidden, expected, atol=1e-4)

    def test_equal_seeds_equal_weights(self, name, shape):
        first, same, other = (create_model(SMALL[name], shape, 4, seed=seed).state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(first[key], same[key]) for key in first)
        assert not torch.equal(first["head.weight"], other["head.weight"])

    def test_global_random_state_is_left_alone(self, name, shape):
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        create_model(SMALL[name], shape, 4)
        assert torch.equal(torch.rand(3), expected)


def test_normalisation_is_inside_and_travels_with_the_weights():
    model = create_model("linear", (4,), 3)
    pixels = torch.rand(2, 4)
    by_hand = ((pixels - 0.5) / 0.25) @ model.head.weight.T + model.head.bias
    assert torch.allclose(model(pixels), by_hand, atol=1e-6)
    assert {"mean", "std"} <= model.state_dict().keys()


def test_stated_sizes():
    def millions(name, shape=(3, 32, 32)):
        return sum(p.numel() for p in create_model(name, shape, 10).parameters()) / 1e6

    assert millions("resnet9") == pytest.approx(0.41, abs=0.01)
    assert millions("resnet18") == pytest.approx(11.17, abs=0.01)
    assert millions("resnet50") == pytest.approx(23.5, abs=0.05)
    assert millions("vgg11") == pytest.approx(9.2, abs=0.05)


def test_large_images_get_the_usual_stem():
    model = create_model("resnet50:4", (3, 64, 64), 3).eval()
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 3)
    assert model.block("stem")[0].kernel_size == (7, 7)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet", "no model 'resnet'"),
        ("resnet9:0", "whole number from 1"),
        ("resnet9:wide", "whole number from 1"),
        ("resnet9:-4", "whole number from 1"),
        ("linear:3", "has no width"),
    ],
)
def test_bad_names(name, reason):
    with pytest.raises(UsageError, match=reason):
        parse_model(name)


def test_images_only():
    with pytest.raises(UsageError, match="needs images"):
        create_model("cnn", (2,), 2)
