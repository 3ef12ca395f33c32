"""Membership from few models: by hand, and honest re-trainings that differ as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from rurk_core.errors import UsageError
from rurk_core.evidence.membership_law import auc_of_model, rmia, student_ratio


def test_rmia_by_hand():
    """Usual p = (1.3 · .5 + .7) / 2 = .675; x at .675 is 1, the others at .25, .5, .75 are below, below, above."""
    outside, others_outside = np.zeros((2, 1)), np.zeros((2, 3))
    others = logit(np.array([0.25, 0.5, 0.75]))
    assert rmia(logit(np.array([0.675])), outside, others, others_outside) == pytest.approx([2 / 3])
    assert rmia(np.array([12.0]), outside, others, others_outside) == pytest.approx([1])
    assert rmia(np.array([-12.0]), outside, others, others_outside) == pytest.approx([0])
    assert rmia(logit(np.array([0.675])), outside, others, others_outside, gamma=1.2)[0] == pytest.approx(2 / 3)
    assert rmia(logit(np.array([0.675])), outside, others, others_outside, gamma=1.5)[0] == pytest.approx(1 / 3)


def test_the_interval_holds_half_for_re_trainings_that_differ_as_a_whole():
    rng = np.random.default_rng(0)
    excluded, plain = 0, []
    for _ in range(100):
        models = rng.normal(0, 1, (7, 80)) + rng.normal(0, 0.5, (7, 1))
        own, references = student_ratio(models[0], models[1:])
        found = auc_of_model(own, references)
        excluded += not found.low <= 0.5 <= found.high
        plain.append(found.auc)
        assert 0 <= found.low <= found.auc <= found.high <= 1
    assert excluded <= 11
    assert np.mean(plain) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("siblings", [0, 6])
def test_a_model_that_saw_the_samples_stands_out(siblings):
    rng = np.random.default_rng(1)
    gain = rng.gamma(2, 1, 80)
    inside = rng.normal(0, 1, (siblings, 80)) + gain if siblings else None
    own, references = student_ratio(rng.normal(0, 1, 80) + gain, rng.normal(0, 1, (8, 80)), inside)
    found = auc_of_model(own, references)
    assert own.shape == (80,) and references.shape == (8, 80)
    assert found.auc > 0.7 and found.low > 0.5 and abs(found.references.mean() - 0.5) < 0.05


@pytest.mark.parametrize("k", [1, 2])
def test_few_re_trainings_say_what_is_missing(k):
    rng = np.random.default_rng(2)
    found = auc_of_model(rng.normal(size=20), rng.normal(size=(k, 20)))
    assert np.isnan(found.low) and np.isnan(found.high) and f"from {k}" in found.missing and 0 <= found.auc <= 1
    with pytest.raises(UsageError):
        student_ratio(np.zeros(5), np.zeros((k, 5)))
    with pytest.raises(UsageError):
        rmia(np.zeros(5), np.zeros((0, 5)), np.zeros(5), np.zeros((0, 5)))
