"""Evidence on a finished run: kept, read again, refused with one sentence."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from rurk_core.cli import main
from rurk_core.data import load_dataset
from rurk_core.errors import RurkError, UsageError
from rurk_core.evidence import radii as radii_module
from rurk_core.evidence.case import open_case
from rurk_core.evidence.findings import find
from rurk_core.evidence.law import judge, log_odds_of_counts
from rurk_core.evidence.radii import radii_from_bytes, radii_of, radius_key
from rurk_core.evidence.retained import retained_of
from rurk_core.evidence.signals import MembershipSignal, signals_of
from rurk_core.evidence.unreferenced import agreement_of, difficulty, without_references
from rurk_core.measure.verdicts import EACH
from rurk_core.run.experiment import run
from rurk_core.run.stored import role_of
from rurk_core.store.store import Store


def test_what_is_not_there_is_said(tiny_run):
    store, result = tiny_run
    with pytest.raises(UsageError, match="no model 'nobody'"):
        open_case(store, result["key"], method="nobody")
    with pytest.raises(UsageError, match="it has gaussian"):
        open_case(store, result["key"], method="rurk", attack="pgd")


def test_a_run_measures_held_out_samples_of_the_class(four):
    store, result, data = four
    case = open_case(store, result["key"], method="rurk")
    assert case.attack == "gaussian" and case.references == [f"reference-{k + 1}" for k in range(4)]
    held = (data.test_labels == 0).nonzero()[:, 0] + len(data.train_labels)
    assert case.peers.samples.tolist() == held.tolist() and set(case.peers.models) == set(case.verdicts.models)
    found = find(case)
    assert found.held_out == len(held) and found.judged.specific.held_out == len(held)
    assert find(open_case(store, result["key"], method="reference-2")).judged.references == 3


def test_old_tables_without_margins_and_peers_say_what_they_lack(four):
    store, result, _ = four
    case = open_case(store, result["key"], method="rurk")
    old = replace(case, peers=None, verdicts=replace(case.verdicts, margins=None))
    found = find(old)
    assert found.judged.specific is None and any("held-out" in sentence for sentence in found.judged.missing)
    at = case.verdicts.taus > 0
    expected = log_odds_of_counts(case.verdicts.recognised("rurk")[:, at].mean(1), case.verdicts.draws)
    assert found.judged.own == pytest.approx(expected)


def test_under_an_attack_every_model_goes_through_the_same(tiny_spec, tmp_path):
    store = Store(tmp_path)
    spec = replace(tiny_spec, forget="class:0:0.1", references=3, relearn=0, attacks=("fgsm",), draws=5)
    result = run(spec, store)
    case = open_case(store, result["key"], method="gd")
    n = len(result["forget"]["indices"])
    assert case.on_itself and case.peers.samples[:n].tolist() == result["forget"]["indices"]
    found = find(case)
    assert found.judged.references == 3 and len(found.samples) == n and found.held_out == len(case.peers.samples) - n
    assert found.judged.own == pytest.approx(case.peers.margin("gd")[:n, 1:].mean(1))


# --- members ------------------------------------------------------------------------------------------------------


def test_members_are_measured_apart_and_make_nothing_else_again(tiny_spec, tmp_path):
    """A run without members first: the run with two keeps all it made, and adds models, scores and tables."""
    store = Store(tmp_path)
    spec = replace(tiny_spec, forget="class:0", references=3, relearn=0, draws=30)
    before = run(spec, store)
    assert "members" not in before["spec"] and "members" not in before
    after = run(replace(spec, members=2), store)
    assert [row["key"] for row in after["models"]] == [row["key"] for row in before["models"]]
    assert after["residual"] == before["residual"] and after["peers"] == before["peers"]
    assert {key.partition("-")[0] for key in set(after["entries"]) - set(before["entries"])} == {
        "original",
        "scores",
        "members",
    }
    rows = after["members"]["models"]
    assert [row["name"] for row in rows] == ["member-1", "member-2"] and len({row["key"] for row in rows}) == 2
    assert all(role_of(row["name"]) == "member" and 0 <= row["test_accuracy"] <= 1 for row in rows)

    without, case = (open_case(store, key, method="gd") for key in (before["key"], after["key"]))
    of_forget, of_held = case.members
    assert of_forget.models == of_held.models == ("member-1", "member-2")
    assert (of_forget.samples == case.verdicts.samples).all() and of_forget.draws == case.verdicts.draws
    assert (of_held.samples == case.peers.samples).all() and of_held.draws == case.peers.draws
    # what models that saw the samples say decides the specific part alone
    old, new = find(without).judged, find(case).judged
    assert new.p_residual.tolist() == old.p_residual.tolist()
    assert old.specific.ratio is None and new.specific.ratio is not None
    # the Original's signals have the members inside, on the samples and on copies
    signals, _ = signals_of(open_case(store, after["key"], method="original"), load_dataset("digits"))
    assert {s.name: s.inside for s in signals if "LiRA" in s.name} == {"LiRA": 2, "LiRA, copies": 2}


def test_members_under_an_attack_judge_their_own_copies(tiny_spec, tmp_path):
    store = Store(tmp_path)
    spec = replace(tiny_spec, forget="class:0:0.1", references=3, relearn=0, attacks=("fgsm",), draws=5, members=2)
    case = open_case(store, run(spec, store)["key"], method="gd")
    assert all(table.source == EACH for table in case.members)
    assert case.members[0].samples.tolist() == case.verdicts.samples.tolist()
    assert find(case).judged.references == 3


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
    found = radii_of(
        open_case(store, result["key"], method="gd"),
        data,
        models=["gd", "reference-1"],
        on_sample=lambda *at: steps.append(at),
    )
    assert steps[-1] == (2, 2) or steps[-1][0] == steps[-1][1]
    assert list(found) == ["gd", "reference-1"] and len(found["gd"].strong) == 13
    assert store.has(radius_key(open_case(store, result["key"], method="gd"), data, "gd", norm="linf"))
    assert not store.has(radius_key(open_case(store, result["key"], method="gd"), data, "gd", norm="l2"))
    monkeypatch.setattr(radii_module, "measure", None)  # not searched again
    again = radii_of(open_case(store, result["key"], method="gd"), data, models=["gd"])
    assert (again["gd"].strong == found["gd"].strong).all() and again["gd"].norm == "linf"
    with pytest.raises(UsageError, match="no model 'nobody'"):
        radii_of(open_case(store, result["key"], method="gd"), data, models=["nobody"])
    with pytest.raises(RurkError, match="damaged"):
        radii_from_bytes(b"\2\0\0\0\0\0\0\0{}")


def test_membership_signals_stand_side_by_side(four):
    store, result, data = four
    names = ["gd", *(f"reference-{k + 1}" for k in range(4))]
    radii = {"linf": radii_of(open_case(store, result["key"], method="gd"), data, models=names)}
    case = open_case(store, result["key"], method="gd")
    signals, missing = signals_of(case, data, radii=radii)
    found = {s.name: s for s in signals}
    each = [f"{name}{what}" for what in ("", ", copies") for name in ("confidence", "LiRA", "RMIA")]
    assert list(found) == ["SVC", *each, "radius, linf", "radius per sample, linf"] and missing == ""
    for signal in signals:
        row = signal.to_dict()
        assert signal.own.shape == (13,) and signal.references.shape == (4, 13) and len(row["references"]) == 4
        assert 0 <= row["low"] <= row["auc"] <= row["high"] <= 1 and row["smallest_fpr"] == 1 / 52
    assert found["confidence, copies"].own == pytest.approx(case.verdicts.margin("gd")[:, 1:].mean(1))
    # the SVC's share of forget samples called unseen is the MIA accuracy that the run reports
    row = next(row for row in result["models"] if row["name"] == "gd")
    assert (found["SVC"].own <= 0).mean() == pytest.approx(row["mia_accuracy"])


def test_two_references_say_what_is_missing_and_one_says_more(four):
    """Of the same run, as if it had fewer references: nothing is dropped without a word."""
    store, result, data = four
    for k, said in ((2, "With 2 re-trained models"), (1, "needs at least 2")):
        gone = [f"reference-{i}" for i in range(k + 1, 5)]
        case = open_case(store, result["key"], method="gd")
        fewer = dict(result, models=[row for row in result["models"] if row["name"] not in gone])
        signals, missing = signals_of(replace(case, result=fewer), data)
        names = [signal.name for signal in signals]
        assert said in missing and not any("LiRA" in name for name in names)
        assert ("RMIA" in names) is ("RMIA, copies" in names) is (k == 2)
        assert all(signal.to_dict()["low"] is None for signal in signals)


def test_the_kept_curve_is_the_best_at_no_more_false_positives():
    fpr, tpr = MembershipSignal("s", np.array([2.0, 1.0]), np.array([[1.0, 0.0]])).curve(5)
    assert fpr.tolist() == [0, 0.25, 0.5, 0.75, 1] and tpr.tolist() == [0.5, 0.5, 1, 1, 1]


def test_retained_samples_nearest_to_the_forget_set(four):
    store, result, data = four
    found = retained_of(open_case(store, result["key"], method="gd"), data, count=15)
    samples, forget = set(found.samples.tolist()), set(result["forget"]["indices"])
    assert len(samples) == 15 and not samples & forget and set(found.nearest.tolist()) <= forget
    assert (np.diff(found.distance) >= 0).all()
    document = found.to_dict()
    json.dumps(document, allow_nan=False)
    assert set(document["changed"]) <= samples and len(document["samples"]) == 15
    # a reference handed in as the model: counted once more from what is kept
    again = retained_of(open_case(store, result["key"], method="reference-1"), data, count=15)
    assert again.evidence.references == 3 and again.samples.tolist() == found.samples.tolist()


def test_without_references_a_sample_is_ranked_among_its_peers(four):
    store, result, data = four
    found = without_references(open_case(store, result["key"], method="rurk"), data)
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


def test_agreement_by_hand():
    rng = np.random.default_rng(0)
    own = np.zeros(40)
    own[0], own[1] = 10, -10
    judged = judge(own, rng.normal(size=(8, 40)))
    upper, lower = np.ones(40), np.ones(40)
    upper[[0, 2]] = 0.01  # one right, one wrong, and the over-forgotten one missed
    found = agreement_of(judged, upper, lower, judged.own - judged.expected, 0.05)
    assert found["same"] == pytest.approx(38 / 40) and found["alarms"] == pytest.approx(2 / 40)
    assert found["both"] == 0.5 and found["rank_correlation"] == pytest.approx(1.0)


def test_other_data_are_refused(four):
    store, result, data = four
    other = replace(data, fingerprint="0" * 16)
    for ask in (
        lambda: radii_of(open_case(store, result["key"], method="gd"), other),
        lambda: retained_of(open_case(store, result["key"], method="gd"), other),
        lambda: without_references(open_case(store, result["key"], method="gd"), other),
        lambda: signals_of(open_case(store, result["key"], method="gd"), other),
    ):
        with pytest.raises(UsageError, match="fingerprint"):
            ask()


def test_the_command(four, capsys):
    store, result, _ = four
    asked = ["evidence", result["key"], "--store", store.url, "--method", "gd", "--retained", "15", "--unreferenced"]
    assert main([*asked, "--radius", "linf", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    found = document["models"]["gd"]
    assert list(found) == ["evidence", "radii", "membership", "missing", "retained", "unreferenced"]
    assert len(found["radii"]["linf"]["strong"]) == 13 and found["unreferenced"]["weaker"]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert (
        "The set's mean log-odds" in printed
        and "LiRA, copies" in printed
        and "Held-out samples of the same class" in printed
    )
    assert main(["evidence", result["key"], "--store", store.url, "--method", "nobody"]) == 2
    assert "no model 'nobody'" in capsys.readouterr().err
