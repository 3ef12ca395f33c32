"""Five hundred hostile inputs and more; ``python -m benchmarks fuzz`` tries ten thousand."""

from __future__ import annotations

import pytest

from benchmarks.fuzz import TARGETS, fuzz

INPUTS = 40


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_is_a_value_or_one_sentence(name):
    values, refused = fuzz(name, INPUTS)
    assert values + refused >= INPUTS - 5  # hypothesis leaves out what it has tried
