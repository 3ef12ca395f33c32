"""The chart of curves: counts become per cent, bands what they span, hovering says what a point was made of."""

from __future__ import annotations

import numpy as np
from ui import figures
from ui.figures.look import looks_of

LOOK = looks_of([])["original"]


def test_copies_recognised_are_drawn_in_per_cent_with_the_span_of_references():
    each = np.array([[10, 4], [20, 1], [12, 2]])
    counts = [(LOOK, np.array([20, 5])), (LOOK, each.mean(0))]
    figure, lines = figures.recognised(
        [0.0, 0.1], counts, figures.span(each), 0.1, 20, band_name="others", across="radius τ"
    )
    assert lines[0].values.tolist() == [100.0, 25.0] and lines[0].hover == ["O: 20 of 20", "O: 5 of 20"]
    assert lines[1].hover == ["O: 14 of 20", "O: 2.3 of 20"]
    high, low, *drawn = figure.data
    assert list(high.y) == [100.0, 20.0] and list(low.y) == [50.0, 5.0] and low.fill == "tonexty"
    assert (low.name, low.showlegend, high.showlegend) == ("others", True, False) and len(drawn) == 2
    assert figure.layout.shapes[0].x0 == 0.1


def test_fewer_than_two_models_span_nothing():
    assert figures.span(np.zeros((0, 3))) is None and figures.span(np.ones((1, 3))) is None
    figure, _ = figures.recognised([0.0], [(LOOK, np.array([1]))], None, 0.0, 2, across="radius τ")
    assert len(figure.data) == 1


def test_an_area_without_a_name_is_not_in_the_legend():
    high, low = figures.between([0, 1], [1, 2], [3, 4], "rgba(0,0,0,0.1)")
    assert not high["showlegend"] and not low["showlegend"] and low["y"] == [1, 2] and high["y"] == [3, 4]
