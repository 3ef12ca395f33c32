"""Membership attacks against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from rurk_core.errors import UsageError
from rurk_core.measure.membership import (
    MembershipSignal,
    confidence,
    likelihood_ratio,
    logit_confidence,
    per_sample_attack,
    signals,
    svc_attack,
)
from rurk_core.measure.roc import auc, auc_interval, roc_curve, tpr_at


def test_two_gaussians_have_the_auc_of_the_textbook():
    """Scores N(d', 1) against N(0, 1): AUC = Φ(d'/√2), TPR at FPR f = Φ(d' − Φ⁻¹(1 − f))."""
    rng = np.random.default_rng(0)
    for d in (0.0, 0.5, 2.0):
        high, low = rng.normal(d, 1, 100_000), rng.normal(0, 1, 100_000)
        assert auc(high, low) == pytest.approx(norm.cdf(d / np.sqrt(2)), abs=0.005)
        at = tpr_at(high, low, 0.01)
        assert at.resolved and at.fpr == pytest.approx(0.01, abs=1e-4)
        assert at.tpr == pytest.approx(norm.cdf(d - norm.ppf(0.99)), abs=0.01)


def test_the_likelihood_ratio_of_known_gaussians():
    """Means ±1, variance 1: log N(s; 1, 1) − log N(s; −1, 1) = 2s."""
    inside, outside = np.array([[0.0], [1.0], [2.0]]), np.array([[-2.0], [-1.0], [0.0]])
    points = np.array([[-3.0], [0.0], [0.7]])
    assert likelihood_ratio(points, inside, outside) == pytest.approx(2 * points)
    one_sided = likelihood_ratio(points, None, outside)
    assert one_sided == pytest.approx(norm.logcdf(points + 1) - norm.logsf(points + 1))


def test_few_models_share_a_variance_and_many_do_not():
    rng = np.random.default_rng(1)
    scale = np.array([0.1, 10.0])
    point = np.array([1.0, 1.0])
    few, many = (rng.normal(0, scale, (count, 2)) for count in (8, 2000))
    assert np.ptp(likelihood_ratio(point, None, few)) < 1  # the same spread for both
    own = likelihood_ratio(point, None, many)
    assert own[0] > 20 and own[1] < 0.5


def test_kernel_density_sees_two_humps_where_a_gaussian_sees_one():
    outside = np.array([-1.0, 1.0] * 50)[:, None] + np.random.default_rng(2).normal(0, 0.05, (100, 1))
    inside = np.random.default_rng(3).normal(0, 0.05, (100, 1))
    gain = [likelihood_ratio(np.array([0.0]), inside, outside, density=d)[0] for d in ("gaussian", "kernel")]
    assert gain[1] > gain[0] > 0


def test_a_reference_in_place_of_the_target_is_a_coin_toss():
    rng = np.random.default_rng(4)
    difficulty = rng.normal(0, 5, 300)
    for density in ("gaussian", "kernel"):
        areas = [
            per_sample_attack(
                difficulty + rng.normal(0, 1, 300), difficulty + rng.normal(0, 1, (5, 300)), density=density
            ).auc()
            for _ in range(40)
        ]
        assert np.mean(areas) == pytest.approx(0.5, abs=0.02)


def test_a_per_sample_attack_beats_one_rule_for_all():
    """Samples differ in difficulty by far more than membership moves them: only the per-sample rule sees it."""
    rng = np.random.default_rng(5)
    difficulty = rng.normal(0, 5, 400)
    references = difficulty + rng.normal(0, 1, (8, 400))
    target = difficulty + 2 + rng.normal(0, 1, 400)
    assert auc(target, references) < 0.65
    # seven references in the mean: the standardised difference is 2 / √(1 + 1/7) apart
    expected = norm.cdf(2 / np.sqrt(2))
    assert per_sample_attack(target, references).auc() == pytest.approx(expected, abs=0.03)
    assert per_sample_attack(target, references, density="kernel").auc() > 0.85


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
    with pytest.raises(UsageError, match="at least two"):
        likelihood_ratio(np.zeros(3), None, np.zeros((1, 3)))
    with pytest.raises(UsageError, match="there are 2"):
        per_sample_attack(np.zeros(3), np.zeros((2, 3)))
    with pytest.raises(UsageError, match="no density"):
        likelihood_ratio(np.zeros(3), None, np.zeros((2, 3)), density="cubic")


def test_the_signals_of_an_experiment():
    rng = np.random.default_rng(8)
    losses = {"m": np.full(200, 0.01)} | {f"reference-{k}": rng.exponential(1, 200) for k in range(4)}
    found = signals(losses, "m", [f"reference-{k}" for k in range(4)])
    assert [signal.name for signal in found] == ["confidence", "U-LiRA", "RULI"]
    for signal in found:
        row = signal.to_dict()
        assert row["auc"] > 0.9 and row["negatives"] == 800 and row["smallest_fpr"] == 1 / 800
        assert [point["resolved"] for point in row["tpr"]] == [False, True]


def test_the_interval_of_the_area_moves_samples_and_models_together():
    assert auc_interval([3.0, 4.0], [1.0, 2.0]) == (1.0, 1.0)
    rng = np.random.default_rng(9)
    inside = []
    for seed in range(60):
        hard = rng.normal(0, 1, 60)  # samples that are hard for one model are hard for all
        level = rng.normal(0, 0.5, 9)[:, None]  # and a model is better or worse as a whole
        scores = hard + level + rng.normal(0, 1, (9, 60))
        low, high = auc_interval(scores[0] + 0.5, scores[1:], rounds=200, seed=seed)
        # against the area that this very target has over more models and samples than can be had
        many = rng.normal(0, 1, 4000)
        truth = auc(many + level[0] + 0.5 + rng.normal(0, 1, 4000), many + rng.normal(0, 1.25**0.5, 4000))
        inside.append(low <= truth <= high)
    assert np.mean(inside) > 0.85


def test_the_kept_curve_is_the_best_at_no_more_false_positives():
    signal = MembershipSignal("s", np.array([[2.0, 1.0]]), np.array([[1.0, 0.0]]))
    fpr, tpr = signal.curve(5)
    assert fpr.tolist() == [0, 0.25, 0.5, 0.75, 1] and tpr.tolist() == [0.5, 0.5, 1, 1, 1]
