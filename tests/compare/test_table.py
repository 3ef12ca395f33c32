"""The comparison: numbers by hand from small result documents, and what a table says in CSV and LaTeX."""

from __future__ import annotations

import copy
import csv
import io

import pytest

from rurk_core.compare.columns import COLUMNS, RETRAIN
from rurk_core.compare.table import compare, group_key, layer_similarity, ranks, settings_name
from rurk_core.compare.texts import cell_text, flat, gap_text, to_csv, to_latex
from rurk_core.measure.metrics import SHARES
from rurk_core.unlearning import METHODS


def row(name, role, *, share=0.9, key=None, **more):
    return {"name": name, "role": role, "key": key or name, **dict.fromkeys(SHARES, share), **more}


def taus(ratio):
    common = {"r_mean": ratio, "prevalence": 0.5, "disagreement": 0.25, "unlearn_accuracy": 0.5}
    apart = {"ratio_of_means": [0.99, 1.01, 1.0], "r_mean": [0.9, 1.0, 1.1], "prevalence": [0.3, 0.4, 0.5]}
    return [{"tau": 0.0, "ratio_of_means": ratio, "among_references": apart, **common}]


def result(seed, gd=0.8, references=(0.7, 0.9), ratio=1.5, relearn=3):
    rows = [row("original", "original", share=1.0, key=f"o{seed}")]
    rows.append(
        row(
            "gd",
            "unlearned",
            share=gd,
            key=f"gd{seed}",
            method="gd",
            config=METHODS["gd"].config().to_dict(),
            seconds=2.0,
            cost_share=0.5,
            avg_gap=abs(gd - sum(references) / len(references)),
            relearn={"epochs": relearn, "limit": 30, "target": 0.1, "losses": []},
        )
    )
    rows += [
        row(f"reference-{k + 1}", "reference", share=share, key=f"r{seed}-{k}", avg_gap=0.2)
        for k, share in enumerate(references)
    ]
    names = [r["name"] for r in rows]
    matrix = [[1.0 if i == j else (i + j) / 10 for j in range(len(names))] for i in range(len(names))]
    return {
        "key": f"run-{seed}",
        "seed": seed,
        "spec": {"dataset": "d", "seed": seed, "title": str(seed), "methods": [], "taus": [0.0]},
        "dataset": {"name": "d", "fingerprint": "f", "train": 110, "test": 50},
        "forget": {"indices": list(range(10))},
        "models": rows,
        "residual": [{"attack": "gaussian", "method": "gd", "verdicts": "v", "taus": taus(ratio)}],
        "cka": {"models": names, "blocks": ["b"], "samples": {"forget": 10}, "forget": [matrix]},
        "notes": [],
    }


def cells(comparison, name):
    return next(r for r in comparison["rows"] if r["name"] == name)["cells"]


def test_numbers_by_hand():
    found = compare([result(1, gd=0.8), result(2, gd=0.6)])
    assert found["seeds"] == [1, 2]
    assert [r["name"] for r in found["rows"]] == ["original", RETRAIN, "gd"]
    cell = cells(found, "gd")["test_accuracy"]
    assert cell["mean"] == pytest.approx(0.7) and cell["sd"] == pytest.approx(0.2 / 2**0.5) and cell["n"] == 2
    # the references' mean is 0.8 in both seeds: differences 0 and −0.2
    assert cell["gap"] == pytest.approx(-0.1)
    assert cell["within"] is True  # of two references little is known: ± 12.7 · 0.14 · √1.5
    low, high = cell["interval"]
    assert low < 0.7 < high
    references = cells(found, RETRAIN)["test_accuracy"]
    assert references["mean"] == pytest.approx(0.8) and references["n"] == 4 and references["gap"] is None
    assert cells(found, "original")["test_accuracy"]["gap"] == pytest.approx(0.2)
    assert cell_text("test_accuracy", cell) == "70.00 ± 14.14" and gap_text("test_accuracy", cell) == "≈ -10.00"


def test_a_difference_beyond_the_references_is_not_marked():
    cell = cells(compare([result(1, gd=0.55, references=(0.79, 0.8, 0.81))]), "gd")["retain_accuracy"]
    assert cell["within"] is False and gap_text("retain_accuracy", cell) == "-25.00"


def test_one_reference_per_seed_is_spread_over_the_seeds_and_one_alone_over_nothing():
    alone = cells(compare([result(1, references=(0.9,))]), "gd")["test_accuracy"]
    assert alone["gap"] == pytest.approx(-0.1) and alone["within"] is None
    several = compare([result(1, references=(0.7,)), result(2, references=(0.9,))])
    assert cells(several, "gd")["test_accuracy"]["within"] is True


def test_residual_knowledge_is_held_against_one_and_the_band():
    cell = cells(compare([result(1, ratio=1.5)]), "gd")["residual"]
    assert cell["gap"] == pytest.approx(0.5) and cell["within"] is False
    assert cells(compare([result(1, ratio=1.05)]), "gd")["residual"]["within"] is False
    # ± 4.3 · 0.01 · 2/3 · √(4/3) = 0.033
    assert cells(compare([result(1, ratio=1.03)]), "gd")["residual"]["within"] is True


def test_prevalence_is_held_against_that_of_references_among_each_other():
    cell = cells(compare([result(1)]), "gd")["prevalence"]
    assert cell["gap"] == pytest.approx(0.1) and cell["within"] is True


def test_a_relearn_time_beyond_the_limit_is_a_lower_bound():
    cell = cells(compare([result(1, relearn=None), result(2, relearn=10)]), "gd")["relearn"]
    assert cell["mean"] == 20 and cell["over"] == 1 and cell_text("relearn", cell) == "> 20"
    never = cells(compare([result(1, relearn=None), result(2, relearn=None)]), "gd")["relearn"]
    assert never["sd"] == 0 and cell_text("relearn", never) == "> 30", "of limits there is no deviation"


def test_what_was_not_measured_is_said():
    old = result(1)
    for one in old["models"]:
        for name in ("mia_accuracy", "avg_gap", "relearn", "cost_share"):
            one.pop(name, None)
    del old["cka"]
    found = compare([old])
    assert cells(found, "gd")["mia_accuracy"] is None and cell_text("mia_accuracy", None) == "not measured"
    assert layer_similarity([old], "original", "gd", "forget") is None
    to_latex(found), to_csv(flat(found))


def test_a_diverged_method_is_a_row_without_numbers():
    broken = result(1)
    broken["models"][1] = {
        "name": "gd", "role": "unlearned", "key": None, "method": "gd", "config": {}, "failed": "The loss became nan."
    }  # fmt: skip
    broken["residual"] = []
    found = compare([broken])
    gone = next(r for r in found["rows"] if r["name"] == "gd")
    assert gone["failed"] == {"1": "The loss became nan."} and not any(gone["cells"].values())
    assert "diverged" in to_latex(found)
    lines = [line for line in csv.DictReader(io.StringIO(to_csv(flat(found)))) if line["model"] == "GD"]
    assert lines and all("nan" in line["failed"] and line["mean"] == "" for line in lines)


def test_the_same_seed_twice_counts_once_and_the_newest_run_wins():
    newer, older = result(1, gd=0.8), result(1, gd=0.2)
    newer["key"] = "run-new"
    for at, made_anew in enumerate(row for row in newer["models"] if row["role"] == "reference"):
        made_anew["key"] = f"anew{at}"
    found = compare([newer, older])
    assert cells(found, "gd")["test_accuracy"]["values"] == [0.8]
    assert len(cells(found, RETRAIN)["test_accuracy"]["values"]) == 2, "re-trained models are not counted twice"


def test_other_settings_are_another_row():
    other = result(2)
    other["models"][1]["config"] = METHODS["gd"].config(epochs=3).to_dict()
    found = compare([result(1), other])
    names = [r["name"] for r in found["rows"]]
    assert names == ["original", RETRAIN, "gd", "gd-2"]
    assert [r["settings"] for r in found["rows"]][2:] == ["default (paper, small CIFAR-5)", "own"]


def test_groups():
    other = copy.deepcopy(result(3))
    other["spec"]["taus"] = [0.0, 0.1]
    assert group_key(result(1)) == group_key(result(2)) != group_key(other)


def test_curves_span_the_seeds():
    curve = compare([result(1, ratio=1.5), result(2, ratio=None)])["curves"][0]
    assert curve["ratio_of_means"] == {"mean": [None], "low": [None], "high": [None], "sd": [None]}
    curve = compare([result(1, ratio=1.5), result(2, ratio=1.0)])["curves"][0]
    assert curve["ratio_of_means"] == {"mean": [1.25], "low": [1.0], "high": [1.5], "sd": [pytest.approx(0.5 / 2**0.5)]}
    band = curve["bands"]["ratio_of_means"]
    assert (band["low"], band["high"]) == ([0.99], [1.01])
    # apart by 0.01 from the mean of two others is by 2/3 of it from that of all: 4.3027 · 0.00667 · √(4/3)
    assert band["spread"] == [[pytest.approx(-0.03312, abs=1e-5), pytest.approx(0.03312, abs=1e-5)]]
    assert (curve["bands"]["prevalence"]["low"], curve["bands"]["prevalence"]["high"]) == ([0.3], [0.5])


def test_layers_between_any_two():
    found = layer_similarity([result(1), result(2)], "original", RETRAIN, "forget")
    # models 0 and 2, 3: 0.2 and 0.3
    assert found["mean"] == [pytest.approx(0.25)] and found["low"] == [0.2] and found["high"] == [0.3]
    assert layer_similarity([result(1)], RETRAIN, RETRAIN, "forget")["mean"] == [0.5]
    assert layer_similarity([result(1)], "original", "gd", "retain") is None


def test_best_and_worst():
    rows = [
        {"name": name, "role": "unlearned", "cells": {"test_accuracy": {"gap": gap, "mean": 0.0}}}
        for name, gap in (("a", -0.1), ("b", 0.3), ("c", 0.1), ("d", 0.2))
    ]
    assert ranks(rows, "test_accuracy") == {"a": "best", "c": "best", "b": "worst"}
    assert ranks(rows[:1], "test_accuracy") == {}


@pytest.mark.parametrize("method", list(METHODS))
def test_every_preset_is_recognised(method):
    for name, preset in METHODS[method].presets.items():
        config = METHODS[method].config.from_dict(dict(preset)).to_dict()
        found = settings_name(method, config)
        again = METHODS[method].config.from_dict(dict(METHODS[method].presets[found])).to_dict()
        assert again == config, name
    assert settings_name("no such method", {}) == "own"


def test_text_that_could_harm_is_harmless():
    nasty = result(1)
    nasty["models"][1]["name"] = nasty["residual"][0]["method"] = '=cmd|"/c calc"!A1 & \\input{x}'
    found = compare([nasty])
    assert "'=cmd" in to_csv(flat(found)) and "\\input" not in to_latex(found)
    assert "\\textbackslash{}input\\{x\\}" in to_latex(found)


def test_a_real_run(tiny_run):
    _, real = tiny_run
    found = compare([real])
    for key in ("retain_accuracy", "unlearn_accuracy", "test_accuracy", "residual", "seconds", "cost_share"):
        assert cells(found, "gd")[key]["n"] == 1, key
    assert {curve["name"] for curve in found["curves"]} == {"original", "gd", "rurk"}
    assert layer_similarity([real], "gd", RETRAIN, "forget")["blocks"] == ["conv1", "conv2", "hidden", "head"]
    assert set(COLUMNS) == set(cells(found, "gd"))
