"""Membership attacks against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from rurk_core.errors import UsageError
from rurk_core.measure.membership import confidence, logit_confidence, svc_attack
from rurk_core.measure.roc import auc, roc_curve, tpr_at


def test_two_gaussians_have_the_auc_of_the_textbook():
    """Scores N(d', 1) against N(0, 1): AUC = Φ(d'/√2), TPR at FPR f = Φ(d' − Φ⁻¹(1 − f))."""
    rng = np.random.default_rng(0)
    for d in (0.0, 0.5, 2.0):
        high, low = rng.normal(d, 1, 100_000), rng.normal(0, 1, 100_000)
        assert auc(high, low) == pytest.approx(norm.cdf(d / np.sqrt(2)), abs=0.005)
        at = tpr_at(high, low, 0.01)
        assert at.resolved and at.fpr == pytest.approx(0.01, abs=1e-4)
        assert at.tpr == pytest.approx(norm.cdf(d - norm.ppf(0.99)), abs=0.01)


def test_ties_give_the_diagonal():
    fpr, tpr = roc_curve(np.ones(4), np.ones(7))
    assert fpr.tolist() == tpr.tolist() == [0, 1]
    assert auc(np.ones(4), np.ones(7)) == 0.5


def test_too_few_negatives_say_so():
    at = tpr_at(np.array([5.0, 3.0, 0.0]), np.arange(4.0), 0.01)
    assert not at.resolved and at.fpr == 0 and at.tpr == pytest.approx(1 / 3)  # 3 is tied with a negative
    assert tpr_at(np.array([5.0, 3.0, 0.0]), np.arange(4.0), 0.25).to_dict() == {
        "asked": 0.25,
        "fpr": 0.25,
        "tpr": pytest.approx(2 / 3),
        "resolved": True,
    }


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_the_area_is_the_integral_of_the_curve(high, low):
    fpr, tpr = roc_curve(high, low)
    assert (np.diff(fpr) >= 0).all() and (np.diff(tpr) >= 0).all() and fpr[-1] == tpr[-1] == 1
    assert auc(high, low) == pytest.approx(np.trapezoid(tpr, fpr))
    assert auc(high, low) == pytest.approx(1 - auc(low, high))


def test_logits_of_confidence():
    p = np.array([0.1, 0.5, 0.999])
    assert logit_confidence(-np.log(p)) == pytest.approx(np.log(p / (1 - p)))
    assert np.isfinite(logit_confidence(np.array([0.0, 100.0, 1e4]))).all()
    assert confidence(-np.log(p)) == pytest.approx(p)


def test_svc_calls_the_confident_seen_and_the_others_unseen():
    rng = np.random.default_rng(6)
    seen, unseen = rng.uniform(0.9, 1, 500), rng.uniform(0.1, 0.5, 200)
    assert svc_attack(seen, unseen, np.full(10, 0.95)) == 0
    assert svc_attack(seen, unseen, np.full(10, 0.3)) == 1
    assert svc_attack(seen, unseen, np.array([0.95, 0.3, 0.3, 0.3]), limit=50) == 0.75


def test_svc_fits_as_many_of_either_side():
    """Where the sides do not differ, half are called unseen; unbalanced sides would make it all or none."""
    rng = np.random.default_rng(7)
    shares = [svc_attack(rng.uniform(0, 1, 2000), rng.uniform(0, 1, 200), rng.uniform(0, 1, 300)) for _ in range(8)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.15)


def test_what_cannot_be_attacked_is_refused():
    with pytest.raises(UsageError, match="confidences"):
        svc_attack([0.5], [], [0.5])
    with pytest.raises(UsageError, match="confidences"):
        svc_attack([0.5], [2.0], [0.5])
