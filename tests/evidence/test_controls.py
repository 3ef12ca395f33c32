"""Controls: re-trainings that differ in all but the forget set, and what is made of them."""

from __future__ import annotations

import json

import pytest
import torch

from rurk_core.cli import main
from rurk_core.data import load_dataset
from rurk_core.errors import UsageError
from rurk_core.evidence.calibration import calibrate
from rurk_core.evidence.case import open_case
from rurk_core.evidence.controls import cases_of, train_controls
from rurk_core.evidence.findings import find
from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def held_out_run(tmp_path_factory):
    """Digits with a third held out for validation, so that there are other zeros than those to forget."""
    store = Store(tmp_path_factory.mktemp("controls"))
    spec = make_spec(
        "digits?validation=0.3", methods="gd:epochs=0", references=4, taus="0.2", draws=5, train={"epochs": 3},
        attacks="gaussian,fgsm", relearn=0,
    )  # fmt: skip
    return store, run(spec, store)


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["gaussian", "fgsm"])
def test_controls_are_trained_without_the_forget_set_and_judged_as_the_references_are(held_out_run, attack):
    store, result = held_out_run
    case, data = (
        open_case(store, result["key"], method="original", attack=attack),
        load_dataset("digits?validation=0.3"),
    )
    seen = []
    controls = train_controls(case, data, 2, CPU, seen.append)
    assert list(controls) == seen == ["brittle-1", "brittle-2", "substitute-1", "substitute-2"]
    weights = [tuple(model.head.weight.detach().flatten().tolist()[:4]) for model in controls.values()]
    assert len(set(weights)) == 4
    again = train_controls(case, data, 1, CPU)
    assert torch.equal(again["substitute-1"].head.weight, controls["substitute-1"].head.weight)
    cases = cases_of(case, data, controls, CPU)
    beside = cases["brittle-1"]
    # the references in the new tables are the very same on the very same copies
    for name in case.verdicts.references:
        assert (beside.verdicts.recognised(name) == case.verdicts.recognised(name)).all()
        assert (beside.peers.margin(name) == case.peers.margin(name)).all()
    assert len(find(beside).samples) == len(result["forget"]["indices"])
    found = calibrate(case, controls=cases)
    json.dumps(found, allow_nan=False)
    assert set(found["controls"]) == {"brittle", "substitute"} and found["controls"]["brittle"]["audits"] == 2
    assert [row["model"] for row in found["models"]][-4:] == seen


@pytest.mark.slow
def test_without_spare_samples_there_are_no_substitutes(tiny_run):
    store, result = tiny_run
    case = open_case(store, result["key"], method="original")
    assert list(train_controls(case, load_dataset("digits"), 1, CPU)) == ["brittle-1"]
    with pytest.raises(UsageError, match="give the same data"):
        train_controls(case, load_dataset("digits?validation=0.3"), 1, CPU)


@pytest.mark.slow
def test_the_command_hands_them_in(held_out_run, capsys):
    store, _ = held_out_run
    arguments = "calibrate --dataset digits?validation=0.3 --methods gd:epochs=0 --references 4 --tau 0.2 --draws 5"
    arguments += f" --train epochs=3 --attack gaussian,fgsm --relearn 0 --store {store.url} --controls 1"
    assert main(arguments.split()) == 0
    printed = capsys.readouterr().out
    assert "substitute-1" in printed and "brittle, mean" in printed
