"""What would settle an open sample: numbers that were worked out by hand, and that models drawn at random keep to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from rurk_core.evidence.law import judge
from rurk_core.evidence.null import Null, calibrated
from rurk_core.evidence.settles import MOST_DRAWS, more_draws, more_references, share_of_draws
from rurk_core.evidence.specific import MEMBERS, more_members

NORMAL = calibrated(ndtri((np.arange(4000) + 0.5) / 4000))


def null_of(n: int, k: int) -> Null:
    """Re-trainings of spread 1 about 0, known as if from any number of them but for their mean."""
    return Null(np.zeros(n), np.full(n, np.sqrt(1 + 1 / k)), 1e9, np.inf, 1.0, 1e9)


def test_copies_settle_what_their_own_share_of_the_variance_hides():
    """Needed is 2 (1.96 + 0.84) = 5.60 predictive deviations. Half of the variance is of 20 copies; with c of them it
    is 1/2 + 10 / c. An effect of 0.9 of what is needed asks for 0.81: c = 10 / 0.31 = 32.3; one of 0.76 for .5776:
    128.9; one of 0.7 for .49, which no number of copies reaches; one of 1.1 has enough with 10 / (1.21 − .5) = 14.1."""
    shares = np.array([0.9, 0.76, 0.7, 1.1, -1.0])
    null = null_of(5, 8)
    effect = shares * 2 * (NORMAL.edge(0.025) + ndtri(0.8))
    assert more_draws(null, 8, NORMAL, effect, 0.05, 20, 0.5).tolist() == [33, 129, 0, 15, 0]
    assert more_draws(null, 8, NORMAL, effect, 0.05, 20, np.nan).tolist() == [0] * 5, "not known"
    nearly = np.sqrt(0.5 + 0.5 * 20 / (2 * MOST_DRAWS)) / shares[0] * effect[:1]
    assert more_draws(null_of(1, 8), 8, NORMAL, nearly, 0.05, 20, 0.5) == [0], "twice as many as are an answer"


def test_references_settle_by_what_their_mean_is_not_known():
    """Of spread known, K references leave √(1 + 1/K): an effect of 5.6 · √(1 + 1/10) needs ten."""
    needed = 2 * (NORMAL.edge(0.025) + ndtri(0.8))
    effect = np.array([needed * np.sqrt(1.1 + 1e-9), needed * 0.99]) / np.sqrt(1 + 1 / 4)
    assert more_references(null_of(2, 4), 4, NORMAL, effect, 0.05).tolist() == [10, 0]


def test_copies_that_all_models_see_alike_are_no_noise():
    rng = np.random.default_rng(0)
    models, copies = rng.normal(size=(6, 500, 1)), rng.normal(0, 5, (1, 500, 10))
    assert share_of_draws(*halves_of(models + copies / 99), 10) == pytest.approx(0, abs=1e-3)
    own = rng.normal(0, 2, (6, 500, 5))  # three draws are even, two odd: 4/5 of 4 beside 1
    assert share_of_draws(*halves_of((models + own) / 99), 5) == pytest.approx(0.8 / 1.8, abs=0.03)


def halves_of(copies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return copies.mean(-1), copies[..., ::2].mean(-1) - copies[..., 1::2].mean(-1)


def test_so_many_copies_do_settle_it():
    """Re-trainings seen through few copies; with as many as are named, an excess like the Original's is listed or a
    re-training clear in about four of five cases."""
    rng = np.random.default_rng(1)
    told = []
    for _ in range(12):
        truth = rng.normal(0, 0.3, (10, 120))
        truth[0, :40] += rng.uniform(1, 4, 40)

        def seen(draws: int, truth=truth) -> tuple[np.ndarray, float]:
            copies = truth[..., None] + rng.normal(0, 1.2, (*truth.shape, draws))
            values, halves = halves_of(copies)
            return values, share_of_draws(values[2:], halves[2:], draws)

        few, drawn = seen(4)
        first = judge(few[1], few[2:], originals=few[0], draws=4, drawn=drawn)
        more, _ = seen(16)
        clear = judge(more[1], more[2:], originals=more[0])
        asked = (first.settles_draws > 4) & (first.settles_draws <= 16)
        told += (clear.finding[asked] == 2).tolist()
    assert len(told) > 50 and np.mean(told) > 0.7


def test_more_originals_show_what_is_remembered_plainly_and_not_what_is_hardly_remembered():
    rng = np.random.default_rng(2)
    theirs, peers = rng.normal(size=(8, 90)), rng.normal(size=200)
    # the more is remembered by models that agree, the fewer of them it takes; what is not asked has no number
    gain = np.repeat([4.0, 2.5, 0.2], 30)
    seen = gain + rng.normal(0, 1, (3, 90))
    asked = np.arange(90) % 10 > 0
    found = more_members(theirs, peers, seen, asked, 0.05)
    assert set(found) <= {0, *[count for count in MEMBERS if count > 3]} and (found[~asked] == 0).all()
    assert (found[:30][asked[:30]] > 0).mean() > 0.7 and (found[60:] > 0).mean() < 0.1


def test_one_original_does_not_say_how_far_models_that_saw_it_differ():
    from rurk_core.evidence.law import Peers

    rng = np.random.default_rng(3)
    references, held = rng.normal(size=(8, 60)), rng.normal(size=(8, 100))
    for a in (1, 3):
        peers = Peers(rng.normal(size=100), held, rng.normal(size=(a, 100)))
        seen = 5 + rng.normal(size=(a, 60))
        specific = judge(5 + rng.normal(size=60), references, originals=seen, peers=peers).specific
        assert (specific.settles is None) == (a == 1)


def test_a_null_that_knows_nothing_of_copies_says_nothing_of_them():
    rng = np.random.default_rng(4)
    found = judge(rng.normal(size=40), rng.normal(size=(8, 40)), originals=np.full(40, 3.0))
    assert (found.settles_draws == 0).all() and np.isnan(found.drawn)
