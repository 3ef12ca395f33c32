"""What the nearest retained sample is said to mean."""

from __future__ import annotations

import numpy as np
import pytest
from ui.sections.twins import nearest_words

from rurk_core.evidence.twins import Twins


@pytest.mark.parametrize(
    ("distance", "usual", "same", "said"),
    [
        (0.01, 0.1, True, "**A twin stayed**: if the sample is recognised, it may be for that alone."),
        (0.01, 0.1, False, "It is as near, but of another class: no twin that would have the sample recognised as"),
        (0.2, 0.1, True, "No close twin stayed."),
        (0.2, np.nan, False, "Nearest at 0.200. Too few samples of its class stayed to say how near"),
    ],
)
def test_what_the_nearest_one_means(distance, usual, same, said):
    words = nearest_words(Twins(np.array([4]), np.array([distance]), usual), same)
    assert said in words and "nan" not in words
