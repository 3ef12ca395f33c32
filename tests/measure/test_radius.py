"""The re-recognition radius against the closed form of a linear model, and on networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rurk_core.errors import Cancelled, UsageError
from rurk_core.measure.radius import Radii, largest_radius, measure, smallest_radii
from rurk_core.models import create_model


@pytest.fixture(scope="module")
def flat():
    """A linear model of two classes, 50 samples well inside the cube, and its exact margins."""
    model = create_model("linear", (6,), 2, seed=1).eval().requires_grad_(False)
    pixels = 0.4 + 0.2 * torch.rand(50, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 2
    weight = (model.head.weight[1] - model.head.weight[0]).numpy() / 0.25
    logits = model(pixels).numpy()
    return model, pixels, labels, np.abs(logits[:, 1] - logits[:, 0]), weight


@pytest.mark.parametrize(("norm", "dual"), [("l2", 2), ("linf", 1)])
def test_a_linear_model_has_a_closed_form(flat, norm, dual):
    model, pixels, labels, margin, weight = flat
    exact = margin / np.linalg.norm(weight, dual)
    inside = exact < (0.4 if norm == "linf" else 0.35)  # the cube does not cut it off
    found = smallest_radii(model, pixels, labels, range(50), norm=norm)
    assert inside.sum() > 20 and 0 < found.said.sum() < 50
    assert (found.strong >= exact - 1e-5).all()  # an upper bound
    assert found.strong[inside] == pytest.approx(exact[inside], rel=0.02)
    # random directions are on a grid of ratio 2^(1/4), and worse than the best direction
    assert (found.random >= found.strong * 0.999)[inside].all()


def test_said_or_not_decides_what_is_searched():
    found = Radii("l2", np.array([True, False]), np.array([0.3, 0.2]), np.array([0.5, np.inf]))
    assert found.lost().tolist() == [0.3, 0.0]
    assert found.signed().tolist() == [0.3, -0.2] and found.signed("random").tolist() == [0.5, -np.inf]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_what_is_found_is_within_the_cube_and_repeatable(norm):
    model = create_model("cnn:4", (1, 8, 8), 10, seed=3)
    images = torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(6)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = measure(model, images, labels, range(6), norm=norm)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    again = measure(model, images, labels, range(6), norm=norm)
    assert (first.strong == again.strong).all() and (first.random == again.random).all()
    finite = np.isfinite(first.strong)
    assert finite.any() and (first.strong[finite] <= largest_radius(norm, (1, 8, 8))).all()
    # the radius belongs to the sample, not to the batch it came in
    alone = measure(model, images[3:4], labels[3:4], [3], norm=norm)
    assert alone.strong == pytest.approx(first.strong[3:4], rel=0.05)


def test_a_class_that_is_never_said_has_no_radius():
    model = create_model("linear", (3,), 3, seed=0)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    found = measure(model, torch.full((2, 3), 0.5), torch.tensor([0, 1]), [0, 1], norm="linf")
    assert found.said.tolist() == [False, True]
    assert np.isinf(found.strong).all() and np.isinf(found.random).all()


def test_it_can_be_stopped_and_refuses_other_norms(flat):
    model, pixels, labels, *_ = flat

    def stop(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        smallest_radii(model, pixels, labels, range(50), norm="l2", on_sample=stop)
    told = []
    smallest_radii(model, pixels, labels, range(50), norm="l2", on_sample=lambda *at: told.append(at))
    assert len(told) > 5 and told == sorted(told) and told[-1] == (50, 50), "also within the one batch there is"
    with pytest.raises(UsageError, match="no norm"):
        smallest_radii(model, pixels, labels, range(50), norm="l1")
