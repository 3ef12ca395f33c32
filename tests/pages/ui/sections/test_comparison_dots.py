"""Differences to Re-train as dots: on one scale a metric, and a state in words where there is none."""

from __future__ import annotations

import pytest
from ui.figures.look import looks_of
from ui.sections.comparison import View
from ui.sections.comparison_dots import line_of, reach_of

from rurk_core.compare.columns import RETRAIN


def cell(gap, mean=0.5, interval=(0.4, 0.7), spread=(-0.3, 0.3), within=False):
    return {"mean": mean, "gap": gap, "interval": interval, "spread": spread, "within": within, "n": 1, "sd": None} | {
        "over": 0,
        "values": [mean],
    }


def view(curves=()):
    looks = looks_of([{"name": "gd", "role": "unlearned", "method": "gd"}])
    return View([], {"rows": [], "curves": list(curves)}, looks, "")


def test_the_widest_of_all_decides_how_far_the_scale_goes():
    assert reach_of([None, cell(None)]) == 1.0
    assert reach_of([cell(0.1)]) == pytest.approx(0.3)  # the band
    assert reach_of([cell(0.1, interval=(0.4, 0.9))]) == pytest.approx(0.5)  # 0.9 − (0.5 − 0.1)
    assert reach_of([cell(-2.0, interval=None, spread=None)]) == 2.0


def test_a_dot_lies_where_the_difference_is_and_says_it():
    row = {"name": "gd", "cells": {"test_accuracy": cell(0.15, within=True)}}
    drawn = line_of(view(), "test_accuracy", row, 0.3, cell(None))
    assert "left:74.0%" in drawn and "+15.00 ≈" in drawn and "as near as re-trainings" in drawn


def test_what_has_no_number_is_said_not_left_empty():
    row = {"name": "gd", "cells": {"residual": None, "test_accuracy": cell(None)}}
    assert "not measured" in line_of(view(), "residual", row, 1.0, None)
    measured = view([{"name": "gd"}])
    assert "there is no re-trained model" in line_of(measured, "residual", row, 1.0, None)
    measured.rows.append({"name": RETRAIN})
    assert "no re-trained model recognises any copy" in line_of(measured, "residual", row, 1.0, None)
    assert "50.00 %; Re-train has no number to compare with" in line_of(view(), "test_accuracy", row, 1.0, None)
    never = cell(None) | {"over": 1, "mean": 30.0}
    said = line_of(view(), "relearn", {"name": "gd", "cells": {"relearn": never}}, 1.0, never)
    assert "more than 30 epochs; how far from Re-train is not known" in said
