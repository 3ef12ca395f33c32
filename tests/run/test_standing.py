"""Sentences on models that stand far from the references, by hand."""

from __future__ import annotations

import pytest

from rurk_core.run.auto import with_auto
from rurk_core.run.spec import make_spec
from rurk_core.run.standing import failed_trainings, note_standing, stands_apart


def noted(
    retain: float,
    counts: list[int],
    original=(80, 60),
    attack="gaussian",
    retrained=(0.95, 0.97),
    before=1.0,
    means=(60, 40),
) -> list[str]:
    def taus(numbers):
        return [
            {"tau": tau, "numerator": number, "denominator": mean, "trials": 100}
            for tau, number, mean in zip((0.0, 0.1), numbers, means, strict=True)
        ]

    rows = [
        {"name": "original", "role": "original", "retain_accuracy": before},
        {"name": "m", "role": "unlearned", "method": "gd", "retain_accuracy": retain, "notes": ["first"]},
        {"name": "bad", "role": "unlearned", "failed": "The loss became nan."},
        *(
            {"name": f"reference-{k}", "role": "reference", "retain_accuracy": right}
            for k, right in enumerate(retrained)
        ),
    ]
    residual = [
        {"attack": attack, "method": name, "taus": taus(numbers)}
        for name, numbers in (("original", original), ("m", counts))
    ]
    note_standing(rows, residual)
    assert "notes" not in rows[0] and rows[1]["notes"][0] == "first"
    return rows[1]["notes"][1:]


def test_what_stands_well_is_left_alone():
    assert noted(0.94, [60, 40]) == []


def test_over_forgetting_is_said_with_its_numbers():
    (said,) = noted(0.9, [60, 40])
    assert "90.0%" in said and "95.0%" in said
    (said,) = noted(0.95, [60, 5])
    assert "τ = 0.1 it recognises 5 copies of forget samples, re-trained models on average 40; 'rurk tune'" in said


def test_a_model_that_is_still_the_original():
    (said,) = noted(0.95, [80, 60])
    assert "next to nothing" in said
    assert noted(0.95, [78, 60]) == []


def test_what_the_original_has_not_learned_was_not_destroyed_by_unlearning():
    assert noted(0.5, [60, 40], before=0.51) == []
    assert len(noted(0.3, [60, 40], before=0.51)) == 1
    assert noted(0.95, [60, 5], original=(80, 6)) == []
    assert noted(0.95, [0, 0], original=(0, 0)) == [], "nothing was there to be left"


def test_of_one_re_trained_model_nothing_is_said_of_several():
    (said,) = noted(0.9, [60, 40], retrained=(0.95,))
    assert said.endswith("retained samples, the re-trained model on 95.0%.")
    (said,) = noted(0.95, [60, 1], retrained=(0.95,))
    assert "it recognises 1 copy of forget samples, the re-trained model 40;" in said


def test_a_few_copies_are_no_over_forgetting():
    assert noted(0.95, [60, 0], means=(60, 1 / 3)) == [], "0 copies against 0.3 on average"
    (said,) = noted(0.95, [60, 0], means=(60, 1.5))
    assert "recognises 0 copies of forget samples, re-trained models on average 1.5;" in said


def test_an_honest_re_training_of_samples_that_all_know_has_not_done_nothing():
    """What re-trained models recognise as the Original does is no method's to remove."""
    assert noted(0.95, [80, 60], means=(80, 60)) == []
    assert noted(0.95, [80, 60], means=(80, 58.9)) != []
    assert noted(0.95, [80, 60], means=(None, None), retrained=()) == [], "and nothing tells what is to be removed"


def test_without_references_or_random_copies_nothing_is_compared():
    assert noted(0.1, [60, 40], retrained=()) == []
    assert noted(0.95, [80, 0], attack="fgsm") == []


def test_a_model_that_knows_more_than_the_original():
    (said,) = noted(0.95, [85, 62])
    assert said.endswith("more than the Original: at τ = 0 it recognises 85 copies of forget samples, the Original 80.")
    assert noted(0.95, [80.5, 60.5]) == noted(0.95, [80, 60]), "less than 1% of the copies"
    assert noted(0.95, [60, 48], original=(60, 40)) == [], "re-trained models know as much as the Original"
    assert noted(0.95, [85, 62], means=(None, None), retrained=()) == []


def test_what_stands_apart_is_told_from_other_notes():
    assert stands_apart({"notes": ["first", "It over-forgets: x.", "It did next to nothing to y."]}) == [
        "It over-forgets: x.",
        "It did next to nothing to y.",
    ]
    assert stands_apart({}) == []


def test_the_strength_is_looked_for_where_there_is_one_to_find():
    spec = make_spec(methods="gd,rurk:ceiling=2,ga@source", references=3).to_dict()
    again = with_auto(spec, "rurk", less=False)
    assert make_spec(**again).methods[1].config.ceiling == -1 and again["methods"][1]["label"] == "rurk-auto"
    assert again["methods"][::2] == spec["methods"][::2]
    assert spec["methods"][1]["config"]["ceiling"] == 2, "the experiment itself is left alone"
    assert with_auto(spec, "gd", less=True) is None and with_auto(again, "rurk-auto", less=True) is None
    assert with_auto(spec, "ga", less=True) is not None and with_auto(spec, "ga", less=False) is None
    assert with_auto(spec | {"references": 1}, "rurk", less=True) is None


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["default", "paper, small CIFAR-5"])
def test_ssd_says_its_share(preset):
    import torch

    from rurk_core.unlearning import METHODS, method_config, unlearn
    from rurk_core.unlearning.conformance import small_setting

    setting = small_setting()
    for alpha, words in ((0.5, "%"), (1e30, "0 of")):
        config = method_config(METHODS["ssd"], preset, alpha=alpha)
        _, notes = unlearn(
            METHODS["ssd"], setting.original, setting.retain, setting.forget, config,
            generator=torch.Generator().manual_seed(11),
        )  # fmt: skip
        (said,) = notes
        assert said.startswith("SSD dampened") and words in said and "seed 11" in said
        assert ("changed nothing" in said) == (alpha == 1e30)


def trained(*right, original=0.95):
    return [{"name": "original", "role": "original", "retain_accuracy": original}] + [
        {"name": f"reference-{k + 1}", "role": "reference", "retain_accuracy": share} for k, share in enumerate(right)
    ]


def test_a_training_that_failed_is_named():
    (said,) = failed_trainings(trained(0.95, 0.97, 0.105))
    assert (
        said.startswith("Re-trained model 3 is right on 10.5% of the retained samples") and "a median of 95.0%:" in said
    )
    (said,) = failed_trainings(trained(0.1))
    assert said.startswith("Re-trained model 1 is right on 10.0%") and "the other model reaches 95.0%:" in said
    unlearned = {"name": "ssd", "role": "unlearned", "retain_accuracy": 0.1}
    lost = {"name": "reference-9", "role": "reference", "failed": "The disk is full."}
    assert failed_trainings([*trained(0.95, 0.9, 0.8), unlearned, lost]) == []
    assert failed_trainings(trained(0.95, original=0.1)) == failed_trainings([]) == []
