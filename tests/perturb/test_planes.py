"""Cuts through image space, against a linear model whose boundary is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rurk_core.errors import UsageError
from rurk_core.perturb.copies import along_ray
from rurk_core.perturb.planes import adversarial_direction, ball_outline, beliefs, plane, random_direction

SHAPE = (1, 2, 2)


class Linear(nn.Module):
    """Says class 1 where w·x > c."""

    def __init__(self, w, c: float):
        super().__init__()
        self.w, self.c = nn.Parameter(torch.as_tensor(w, dtype=torch.float32)), c

    def forward(self, x):
        z = x.flatten(1) @ self.w - self.c
        return torch.stack([torch.zeros_like(z), z], 1)


def middle_plane():
    """Through the grey image, along the first two pixels."""
    one, two = torch.zeros(SHAPE), torch.zeros(SHAPE)
    one.view(-1)[0], two.view(-1)[1] = 1, 1
    return plane(torch.full(SHAPE, 0.5), one, two)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_directions_are_orthonormal_and_coordinates_are_inverse(seed):
    generator = torch.Generator().manual_seed(seed)
    cut = plane(torch.full((3, 4, 4), 0.5), *(torch.randn(3, 4, 4, generator=generator) for _ in range(2)))
    assert cut.across.norm().item() == pytest.approx(1, abs=1e-5)
    assert cut.up.norm().item() == pytest.approx(1, abs=1e-5)
    assert (cut.across @ cut.up).item() == pytest.approx(0, abs=1e-5)
    at = 0.02 * torch.randn(5, 2, generator=generator)  # too near to be clipped
    assert torch.allclose(cut.coordinates(cut.images(at)), at, atol=1e-5)


def test_two_other_samples_lie_on_their_plane():
    x, a, b = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    cut = plane(x, a - x, b - x)
    at = cut.coordinates(torch.stack([x, a, b]))
    assert torch.allclose(cut.images(at), torch.stack([x, a, b]), atol=1e-5)
    assert at[0].tolist() == pytest.approx([0, 0], abs=1e-6) and at[1, 1].item() == pytest.approx(0, abs=1e-6)
    assert at[1, 0].item() == pytest.approx((a - x).square().mean().sqrt().item(), rel=1e-5)


def test_directions_that_span_no_plane_are_refused():
    x, d = torch.full(SHAPE, 0.5), torch.ones(SHAPE)
    with pytest.raises(UsageError, match="zero"):
        plane(x, 0 * d, d)
    with pytest.raises(UsageError, match="same"):
        plane(x, d, -2 * d)


def test_beliefs_of_a_linear_model_are_those_of_its_distance():
    # pixels 0 and 1 run along the axes; w·x > c is (x0 − ½) + 2(x1 − ½) > 0.1 here
    model, cut = Linear([1.0, 2.0, 0.0, 0.0], 1.6), middle_plane()
    line = torch.linspace(-0.2, 0.2, 41)
    at = torch.cartesian_prod(line, line)
    found = beliefs(model, cut, at, batch=100)
    z = cut.scale * (at[:, 0] + 2 * at[:, 1]) - 0.1
    assert torch.allclose(found[:, 1], nn.functional.logsigmoid(z), atol=1e-5)
    assert torch.allclose(found.exp().sum(1), torch.ones(len(at)), atol=1e-5)


def test_pixels_stay_in_range():
    cut = middle_plane()
    images = cut.images(torch.tensor([[9.0, 0.0], [-9.0, 0.0]]))
    assert images.view(2, -1)[:, 0].tolist() == [1, 0] and (images.view(2, -1)[:, 1:] == 0.5).all()


def test_the_ball_meets_the_plane_where_pixels_move_by_tau():
    cut, tau = middle_plane(), 0.1
    square = ball_outline(cut, "linf", tau)
    moved = cut.images(torch.from_numpy(square)) - cut.origin
    assert torch.allclose(moved.abs().amax((1, 2, 3)), torch.tensor(tau), atol=1e-6)
    assert np.abs(square).max() == pytest.approx(tau / 2)  # along two single pixels it is a square of half width τ/√4
    circle = ball_outline(cut, "l2", tau)
    lengths = (cut.images(torch.from_numpy(circle)) - cut.origin).flatten(1).norm(dim=1)
    assert torch.allclose(lengths, torch.tensor(tau), atol=1e-6)
    assert np.allclose(np.linalg.norm(ball_outline(cut, "gaussian", tau), axis=1), tau)


def test_gaussian_noise_and_signed_steps_have_length_tau_on_the_map():
    noise = torch.randn(1, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    moved = along_ray(torch.full((1, 3, 64, 64), 0.5), noise, 0.05)[0]
    cut = plane(torch.full((3, 64, 64), 0.5), noise[0, 0], torch.ones(3, 64, 64))
    assert cut.coordinates(moved)[0, 0].item() == pytest.approx(0.05, rel=0.02)
    step = torch.sign(noise[0, 0])
    cut = plane(torch.full((3, 64, 64), 0.5), step, noise[0, 0])
    assert cut.coordinates((0.5 + 0.05 * step).unsqueeze(0))[0].tolist() == pytest.approx([0.05, 0], abs=1e-6)


def test_the_adversarial_direction_of_a_linear_model_is_the_sign_of_its_weights():
    model = Linear([1.0, -2.0, 0.0, 3.0], 0.3)
    found = adversarial_direction(model, torch.full(SHAPE, 0.5), 1)
    assert found.flatten().tolist() == [-1, 1, 0, -1]


def test_random_directions_belong_to_seed_and_sample():
    one = random_direction(SHAPE, 1, 2)
    assert torch.equal(one, random_direction(SHAPE, 1, 2))
    assert not torch.equal(one, random_direction(SHAPE, 1, 3))
    assert random_direction((3, 64, 64), 0, 0).square().mean().item() == pytest.approx(1, rel=0.05)
    assert math.isfinite(one.sum().item())
