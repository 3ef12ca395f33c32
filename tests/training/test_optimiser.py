"""Muon against closed forms, and one optimiser for models alone and stacked."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rurk_core.data.recipes import FAST, TrainConfig
from rurk_core.models import create_model
from rurk_core.training.augment import half_of, seen
from rurk_core.training.fit import fit
from rurk_core.training.optimiser import REST, Muon, clip, optimisers, orthogonal, set_rates
from rurk_core.training.references import fit_stacked

MUON = TrainConfig(epochs=2, batch=16, optimizer="muon", lr=0.1, momentum=0.6, schedule="linear", precision="float32")


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(40, 3, 8, 8, generator=generator), torch.arange(40) % 3


@pytest.mark.parametrize("shape", [(5, 5), (4, 9), (9, 4), (3, 4, 9)])
def test_all_singular_values_of_a_direction_are_near_1(shape):
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrix, steps=8))
    assert values.min() > 0.6 and values.max() < 1.3
    # directions of a matrix that is orthogonal up to a factor stay its own
    q = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(2)))[0]
    found = orthogonal(7 * q, steps=8)
    assert torch.allclose(found / found.norm(), q / q.norm(), atol=1e-5)


def test_a_step_goes_against_the_gradient_at_the_norm_of_its_rows():
    weight = nn.Parameter(torch.full((1, 1, 1, 1), 3.0))
    muon = Muon([weight], 0.1, 0.0)
    weight.grad = torch.full_like(weight, 5.0)
    muon.step()
    # one number: brought to √1, its direction is the polynomial's fixed value for 1, whatever the gradient's size
    assert float(weight.detach()) == pytest.approx(1 - 0.1 * float(orthogonal(torch.ones(1, 1))), abs=1e-6)


def test_convolutions_are_muons_and_the_rest_is_sgds():
    model = create_model("cnn:4", (3, 8, 8), 3)
    rest, muon = optimisers(model.parameters(), MUON)
    assert {p.dim() for p in muon.param_groups[0]["params"]} == {4}
    assert 4 not in {p.dim() for p in rest.param_groups[0]["params"]}
    set_rates([rest, muon], MUON, 5, 10)
    assert muon.param_groups[0]["lr"] == pytest.approx(0.05)
    assert rest.param_groups[0]["lr"] == pytest.approx(0.05 * REST)
    (alone,) = optimisers(create_model("linear", (3, 8, 8), 3).parameters(), MUON)
    assert isinstance(alone, torch.optim.SGD), "a network without convolutions"


@pytest.mark.parametrize("augment", ["none", "alternating"])
def test_stacked_models_are_those_trained_alone(samples, augment):
    from dataclasses import replace

    config = replace(MUON, augment=augment)

    def build(seed):
        return create_model("cnn:4", (3, 8, 8), 3, seed=seed)

    stacked = dict(fit_stacked(build, *samples, config, seeds=(1, 2)))
    for seed, model in stacked.items():
        alone = fit(build(seed), *samples, config, seed=seed)
        for name, value in alone.state_dict().items():
            assert torch.allclose(value, model.state_dict()[name], atol=2e-4), name


def test_alternating_shows_every_sample_both_ways_in_two_epochs(samples):
    pixels, index = samples[0], torch.arange(40)
    config = TrainConfig(epochs=4, augment="alternating")
    which = half_of(index).bool()
    assert 10 < which.sum() < 30
    for epoch in (0, 1):
        moved = seen(pixels, config, epoch, torch.Generator().manual_seed(0), index)
        other = seen(pixels.flip(-1), config, epoch + 1, torch.Generator().manual_seed(0), index)
        assert torch.equal(moved, other), "the next epoch mirrors what this one does not"


def test_a_training_by_sgd_is_described_as_before_there_was_another():
    assert "optimizer" not in TrainConfig().to_dict()
    assert TrainConfig.from_dict(FAST.train.to_dict()) == FAST.train and FAST.train.to_dict()["optimizer"] == "muon"
    assert TrainConfig.from_dict(TrainConfig().to_dict()) == TrainConfig()


def test_a_gradient_is_cut_at_the_limit_and_each_model_has_its_own():
    long, short = torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])  # norms 5 and 0.5
    alone = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    for weight, value in zip(alone, long, strict=True):
        weight.grad = value.view(1).clone()
    clip(alone, 0.0)
    assert [weight.grad.item() for weight in alone] == [3, 4]
    clip(alone, 2.0)
    assert torch.allclose(torch.cat([weight.grad for weight in alone]), long * 2 / 5, atol=1e-5)
    stacked = [nn.Parameter(torch.zeros(2, 1, 1)), nn.Parameter(torch.zeros(2, 1))]
    for weight, at in zip(stacked, (0, 1), strict=True):
        weight.grad = torch.stack([long[at], short[at]]).view(weight.shape).clone()
    clip(stacked, 2.0, stacked=True)
    assert torch.allclose(torch.stack([weight.grad.flatten() for weight in stacked], 1)[0], long * 2 / 5, atol=1e-5)
    assert torch.equal(torch.stack([weight.grad.flatten() for weight in stacked], 1)[1], short)
