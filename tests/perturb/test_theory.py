"""The sphere in closed form: d = 2 and d = 3 by hand, Monte Carlo in between, the paper's bound below it all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rurk_core.errors import UsageError
from rurk_core.perturb.theory import (
    adversarial_failure,
    cap_angle,
    cap_share,
    share_near_disagreement,
    share_near_disagreement_bound,
)

TAUS = np.linspace(0, np.pi, 40)


def test_on_the_circle_and_on_the_sphere_it_is_known_by_hand():
    half = np.linspace(0, np.pi / 2, 30)
    assert share_near_disagreement(2, half) == pytest.approx(0.5 + half / np.pi)
    assert share_near_disagreement(3, half) == pytest.approx((1 + np.sin(half)) / 2)
    assert cap_share(2, TAUS) == pytest.approx(TAUS / np.pi)
    assert cap_share(3, TAUS) == pytest.approx((1 - np.cos(TAUS)) / 2)


@pytest.mark.parametrize("d", [2, 3, 5, 10, 50])
@pytest.mark.parametrize("disagree", [0.02, 0.5])
def test_it_agrees_with_random_points(d, disagree):
    points = np.random.default_rng(d).normal(size=(100_000, d))
    angle = np.arccos(points[:, 0] / np.linalg.norm(points, axis=1))
    for tau in (0.05, 0.2, 0.6):
        # the models disagree within cap_angle of the first axis
        share = np.mean(angle <= cap_angle(d, disagree) + tau)
        assert share_near_disagreement(d, tau, disagree) == pytest.approx(share, abs=0.006)


@given(st.integers(2, 100_000), st.floats(0, 4))
def test_the_bound_of_prop_2_is_below_the_exact_share(d, tau):
    exact, bound = share_near_disagreement(d, tau), share_near_disagreement_bound(d, tau)
    assert bound <= exact + 1e-12 and 0.5 <= exact <= 1


@given(st.integers(2, 5000), st.floats(1e-6, 1.0))
def test_angle_and_share_are_inverse(d, share):
    assert cap_share(d, cap_angle(d, share)) == pytest.approx(share, rel=1e-5)


def test_high_dimension_makes_it_inevitable():
    assert share_near_disagreement(3072, 0.1) > 0.9999999
    assert share_near_disagreement(3072, 0.1, 0.001) > 0.99 > 0.01 > share_near_disagreement(3, 0.05, 0.001)


def test_what_a_certificate_is_worth_against_adversarial_examples():
    assert adversarial_failure(1.0, 0.0) == 0
    assert adversarial_failure(1.0, 0.05) == pytest.approx(0.1 / (1 - np.exp(-1)))
    assert adversarial_failure(1e-3, 0.01) == 1


@pytest.mark.parametrize("d", [1, 0, -3, 2.5])
def test_a_line_has_no_sphere_to_walk_on(d):
    with pytest.raises(UsageError, match="2 dimensions"):
        share_near_disagreement(d, 0.1)


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_disagreement_must_be_somewhere(share):
    with pytest.raises(UsageError, match="above 0"):
        share_near_disagreement(3, 0.1, share)
