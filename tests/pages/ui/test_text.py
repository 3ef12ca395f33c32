"""Words for people: what users typed stays text, numbers are as short as they can be."""

from __future__ import annotations

import pytest
from ui.text import distinct, escape, number, percent, plain

from rurk_core.progress import duration


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (12.3, "12 s"), (89.4, "89 s"), (150, "2.5 min"), (5400, "1.5 h")]
)
def test_a_time_in_its_own_unit(seconds, said):
    assert duration(seconds) == said


def test_counts_are_whole_and_means_have_one_decimal():
    assert [number(3), number(3.0), number(10 / 3)] == ["3", "3", "3.3"] and percent(0.9861) == "98.6%"


def test_markup_is_text():
    assert plain("a*b_[c](d) $e$ <i>") == r"a\*b\_\[c\]\(d\) \$e\$ \<i\>"
    assert escape('<i a="b">') == "&lt;i a=&quot;b&quot;&gt;"


def test_words_that_occur_twice_are_told_apart():
    assert distinct(["a", "b", "a"], ["1", "2", "3"]) == ["a · 1", "b", "a · 3"]
