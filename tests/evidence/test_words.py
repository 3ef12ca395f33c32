"""Sentences where there is one of a thing, none, or all of them: each must be true there too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import case

from rurk_core.evidence.findings import Finding, Findings, find
from rurk_core.evidence.null import NEEDED
from rurk_core.evidence.whole_words import beyond_words, retained_words, unreferenced_words
from rurk_core.evidence.words import sample_words, set_words, share_words
from rurk_core.measure.residual import Verdicts


def some(of: Verdicts, count: int) -> Verdicts:
    """The first samples of a table."""
    return replace(
        of,
        samples=of.samples[:count],
        labels=of.labels[:count],
        counts=of.counts[:, :count],
        agreement=of.agreement[:, :, :count],
        margins=of.margins[:, :count],  # type: ignore[index]
    )


def first(count: int, **asked) -> Findings:
    """What is found of the first samples of :func:`case`."""
    of = case(**asked)
    return find(replace(of, verdicts=some(of.verdicts, count)))


def told(recognised: int, references: tuple[int, ...], copies: int, finding="cannot_tell") -> Finding:
    return Finding(7, 2, 0, recognised, references, copies, finding, {})


def why(*samples: Finding) -> Findings:
    return Findings(list(samples), None, "Nothing tells.", {}, 20, 0)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (11.0, "The one sample carries residual knowledge (false-discovery rate 5%). "),
        (-11.0, "The one sample is over-forgotten (false-discovery rate 5%). "),
        (0.0, "The one sample is clear (false-discovery rate 5%). "),
    ],
)
def test_of_one_sample_nothing_is_counted(at, said):
    words = set_words(first(1, model=np.full(40, at)))
    assert words.startswith(said) and "samples 1" not in words and "these samples" not in words


def test_of_one_sample_that_does_not_show():
    words = set_words(first(1, model=np.zeros(40), original=0.3))
    assert words.startswith("On the one sample not even the Original shows (")


def test_one_of_several_is_singular():
    of = find(case())
    each = [replace(of.samples[0], finding=name) for name in ("residual", "over_forgotten", "clear")]
    words = set_words(replace(of, samples=each))
    assert words.startswith("Of 3 samples 1 carries residual knowledge (")
    assert ", 1 is over-forgotten (" in words and ", 1 is clear, on 0 not even" in words
    words = set_words(replace(of, samples=each * 2))
    assert words.startswith("Of 6 samples 2 carry residual knowledge (")
    assert ", 2 are over-forgotten (" in words and ", 2 are clear, on 0 not even" in words


@pytest.mark.parametrize(
    ("recognised", "references", "said"),
    [
        (1, (), "its one copy is recognised."),
        (0, (1,), "its one copy is not recognised; the re-trained model recognises it."),
        (1, (0,), "its one copy is recognised; the re-trained model does not recognise it."),
        (1, (0, 1, 0), "its one copy is recognised; 1 of the 3 re-trained models recognises it."),
        (0, (0, 0), "its one copy is not recognised; 0 of the 2 re-trained models recognise it."),
    ],
)
def test_one_copy_has_no_per_cent(recognised, references, said):
    one = told(recognised, references, 1)
    assert sample_words(one, why(one)) == f"Cannot be told: {said} Nothing tells."


def test_few_of_very_many_copies_are_not_said_to_be_none_nor_nearly_all_to_be_all():
    few, most = told(1, (0, 9000), 9000), told(8999, (), 9000)
    assert "under 0.1% of the copies are recognised, by the 2 re-trained models 50.0%" in sample_words(few, why(few))
    assert "over 99.9% of the copies are" in set_words(why(most)) and "0.0% of" in set_words(why(told(0, (), 9000)))


def test_a_finding_that_the_counts_do_not_show_says_so():
    """Of none of the copies, by the model or by re-trainings; or of all: what tells them apart are the log-odds."""
    for finding, recognised, hidden in (
        ("residual", 0, True),
        ("residual", 1, False),
        ("over_forgotten", 0, True),
        ("clear", 0, False),
    ):
        one = told(recognised, (0, 0, 0), 20, finding)
        found = replace(why(one), why="", judged=find(case()).judged)
        assert ("The counts do not show it, the log-odds do." in sample_words(one, found)) == hidden
        assert ("This finding is in the log-odds alone" in set_words(found)) == hidden


def test_a_rate_is_said_as_it_was_asked_for():
    assert "(false-discovery rate 0.4%)" in set_words(find(case(), rate=0.004))


def test_where_nothing_is_held_out_memory_of_the_sample_is_not_said_to_be_shown_for_none():
    model = np.zeros(40)
    model[3] = 11.0
    words = set_words(find(case(model=model, held=0)))
    assert "1 carries residual knowledge, " in words and "memory of the very sample" not in words
    assert "memory of these samples or knowledge of their class cannot be told: there are too few held-out" in words


def test_several_classes_are_not_one():
    of = case()
    labels = np.arange(40) % 2
    two = replace(of, verdicts=replace(of.verdicts, labels=labels), peers=replace(of.peers, labels=labels))
    assert "held-out samples of the classes under the same model" in set_words(find(two))
    assert "held-out samples of the class under the same model" in set_words(find(of))


def test_a_destroyed_class_whose_samples_lie_higher_is_no_contradiction():
    """The set below re-trainings, held-out samples far below: memory of the samples, and nothing in all."""
    of = case(model=np.full(40, -4.0))
    margins = of.peers.margins.copy()
    margins[of.peers.models.index("m")] -= 10.0
    words = set_words(find(replace(of, peers=replace(of.peers, margins=margins))))
    assert "is shown, though all lies below re-trainings: held-out samples lie lower still." in words


def test_an_original_that_has_nothing_beyond_re_trainings_has_lost_nothing():
    below = np.full(40, -9.0)
    assert share_words(find(case(model=below, original=0.0)))[1] == "As a whole it lies below re-trainings."
    assert "nothing of what the Original has" in share_words(find(case(model=below)))[1]
    of = case()
    margins = of.verdicts.margins.copy()
    margins[of.verdicts.models.index("original")] = -9.0
    sunk = replace(of, method="original", verdicts=replace(of.verdicts, margins=margins))
    assert share_words(find(sunk))[1] == "As a whole it lies below re-trainings."


def test_shown_beyond_held_out_samples_and_not_beyond_re_trainings_says_what_is_held_against_what():
    """A set that no re-training is below, under a model that sinks on held-out samples."""
    of = case(model=np.zeros(40))
    assert "under this very model" not in set_words(find(of))
    margins = of.peers.margins.copy()
    margins[of.peers.models.index("m")] -= 10.0
    found = find(replace(of, peers=replace(of.peers, margins=margins)))
    assert found.judged.whole.low <= 0 <= found.judged.whole.excess and found.judged.specific.set_low > 0
    assert "is shown. That holds them against held-out samples under this very model, not against re-trained" in (
        set_words(found)
    )


def test_memory_of_single_samples_and_none_of_their_mean_says_which_is_which():
    model = np.zeros(40)
    model[3] = 11.0
    found = find(case(model=model))
    assert found.remembered() == 1 and found.judged.specific.set_low <= 0
    assert "as a set beyond their class is not shown. This is of their mean, held against how far whole" in (
        set_words(found)
    )
    assert "This is of their mean" not in set_words(find(case(model=np.zeros(40))))


def test_of_the_original_itself_it_is_not_said_what_not_even_the_original_shows():
    of = case()
    own = find(replace(of, method="original"))
    assert own.judged.originals == 0 and own.counts()["cannot_tell"] < 40
    words = set_words(own)
    assert f"and {own.counts()['cannot_tell']} are not told from a re-training." in words
    assert "not even the Original" not in words and "clear" not in words
    assert "not even the Original shows" in set_words(find(of))


def test_a_sample_that_just_misses_the_list_says_so():
    of = find(case(NEEDED, original=11.0))
    one = next(each for each in of.samples if each.finding == "cannot_tell")
    row = one.row | {"settles": NEEDED, "q_residual": 0.057, "q_forgotten": 1.0}
    words = sample_words(replace(one, row=row), of)
    assert "It just misses the list of samples with residual knowledge: at the chosen false-discovery" in words
    assert "takes q of at most 0.05, and its q is 0.057." in words
    words = sample_words(replace(one, row=row | {"q_residual": 1.0, "q_forgotten": 0.09}), of)
    assert "It just misses the list of over-forgotten samples" in words
    words = sample_words(replace(one, row=row | {"q_residual": 0.11}), of)
    assert "misses" not in words and "in 80% of all cases; this is one of the others." in words


def test_more_copies_are_no_answer_where_there_are_as_many():
    of = find(case(NEEDED, original=11.0))
    one = next(each for each in of.samples if each.finding == "cannot_tell")
    for number in (of.draws, of.draws - 1):
        row = one.row | {"settles": 60, "settles_draws": number}
        assert "copies at each radius" not in sample_words(replace(one, row=row), of)


def test_one_retained_sample_and_one_held():
    row = {"sample": 4, "q_residual": 0.01, "q_forgotten": 1.0, "q_shift": 1.0, "shift": 0.0}
    found = {"changed": [4], "samples": [row], "references": 3, "rate": 0.05}
    assert retained_words(found).startswith("Of the one retained sample nearest to the forget set 1 changed beyond ")
    assert "Of the 2 retained samples nearest" in retained_words(found | {"samples": [row, row | {"sample": 5}]})
    assert beyond_words({"beyond_all": 1, "expected": 0.25}, 1).startswith("1 of 1 sample is held more firmly")
    assert beyond_words({"beyond_all": 0, "expected": 0.25}, 1).startswith("0 of 1 sample is held more firmly")
    assert beyond_words({"beyond_all": 2, "expected": 0.25}, 3).startswith("2 of 3 samples are held more firmly")


def test_no_accusation_has_no_share_and_samples_all_alike_no_correlation():
    found = {"samples": [{"verdict": "cannot_tell"}], "agreement": None}
    agreement = {"same": 1.0, "alarms": 0.0, "alarms_calibrated": 0.5, "both": 0.0, "rank_correlation": 0.0}
    answer, worth = unreferenced_words(found | {"agreement": agreement})
    assert "0 of 1 sample is recognised" in answer
    assert "by itself at a level of 5% on either side, not corrected" in worth and "accuse" not in worth
    assert "held-out samples name 0% of the samples as" in worth and "re-trained models 50% (of one more" in worth
    assert worth.endswith("that would be about 10%).")
    assert "a level of 1% on" in unreferenced_words(found | {"agreement": agreement}, 0.01)[1]
    _, worth = unreferenced_words(found | {"agreement": agreement | {"alarms": 0.2, "rank_correlation": -0.4}})
    assert worth.endswith(
        "of those that held-out samples name, re-trained models name 0% too; the rank correlation of the two excesses "
        "is −0.40."
    )
