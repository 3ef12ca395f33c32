"""Reproductions: the paper's numbers as data, what is run, and how ours are held against them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from rurk_core.cli import main
from rurk_core.compare.differences import differences
from rurk_core.compare.reproduce import (
    PAPER_COLUMNS,
    REPORTED,
    _doubt,
    _line,
    beside,
    held_against,
    reported,
    reproduce,
)
from rurk_core.compare.targets import IRIS_FORGET, SCALES, TARGETS, plan
from rurk_core.data import DATASETS
from rurk_core.errors import UsageError
from rurk_core.measure.metrics import SHARES
from rurk_core.store.store import Store
from rurk_core.unlearning import METHODS

NOTHING = dict.fromkeys(PAPER_COLUMNS)
TINY = {
    "methods": "gd:epochs=1,rurk:epochs=1",
    "references": 2,
    "taus": "0,0.0126,0.0314",
    "draws": 2,
    "train": {"epochs": 1},
    "model": "mlp:8",
}


def test_where_the_papers_gap_does_not_follow_from_its_cells_it_is_said():
    """Seven rows of two tables; worked by hand: GD on small CIFAR-5, (15.92 + 14.34 + 17.97 + 57.67) / 4 = 26.47."""
    doubted = {
        plain: {name: said for name in cells if (said := _doubt(name, cells))}
        for plain in ("small_cifar5", "cifar10")
        if (cells := reported(plain)["cells"])
    }
    assert list(doubted["small_cifar5"]) == ["gd", "ga", "neggrad_plus", "eu_k", "cf_k", "ssd"]
    assert list(doubted["cifar10"]) == ["ga"] and doubted["small_cifar5"]["gd"].endswith("26.47")
    rest = {name: {share: 0.5 for share in (*SHARES, "avg_gap")} for name in ("retrained",)}
    assert _doubt("gd", rest) == "" and _doubt("retrained", {"retrained": rest["retrained"] | {"avg_gap": 0.0}}) == ""


def test_every_file_of_the_paper_has_its_source():
    for file in REPORTED.glob("*.json"):
        assert "2601.22359" in json.loads(file.read_text())["source"]


@pytest.mark.parametrize("name", list(TARGETS))
@pytest.mark.parametrize("scale", list(SCALES))
def test_every_target_has_a_plan(name, scale):
    if name == "table_c5":
        with pytest.raises(UsageError, match="--dataset"):
            plan(name, scale=scale)
        return
    specs = plan(name, scale=scale)
    assert [spec.seed for spec in specs] == ([131, 42] if scale == "quick" else [131, 42, 7])
    said = " ".join(differences(name, specs, scale))
    assert specs[0].model in said and "{" not in said and "None" not in said
    wanted = {key.split(" ")[0] for key in TARGETS[name].methods} & set(METHODS)
    if "cifar10" in specs[0].dataset:
        wanted &= set(reported("cifar10")["cells"])
    assert {method.key for method in specs[0].methods} == wanted


def test_tables_and_curves_of_one_setting_are_one_run():
    """So C.6 to C.8 and Figure 2 cost nothing after C.2."""
    wanted = plan("table_c2")
    assert all(plan(name) == wanted for name in ("table_c6", "table_c7", "table_c8", "figure2"))


def test_the_quick_scale_takes_small_data_and_says_so():
    quick, whole = plan("table1"), plan("table1", dataset="cifar10")
    assert quick == plan("table_c2")
    assert {spec.dataset for spec in whole + plan("table1", scale="paper")} == {"cifar10?validation=0.2"}
    said = "--dataset cifar10 takes it"
    assert any(said in sentence for sentence in differences("table1", quick, "quick"))
    assert not any(said in sentence for sentence in differences("table1", whole, "quick"))
    assert not any(said in sentence for sentence in differences("table_c2", plan("table_c2"), "quick"))
    assert any(
        sentence.startswith("Data set digits")
        for sentence in differences("table_c2", plan("table_c2", dataset="digits"), "quick")
    )


def test_the_papers_column_is_that_of_the_data_that_were_run():
    """Table 1 at a smaller scale runs small CIFAR-5; CIFAR-10's numbers do not belong beside it."""
    for scale, dataset, unlearn in (("quick", "small_cifar5", 8.33), ("paper", "cifar10", 9.47)):
        spec = plan("table1", scale=scale)[0]
        rows = [{"name": "retrained", "title": "Re-train", "settings": "", "failed": {}, "cells": NOTHING}]
        found = beside("table1", {"spec": spec.to_dict(), "seeds": [1], "rows": rows, "curves": []})
        assert {line["metric"]: line["paper"] for line in found["lines"]}["Unlearn"] == unlearn, dataset


def test_half_of_the_class_is_two_thousand_as_in_the_paper():
    from rurk_core.data import split_validation

    assert split_validation(plan("table1", scale="paper")[0].dataset)[1] == 0.2, "5,000 · 0.8 / 2"


def test_what_differs_is_named():
    said = " ".join(differences("table_c2", plan("table_c2", scale="laptop"), "laptop"))
    for words in (
        "resnet18:16", "Nesterov", "in pre-training alone", "not the choice of the forget set", "epochs 10 (200)",
        "lr 0.1 (0.4)", "Pre-training saw the forget samples", "official defaults", "over 200 where it is capped",
        "pulls towards 0",
    ):  # fmt: skip
        assert words in said, words
    whole = differences("table_c3", plan("table_c3", scale="paper"), "paper")
    assert any("lost class" in sentence for sentence in whole) and not any("max_samples" in s for s in whole)
    images = plan("table_c5", scale="paper", dataset="some/folder?size=32")
    assert "no training recipe of its own" in " ".join(differences("table_c5", images, "paper"))


def test_the_papers_settings_are_taken():
    settings = {method.key: method.config for method in plan("table1", scale="paper")[0].methods}
    assert settings["rurk"].lambda_a == 0.00045
    assert {m.config.lambda_a for m in plan("table_c2")[0].methods if m.key == "rurk"} == {0.03}
    ablations = {method.label: method.config for method in plan("table_c4")[0].methods}
    assert ablations["tau 0.1"].tau == 0.1 and ablations["v 4"].v == 4
    assert (ablations["search pgd-5"].search, ablations["search pgd-5"].pgd_steps) == ("pgd", 5)
    assert ablations["lambda 0"].lambda_f == ablations["lambda 0"].lambda_a == 0


def test_figure_1_forgets_seven_flowers_of_three_classes():
    from rurk_core.data import forget_set, load_dataset

    data = load_dataset("iris")
    chosen = forget_set(data, IRIS_FORGET).indices
    assert len(chosen) == 7 and len({int(data.train_labels[i]) for i in chosen}) == 3


def test_a_number_beside_the_papers():
    line = _line(0.5, 0.1, 3, 0.55, 100)
    assert (line["ours"], line["paper"], line["difference"], line["agrees"]) == (50, 55, -5, True)
    assert _line(0.5, 0.01, 3, 0.55, 100)["agrees"] is False
    assert _line(0.5, None, 1, 0.55, 100)["agrees"] is None
    assert _line(3.0, 1.0, 3, {"over": 30}, 1)["difference"] is None
    assert _line(3.0, 1.0, 3, None, 1)["paper"] is None


def test_equal_means_that_three_other_seeds_would_lie_as_near():
    """Student with 2 degrees: 4.3027 · s · √(1/3 + 1/3) = 3.513 s."""
    assert _line(0.0, 1.0, 3, 3.51, 1)["agrees"] is True and _line(0.0, 1.0, 3, 3.52, 1)["agrees"] is False
    generator = np.random.default_rng(5)
    ours, theirs = generator.normal(size=(2, 2000, 3))
    agree = [_line(a.mean(), a.std(ddof=1), 3, b.mean(), 1)["agrees"] for a, b in zip(ours, theirs, strict=True)]
    assert np.mean(agree) == pytest.approx(0.95, abs=0.015)


def _curve(mean: list, sd: float | None = None, spread: tuple | None = None) -> dict:
    n = len(mean)
    figure = {"mean": mean, "sd": [sd] * n, "low": mean, "high": mean}
    return {
        "attack": "gaussian", "name": "gd", "taus": [0.01 * i for i in range(n)], "r_mean": figure,
        "bands": {"r_mean": {"low": [None] * n, "high": [None] * n, "spread": [spread] * n}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("curve", "seeds", "verdict", "counts"),
    [
        (_curve([1.5, 1.4, 1.3], sd=0.05), 3, "holds", (3, 0)),  # ± 4.303 · .05 / √3 = .124
        (_curve([1.5, 1.4, 1.1], sd=0.05), 3, "cannot tell", (2, 0)),
        (_curve([1.5, 1.4, 0.8], sd=0.05), 3, "does not hold", (2, 1)),
        (_curve([1.5, 1.4, 1.3], spread=(-0.2, 0.2)), 1, "holds", (3, 0)),
        (_curve([1.5, 1.4, 1.3], sd=0.01, spread=(-0.35, 0.35)), 2, "cannot tell", (2, 0)),
        (_curve([1.5, 1.4, None], sd=0.05), 3, "cannot tell", (2, 0)),
        (_curve([1.5, 1.4, 1.3]), 1, "cannot tell", (0, 0)),  # one seed, one reference: nothing to tell it from
    ],
)
def test_claims_hold_do_not_or_cannot_be_told(curve, seeds, verdict, counts):
    claim = {"models": ["gd", "absent"], "says": "stays above 1", "from": 0, "to": 0.02, "above": 1.0}
    found = held_against(claim, {"curves": [curve], "seeds": list(range(seeds))}, "r_mean")["found"]
    assert list(found) == ["gd"] and found["gd"]["of"] == 3
    assert (found["gd"]["verdict"], (found["gd"]["holds"], found["gd"]["fails"])) == (verdict, counts)


def test_the_statistic_that_is_shown_is_the_one_that_is_held_against_the_claims():
    curve = _curve([1.5, 1.4, 1.3], spread=(-0.1, 0.1))
    comparison = {"spec": {"dataset": "small_cifar5"}, "seeds": [1], "rows": [], "curves": [curve]}
    claims = beside("figure2", comparison)["claims"]
    assert claims[0]["found"]["gd"]["lowest"] == 1.3, "of r_mean, the only one there is"


def test_every_perturbation_is_shown_and_the_papers_numbers_stand_beside_random_draws():
    row = {"name": "original", "title": "Original", "settings": "", "failed": {}, "cells": NOTHING}
    curves = [
        {
            "attack": attack,
            "name": "original",
            "taus": [0, 0.0125],
            "disagreement": {"mean": [0.1, 0.2], "sd": [None] * 2},
        }
        for attack in ("gaussian", "fgsm")
    ]
    comparison = {"spec": {"dataset": "small_cifar5"}, "seeds": [1], "rows": [row], "curves": curves}
    lines = beside("table_c7", comparison)["lines"]
    assert [(line["attack"], line["paper"]) for line in lines] == [
        ("gaussian", 13.0), ("gaussian", 14.5), ("fgsm", None), ("fgsm", None),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_whole_reproduction_and_again_from_the_store(tmp_path):
    store = Store(tmp_path)
    found = reproduce("table_c2", store, dataset="digits", seeds=(1, 2), overrides=TINY)
    json.dumps(found, allow_nan=False)
    assert {line["model"] for line in found["lines"]} == {"original", "retrained", "gd", "rurk"}
    assert all(line["paper"] is None for line in found["lines"]), "digits are not in the paper"
    assert any("Seeds 1, 2" in sentence for sentence in found["differences"])
    stored = len(store.list())
    curves = reproduce("table_c7", store, dataset="digits", seeds=(1, 2), overrides=TINY)
    assert len(store.list()) == stored, "everything was there"
    assert [line["tau"] for line in curves["lines"] if line["model"] == "gd"] == [0, 0.0126, 0.0314]


def test_beside_the_papers_numbers_on_real_images(real_data, tmp_path):
    """Small CIFAR-5 from scratch, so that no pre-training is needed: only the comparison is of interest here."""
    entry = DATASETS["small_cifar5"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "small_cifar5", replace(entry, quick=replace(entry.quick, pretrain=None)))
        table = reproduce("table_c2", Store(tmp_path), seeds=(1,), overrides=TINY, root=str(real_data))
        curves = reproduce("table_c7", Store(tmp_path), seeds=(1,), overrides=TINY, root=str(real_data))
    line = next(x for x in table["lines"] if x["model"] == "retrained" and x["metric"] == "Unlearn")
    assert line["paper"] == 8.33 and line["difference"] == pytest.approx(line["ours"] - 8.33, abs=1e-3)
    known = {(x["model"], round(x["tau"], 4)): x["paper"] for x in curves["lines"] if x["paper"] is not None}
    assert known == {
        ("original", 0.0): 13.0, ("original", 0.0126): 14.5, ("original", 0.0314): 18.4,
        ("rurk", 0.0): 6.0, ("rurk", 0.0126): 5.1, ("rurk", 0.0314): 17.7,
    }  # fmt: skip


@pytest.mark.slow
def test_the_command(capsys, tmp_path):
    code = main(["reproduce", "figure1", "--seeds", "1", "--store", str(tmp_path)])
    out = capsys.readouterr().out
    assert code == 0 and "What differs from the paper's set-up" in out and "not reported here" in out
    assert main(["reproduce", "figure1", "--seeds", "1", "--store", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"] == "figure1"
    assert main(["reproduce", "figure1", "--plan", "--json", "--store", str(tmp_path)]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (
        planned["seeds"] == [131, 42] and planned["seconds"] > 0 and [m["label"] for m in planned["methods"]] == ["gd"]
    )
    assert main(["reproduce", "figure1", "--plan", "--seeds", "1", "--store", str(tmp_path)]) == 0
    assert "About 0 s in all" in capsys.readouterr().out, "it has been run"
    for arguments in (["table9"], ["figure1", "--scale", "huge"], ["table_c5"]):
        assert main(["reproduce", *arguments, "--store", str(tmp_path)]) == 2
