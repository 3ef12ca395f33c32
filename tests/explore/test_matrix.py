"""The matrix of signals: each as the evidence has it, in the order of the findings; none that nobody measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rurk_core.data import load_dataset
from rurk_core.evidence.case import open_case
from rurk_core.evidence.findings import find
from rurk_core.evidence.radii import radii_of
from rurk_core.explore.matrix import flat_map, matrix
from rurk_core.measure import radius
from rurk_core.store.store import Store

DEMO = Path(__file__).parents[2] / "assets" / "demo"


@pytest.fixture(scope="module")
def bundled():
    store = Store(DEMO, read_only=True)
    (entry,) = store.list("run")
    case = open_case(store, entry.key, method="gd")
    return case, find(case), load_dataset("fashion")


def test_signals_are_what_the_findings_say_in_their_order(bundled):
    case, found, data = bundled
    signals = {one.name: one for one in matrix(case, found, data)}
    assert list(signals) == [
        "excess_copies",
        "excess_total",
        "deviate",
        "excess_specific",
        "membership",
        "representation",
    ]
    for at in (0, 7, -1):
        one = found.samples[at]
        assert signals["excess_copies"].values[at] == pytest.approx(one.excess)
        total = one.row["log_odds"] - one.row["expected"]
        assert signals["excess_total"].values[at] == pytest.approx(total, abs=1e-5)
        assert signals["excess_specific"].values[at] == pytest.approx(one.row["specific_deviate"], abs=1e-5)
    assert (np.diff(signals["deviate"].values) <= 1e-9).mean() > 0.95, "the strongest evidence first"
    moved = signals["representation"].values
    assert len(moved) == len(found.samples) and (moved >= -1e-6).all() and (moved <= 2).all()


def test_without_data_there_is_no_representation_and_no_radius(bundled):
    case, found, _ = bundled
    assert {one.name for one in matrix(case, found, None)}.isdisjoint({"representation", "radius"})


@pytest.mark.parametrize(("k", "there"), [(1, {"excess_total"}), (0, set())])
def test_signals_without_a_value_are_none_and_copies_always_are_one(bundled, k, there):
    case, _, data = bundled
    rows = [row for row in case.result["models"] if row["role"] != "reference" or row["name"] in case.references[:k]]
    table = case.verdicts
    table = replace(table, references=table.references[:k], agreement=table.agreement[:, :k])
    few = replace(case, result={**case.result, "models": rows}, verdicts=table, peers=None, members=None)
    found = find(few)
    signals = {one.name: one for one in matrix(few, found, data)}
    assert set(signals) == {"excess_copies", "representation"} | there
    assert np.isfinite(signals["excess_copies"].values).all()
    one = found.samples[0]
    assert k or signals["excess_copies"].values[0] == pytest.approx(100 * one.recognised / one.copies)


def test_radii_join_once_they_are_measured(tiny_store, tiny_run, monkeypatch):
    monkeypatch.setattr(radius, "ATTEMPTS", 1)
    monkeypatch.setattr(radius, "DIRECTIONS", 4)
    case, data = open_case(tiny_store, tiny_run[1]["key"], method="gd"), load_dataset("digits")
    found = find(case)
    assert "radius" not in [one.name for one in matrix(case, found, data)]
    each = radii_of(case, data, norm="linf", models=["gd", *case.references])
    (signal,) = [one for one in matrix(case, found, data) if one.name == "radius"]
    first = found.samples[0]
    place = tiny_run[1]["forget"]["indices"].index(first.sample)
    own, *others = (radii.lost()[place] for radii in each.values())
    assert signal.values[0] == pytest.approx(own - np.mean(others), nan_ok=True)


def test_the_map_fills_its_square(bundled):
    case, found, data = bundled
    places = flat_map(case, [one.sample for one in found.samples], data)
    assert places.shape == (len(found.samples), 2)
    assert places.min(0) == pytest.approx([0, 0]) and places.max(0) == pytest.approx([1, 1])
    assert flat_map(case, [found.samples[0].sample], data).tolist() == [[0.5, 0.5]]
