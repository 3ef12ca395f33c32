"""Reproductions: the paper's numbers as data, what is run, and how ours are held against them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rurk_core.cli import main
from rurk_core.compare.reproduce import (
    IRIS_FORGET,
    PAPER_COLUMNS,
    REPORTED,
    TARGETS,
    _checked,
    _line,
    differences,
    plan,
    reported,
    reproduce,
)
from rurk_core.data import DATASETS
from rurk_core.errors import UsageError
from rurk_core.measure.metrics import SHARES
from rurk_core.store.store import Store
from rurk_core.unlearning import METHODS

TINY = {
    "methods": "gd:epochs=1,rurk:epochs=1",
    "references": 2,
    "taus": "0,0.0126,0.0314",
    "draws": 2,
    "train": {"epochs": 1},
    "model": "mlp:8",
}


@pytest.mark.parametrize("name", ["small_cifar5", "cifar10"])
def test_the_reported_gaps_follow_from_the_reported_shares(name):
    """Avg. Gap recomputed from the four means; the paper takes it seed by seed, so a little is lost."""
    cells = reported(name)["cells"]
    assert "2601.22359" in reported(name)["source"]
    for method, row in cells.items():
        assert (set(row) <= set(PAPER_COLUMNS) and method in ("original", "retrained")) or row["avg_gap"] > 0
        gap = sum(abs(row[s] - cells["retrained"][s]) for s in SHARES) / 4
        # for some others (GD, NegGrad+, SSD on small CIFAR-5) the reported gap is 7.6 points below this sum
        if method in ("original", "rurk", "scrub"):
            assert gap == pytest.approx(row["avg_gap"], abs=0.025), method


def test_every_file_of_the_paper_has_its_source():
    for file in REPORTED.glob("*.json"):
        assert "2601.22359" in json.loads(file.read_text())["source"]


@pytest.mark.parametrize("name", list(TARGETS))
@pytest.mark.parametrize("scale", ["quick", "paper"])
def test_every_target_has_a_plan(name, scale):
    if name == "table_c5":
        with pytest.raises(UsageError, match="--dataset"):
            plan(name, scale=scale)
        return
    specs = plan(name, scale=scale)
    assert [spec.seed for spec in specs] == ([131, 42] if scale == "quick" else [131, 42, 7])
    assert {method.key for method in specs[0].methods} == {
        key.split(" ")[0] for key in TARGETS[name].methods if key.split(" ")[0] in METHODS
    }


def test_tables_and_curves_of_one_setting_are_one_run():
    """So C.6 to C.8 and Figure 2 cost nothing after C.2."""
    wanted = plan("table_c2")
    assert all(plan(name) == wanted for name in ("table_c6", "table_c7", "table_c8", "figure2"))


def test_the_quick_scale_takes_small_data_and_says_so():
    quick, whole = plan("table1"), plan("table1", dataset="cifar10")
    assert quick == plan("table_c2")
    assert {spec.dataset for spec in whole + plan("table1", scale="paper")} == {"cifar10?validation=0"}
    said = "--dataset cifar10 takes it"
    assert any(said in sentence for sentence in differences("table1", quick, "quick"))
    assert not any(said in sentence for sentence in differences("table1", whole, "quick"))
    assert not any(said in sentence for sentence in differences("table_c2", plan("table_c2"), "quick"))
    assert differences("table_c2", plan("table_c2", dataset="digits"), "quick")[5].startswith("Data set digits")


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
    line = _line(0.5, 0.1, 0.55, 100)
    assert (line["ours"], line["paper"], line["difference"], line["agrees"]) == (50, 55, -5, True)
    assert _line(0.5, 0.01, 0.55, 100)["agrees"] is False
    assert _line(0.5, None, 0.55, 100)["agrees"] is None
    assert _line(3.0, 1.0, {"over": 30}, 1)["difference"] is None
    assert _line(3.0, 1.0, None, 1)["paper"] is None


def test_claims_are_counted():
    mean = [1.2, 0.9, None]
    comparison = {
        "curves": [{"attack": "gaussian", "name": "gd", "taus": [0, 0.01, 0.02], "ratio_of_means": {"mean": mean}}]
    }
    claim = {"models": ["gd", "absent"], "says": "stays above 1", "from": 0, "to": 0.02, "above": 1.0}
    assert _checked(claim, comparison)["found"] == {"gd": {"holds": 1, "of": 2, "lowest": 0.9, "highest": 1.2}}


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
