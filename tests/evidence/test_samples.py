"""Evidence for single samples: hand-worked counts, known truth by simulation, and what cannot be said."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom, binom

from rurk_core.errors import RurkError, UsageError
from rurk_core.evidence.calibration import synthetic_audit
from rurk_core.evidence.samples import (
    VERDICTS,
    _shapes,
    _tables,
    adjusted,
    evidence_from_bytes,
    evidence_of_counts,
    evidence_to_bytes,
    inflation,
    overall_excess,
    posterior_predictive,
    sample_evidence,
)
from rurk_core.run.stored import load_verdicts


def audit(rng, n, k, *, draws=100, radii=1):
    """Counts [N, T] of one model and [K, N, T] of K references of equal law."""
    found = [synthetic_audit(rng, samples=n, references=k, draws=draws, planted=0) for _ in range(radii)]
    return np.concatenate([one.u for one in found], 1), np.concatenate([one.v for one in found], 2)


def test_the_tables_are_the_beta_binomial():
    pmf, at_least = _tables(7)
    a, b = _shapes()
    for cell in (3, 100, 200):
        expected = betabinom(7, a[cell], b[cell])
        assert pmf[cell] == pytest.approx(expected.pmf(np.arange(8)), abs=1e-6)
        assert at_least[cell] == pytest.approx(expected.sf(np.arange(8) - 1), abs=1e-6)


def test_adjusted_p_values_by_hand():
    """Benjamini & Hochberg: p·N/rank, made monotone from above; Yekutieli: times 1 + 1/2 + 1/3 + 1/4."""
    p = np.array([0.03, 0.01, 0.5, 0.02])
    assert adjusted(p) == pytest.approx([0.04, 0.04, 0.5, 0.04])
    assert adjusted(p, any_dependence=True) == pytest.approx(np.minimum(np.array([0.04, 0.04, 0.5, 0.04]) * 25 / 12, 1))
    assert adjusted(np.zeros(0)).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 0.5))
def test_the_list_is_the_step_up_procedure(values, rate):
    """Rejecting q ≤ rate rejects the r smallest p-values, r the largest rank with p ≤ rate·r/N."""
    p = np.array(values)
    ordered = np.sort(p)
    ranks = np.flatnonzero(ordered * len(p) / np.arange(1, len(p) + 1) <= rate)
    expected = p <= ordered[ranks[-1]] if len(ranks) else np.zeros(len(p), bool)
    assert ((adjusted(p) <= rate) == expected).all()


def test_p_values_are_raised_by_the_false_alarms_of_the_references():
    fine = np.linspace(0, 1, 2001)[1:]
    assert inflation(fine) == pytest.approx(1.0)
    assert inflation(fine / 3) == pytest.approx(3.0, rel=0.02)
    assert inflation(3 * fine) == 1.0
    assert inflation(np.zeros(4)) == 1.0  # too few to tell


def test_a_sample_like_its_references_is_clear_and_one_far_above_is_residual():
    v = np.full((8, 40, 3), 20)
    v[::2] += 4
    u = np.full((40, 3), 22)
    u[0], u[1] = 90, 0
    found = evidence_of_counts(u, v, 100)
    verdicts = found.verdicts()
    assert (
        verdicts[0] == "residual" and verdicts[1] == "over_forgotten" and set(verdicts[2:]) <= {"clear", "cannot_tell"}
    )
    first = found.row(0)
    assert first["recognised"] == 0.9 and first["expected"] == pytest.approx(0.22, abs=0.02)
    assert first["low"] < first["excess"] < first["high"] and 0.55 < first["low"] < 0.68 < first["high"] < 0.8
    assert first["null_low"] <= 0.2 and 0.24 <= first["null_high"] < 0.5
    assert found.order()[0] == 0 and found.by_tau.excess.shape == (40, 3)
    assert found.counts() == {name: verdicts.count(name) for name in VERDICTS}


def test_references_that_do_not_agree_leave_it_open():
    """Half the re-trainings recognise everything, half nothing: no count of the model is remarkable."""
    v = np.zeros((8, 30, 1), int)
    v[::2] = 100
    for seen in (0, 100):
        found = evidence_of_counts(np.full((30, 1), seen), v, 100)
        assert set(found.verdicts()) == {"cannot_tell"}
        assert np.isnan(found.combined.detectable).all()


def test_without_overdispersion_p_values_are_binomial_tails():
    """Many references of equal law, known almost exactly: Pr[Binomial(100, p) ≥ u]."""
    rng = np.random.default_rng(0)
    v = rng.binomial(100, 0.5, (60, 300, 1))
    u = np.full((300, 1), 50)
    u[0] = 62
    found = evidence_of_counts(u, v, 100)
    assert found.combined.p_residual[0] == pytest.approx(binom.sf(61, 100, 0.5), abs=0.006)
    assert found.combined.p_forgotten[1] == pytest.approx(binom.cdf(50, 100, 0.5), abs=0.03)


def test_no_radius_is_picked_after_looking():
    """The combined column is the mean over τ, whatever the radii say one by one."""
    rng = np.random.default_rng(1)
    u, v = audit(rng, 50, 4, radii=5)
    found = evidence_of_counts(u, v, 100)
    assert found.combined.recognised == pytest.approx(np.rint(u.mean(1)) / 100)
    shuffled = evidence_of_counts(u[:, ::-1], v[:, :, ::-1], 100)
    assert (shuffled.combined.p_residual == found.combined.p_residual).all()
    assert (shuffled.by_tau.p_residual == found.by_tau.p_residual[:, ::-1]).all()


def test_one_sample_leaves_it_open_unless_the_references_agree():
    """Nothing is known of other samples: only references that agree make a single sample remarkable."""
    apart = np.array([0, 100, 30, 60])[:, None, None]
    assert evidence_of_counts(np.array([[100]]), apart, 100).verdicts() == ["cannot_tell"]
    agree = np.array([10, 12, 9, 11, 10, 8, 11, 10])[:, None, None]
    assert evidence_of_counts(np.array([[100]]), agree, 100).verdicts() == ["residual"]


def test_the_power_statement_is_true():
    """A model that recognises exactly the detectable excess more is called in 80% of draws at level 5%."""
    rng = np.random.default_rng(3)
    _, v = audit(rng, 200, 8)
    first = evidence_of_counts(np.zeros((200, 1), int), v, 100)
    target = first.combined.expected + first.combined.detectable
    known = np.isfinite(target) & (first.combined.detectable > 0)
    assert known.sum() > 50
    called = []
    for _ in range(20):
        u = rng.binomial(100, np.where(known, target, 0))[:, None]
        called.append(evidence_of_counts(u, v, 100).combined.p_residual[known] <= 0.05)
    assert np.mean(called) == pytest.approx(0.8, abs=0.04)


def test_the_set_as_a_whole_is_judged_by_the_references_alone():
    found = overall_excess(0.9, np.array([0.4, 0.5, 0.6]))
    assert found["excess"] == pytest.approx(0.4)
    # t with 2 degrees of freedom has its 97.5% point at 4.3027
    assert found["high"] - found["excess"] == pytest.approx(4.3027 * 0.1 * np.sqrt(4 / 3), rel=1e-4)
    assert overall_excess(0.5, np.array([0.5, 0.5]))["p"] is None


def test_checks_pass_where_the_model_holds_and_fail_where_it_does_not():
    rng = np.random.default_rng(4)
    _, v = audit(rng, 200, 8)
    good = posterior_predictive(v[:, :, 0], 100)
    assert all(feature["p"] > 0.01 for feature in good.values())
    assert all(feature["low"] <= feature["high"] for feature in good.values())
    moved = np.clip(v[:, :, 0] + np.linspace(-20, 20, 8)[:, None], 0, 100)  # whole references better and worse
    assert posterior_predictive(moved, 100)["between"]["p"] < 0.05


def test_kept_evidence_is_read_back():
    rng = np.random.default_rng(5)
    u, v = audit(rng, 12, 3, radii=2)
    found = evidence_of_counts(u, v, 100, taus=np.array([0.0, 0.1]), model="m", attack="gaussian")
    again = evidence_from_bytes(evidence_to_bytes(found))
    assert json.dumps(again.to_dict(by_tau=True), allow_nan=False) == json.dumps(found.to_dict(by_tau=True))
    with pytest.raises(RurkError, match="damaged"):
        evidence_from_bytes(b"\2\0\0\0\0\0\0\0{}")


def test_many_draws_are_rounded_and_say_the_same():
    v = np.full((4, 30, 1), 3000)
    v[::2] += 500
    found = evidence_of_counts(np.full((30, 1), 9000), v, 10_000)
    assert found.draws == 10_000 and set(found.verdicts()) == {"residual"}
    assert found.combined.recognised[0] == pytest.approx(0.9, abs=1 / 256)


def test_what_cannot_be_judged_is_refused(tiny_run):
    store, result = tiny_run
    verdicts = load_verdicts(store, result["residual"][0]["verdicts"])
    found = sample_evidence(verdicts, "rurk")
    assert len(found.verdict) == 71 and found.references == 2
    json.dumps(found.to_dict(), allow_nan=False)
    with pytest.raises(UsageError, match="at least two"):
        sample_evidence(verdicts, "reference-1")  # handed in as the model, it leaves one
    with pytest.raises(UsageError, match="no model"):
        sample_evidence(verdicts, "nobody")
    with pytest.raises(UsageError, match="between 0 and 1"):
        evidence_of_counts(np.zeros((2, 1), int), np.zeros((2, 2, 1), int), 10, rate=1.5)
    with pytest.raises(UsageError, match="two references"):
        evidence_of_counts(np.zeros((2, 1), int), np.zeros((1, 2, 1), int), 10)
