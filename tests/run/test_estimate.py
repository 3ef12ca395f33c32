"""What a run will cost, against the plan it is made from."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from rurk_core.cli import main
from rurk_core.data import forget_set, load_dataset
from rurk_core.models import Classifier
from rurk_core.run import plan, stages
from rurk_core.run.estimate import JUDGING, measured_speeds, missing_stages, outline, probed_speeds
from rurk_core.run.experiment import run
from rurk_core.run.plan import Work
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store
from rurk_core.training import references as fitting


def test_what_is_in_the_store_costs_nothing_and_more_copies_cost_their_passes(tiny_spec, tiny_run, tmp_path):
    data = load_dataset("digits")
    forget = forget_set(data, tiny_spec.forget)

    def missing(spec, store) -> float:
        work = Work(spec, store, data, None, torch.device("cpu"), forget=forget)
        return sum(stage.cost for stage in missing_stages(work))

    assert missing(tiny_spec, tiny_run[0]) == 0
    cold = missing(tiny_spec, Store(tmp_path / "empty"))
    # at least 2 epochs of the Original, 2 of each of 2 references, one of each method
    assert cold > 14 * 3 * len(data.train_labels) / 3
    more = missing(replace(tiny_spec, draws=40), Store(tmp_path / "empty"))
    assert more - cold == 5 * len(forget.indices) * 2 * 20  # 5 models judge 20 copies more at the 2 radii above 0


def test_speeds_come_from_finished_runs_with_the_same_network_and_device(tiny_run):
    result = tiny_run[1]
    took, model = result["took"], result["spec"]["model"]
    assert set(took) == {
        *("original", "reference", "unlearned gd", "unlearned rurk", "scores", "relearned", "verdicts gaussian"),
        "peers gaussian",
    }
    speeds = measured_speeds([result], model, "cpu (9 threads)")
    row = took["unlearned rurk"]
    assert speeds["unlearned rurk"] == pytest.approx(row["passes"] / row["seconds"])
    everything = {name: sum(row[name] for row in took.values()) for name in ("passes", "seconds")}
    assert speeds[""] == pytest.approx(everything["passes"] / everything["seconds"])
    assert measured_speeds([result], "resnet9", result["device"]) is None
    assert measured_speeds([result], model, "cuda:0 (Some GPU)") is None
    assert measured_speeds([result | {"engine": "torchrun"}], model, result["device"]) is None
    assert measured_speeds([], "cnn", "cpu") is None


def test_of_each_kind_of_work_the_latest_runs_that_did_it_count():
    def made(seconds: float, *kinds: str) -> dict:
        took = {kind: {"passes": 100.0, "seconds": seconds} for kind in kinds}
        return {"spec": {"model": "cnn"}, "device": "cpu (2 threads)", "engine": "embedded", "took": took}

    latest_first = [made(1.0, "original"), made(4.0, "original", "verdicts pgd"), made(100.0, "original")]
    speeds = measured_speeds(latest_first, "cnn", "cpu (1 threads)", samples=2)
    assert speeds["original"] == pytest.approx(200 / 5)
    assert speeds["verdicts pgd"] == speeds["verdicts"] == pytest.approx(100 / 4)


@pytest.mark.parametrize(
    "took",
    [
        {"original": {"passes": 0.0, "seconds": 1.0}},  # no epochs: says nothing, and nothing is divided by it
        {"original": {"passes": float("nan"), "seconds": 1.0}},
        {"original": {"passes": "many", "seconds": 1.0}},
        {"": {"passes": 1.0, "seconds": 1.0}},
        ["original"],
        None,
    ],
)
def test_a_document_that_tells_no_speed_is_passed_over(took):
    odd = {"spec": {"model": "cnn"}, "device": "cpu (2 threads)", "engine": "embedded", "took": took}
    good = odd | {"took": {"original": {"passes": 100.0, "seconds": 4.0}}}
    assert measured_speeds([odd], "cnn", "cpu (1 threads)") is None
    assert measured_speeds([odd, {}, good], "cnn", "cpu (1 threads)") == {"original": 25.0, "": 25.0}


def test_work_that_was_never_measured_goes_at_the_speed_of_its_kind_or_of_all():
    def stage(kind: str, **inputs: str) -> plan.Stage:
        return plan.Stage(kind, kind, kind, inputs, cost=100.0)

    speeds = {"": 1.0, "unlearned": 10.0, "unlearned rurk": 50.0}
    expected_seconds = plan.expected_seconds
    assert expected_seconds([stage("unlearned", method="rurk")], speeds) == 2
    assert expected_seconds([stage("unlearned", method="gd")], speeds) == 10
    assert expected_seconds([stage("verdicts", attack="pgd"), stage("original")], speeds) == 200


@pytest.mark.slow
def test_a_probe_finds_a_larger_network_slower():
    small = probed_speeds("cnn", (1, 8, 8), 10)
    large = probed_speeds("resnet18", (3, 32, 32), 10)
    assert all(0 < large[work] < small[work] for work in ("", *JUDGING))


def test_a_method_that_is_refused_costs_nothing(tmp_path, capsys):
    command = ["run", "--plan", "--json", "--store", str(tmp_path), "--references", "1", "--methods", "gd,unsir"]
    assert main([*command, "--forget", "class:0:0.5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not [row for row in found["stages"] if row["stage"] == "unsir"], "it is for whole classes"
    assert any(note.startswith("UNSIR cannot run here") for note in found["notes"])
    assert main([*command, "--forget", "class:0"]) == 0
    assert [row for row in json.loads(capsys.readouterr().out)["stages"] if row["stage"] == "unsir"]


@pytest.mark.slow
def test_a_plan_foretells_the_passes_of_a_run_ten_times_larger(tmp_path, monkeypatch):
    """Passes are counted, not timed, in a run with a tenth of the draws; its ratio to its plan carries over."""
    counted = dict.fromkeys(("training", "judging"), 0)

    def count(module, inputs):
        if isinstance(module, Classifier):
            counted["training" if module.training else "judging"] += len(inputs[0])

    def in_this_process(build, images, labels, config, *, seeds, on_step, share):
        return fitting._fit_one_after_another(build, images, labels, config, seeds, on_step)

    monkeypatch.setattr(stages, "fit_references", in_this_process)
    options = {"methods": "gd:epochs=2", "references": 2, "taus": "0,0.1,0.2", "train": {"epochs": 2}, "relearn": 0}
    small, large = (make_spec(draws=draws, **options) for draws in (10, 100))
    data = load_dataset("digits")
    forget = forget_set(data, small.forget)

    def planned(spec, *names):
        rows = outline(Work(spec, Store(tmp_path / "empty"), data, None, torch.device("cpu"), forget=forget), {"": 1.0})
        return sum(row["passes"] for row in rows["stages"] if not names or row["stage"].startswith(names))

    hook = torch.nn.modules.module.register_module_forward_pre_hook(count)
    try:
        run(small, Store(tmp_path / "small"))
    finally:
        hook.remove()
    # a training step counts three passes, one of them forward
    assert 3 * counted["training"] == planned(small, "Original", "References", "gd")
    assert 1 / 1.3 < counted["judging"] / planned(small, "Verdicts") < 1.3
    models, n, held = 4, len(forget.indices), int((data.test_labels == 0).sum())
    assert planned(small, "Verdicts") == models * (n + held) * 21  # 10 draws at two radii, 1 at τ = 0
    # of held-out samples 20 draws are enough
    assert planned(large, "Verdicts") == models * (n * 201 + held * 41)
    # a further Original is trained, scored and judges the same samples
    more = planned(replace(small, members=1)) - planned(small)
    samples = len(data.train_labels) + len(data.test_labels)
    assert more == 3 * 2 * len(data.train_labels) + samples + (n + held) * 21


def test_a_plan_says_how_it_grows_and_what_it_holds(tiny_spec, tmp_path):
    data = load_dataset("digits")
    forget = forget_set(data, tiny_spec.forget)
    found = outline(Work(tiny_spec, Store(tmp_path), data, None, torch.device("cpu"), forget=forget), {"": 1000.0})
    assert found["seconds"] == pytest.approx(found["passes"] / 1000)
    assert all(1 < factor <= 2.01 for factor in found["twice"].values()), found["twice"]
    assert found["bytes"]["data"] == (1293 + 359) * 64 * 4
