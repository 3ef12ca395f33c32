"""An experiment from end to end: what it says, that it is repeatable, and that it resumes."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from rurk_core.data import load_dataset
from rurk_core.errors import Cancelled, UsageError
from rurk_core.run import experiment, plan, stages
from rurk_core.run.experiment import run
from rurk_core.run.result import load_result
from rurk_core.run.spec import make_spec
from rurk_core.run.stored import load_model, load_verdicts
from rurk_core.store.store import Store
from rurk_core.training.loop import Diverged
from rurk_core.unlearning import METHODS


def test_the_result_holds_what_is_promised(tiny_run, tiny_spec):
    _, result = tiny_run
    json.dumps(result, allow_nan=False)
    assert result["seed"] == 7 and result["spec"] == tiny_spec.to_dict()
    assert {"rurk", "python", "torch"} <= result["versions"].keys() and result["device"]
    roles = [(model["name"], model["role"]) for model in result["models"]]
    assert roles == [
        ("original", "original"),
        ("gd", "unlearned"),
        ("rurk", "unlearned"),
        ("reference-1", "reference"),
        ("reference-2", "reference"),
    ]
    for model in result["models"]:
        assert all(0 <= model[f"{part}_accuracy"] <= 1 for part in ("retain", "unlearn", "test"))
    for entry in result["residual"]:
        assert [row["tau"] for row in entry["taus"]] == [0.0, 0.1, 0.3]
        for row in entry["taus"]:
            assert row["trials"] == 64 * 20
            expected = row["numerator"] / row["denominator"] if row["denominator"] else None
            assert row["ratio_of_means"] == expected
            assert {"r_mean", "r_undefined", "prevalence", "disagreement"} <= row.keys()
    assert [entry["method"] for entry in result["residual"]] == ["original", "gd", "rurk"]


def test_the_accuracies_are_those_of_the_stored_models(tiny_run):
    store, result = tiny_run
    data = load_dataset("digits")
    forget = torch.tensor(result["forget"]["indices"])
    for row in result["models"]:
        model = load_model(store, row["key"])
        with torch.no_grad():
            right = model(data.train_images).argmax(1) == data.train_labels
        assert row["unlearn_accuracy"] == pytest.approx(1 - right[forget].float().mean().item(), abs=1e-6)


def test_the_references_never_saw_the_forget_set(tiny_run, monkeypatch, tmp_path):
    """Replacing the forget images by noise changes the Original, not a single reference."""
    _, result = tiny_run
    data = load_dataset("digits")
    noisy = data.train_images.clone()
    index = torch.tensor(result["forget"]["indices"])
    noisy[index] = torch.rand(noisy[index].shape, generator=torch.Generator().manual_seed(0))
    changed = dataclasses.replace(data, train_images=noisy, fingerprint="0" * 16)
    monkeypatch.setattr(experiment, "load_dataset", lambda *_, **__: changed)
    spec = make_spec(methods="gd:epochs=0", references=1, taus="0", draws=1, train={"epochs": 1})
    store, plain = Store(tmp_path / "a"), Store(tmp_path / "b")
    changed_run = run(spec, store)
    monkeypatch.undo()
    plain_run = run(spec, plain)

    def weights(where, found, name):
        key = next(row["key"] for row in found["models"] if row["name"] == name)
        return torch.cat([value.flatten() for value in load_model(where, key).state_dict().values()])

    assert torch.equal(weights(store, changed_run, "reference-1"), weights(plain, plain_run, "reference-1"))
    assert not torch.equal(weights(store, changed_run, "original"), weights(plain, plain_run, "original"))


def test_equal_key_equal_bytes(tiny_run, tiny_spec, tmp_path):
    store, result = tiny_run
    again = Store(tmp_path)
    repeated = run(tiny_spec, again)
    assert repeated["key"] == result["key"]
    for row in result["models"]:
        assert store.read(row["key"], "model.safetensors") == again.read(row["key"], "model.safetensors")
    for entry in result["residual"]:
        assert store.read(entry["verdicts"], "verdicts.safetensors") == again.read(
            entry["verdicts"], "verdicts.safetensors"
        )


def test_the_same_key_twice_is_the_stored_result(tiny_run, tiny_spec, monkeypatch):
    store, result = tiny_run
    monkeypatch.setattr(stages, "fit", lambda *_, **__: pytest.fail("trained again"))
    assert run(tiny_spec, store) == result
    renamed = dataclasses.replace(tiny_spec, title="Another name")
    assert run(renamed, store)["key"] == result["key"]


@pytest.mark.parametrize("stage", ["Original", "References", "rurk", "Verdicts, Gaussian noise"])
def test_a_cancelled_run_goes_on_from_its_last_stage(stage, tiny_run, tiny_spec, tmp_path):
    store = Store(tmp_path)
    now = {"stage": ""}
    with pytest.raises(Cancelled):
        run(tiny_spec, store, progress=lambda event: now.update(event), cancelled=lambda: now["stage"] == stage)
    finished = {entry.key for entry in store.list()}
    stages = []
    resumed = run(tiny_spec, store, progress=lambda event: stages.append(event["stage"]))
    assert finished <= {entry.key for entry in store.list()}
    assert ("Original" in stages) == (stage == "Original")
    assert {row["name"]: row["key"] for row in resumed["models"]} == {
        row["name"]: row["key"] for row in tiny_run[1]["models"]
    }


def test_progress_rises_to_the_end(tiny_spec, tmp_path):
    events = []
    run(tiny_spec, Store(tmp_path), progress=events.append)
    shares = [event["overall"] for event in events[3:]]
    assert all(later >= earlier - 0.02 for earlier, later in pairwise(shares))
    assert shares[-1] > 0.95 and any("loss" in event for event in events)
    assert all(event["eta"] is None or event["eta"] >= 0 for event in events)


@pytest.mark.slow
def test_attacks_are_built_on_each_judged_model(tmp_path):
    spec = make_spec(methods="gd:epochs=1", references=1, attacks="fgsm", taus="0,0.2", draws=9, train={"epochs": 1})
    store = Store(tmp_path)
    result = run(spec, store)
    tables = {entry["method"]: load_verdicts(store, entry["verdicts"]) for entry in result["residual"]}
    assert {name: table.source for name, table in tables.items()} == {"original": "original", "gd": "gd"}
    assert (tables["gd"].counts.sum(-1) == 9).all()


def test_a_diverged_method_is_a_row_and_the_others_go_on(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise Diverged("The loss became nan at step 3 of 9 while unlearning with NegGrad+.")

    monkeypatch.setitem(METHODS, "neggrad_plus", dataclasses.replace(METHODS["neggrad_plus"], run=broken))
    spec = make_spec(methods="neggrad_plus,gd:epochs=1", references=1, taus="0", draws=2, train={"epochs": 1})
    result = run(spec, Store(tmp_path))
    rows = {row["name"]: row for row in result["models"]}
    assert "test_accuracy" in rows["gd"]
    assert "step 3 of 9" in rows["neggrad_plus"]["failed"] and "test_accuracy" not in rows["neggrad_plus"]
    assert [entry["method"] for entry in result["residual"]] == ["original", "gd"]


@pytest.mark.slow
def test_hardest_samples_are_those_of_the_original(tmp_path):
    spec = make_spec(forget="hardest:5", methods="gd:epochs=1", references=1, taus="0", draws=1, train={"epochs": 1})
    store = Store(tmp_path)
    result = run(spec, store)
    data = load_dataset("digits")
    key = next(row["key"] for row in result["models"] if row["name"] == "original")
    with torch.no_grad():
        logits = load_model(store, key)(data.train_images)
    losses = torch.nn.functional.cross_entropy(logits, data.train_labels, reduction="none")
    assert set(result["forget"]["indices"]) == set(losses.topk(5).indices.tolist())
    assert len(store.list("scores")) == 3, "the Original's losses, which chose the set, are its scores too"


def test_small_cifar5_starts_from_a_pretrained_model(real_data, tmp_path, monkeypatch):
    """On real images; the pre-training reads the small set in place of all of CIFAR-10, to be quick."""
    small = load_dataset("small_cifar5?validation=0", real_data)
    for module in (experiment, plan):
        monkeypatch.setattr(module, "load_dataset", lambda *_, **__: small)
    one = {"epochs": 1}
    spec = make_spec(
        "small_cifar5", model="resnet9:4", methods="gd:epochs=1", references=1, draws=2, train=one, pretrain=one
    )
    store = Store(tmp_path)
    result = run(spec, store)
    assert len(result["forget"]["indices"]) == 100
    assert any("pre-trained" in note for note in result["notes"])
    assert len(store.list("pretrained")) == 1


def test_devices_that_are_not_there(tiny_spec, tmp_path):
    for name in ("cuda:99", "warp"):
        with pytest.raises(UsageError, match="device"):
            run(tiny_spec, Store(tmp_path), device=name)


def test_counts_of_a_run_sum_to_its_summary(tiny_run):
    store, result = tiny_run
    entry = next(entry for entry in result["residual"] if entry["method"] == "rurk")
    verdicts = load_verdicts(store, entry["verdicts"])
    u = verdicts.recognised("rurk")
    assert [row["numerator"] for row in entry["taus"]] == u.sum(0).tolist()
    v = verdicts.reference_recognised().mean(0)
    assert np.allclose([row["denominator"] for row in entry["taus"]], v.sum(0))


def test_documents_of_older_versions_are_summarised_anew(tiny_run, tiny_store, forge):
    """Where the verdicts are there from them, else from what the document says of each reference."""
    now = tiny_run[1]
    old = json.loads(json.dumps(now))
    for row in (row for entry in old["residual"] for row in entry["taus"]):
        del row["among_references"]
        row["prevalence"] = 0.123
    forge(tiny_store, now["key"], "result.json", old)
    assert load_result(tiny_store, now["key"])["residual"] == now["residual"]
    for key in {entry["verdicts"] for entry in now["residual"]}:
        tiny_store.delete(key)
    found = load_result(tiny_store, now["key"])["residual"]
    for mine, row in zip(found[0]["taus"], now["residual"][0]["taus"], strict=True):
        assert mine["prevalence"] == pytest.approx(row["prevalence"]) and mine["among_references"]["r_mean"] == []
