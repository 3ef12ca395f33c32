"""The one door: findings from hand-made log-odds, and the sentences that are made of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from cases import DRAWS, case

from rurk_core.evidence.findings import STATISTICS, Finding, Findings, Settling, _half, find, plain
from rurk_core.evidence.law import FINDINGS, RATE
from rurk_core.evidence.whole import Whole
from rurk_core.evidence.words import caveats, power_words, sample_words, set_words, settling_words, short_words


def test_what_the_original_knows_and_the_model_not_is_clear_and_the_rest_is_said():
    model = np.zeros(40)
    model[3], model[4] = 11.0, -11.0
    found = find(case(model=model))
    by_sample = {one.sample: one for one in found.samples}
    assert by_sample[103].finding == "residual" and found.samples[0].sample == 103
    assert by_sample[104].finding == "over_forgotten" and by_sample[105].finding == "clear"
    assert by_sample[103].row["specific"] == "shown" and found.remembered() == 1
    counts = found.counts()
    assert list(counts) == list(FINDINGS) and sum(counts.values()) == 40 and counts["residual"] == 1
    words = sample_words(by_sample[103], found)
    assert words.startswith("Residual knowledge: 100.0% of the copies are recognised, by the 8 re-trained models")
    several = sample_words(found.samples[0], replace(found, radii=11))
    assert several.startswith("Residual knowledge: 100.0% of the copies over all radii are recognised")
    assert "Memory of this very sample is shown" in words and "95% probability" in words
    assert "The Original is told from re-trainings here" in sample_words(by_sample[105], found)
    assert "1 carries residual knowledge (memory of the very sample is shown for 1), 1 is over-" in set_words(found)
    assert short_words(found).startswith("1 residual knowledge, 1 over-forgotten, ")


def test_where_not_even_the_original_shows_there_is_nothing_to_see():
    found = find(case(original=0.3))
    assert found.counts()["nothing_to_see"] >= 38 and found.counts()["clear"] == 0
    told = next(one for one in found.samples if one.finding == "nothing_to_see")
    assert "Not even the Original" in sample_words(told, found)


@pytest.mark.parametrize("k", [1, 2])
def test_few_references_say_what_is_missing(k):
    found = find(case(k, model=np.full(40, 11.0)))
    assert set(one.finding for one in found.samples) == {"cannot_tell"} and short_words(found) == "cannot be told"
    assert "at least 3 re-trained models" in set_words(found)
    words = sample_words(found.samples[0], found)
    assert words.startswith("Cannot be told: 100.0% of the copies") and "at least 3 re-trained models" in words
    low, high = found.samples[0].row["low"], found.samples[0].row["high"]
    assert (low is None) == (k == 1) and (k == 1 or high - low > 1), "no interval of width zero"


def test_without_references_recognition_is_all_there_is():
    found = find(case(0))
    assert found.judged is None and "There is no re-trained model" in set_words(found)
    assert [one.excess for one in found.samples] == [None] * 40
    assert [one.recognised for one in found.samples] == sorted((one.recognised for one in found.samples), reverse=True)


def test_an_attack_that_did_not_go_through_every_model_gets_no_finding():
    """Copies built on one model alone treat the others differently: an honest re-training would be accused."""
    found = find(replace(case(attack="fgsm"), peers=None))
    assert found.judged is None and "did not attack every model in turn" in set_words(found)


def test_held_out_samples_are_needed_for_memory_of_a_sample():
    model = np.zeros(40)
    model[3] = 11.0
    found = find(case(model=model, held=0))
    one = found.samples[0]
    assert one.finding == "residual" and one.row["specific"] is None and found.remembered() == 0
    assert "cannot be told: there are too few held-out samples" in sample_words(one, found)


def test_a_row_holds_what_the_list_says_and_no_more():
    found = find(case())
    row = found.samples[0].to_dict()
    assert [name for name in row if name in {s.name for s in STATISTICS}] == [s.name for s in STATISTICS]
    json.dumps([found.to_dict(), *(one.to_dict() for one in found.samples)], allow_nan=False)


def test_counts_are_those_of_the_radii_above_0():
    found = find(case())
    assert {one.copies for one in found.samples} == {DRAWS}


def test_an_honest_re_training_handed_in_is_not_accused():
    """Each of the references in place of the model, over 20 seeds of the set: hardly ever a finding on either side."""
    wrong = 0
    base = case(9)
    for name in base.verdicts.references:
        counts = find(replace(base, method=name)).counts()
        wrong += counts["residual"] + counts["over_forgotten"]
    assert wrong <= 1


@pytest.mark.parametrize(("original", "said"), [(0.95, False), (0.93, False), (0.3, True)])
def test_an_original_that_has_learned_less_than_re_trainings_is_a_caveat(original, said):
    rows = [{"role": "original", "key": "o", "retain_accuracy": original}]
    rows += [{"role": "reference", "key": "r", "retain_accuracy": right} for right in (0.94, 0.97, 0.96)]
    told = caveats({"models": rows, "notes": []})
    assert bool(told) == said and (not said or "every re-trained model on at least 94.0%" in told[0])
    assert caveats({"models": [{"role": "original", "key": "o", "retain_accuracy": 0.2}], "notes": []})[:1] != told[:1]


def test_pre_training_on_the_forget_set_is_a_caveat():
    note = (
        "Original and Re-trains start from a model pre-trained on all of CIFAR-10; that model has seen the forget set."
    )
    rows = [{"role": "reference", "key": "k"}] * 2
    told = caveats({"models": rows, "notes": [note, "else"]})
    assert told[0].startswith(note) and "2 re-trained models" in told[1] and len(told) == 2
    assert caveats({"models": rows * 4}) == []


def test_what_would_settle_it_is_a_number_of_re_trained_models():
    assert find(case(1)).settling() == [Settling("references", 8, 1, 40)]
    assert find(case(2)).settling() == [Settling("references", 8, 2, 40)]
    found = find(case(3, original=11.0))
    (one,) = found.settling()
    open_ = [one for one in found.samples if one.finding == "cannot_tell" and one.row["settles"]]
    assert one.what == "references" and 3 < one.number <= 64 and 0 < one.samples <= len(open_)
    assert sum(row.row["settles"] <= one.number for row in open_ if row.row["settles"] > 3) == one.samples
    assert settling_words(one, found).startswith(f"With {one.number} re-trained models in place of 3 about")
    assert find(case(8, original=0.0)).settling() == [], "what not even the Original shows is not open"
    assert found.to_dict()["settling"] == [asdict(one)]


def test_what_copies_would_settle_is_said_where_it_is_known_what_they_do():
    """Halves of the draws that lie as far apart as the models: most of the variance is the copies'."""
    base, rng = case(8, original=5.0), np.random.default_rng(5)
    assert find(base).draws == DRAWS and all(one.row["settles_draws"] is None for one in find(base).samples)
    margins = base.verdicts.margins
    noisy = replace(base.verdicts, halves=rng.normal(0, 1.9, margins.shape).astype(np.float32))
    found = find(replace(base, verdicts=noisy))
    assert found.judged.drawn > 0.7
    draws = next(one for one in found.settling() if one.what == "draws")
    assert draws.now == DRAWS < draws.number and "copies at each radius in place of 50" in settling_words(draws, found)
    told = next(
        one for one in found.samples if (one.row["settles_draws"] or 0) > DRAWS and one.finding == "cannot_tell"
    )
    assert f"would {told.row['settles_draws']} copies at each radius in place of 50" in sample_words(told, found)
    still = find(replace(base, verdicts=replace(noisy, halves=np.zeros_like(margins))))
    said = [sample_words(one, still) for one in still.samples if one.finding == "cannot_tell"]
    assert any(
        "No number of copies is sure to: the copies that were drawn make up 0% of the variance" in w for w in said
    )


def test_what_further_originals_would_settle():
    """A model that knows its samples a little: residual, and whether it is memory cannot be told of one Original."""
    model = np.where(np.arange(40) < 2, 5.0, 0.0)
    base = case(8, model=model, original=5.0)
    found = find(base)
    open_ = [one for one in found.samples if found.memory_open(one)]
    assert open_ and found.settling()[-1] == Settling("members", 3, 0, len(open_))
    assert "further Originals would." in sample_words(open_[0], found)
    assert "3 further Originals would." in settling_words(found.settling()[-1], found)
    few = find(case(8, model=model, original=5.0, held=10))
    assert all(one.what != "members" for one in few.settling())
    lacking = replace(found, peers={0: 12})
    assert "that takes 20 held-out samples of its class, and there are 12." in sample_words(open_[0], lacking)


def test_what_k_can_do_is_said_before_a_run():
    assert "With 2 re-trained models nothing" in power_words(2) and "With one re-trained" in power_words(1)
    # t of 2 degrees 4.303 · √(4/3); of 7 degrees 2.365 · √(9/8)
    assert "must lie 5.0 standard" in power_words(3) and "2.5 with 8" in power_words(3)
    assert "must lie 2.5 standard" in power_words(8) and "with 8)" not in power_words(8)


def test_a_set_below_re_trainings_is_not_given_a_share_of_no_width():
    words = set_words(find(case(model=np.full(40, -9.0))))
    assert "lies below re-trainings" in words and "0% to 0%" not in words


def one(sample: int, finding: str, *, label: int = 0, settles: int | None = None, references=(1, 2)) -> Finding:
    return Finding(sample, sample - 5, label, 6, references, 10, finding, {"settles": settles})


def of_samples(samples, why="", peers=None) -> Findings:
    return Findings(samples, None, why, peers or {}, 20, 0)


def test_what_is_written_of_a_sample_and_of_a_set_without_evidence():
    """6 of 10 copies, 1 and 2 by re-trainings: 60 − 15 percentage points beyond their mean."""
    assert one(7, "clear").to_dict() == {
        "sample": 7, "label": 0, "finding": "clear", "recognised": 6, "references": [1, 2], "copies": 10,
        "excess": 45.0, "settles": None,
    }  # fmt: skip
    written = of_samples([one(7, "cannot_tell")], "Why not.", {0: 2, 1: 1}).to_dict()
    assert written == {
        "findings": {**dict.fromkeys(FINDINGS, 0), "cannot_tell": 1}, "remembered": 0, "references": 2, "rate": RATE,
        "held_out": 3, "set": dict.fromkeys(Whole.__dataclass_fields__),
        "set_specific": dict.fromkeys(("excess", "low", "high", "p")), "missing": ["Why not."],
        "settling": [{"what": "references", "number": 8, "now": 2, "samples": 1}],
    }  # fmt: skip


def test_what_is_written_of_a_set_is_what_was_found():
    model = np.zeros(40)
    model[3] = 11.0
    for rate, of in ((0.05, case(8, model=model)), (0.2, case(8, model=model, held=0)), (0.05, case(2))):
        found = find(of, rate=rate)
        judged, written = found.judged, found.to_dict()
        assert judged and judged.whole
        for name in Whole.__dataclass_fields__:
            assert written["set"][name] == plain(getattr(judged.whole, name))
        for name in ("excess", "low", "high", "p"):
            value = plain(getattr(judged.specific, f"set_{name}")) if judged.specific else None
            assert written["set_specific"][name] == value
        assert (written["references"], written["rate"]) == (judged.references, rate)
        assert written["held_out"] == (40 if of.peers else 0) and written["missing"] == list(judged.missing)


def test_findings_by_class_and_the_place_of_a_sample():
    found = [one(5, "clear"), one(6, "clear", label=2), one(7, "residual", label=2), one(8, "clear", label=2)]
    none = dict.fromkeys(FINDINGS, 0)
    assert of_samples(found).by_class() == {0: none | {"clear": 1}, 2: none | {"clear": 2, "residual": 1}}
    of = case()
    labels = np.arange(40) % 2
    for each in find(replace(of, verdicts=replace(of.verdicts, labels=labels))).samples:
        assert each.sample == 100 + each.place and each.label == labels[each.place]


def test_half_of_the_open_samples_by_hand():
    """Of 5, 9, 20 and 30 needed, the second settles half; 3 are there, and 3, 2 or none do not count."""
    assert _half("references", [30, 5, 2, 20, None, 9, 3], 3) == Settling("references", 9, 3, 2)
    assert _half("draws", [30, 5, 20], 3) == Settling("draws", 20, 3, 2)
    assert _half("members", [None, 3], 3) is None
    few = [one(7, "cannot_tell")]
    assert of_samples(few).settling() == [Settling("references", 8, 2, 1)]
    assert of_samples(few, "Copies differ.").settling() == []
    assert of_samples([one(7, "cannot_tell", references=(1,) * 3)]).settling() == []


def test_copies_of_all_radii_above_0_count_and_without_references_nothing_is_told():
    of = case(0)
    wide = replace(
        of.verdicts, taus=np.array([0.0, 0.1, 0.2]),
        counts=of.verdicts.counts[..., [0, 1, 1], :],
        agreement=of.verdicts.agreement[..., [0, 1, 1]], margins=of.verdicts.margins[..., [0, 1, 1]],
    )  # fmt: skip
    found = find(replace(of, verdicts=wide))
    assert {each.copies for each in found.samples} == {2 * DRAWS}
    assert {each.finding for each in found.samples} == {"cannot_tell"}


def test_plain_values():
    given = [None, "a", True, False, np.True_, np.False_, 3, np.int64(4), 0.12345678, np.inf, np.nan]
    assert [plain(value) for value in given] == [None, "a", True, False, True, False, 3, 4, 0.123457, None, None]
    assert plain(np.False_) is False and isinstance(plain(np.int64(4)), int)
