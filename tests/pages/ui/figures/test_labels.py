"""Names in crowded figures: they keep their order, cover nothing they need not, and lead to their lines."""

from __future__ import annotations

import itertools

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ui.figures.labels import LINE, SIDES, End, _box, _common, beside, name_ends, spread, together

PLACES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20)


@given(PLACES, st.floats(0.1, 50))
def test_spread_numbers_keep_their_order_and_their_distance(places, gap):
    found = spread(places, gap)
    ranked = [found[at] for at in sorted(range(len(places)), key=places.__getitem__)]
    assert all(b - a >= gap - 1e-6 for a, b in itertools.pairwise(ranked))
    assert np.mean(found) == pytest.approx(np.mean(places), abs=1e-6), "they move up as much as down"


def test_numbers_with_room_stay_where_they_are():
    assert spread([5.0, 0.0, 2.0], 2) == [5.0, 0.0, 2.0]
    assert spread([0.0, 0.0, 1.0], 2) == pytest.approx([-5 / 3, 1 / 3, 7 / 3])


def test_names_at_the_ends_of_lines_do_not_cover_each_other():
    figure = go.Figure()
    ends = [End(1, y, f"U{at}", "#000000", 1.0) for at, y in enumerate((1.0, 1.0, 1.01, 0.2))]
    for end in ends:
        figure.add_scatter(x=[0, 1], y=[1.0, end.y])
    name_ends(figure, ends, 380)
    low, high = figure.layout.yaxis.range
    assert low < 0.2 and high > 1.01
    scale = 380 / (1.01 - 0.2 + 0.1 * 0.81)
    places = sorted(scale * note.y - note.ay for note in figure.layout.annotations)
    assert all(b - a >= LINE - 1e-6 for a, b in itertools.pairwise(places))


def test_text_beside_a_point_avoids_points_and_other_texts():
    points = [(100.0, 100.0), (100.0, 114.0), (114.0, 100.0), (86.0, 100.0)]
    sides = beside(points, [0, 1, 2, 3], ["U1", "U2", "U3", "U4"], 12)
    assert sides[0] == "bottom center", "the other three sides are taken by points"
    boxes = [_box(x, y, *SIDES[side], "U1", 12) for (x, y), side in zip(points, sides, strict=True)]
    assert all(_common(one, other) == 0 for one, other in itertools.combinations(boxes, 2))


def test_points_that_lie_on_each_other_are_one_group():
    assert together([(0, 0), (3, 0), (100, 100), (6, 0)], 4) == [[0, 1, 3], [2]]
