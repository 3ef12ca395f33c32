"""Five hundred hostile inputs; ``python -m benchmarks fuzz`` tries ten thousand."""

from __future__ import annotations

import pytest

from benchmarks.fuzz import TARGETS, fuzz


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_is_a_value_or_one_sentence(name):
    values, refused = fuzz(name, 500 // len(TARGETS))
    assert values + refused >= 40
