"""The law of evidence on closed forms, hand-worked examples, and nulls from laws it does not assume."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from benchmarks.evidence_laws import LAWS, draw
from rurk_core.errors import UsageError
from rurk_core.evidence.law import FINDINGS, Peers, judge, log_odds_of_counts
from rurk_core.evidence.null import (
    BOUND,
    compressed,
    effective_samples,
    expanded,
    fit_null,
    fit_tail,
    held_against_each_other,
    normal_deviate,
    variance_law,
    whole_model_shift,
)
from rurk_core.evidence.specific import SPECIFIC, in_out_ratio, specific_parts

# --- the parts, by hand -------------------------------------------------------------------------------------------


def test_compression_is_undone_and_stays_within_the_bound():
    values = np.array([-30.0, -12.0, -1.0, 0.0, 0.5, 12.0, 30.0])
    assert expanded(compressed(values)) == pytest.approx(np.clip(values, -BOUND, BOUND))
    assert compressed(np.array([2.0])) == pytest.approx([np.log(1 + np.sqrt(2))])
    assert (np.abs(expanded(np.array([-1e9, 1e9]))) == BOUND).all()


def test_a_moderated_t_worked_by_hand():
    """s² = 1 with 2 degrees, prior d₀ = 4, s₀² = 2.5: s̃² = (4 · 2.5 + 2 · 1) / 6 = 2, spread √(2 · 4/3)."""
    null = fit_null(np.array([[-1.0], [0.0], [1.0]]), effective=1e12, variances=(4.0, 2.5))
    assert null.centre[0] == 0 and null.spread[0] == pytest.approx(np.sqrt(8 / 3))
    assert null.freedom == pytest.approx(6)
    z = null.statistic(np.array([2 * null.spread[0]]))
    assert norm.sf(z) == pytest.approx(student.sf(2, 6))
    assert null.values(z) == pytest.approx([2 * null.spread[0]])


def test_few_effective_samples_leave_the_freedom_of_the_references():
    """All samples are one: a common variance of K − 1 = 2 degrees, however many samples there are."""
    references = np.array([[-1.0], [0.0], [1.0]]) * np.ones((1, 50))
    null = fit_null(references, effective=1.0)
    assert np.isinf(null.prior) and null.freedom == pytest.approx(2)


def test_the_law_of_variances_is_found_again():
    rng = np.random.default_rng(0)
    true = 6 * 0.5 / rng.chisquare(6, 20_000)
    seen = true * rng.chisquare(4, 20_000) / 4
    prior, common = variance_law(seen, 4)
    assert prior == pytest.approx(6, rel=0.1) and common == pytest.approx(0.5, rel=0.05)
    prior, common = variance_law(2.0 * rng.chisquare(4, 20_000) / 4, 4)
    assert prior > 200 and common == pytest.approx(2, rel=0.05)
    assert variance_law(np.array([1.0, 2.0]), 4)[0] == 0


def test_effective_samples_between_one_and_all():
    rng = np.random.default_rng(0)
    apart = rng.normal(size=(8, 400))
    assert effective_samples(apart, np.ones(400)) > 150
    same = np.repeat(rng.normal(size=(8, 1)), 400, 1)
    assert effective_samples(same, np.ones(400)) == 1
    assert effective_samples(apart[:2], np.ones(400)) == 1


def test_a_tail_is_continuous_falls_and_is_undone():
    rng = np.random.default_rng(0)
    tail = fit_tail(rng.exponential(size=4000))
    z = np.linspace(0, 30, 500)
    p = tail.sf(z)
    assert (np.diff(p) <= 1e-12).all() and p[0] == 1 and p[-1] > 0
    for share in (1e-5, 1e-3, 0.01):
        assert tail.sf(np.array(tail.isf(share))) == pytest.approx(share)
    assert tail.sf(np.array(np.log(1000.0))) == pytest.approx(1e-3, rel=0.7)  # of an exponential


def test_a_deviate_keeps_the_tail_probability():
    t = np.array([-40.0, -2.0, 0.0, 3.0])
    assert norm.cdf(normal_deviate(t, 5)) == pytest.approx(student.cdf(t, 5), rel=1e-9)


def test_one_against_the_others_by_hand():
    """Two references at 0 and 2 against the third at 4: centre 1, s² = 2 with one degree, prior of all three."""
    references = np.array([[0.0], [2.0], [4.0]])
    whole = fit_null(references)
    found, seen = held_against_each_other(references, np.array([[1.0]]))
    spread = np.sqrt(2 * 1.5)
    freedom = fit_null(references[:2], effective=whole.effective, variances=(0.0, 1.0)).freedom
    assert found[2] == pytest.approx(normal_deviate(np.array([3 / spread]), freedom))
    assert seen.shape == (3, 1, 1) and seen[2, 0, 0] == pytest.approx(0, abs=1e-12)


def test_log_odds_of_counts():
    assert log_odds_of_counts(np.array([0, 50, 100]), 100) == pytest.approx([-np.log(201), 0, np.log(201)])


def test_the_specific_part_by_hand():
    """Peers −1, 0, 1 ten times: median 0, MAD 1, so 1.4826 is the unit; a class of few peers has none."""
    held = np.tile([2.0, 3.0, 4.0], 10)
    values, labels = np.r_[6.0, 3.0, 9.0, held], np.r_[0, 0, 1, np.zeros(30, int)]
    parts = specific_parts(values, labels, np.arange(33) >= 3)
    assert parts[:3] == pytest.approx([3 / 1.4826, 0, np.nan], nan_ok=True)
    narrow = specific_parts(np.r_[6.0, held / 1000], np.zeros(31, int), np.arange(31) >= 1)
    assert narrow[0] == pytest.approx(6 - 0.003)  # never larger than in re-trainings' units


def test_the_in_out_ratio_of_equal_variances_is_linear():
    """Means 0 and d = 2, variance σ² of both: log ratio = (d·x − d²/2) / σ²."""
    inside = np.array([[1.0] * 5, [3.0] * 5])
    spread = np.sqrt(variance_law(np.full(5, 2.0), 1)[1] * 1.5)
    points = np.array([0.0, 1.0, 2.0, 3.0, -1.0])
    assert in_out_ratio(points, inside, spread) == pytest.approx((2 * points - 2) / spread**2)


# --- nulls from laws it does not assume ---------------------------------------------------------------------------


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("k", [2, 3, 8, 20])
def test_an_honest_re_training_is_rarely_accused(law, k):
    """30 audits: p ≤ .05 about 5% on average over both sides, intervals hold 95%, few lists hold anything."""
    rng = np.random.default_rng(k)
    audits = 30
    alarms, inside, lists = [], [], 0
    for _ in range(audits):
        values = draw(rng, law, k + 1)
        found = judge(values[0], values[1:])
        alarms.append(((found.p_residual <= 0.05).mean() + (found.p_forgotten <= 0.05).mean()) / 2)
        inside.append(((found.low <= found.own) & (found.own <= found.high)).mean())
        lists += found.counts()["residual"] + found.counts()["over_forgotten"] > 0
        assert (found.low >= -BOUND).all() and (found.high <= BOUND).all() and (found.low < found.high).all()
    assert np.mean(alarms) < 0.08 and np.mean(inside) > 0.915
    if k >= 3:
        assert np.mean(alarms) > 0.015
    assert lists <= 6  # of two lists each; 14 would be usual for Student's t under t2, see docs/calibration.md


def test_a_whole_model_shift_is_said():
    rng = np.random.default_rng(0)
    for law, shifted in (("normal", False), ("shifts", True)):
        values = compressed(draw(rng, law, 8, 400))
        shift = whole_model_shift(values, fit_null(values))
        assert (shift.p < 0.01) == shifted
        assert (shift.share > 0.1) == shifted


# --- findings ------------------------------------------------------------------------------------------------------


def audit(rng, k: int = 8, samples: int = 60):
    """References around 0 with deviation 0.5, and an Original that holds the first 40 samples at 8."""
    references = rng.normal(0, 0.5, (k, samples))
    original = rng.normal(0, 0.5, samples)
    original[:40] += 8
    return references, original


@pytest.mark.parametrize("k", [3, 8])
def test_every_finding_where_it_belongs(k):
    rng = np.random.default_rng(1)
    references, original = audit(rng, k)
    own = rng.normal(0, 0.5, 60)
    own[:10] += 8
    own[10:14] -= 8
    own[14:18] = 1.9
    found = judge(own, references, originals=original)
    words = np.array(found.findings())
    assert (words[:10] == "residual").all() and (words[10:14] == "over_forgotten").all()
    assert not np.isin(words[14:18], ["clear", "nothing_to_see"]).any()
    if k == 8:
        assert (words[18:40] == "clear").mean() > 0.8
    assert (words[40:] == "nothing_to_see").mean() > 0.7
    assert sum(found.counts().values()) == 60 and set(found.counts()) == set(FINDINGS)
    assert found.told_apart[:40].all() and found.told_apart[40:].sum() <= 3


def test_clear_is_never_said_of_the_original():
    rng = np.random.default_rng(2)
    references, original = audit(rng)
    assert judge(original, references, originals=original).counts()["clear"] == 0
    assert judge(original, references, originals=original).counts()["residual"] >= 38


def test_without_the_original_nothing_is_clear_and_it_says_why():
    rng = np.random.default_rng(3)
    references, original = audit(rng)
    found = judge(original, references)
    assert found.counts()["clear"] == found.counts()["nothing_to_see"] == 0 and found.counts()["residual"] >= 38
    assert any("Original" in sentence for sentence in found.missing)
    assert (found.settles == 0).all() and np.isnan(found.whole.share)


@pytest.mark.parametrize("k", [1, 2])
def test_one_or_two_references_call_nothing_and_no_interval_has_width_zero(k):
    rng = np.random.default_rng(4)
    references, original = audit(rng, k)
    found = judge(original, references, originals=original)
    assert found.counts()["cannot_tell"] == 60
    assert any(str(k) in sentence and "3" in sentence for sentence in found.missing)
    if k == 1:
        assert np.isnan(found.low).all() and np.isnan(found.high).all() and found.whole is None
    else:
        assert (found.high - found.low > 0.5).all() and (abs(found.low) <= BOUND).all()


def test_references_that_agree_to_the_last_digit_have_an_interval_all_the_same():
    found = judge(np.zeros(20), np.zeros((5, 20)), originals=np.full(20, 9.0))
    assert (found.high > found.low).all() and found.counts()["clear"] == 20


def test_few_samples_are_judged_too():
    found = judge(np.array([9.0]), np.array([[0.0], [0.1], [-0.1]]))
    assert found.findings()[0] in ("residual", "cannot_tell") and np.isfinite(found.p_residual).all()


def test_what_would_be_seen_in_four_of_five_cases_is():
    """Listed, not only of small p; re-trainings alike on the compressed scale, which the law assumes."""
    rng = np.random.default_rng(5)
    seen = []
    for _ in range(100):
        values = rng.normal(0, 0.5, (9, 80))
        values[0, :8] += 3
        found = judge(expanded(values[0]), expanded(values[1:]))
        needed = compressed(found.expected[50] + found.detectable[50]) - compressed(found.expected[50])
        values[0, 50] = rng.normal(0, 0.5) + needed
        seen.append(judge(expanded(values[0]), expanded(values[1:])).findings()[50] == "residual")
    assert 0.68 <= np.mean(seen) <= 0.9


def test_more_references_are_named_only_where_they_would_settle():
    """An excess of 6 deviations is settled by few; one of half a deviation by none."""
    rng = np.random.default_rng(6)
    references = rng.normal(0, 0.5, (8, 80))
    original = np.where(np.arange(80) < 40, 6.0, 0.25)
    settles = judge(np.zeros(80), references, originals=original).settles
    assert (settles[40:] == 0).all()
    assert (settles[:40] > 0).all() and (settles[:40] <= 64).all()


# --- the sample-specific part --------------------------------------------------------------------------------------


def peers_of(rng, k: int, shift: float = 0.0, spread: float = 0.5, count: int = 200):
    return Peers(rng.normal(shift, spread, count), rng.normal(0, 0.5, (k, count)))


def test_a_model_that_knows_the_class_is_not_said_to_remember_samples():
    rng = np.random.default_rng(7)
    found = judge(rng.normal(3, 0.5, 60), rng.normal(0, 0.5, (8, 60)), peers=peers_of(rng, 8, shift=3))
    assert found.counts()["residual"] > 50
    assert (found.specific.said != SPECIFIC.index("shown")).all() and found.specific.set_p > 0.01


def test_a_brittle_model_is_not_either():
    """Twice the spread of re-trainings on held-out samples as on forget samples."""
    rng = np.random.default_rng(8)
    lists = sum(
        (
            judge(rng.normal(-1, 1.0, 60), rng.normal(0, 0.5, (8, 60)), peers=peers_of(rng, 8, -1, 1.0)).specific.q
            <= 0.05
        ).any()
        for _ in range(20)
    )
    assert lists <= 2


@pytest.mark.parametrize("siblings", [0, 4])
def test_what_is_remembered_of_a_sample_is_shown(siblings):
    rng = np.random.default_rng(9)
    k, a = 8, 1 + siblings
    own, seen = rng.normal(1, 0.5, 60), rng.normal(1, 0.5, (a, 60))
    own[:20] += 5
    seen[:, :30] += 5
    peers = peers_of(rng, k, shift=1)
    peers = Peers(peers.own, peers.references, rng.normal(1, 0.5, (a, 200)))
    found = judge(own, rng.normal(0, 0.5, (k, 60)), originals=seen, peers=peers).specific
    assert (found.said[:20] == SPECIFIC.index("shown")).all()
    assert (found.said[20:] == SPECIFIC.index("shown")).sum() <= 2
    assert (found.said[20:30] == SPECIFIC.index("not_shown")).sum() >= 7
    assert (found.said[30:] == SPECIFIC.index("cannot_tell")).sum() >= 28
    assert (found.ratio is None) == (siblings == 0) and found.set_p < 0.01 and found.held_out == 200


def test_too_few_held_out_samples_say_nothing():
    rng = np.random.default_rng(10)
    found = judge(rng.normal(size=30), rng.normal(size=(4, 30)), peers=peers_of(rng, 4, count=10))
    assert found.specific is None and any("too few" in sentence for sentence in found.missing)


# --- the set --------------------------------------------------------------------------------------------------------


def test_the_share_still_known_is_in_its_interval():
    rng = np.random.default_rng(11)
    inside, told, nearer = 0, 0, []
    for turn in range(60):
        share = (0.0, 0.3, 1.0)[turn % 3]
        models = rng.normal(0, 1, (10, 100)) + rng.normal(0, 0.15, (10, 1))
        gain = rng.gamma(4, 1, 100)
        original, own = models[0] + gain, models[1] + gain * (rng.permutation(100) < 100 * share)
        whole = judge(own, models[2:], originals=original).whole
        nearer.append(whole.nearer)
        if np.isnan(whole.share):  # the Original does not stand out as a whole
            continue
        told += 1
        inside += whole.share_low <= share <= whole.share_high
        assert 0 <= whole.share_low <= whole.share <= whole.share_high <= 1
    assert told >= 50 and inside >= 0.88 * told
    assert nearer[::3].count("original") == 0 and nearer[2::3].count("retraining") == 0
    assert nearer[::3].count("retraining") >= 16 and nearer[2::3].count("original") >= 16


def test_half_way_is_seldom_put_on_a_side():
    rng = np.random.default_rng(12)
    sides = 0
    for _ in range(60):
        models = rng.normal(0, 1, (10, 100)) + rng.normal(0, 0.3, (10, 1))
        sides += judge(models[1] + 1, models[2:], originals=models[0] + 2).whole.nearer != "cannot_tell"
    assert sides <= 8


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "own, references, more",
    [
        (np.zeros(0), np.zeros((3, 0)), {}),
        (np.zeros(4), np.zeros((0, 4)), {}),
        (np.zeros(4), np.zeros((3, 5)), {}),
        (np.zeros(4), np.full((3, 4), np.nan), {}),
        (np.zeros(4), np.zeros((3, 4)), {"rate": 1.0}),
        (np.zeros(4), np.zeros((3, 4)), {"labels": np.zeros(3, int)}),
        (np.zeros(4), np.zeros((3, 4)), {"originals": np.zeros(5)}),
        (np.zeros(4), np.zeros((3, 4)), {"peers": Peers(np.zeros(9), np.zeros((2, 9)))}),
        (np.zeros(4), np.zeros((3, 4)), {"peers": Peers(np.zeros(9), np.zeros((3, 9)), np.zeros((1, 9)))}),
    ],
)
def test_bad_input_is_one_sentence(own, references, more):
    with pytest.raises(UsageError, match=r"^[^\n]+\.$"):
        judge(own, references, **more)
