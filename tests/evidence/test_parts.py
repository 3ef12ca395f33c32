"""The parts of methods: by their findings, none where nothing can be said."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
from cases import case

from rurk_core.evidence.findings import find
from rurk_core.evidence.parts import Parts, part_words, parts
from rurk_core.evidence.whole import Whole


@dataclass
class Told:
    """As much of findings as parts are made of."""

    residual: int
    over_forgotten: int
    excess: float
    reach: float = 1.0
    references: int = 8
    rate: float = 0.05
    judged: SimpleNamespace = field(init=False)

    def __post_init__(self):
        whole = Whole(self.excess, self.excess - self.reach, self.excess + self.reach, 0.5, 0.5)
        self.judged = SimpleNamespace(references=self.references, rate=self.rate, whole=whole)

    def counts(self):
        rest = 100 - self.residual - self.over_forgotten
        return {"residual": self.residual, "over_forgotten": self.over_forgotten, "clear": rest}


def test_each_part_goes_to_the_method_that_plays_it_most():
    found = {"a": Told(40, 0, 2.0), "b": Told(60, 0, 3.0), "c": Told(0, 30, -4.0), "d": Told(2, 1, 0.3)}
    assert parts(found) == Parts("b", "c", "d")


def test_the_nearest_of_the_others_need_not_be_alike():
    assert parts({"a": Told(60, 0, 3.0), "b": Told(40, 0, 2.0)}) == Parts("a", "", "b")


def test_a_method_plays_one_part_only_and_none_where_nothing_can_be_said():
    assert parts({"a": Told(10, 20, 0.0)}) == Parts("a", "", "")
    assert parts({"a": Told(0, 0, 0.0)}) == Parts("", "", "a")
    assert parts({"a": Told(10, 20, 0.0, references=2)}) == Parts()


def test_a_title_is_true_of_the_findings_beneath_it():
    """Whatever part a method plays beside the others."""
    model = np.zeros(40)
    assert part_words(find(case(model=model))) == "Not told from a re-training"
    assert part_words(find(case(model=model, original=0.0))) == "Not told from a re-training, nor is the Original"
    model[3] = 11.0
    assert part_words(find(case(model=model))) == "Leaves knowledge"
    model[4] = -11.0
    assert part_words(find(case(model=model))) == "Leaves knowledge, and forgets others too far"
    model[3] = 0.0
    assert part_words(find(case(model=model))) == "Forgets too far"
    assert part_words(find(case(references=2))) == "Cannot be told"


def test_a_set_above_re_trainings_of_which_no_sample_is_named_is_not_alike():
    of = find(case(model=np.zeros(40)))
    for low, high, said in ((0.1, 0.5, "above"), (-0.5, -0.1, "below")):
        judged = replace(of.judged, whole=replace(of.judged.whole, low=low, high=high))
        assert part_words(replace(of, judged=judged)) == f"As a whole {said} re-trainings"
