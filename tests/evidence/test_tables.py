"""Which arrays of a table the law is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rurk_core.errors import UsageError
from rurk_core.evidence.law import judge, log_odds_of_counts
from rurk_core.evidence.tables import WITHOUT_MARGINS, judge_tables, over_all_radii
from rurk_core.measure.residual import Verdicts
from rurk_core.measure.verdicts import EACH

NAMES = ("original", "m", "reference-1", "reference-2", "reference-3", "reference-4")
TAUS = np.array([0.0, 0.1, 0.2])


def table(samples: int = 30, seed: int = 0) -> Verdicts:
    """Ten draws, two classes; the Original and m hold the first ten samples."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(0, 1, (len(NAMES), samples, 3)).astype(np.float32)
    margins[:2, :10] += 8
    own = np.rint(10 / (1 + np.exp(-margins))).astype(np.int32)
    counts = np.stack([own, 10 - own], -1)
    agreement = np.zeros((len(NAMES), 4, samples, 3), np.int32)
    ids, labels = np.arange(samples), np.zeros(samples, np.int64)
    return Verdicts("gaussian", "", 10, 0, TAUS, ids, labels, NAMES, NAMES[2:], counts, agreement, margins)


def test_the_radius_0_takes_no_part():
    one = table()
    assert over_all_radii(one, "m") == pytest.approx(one.margins[1, :, 1:].mean(1), rel=1e-6)
    still = replace(one, taus=np.zeros(1), margins=one.margins[:, :, :1], counts=one.counts[:, :, :1])
    assert over_all_radii(still, "m") == pytest.approx(one.margins[1, :, 0])


def test_a_table_is_judged_as_its_arrays():
    one, held = table(), table(200, seed=1)
    found = judge_tables(one, "m", held=held)
    arrays = {name: over_all_radii(one, name) for name in NAMES}
    plain = judge(arrays["m"], np.stack([arrays[name] for name in NAMES[2:]]), originals=arrays["original"])
    assert found.own == pytest.approx(plain.own) and found.references == 4
    assert (judge_tables(one, "m").finding == plain.finding).all()
    assert found.findings()[:10] == ["residual"] * 10 and found.specific.held_out == 200
    assert not any("log-odds of counts" in sentence for sentence in found.missing)


def test_a_reference_handed_in_is_left_out_of_the_null_and_the_original_is_not_its_own_measure():
    assert judge_tables(table(), "reference-2").references == 3
    found = judge_tables(table(), "original")
    assert not found.told_apart.any() and any("Original" in sentence for sentence in found.missing)


def test_an_old_table_rests_on_counts_and_says_so():
    old = replace(table(), margins=None)
    assert over_all_radii(old, "m") == pytest.approx(log_odds_of_counts(old.recognised("m")[:, 1:].mean(1), 10))
    assert WITHOUT_MARGINS in judge_tables(old, "m").missing


def test_copies_of_one_model_say_nothing_and_of_each_model_do():
    with pytest.raises(UsageError, match="each model itself"):
        judge_tables(replace(table(), source="m"), "m")
    each = replace(table(), source=EACH, references=())
    assert judge_tables(each, "m", references=NAMES[2:]).references == 4
    with pytest.raises(UsageError, match="there is none"):
        judge_tables(each, "m")
    with pytest.raises(UsageError, match="no model 'x'"):
        judge_tables(each, "x")
