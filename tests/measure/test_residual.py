"""Residual knowledge from hand-worked counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from rurk_core.measure.residual import (
    Verdicts,
    among_references,
    disagreement,
    log_ratio_posterior,
    mean_prevalence,
    mean_ratio,
    prevalence,
    ratio_of_means,
    recognised,
    reference_band,
    residual_knowledge,
    summarise,
    unlearn_accuracy,
)

# two samples of classes 0 and 2, one radius, three classes, ten draws; models: original, m, reference-1, reference-2
COUNTS = np.array(
    [
        [[[9, 1, 0]], [[0, 0, 10]]],
        [[[6, 4, 0]], [[1, 2, 7]]],
        [[[3, 7, 0]], [[10, 0, 0]]],
        [[[5, 5, 0]], [[8, 2, 0]]],
    ]
)
AGREEMENT = np.zeros((4, 2, 2, 1), int)
AGREEMENT[1] = [[[7], [1]], [[9], [3]]]


@pytest.fixture
def verdicts() -> Verdicts:
    return Verdicts(
        attack="gaussian",
        source="",
        draws=10,
        seed=0,
        taus=np.array([0.1]),
        samples=np.array([4, 9]),
        labels=np.array([0, 2]),
        models=("original", "m", "reference-1", "reference-2"),
        references=("reference-1", "reference-2"),
        counts=COUNTS,
        agreement=AGREEMENT,
    )


def test_recognised_takes_each_samples_own_class():
    assert recognised(COUNTS[1], np.array([0, 2])).tolist() == [[6], [7]]


def test_summary_by_hand(verdicts):
    row = summarise(verdicts, "m")[0]
    # u = 6, 7; v = mean of (3, 5) and of (0, 0) = 4, 0
    assert (row["numerator"], row["denominator"], row["trials"]) == (13, 4, 20)
    assert row["r_mean"] == 1.5 and row["r_undefined"] == 1
    assert row["ratio_of_means"] == 13 / 4
    assert row["prevalence"] == 1.0  # 6 > 4, and 7 > 0: recognised where no reference does
    assert row["disagreement"] == pytest.approx(1 - (7 + 1 + 9 + 3) / 40)
    assert row["unlearn_accuracy"] == pytest.approx(1 - 13 / 20)
    first = row["per_reference"][0]
    assert first["reference"] == "reference-1"
    assert (first["numerator"], first["denominator"], first["ratio_of_means"]) == (13, 3, 13 / 3)
    assert first["disagreement"] == pytest.approx(1 - 8 / 20)
    # reference 1 recognises 3 where the other recognises 5, and the other way round
    assert row["reference_band"] == [pytest.approx(3 / 5), pytest.approx(5 / 3)]
    assert row["among_references"]["r_mean"] == [pytest.approx(3 / 5), pytest.approx(5 / 3)]
    # of two samples the first is recognised more by reference 2, the other by neither
    assert row["among_references"]["prevalence"] == [0.0, 0.5]


def test_undefined_is_counted_not_dropped():
    u, v = np.array([[0], [5], [4]]), np.array([[0], [0], [2]])
    assert np.isnan(residual_knowledge(u, v)[:2]).all()
    mean, undefined = mean_ratio(u, v)
    assert mean[0] == 2.0 and undefined[0] == 2
    assert prevalence(u, v)[0] == pytest.approx(2 / 3)  # 0/0 is not above 1, 5/0 is


def test_nothing_recognised_is_undefined_everywhere(verdicts):
    zero = Verdicts(**{**verdicts.__dict__, "counts": np.array([[[[0, 10, 0]], [[10, 0, 0]]]] * 4)})
    row = summarise(zero, "m")[0]
    assert row["r_mean"] is None and row["ratio_of_means"] is None and row["r_undefined"] == 2
    assert row["prevalence"] == 0.0


def test_the_prevalence_of_an_honest_re_training_does_not_grow_with_references():
    rng = np.random.default_rng(0)
    models = rng.binomial(100, 0.005, (9, 4000, 1))
    against_each = [mean_prevalence(models[0], models[1 : 1 + k])[0] for k in (1, 8)]
    against_mean = [prevalence(models[0], models[1 : 1 + k].mean(0))[0] for k in (1, 8)]
    assert against_each[1] == pytest.approx(against_each[0], abs=0.02)
    assert against_mean[1] > against_mean[0] + 0.05
    band = among_references(models[1:])["prevalence"]
    assert band.shape == (8, 1) and band.mean() == pytest.approx(against_each[1], abs=0.02)


def test_equal_models_have_ratio_one():
    u = np.random.default_rng(0).integers(1, 100, (50, 4))
    assert (residual_knowledge(u, u) == 1).all()
    assert (ratio_of_means(u, u) == 1).all()
    assert (prevalence(u, u) == 0).all()


def test_disagreement_bounds_the_difference_in_recognition():
    """k_τ ≥ |Pr[m(x')=y] − Pr[a(x')=y]| for any pair of models (paper, after Eq. 4)."""
    rng = np.random.default_rng(1)
    a, m = rng.integers(0, 3, (2, 40, 100))
    k = disagreement((a == m).sum(1)[None, :, None], 100)[0]
    difference = abs((m == 0).mean() - (a == 0).mean())
    assert k >= difference


def test_unlearn_accuracy_counts_copies():
    assert unlearn_accuracy(np.array([[10, 0], [5, 5]]), 10).tolist() == [0.25, 0.75]


def test_band_needs_two_references():
    low, high = reference_band(np.ones((1, 3, 2)))
    assert np.isnan(low).all() and np.isnan(high).all()


def test_log_ratio_agrees_with_simulation():
    rng = np.random.default_rng(2)
    for u, v in [(83, 41), (0, 0), (5, 0), (100, 100)]:
        p, q = rng.beta(u + 0.5, 100 - u + 0.5, 400_000), rng.beta(v + 0.5, 300 - v + 0.5, 400_000)
        drawn = np.log(p / q)
        mean, low, high = log_ratio_posterior(np.array(u), 100, np.array(v), 300)
        spread = drawn.std()
        assert mean == pytest.approx(drawn.mean(), abs=0.02 * spread)
        assert low == pytest.approx(np.quantile(drawn, 0.025), abs=0.08 * spread)
        assert high == pytest.approx(np.quantile(drawn, 0.975), abs=0.08 * spread)


def test_log_ratio_against_a_known_denominator_is_a_beta_quantile():
    draws = 10**9  # the denominator is known: p_a = 1/2
    _, low, high = log_ratio_posterior(np.array(30), 100, np.array(draws // 2), draws)
    assert np.exp(low) == pytest.approx(2 * beta.ppf(0.025, 30.5, 70.5), rel=1e-3)
    assert np.exp(high) == pytest.approx(2 * beta.ppf(0.975, 30.5, 70.5), rel=1e-3)


@given(st.integers(0, 60), st.integers(0, 60))
def test_log_ratio_is_ordered_and_finite(u, v):
    mean, low, high = log_ratio_posterior(np.array([u]), 60, np.array([v]), 60)
    assert np.isfinite([mean, low, high]).all() and (low < high).all() and (low < mean).all() and (mean < high).all()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30))
def test_mean_ratio_never_loses_a_sample(pairs):
    u, v = np.array(pairs).T[:, :, None]
    mean, undefined = mean_ratio(u, v)
    defined = [a / b for a, b in pairs if b]
    assert undefined[0] + len(defined) == len(pairs)
    assert np.isnan(mean[0]) if not defined else mean[0] == pytest.approx(np.mean(defined))
