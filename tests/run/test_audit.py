"""Audits: models of files are measured like the very models of an experiment, and the result is one like any other."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from exporting import export_program
from safetensors.torch import save_file

from rurk_core.cli import main
from rurk_core.data import forget_set
from rurk_core.data.dataset import make_dataset
from rurk_core.errors import Cancelled, UsageError
from rurk_core.evidence.case import open_case, why_not
from rurk_core.evidence.words import caveats
from rurk_core.models import create_model
from rurk_core.run.archive import export, import_file, verify
from rurk_core.run.audit import audit, audit_job
from rurk_core.run.misfit import misfits
from rurk_core.run.stored import load_model, load_verdicts
from rurk_core.store.store import Store


@pytest.fixture(scope="module")
def files(tiny_run, tmp_path_factory):
    """The models of the tiny run as files, one kind each, and its forget set."""
    store, result = tiny_run
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for row in result["models"]:
        model = load_model(store, row["key"])
        found[row["name"]] = folder / f"{row['name']}.safetensors"
        save_file(model.state_dict(), found[row["name"]])
        if row["name"] == "gd":
            found["gd"] = folder / "gd.pt"
            torch.save(model.state_dict(), found["gd"])
        if row["name"] == "rurk":
            found["rurk"] = export_program(model, (1, 8, 8), folder / "rurk.pt2")
    found["forget"] = folder / "forget.json"
    found["forget"].write_text(json.dumps(result["forget"]))
    return found


def arguments(files, **change):
    return {
        "dataset": "digits",
        "forget": str(files["forget"]),
        "original": str(files["original"]),
        "unlearned": [str(files["gd"]), str(files["rurk"])],
        "retrained": [str(files["reference-1"]), str(files["reference-2"])],
        "taus": "0,0.1,0.3",
        "draws": 20,
    } | change


@pytest.fixture(scope="module")
def audited(files, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("audits"))
    return store, audit(store, **arguments(files))


def test_an_audit_finds_the_numbers_of_the_experiment(audited, tiny_run):
    """State dicts, and a program read by our own loader: the same copies, the same verdicts."""
    (store, found), (other, expected) = audited, tiny_run
    ours = load_verdicts(store, found["residual"][0]["verdicts"])
    theirs = load_verdicts(other, expected["residual"][0]["verdicts"])
    assert np.array_equal(ours.samples, theirs.samples) and ours.seed == theirs.seed
    assert np.array_equal(ours.counts, theirs.counts) and np.array_equal(ours.agreement, theirs.agreement)
    assert [entry["taus"] for entry in found["residual"]] == [entry["taus"] for entry in expected["residual"]]
    accuracies = ("retain_accuracy", "unlearn_accuracy", "test_accuracy")
    for row, other_row in zip(found["models"], expected["models"], strict=True):
        assert [row[name] for name in accuracies] == pytest.approx([other_row[name] for name in accuracies])


def test_what_it_keeps_is_what_its_names_say_and_can_be_handed_on(audited, tmp_path):
    store, result = audited
    assert verify(store) == {}
    export(store, result["key"], tmp_path / "audit.zip")
    assert import_file(Store(tmp_path / "other"), tmp_path / "audit.zip").key == result["key"]


def test_it_is_a_run_that_names_its_files(audited, files):
    store, found = audited
    (entry,) = store.list("run")
    assert entry.key == found["key"] and entry.title == "Audit of gd, rurk on digits"
    names = ["original", "unlearned-1", "unlearned-2", "reference-1", "reference-2"]
    assert [row["name"] for row in found["models"]] == names == list(found["audit"]["files"])
    assert [row["role"] for row in found["models"]] == ["original", "unlearned", "unlearned", "reference", "reference"]
    for row in found["models"]:
        assert len(row["sha256"]) == 64 and row["file"] == found["audit"]["files"][row["name"]]["file"]
    assert found["spec"]["methods"] == [] and found["spec"]["references"] == 2
    json.dumps(found, allow_nan=False)


def test_a_second_audit_is_answered_from_the_store(audited, files):
    store, found = audited
    before = {entry.key for entry in store.list()}
    assert audit(store, **arguments(files, title="Other")) == found
    assert {entry.key for entry in store.list()} == before
    changed = audit(store, **arguments(files, draws=5, unlearned=[files["gd"]]))
    assert changed["key"] != found["key"] and changed["models"][1]["key"] == found["models"][1]["key"]


def test_without_references_recognition_is_counted_and_nothing_is_called_residual(files, tmp_path):
    found = audit(Store(tmp_path), **arguments(files, retrained=()))
    row = found["residual"][1]["taus"][0]
    assert row["numerator"] > 0 and row["trials"] == 64 * 20 and row["per_reference"] == []
    for name in ("denominator", "ratio_of_means", "r_mean", "prevalence", "disagreement"):
        assert row[name] is None
    assert row["reference_band"] == [None, None] and "no re-trained model" in found["notes"][0]


def test_attacks_are_built_on_state_dicts_and_programs_alike(files, tmp_path):
    change = {"attacks": "fgsm", "draws": 3, "taus": "0.1", "unlearned": [files["rurk"]]}
    found = audit(Store(tmp_path), **arguments(files, **change))
    assert [(entry["attack"], entry["method"]) for entry in found["residual"]] == [
        ("fgsm", "original"),
        ("fgsm", "unlearned"),
    ]


def test_a_program_without_gradients_gets_random_draws_only(files, tmp_path):
    class Rounded(torch.nn.Linear):
        def forward(self, pixels):
            return super().forward((pixels.flatten(1) * 16).to(torch.int64).to(torch.float32))

    export_program(Rounded(64, 10), (1, 8, 8), tmp_path / "rounded.pt2")
    change = {"unlearned": [tmp_path / "rounded.pt2"], "draws": 2, "taus": "0.1"}
    with pytest.raises(UsageError, match=r"gives no gradients.*gaussian"):
        audit(Store(tmp_path), **arguments(files, attacks="pgd", **change))
    assert audit(Store(tmp_path), **arguments(files, **change))["models"][1]["file"].endswith("rounded.pt2")


def test_rules_that_need_losses_take_those_of_the_original(files, tmp_path):
    change = {"forget": "hardest:5", "unlearned": [files["gd"]], "draws": 2, "taus": "0"}
    found = audit(Store(tmp_path), **arguments(files, **change))
    assert len(found["forget"]["indices"]) == 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"unlearned": []}, "1 to 32 unlearned"),
        ({"dataset": "iris"}, "needs images"),
        ({"model": "cnn:4"}, "does not fit the model"),
        ({"model": "nonsense"}, "no model 'nonsense'"),
        ({"forget": "class:77"}, "no class '77'"),
        ({"attacks": "warp"}, "no attack 'warp'"),
        ({"draws": 0}, "'draws' must be"),
        ({"original": "nowhere.pt"}, "no checkpoint at nowhere.pt"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_kept(change, reason, files, tmp_path):
    store = Store(tmp_path)
    values = arguments(files, **change)
    if change.get("dataset") == "iris":
        values |= {"model": "cnn", "forget": "class:0:0.5"}
    with pytest.raises(UsageError, match=reason):
        audit(store, **values)
    assert not store.list("run")


def test_a_job_takes_the_same_words_and_can_be_stopped(files, tmp_path):
    store, events = Store(tmp_path), []
    job = {"spec": arguments(files, draws=2, taus="0", unlearned=[str(files["gd"])])}
    with pytest.raises(Cancelled):
        audit_job(job, store, events.append, lambda: len(events) > 3)
    key = audit_job(job, store, events.append, lambda: False)
    assert store.has(key) and events[-1]["overall"] == 1.0
    with pytest.raises(UsageError, match="does not have"):
        audit_job({"spec": {"warp": 9}}, store, events.append, lambda: False)
    with pytest.raises(UsageError, match="JSON object"):
        audit_job({"spec": None}, store, events.append, lambda: False)


def test_the_command_keeps_what_it_prints(files, tmp_path, capsys):
    flags = ["audit", "--dataset", "digits", "--forget", files["forget"], "--original", files["original"]]
    flags += ["--unlearned", files["gd"], "--tau", "0,0.1", "--draws", 5, "--store", tmp_path, "--title", "Mine"]
    assert main([str(flag) for flag in [*flags, "--json"]]) == 0
    found = json.loads(capsys.readouterr().out)
    (entry,) = Store(tmp_path).list("run")
    assert (entry.key, entry.title) == (found["key"], "Mine")
    assert main([str(flag) for flag in flags]) == 0
    assert "no re-trained model" in capsys.readouterr().out


def test_audits_are_compared_under_the_names_of_their_files(audited, files, tmp_path):
    from rurk_core.compare.table import compare

    rows = compare([audited[1]])["rows"]
    assert [row["title"] for row in rows] == ["Original", "Re-train (mean of 2)", "gd", "rurk"]
    alone = compare([audit(Store(tmp_path), **arguments(files, retrained=[]))])["rows"]
    assert [row["title"] for row in alone] == ["Original", "gd", "rurk"]
    assert all(row["cells"]["test_accuracy"]["gap"] is None for row in alone)


# --- models that do not fit ----------------------------------------------------------------------------------


class Scaled(torch.nn.Module):
    """A model of this project that wants its pixels otherwise."""

    def __init__(self, model, times, plus=0.0, order=None):
        super().__init__()
        self.model, self.times, self.plus = model, times, plus
        self.register_buffer("order", torch.arange(10) if order is None else order)

    def forward(self, pixels):
        return self.model(pixels * self.times + self.plus)[:, self.order]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"times": 1 / 255}, "on pixels from 0 to 255"),
        ({"times": 0.5, "plus": 0.5}, "on pixels from -1 to 1"),
        ({"times": 0.3081, "plus": 0.1307}, "after the normalisation of MNIST"),
        ({"times": 1.0, "order": torch.tensor([3, 4, 5, 6, 7, 8, 9, 0, 1, 2])}, "into another order"),
        ({"times": 0.0}, "no more than guessing would"),
    ],
)
def test_models_that_do_not_fit_are_noticed(change, reason, tiny_run, files, tmp_path):
    store, result = tiny_run
    found = {row["name"]: load_model(store, row["key"]) for row in result["models"]}
    paths = {
        name: export_program(Scaled(found[name], **change).eval(), (1, 8, 8), tmp_path / f"{name}.pt2")
        for name in ("original", "gd", "reference-1")
    }
    models = {"original": paths["original"], "unlearned": [paths["gd"]], "retrained": [paths["reference-1"]]}
    answer = audit(Store(tmp_path / "store"), **arguments(files, **models, draws=2, taus="0"))
    assert set(answer["audit"]["misfits"]) == {"original", "unlearned", "reference-1"}
    for note in answer["notes"][:3]:
        assert reason in note and "says nothing of forgetting" in note
    # no page and no report says anything else of it
    assert why_not(open_case(Store(tmp_path / "store"), answer["key"], method="unlearned")) == answer["notes"][1]
    assert caveats(answer)[:3] == answer["notes"][:3]


def test_models_that_fit_are_left_alone(audited):
    assert audited[1]["audit"]["misfits"] == {} and audited[1]["notes"] == []


def test_the_command_says_it_first(files, tiny_run, tmp_path, capsys):
    store, result = tiny_run
    row = next(row for row in result["models"] if row["name"] == "original")
    path = export_program(Scaled(load_model(store, row["key"]), 1 / 255).eval(), (1, 8, 8), tmp_path / "b255.pt2")
    command = ["audit", "--dataset", "digits", "--forget", str(files["forget"]), "--original", str(path), "--unlearned"]
    assert main([*command, str(path), "--draws", "2", "--tau", "0", "--store", str(tmp_path / "store")]) == 0
    assert capsys.readouterr().out.lstrip().startswith("Warning: “original” does not fit")


def test_a_weak_model_is_not_called_one_that_guesses():
    """Right on half of the samples of three classes: far from good, and from chance."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(600) % 3
    knows = torch.rand(600, generator=generator) < 0.5
    said = torch.where(knows, labels, (labels + 1 + torch.randint(2, (600,), generator=generator)) % 3)
    pixels = torch.nn.functional.one_hot(said, 3).float()
    data = make_dataset("weak", (pixels, labels), (pixels, labels), ("a", "b", "c"), licence="", source="")
    model = create_model("linear", (3,), 3).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(torch.eye(3) if name.endswith("weight") else torch.zeros(3))
    assert misfits({"m": model}, data, forget_set(data, "indices:0"), torch.device("cpu")) == {}
    with torch.no_grad():
        model.head.weight.zero_()
    assert (
        "no more than guessing would"
        in misfits({"m": model}, data, forget_set(data, "indices:0"), torch.device("cpu"))["m"]
    )
