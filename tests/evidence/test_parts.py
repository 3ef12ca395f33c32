"""The parts of methods: by their findings, none where nothing can be said."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

from rurk_core.evidence.parts import Parts, parts
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
    assert parts(found) == Parts("b", "c", "d", True)


def test_what_is_told_from_re_trainings_is_nearest_but_not_alike():
    assert parts({"a": Told(60, 0, 3.0), "b": Told(40, 0, 2.0)}) == Parts("a", "", "b", False)
    assert not parts({"a": Told(60, 0, 3.0), "b": Told(6, 0, 0.1)}).alike  # more than the rate allows


def test_a_method_plays_one_part_only_and_none_where_nothing_can_be_said():
    assert parts({"a": Told(10, 20, 0.0)}) == Parts("a", "", "")
    assert parts({"a": Told(0, 0, 0.0)}) == Parts("", "", "a", True)
    assert parts({"a": Told(10, 20, 0.0, references=2)}) == Parts()
