"""Evidence on a finished run: kept, read again, refused with one sentence."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from rurk_core.cli import main
from rurk_core.data import load_dataset
from rurk_core.errors import RurkError, UsageError
from rurk_core.evidence import case as judging
from rurk_core.evidence.case import evidence_of_run
from rurk_core.evidence.radii import radii_from_bytes, radii_of_run, radius_key
from rurk_core.evidence.retained import retained_of_run, spread_test
from rurk_core.evidence.samples import evidence_of_counts
from rurk_core.evidence.signals import signals_of_run
from rurk_core.evidence.unreferenced import agreement_of, difficulty, without_references
from rurk_core.run.experiment import run
from rurk_core.store.store import Store


def test_evidence_is_computed_once(tiny_run, tmp_path, monkeypatch):
    result = tiny_run[1]
    store = Store(tmp_path, bundled=[tiny_run[0].url])
    first = evidence_of_run(store, result["key"], method="rurk")
    assert (first.attack, first.samples.tolist()) == ("gaussian", result["forget"]["indices"])
    monkeypatch.setattr(judging, "sample_evidence", None)  # not called again
    again = evidence_of_run(store, result["key"], method="rurk", attack="gaussian")
    assert json.dumps(again.to_dict()) == json.dumps(first.to_dict())


def test_a_store_that_is_only_read_costs_time_only(tiny_run):
    store, result = tiny_run
    found = evidence_of_run(Store(store.url, read_only=True), result["key"], method="original", rate=0.1)
    assert found.rate == 0.1 and not store.list("evidence")


def test_what_is_not_there_is_said(tiny_run):
    store, result = tiny_run
    with pytest.raises(UsageError, match="no model 'nobody'"):
        evidence_of_run(store, result["key"], method="nobody")
    with pytest.raises(UsageError, match="it has gaussian"):
        evidence_of_run(store, result["key"], method="rurk", attack="pgd")


# --- radii, signals, retained samples, no references --------------------------------------------------------------


@pytest.fixture(scope="module")
def four(tiny_spec, tmp_path_factory):
    """A store with a run of four references, the run, and the data."""
    store = Store(tmp_path_factory.mktemp("four"))
    spec = replace(tiny_spec, forget="class:0:0.1", references=4, relearn=0)
    return store, run(spec, store), load_dataset("digits")


def test_radii_are_kept_per_model(four, monkeypatch):
    store, result, data = four
    steps = []
    found = radii_of_run(
        store, result["key"], data, models=["gd", "reference-1"], on_sample=lambda *at: steps.append(at)
    )
    assert steps[-1] == (2, 2) or steps[-1][0] == steps[-1][1]
    assert list(found) == ["gd", "reference-1"] and len(found["gd"].strong) == 14
    assert store.has(radius_key(store, data, result, "gd", norm="linf"))
    assert not store.has(radius_key(store, data, result, "gd", norm="l2"))
    monkeypatch.setattr(judging, "measure", None)  # not searched again
    again = radii_of_run(store, result["key"], data, models=["gd"])
    assert (again["gd"].strong == found["gd"].strong).all() and again["gd"].norm == "linf"
    with pytest.raises(UsageError, match="no model 'nobody'"):
        radii_of_run(store, result["key"], data, models=["nobody"])
    with pytest.raises(RurkError, match="damaged"):
        radii_from_bytes(b"\2\0\0\0\0\0\0\0{}")


def test_membership_signals_stand_side_by_side(four):
    store, result, data = four
    names = ["gd", *(f"reference-{k + 1}" for k in range(4))]
    radii = {"linf": radii_of_run(store, result["key"], data, models=names)}
    found = {s.name: s for s in signals_of_run(store, result["key"], data, "gd", radii=radii)}
    assert list(found) == ["SVC", "confidence", "U-LiRA", "RULI", "radius, linf", "radius per sample, linf"]
    assert all(0 <= s.auc() <= 1 and s.negatives.shape == (4, 14) for s in found.values())
    # the SVC's share of forget samples called unseen is the MIA accuracy that the run reports
    row = next(row for row in result["models"] if row["name"] == "gd")
    assert (found["SVC"].positives <= 0).mean() == pytest.approx(row["mia_accuracy"])


def test_retained_samples_nearest_to_the_forget_set(four):
    store, result, data = four
    found = retained_of_run(store, result["key"], data, method="gd", count=15)
    samples, forget = set(found.evidence.samples.tolist()), set(result["forget"]["indices"])
    assert len(samples) == 15 and not samples & forget and set(found.nearest.tolist()) <= forget
    assert (np.diff(found.distance) >= 0).all()
    document = found.to_dict()
    json.dumps(document, allow_nan=False)
    assert set(document["changed"]) <= samples and len(document["samples"]) == 15
    # a reference handed in as the model: counted once more from what is kept
    again = retained_of_run(store, result["key"], data, method="reference-1", count=15)
    assert again.evidence.references == 3 and again.evidence.samples.tolist() == found.evidence.samples.tolist()


def test_without_references_a_sample_is_ranked_among_its_peers(four):
    store, result, data = four
    found = without_references(store, result["key"], data, method="rurk")
    json.dumps(found.to_dict(), allow_nan=False)
    held = int((data.test_labels == 0).sum())
    assert (found.peers == min(50, held)).all() and found.p_residual.min() >= 1 / (1 + held)
    # a rank from above and one from below, ties in both
    assert (found.p_residual + found.p_forgotten >= 1 + 1 / (1 + found.peers) - 1e-9).all()
    assert {"same", "both", "rank_correlation"} <= found.agreement.keys()
    assert set(found.verdict) <= {"residual", "over_forgotten", "cannot_tell"}


def test_difficulty_is_a_ratio_of_distances():
    """Own class at distances 1 and 3 (mean 2), the other at 4: log 2/4."""
    others = torch.tensor([[1.0], [3.0], [4.0]])
    found = difficulty(torch.zeros(1, 1), torch.tensor([0]), others, torch.tensor([0, 0, 1]), near=2)
    assert found == pytest.approx(np.log(0.5))


@pytest.mark.parametrize("apart", [0.0, 0.5])
def test_the_spread_test_keeps_its_level(apart):
    rng = np.random.default_rng(0)
    scale = np.exp(rng.normal(0, apart, 20_000))
    _, p = spread_test(rng.normal(0, scale), rng.normal(0, scale, (5, 20_000)))
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.006)
    assert (p <= 0.005).mean() == pytest.approx(0.005, abs=0.002)


def test_the_spread_test_of_one_sample_is_students():
    shift, p = spread_test(np.array([5.0]), np.array([[-1.0], [0.0], [1.0]]))
    # variance 1 between three: t = 5 / √(1 + 1/3) with 2 degrees of freedom
    assert shift[0] == pytest.approx(5 / np.sqrt(4 / 3)) and p[0] == pytest.approx(2 * student.sf(shift[0], 2))


def test_agreement_by_hand():
    v = np.full((8, 40, 1), 20)
    v[::2] += 4
    u = np.full((40, 1), 22)
    u[0], u[1] = 90, 0
    calibrated = evidence_of_counts(u, v, 100)
    upper, lower = np.ones(40), np.ones(40)
    upper[[0, 2]] = 0.01  # one right, one wrong, and the over-forgotten one missed
    found = agreement_of(calibrated, upper, lower, calibrated.combined.excess, 0.05)
    assert found["same"] == pytest.approx(38 / 40) and found["alarms"] == pytest.approx(2 / 40)
    assert found["both"] == 0.5 and found["rank_correlation"] == pytest.approx(1.0)


def test_other_data_are_refused(four):
    store, result, data = four
    other = replace(data, fingerprint="0" * 16)
    for ask in (
        lambda: radii_of_run(store, result["key"], other),
        lambda: retained_of_run(store, result["key"], other, method="gd"),
        lambda: without_references(store, result["key"], other, method="gd"),
        lambda: signals_of_run(store, result["key"], other, "gd"),
    ):
        with pytest.raises(UsageError, match="fingerprint"):
            ask()


def test_the_command(four, capsys):
    store, result, _ = four
    asked = ["evidence", result["key"], "--store", store.url, "--method", "gd", "--retained", "15", "--unreferenced"]
    assert main([*asked, "--radius", "linf", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    found = document["models"]["gd"]
    assert list(found) == ["evidence", "membership", "radii", "retained", "unreferenced"]
    assert len(found["radii"]["linf"]["strong"]) == 14 and found["unreferenced"]["weaker"]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert "The set as a whole" in printed and "U-LiRA" in printed and "Without re-trained models (weaker)" in printed
    assert main(["evidence", result["key"], "--store", store.url, "--method", "nobody"]) == 2
    assert "no model 'nobody'" in capsys.readouterr().err
