"""What was declared, beside what was found: worked by hand, and unknown where nothing can be told."""

from __future__ import annotations

from types import SimpleNamespace

from rurk_core.evidence.acceptance import against, before_looking, declared_words
from rurk_core.evidence.reviews import Declaration, Judgement
from rurk_core.evidence.whole import Whole

WHOLE = Whole(1.0, 0.5, 1.5, 0.01, 0.99, 0.4, 0.2, 0.6)


def told(residual: int, forgotten: int, references: int = 8, why: str = "", open_: int = 0, unseen: int = 0):
    counts = {"residual": residual, "over_forgotten": forgotten, "cannot_tell": open_, "nothing_to_see": unseen}
    judged = SimpleNamespace(references=references, whole=WHOLE)
    return SimpleNamespace(counts=lambda: counts, samples=[0] * 200, judged=judged, why=why)


def test_each_condition_is_met_up_to_its_share_and_not_beyond():
    declared = Declaration(0.01, 0.05, 0.6)
    assert [row.met for row in against(declared, told(2, 10))] == [True, True, True]
    assert [row.met for row in against(declared, told(3, 11))] == [False, False, True]
    assert against(Declaration(0.01, 0.05, 0.59), told(0, 0))[2].met is False
    assert "2 of 200 (1.0%)" in against(declared, told(2, 10))[0].found


def test_a_condition_is_met_only_where_what_cannot_be_told_could_not_break_it():
    declared = Declaration(0.01, 0.05, 0.6)
    assert [row.met for row in against(declared, told(1, 2, open_=1))[:2]] == [True, True]
    assert [row.met for row in against(declared, told(1, 8, open_=2))[:2]] == [None, True]
    assert [row.met for row in against(declared, told(3, 0, open_=197))[:2]] == [False, None]
    row = against(declared, told(0, 0, open_=17, unseen=183))[0]
    assert row.met is None and row.found == "0 of 200 (0.0%); 17 (8.5%) cannot be told; nothing to see on 183"
    assert against(declared, told(0, 0, unseen=200))[0].met is True


def test_where_nothing_can_be_told_nothing_is_met_or_broken():
    for found in (told(0, 0, references=2), told(0, 0, why="There is no re-trained model.")):
        assert [(row.met, row.found) for row in against(Declaration(1, 1, 1), found)] == [(None, "cannot be told")] * 3


def test_it_is_said_whether_anybody_had_looked():
    early, late = Declaration(0, 0, 0, time="2026-01-01T10:00"), Declaration(0, 0, 0, time="2026-01-01T12:00")
    decided = [Judgement(1, "gd", "clear", time="2026-01-01T11:00")]
    assert before_looking(early, decided) and not before_looking(late, decided) and before_looking(late, [])
    assert "before the first decision" in declared_words([early], decided)
    assert "after decisions had been made; it is declaration number 2." in declared_words([early, late], decided)
    assert declared_words([], decided) == ""
