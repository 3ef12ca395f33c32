"""The Audit page: what it asks, what it refuses, what it starts, and that the result opens like an experiment."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save, save_file
from streamlit.testing.v1 import AppTest
from ui.jobs import runs

from rurk_core.run.audit import audit, audit_job
from rurk_core.run.stored import load_model
from rurk_core.store.store import Store

FRAME = str(Path(__file__).parents[2] / "pages" / "frame.py")


@pytest.fixture
def files(tiny_run, tmp_path, monkeypatch):
    """Checkpoints of the tiny run by name, and an empty store for the app."""
    store, result = tiny_run
    monkeypatch.setenv("RURK_STORE", str(tmp_path / "store"))
    found = {}
    for row in result["models"]:
        found[row["name"]] = tmp_path / f"{row['name']}.safetensors"
        save_file(load_model(store, row["key"]).state_dict(), found[row["name"]])
    return found


def opened(page="audit.py"):
    return AppTest.from_file(FRAME, default_timeout=60).switch_page(page).run()


def sentences(app):
    return [error.value for error in app.error]


def test_it_starts_an_audit_that_opens_like_an_experiment(files, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(runs, "start_job", lambda store, job, runner: started.append((job, runner)) or "id")
    app = opened()
    assert not app.exception and app.button(key="audit").disabled
    app.text_area(key="paths-original").set_value(str(files["original"]))
    app.text_area(key="paths-unlearned").set_value(f"{files['gd']}\n\n  {files['rurk']} ")
    app.text_area(key="paths-retrained").set_value(f"{files['reference-1']}\n{files['reference-2']}")
    app.number_input(key="steps-audit").set_value(3)
    app.number_input(key="draws-audit").set_value(4).run()
    assert not sentences(app) and not app.button(key="audit").disabled
    app.button(key="audit").click().run()
    ((job, runner),) = started
    assert runner == "rurk_core.run.audit:audit_job" and job["spec"]["unlearned"] == [
        str(files["gd"]),
        str(files["rurk"]),
    ]
    key = audit_job(job, Store(tmp_path / "store"), lambda event: None, lambda: False)
    app = AppTest.from_file(FRAME, default_timeout=60)
    app.query_params["run"] = key
    app.run()
    assert not app.exception and not sentences(app)


def test_an_uploaded_file_is_one_of_the_models(files, tmp_path):
    app = opened()
    data = save(load_weights_of(files["gd"]))
    app.file_uploader(key="upload-unlearned").upload("../../my <model>.safetensors", data).run()
    app.text_area(key="paths-original").set_value(str(files["original"])).run()
    assert not sentences(app) and not app.button(key="audit").disabled
    (kept,) = (tmp_path / "store" / "uploads").rglob("*.safetensors")
    assert kept.name == "my_model.safetensors" and kept.read_bytes() == data


def load_weights_of(path):
    from rurk_core.models.checkpoints import read_checkpoint

    return read_checkpoint(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("/nowhere/a.pt", "no checkpoint at"), ("/etc", "is not a file"), ("/etc/hostname", "must end in")],
)
def test_what_is_no_checkpoint_is_said_at_once(text, reason, files):
    app = opened()
    app.text_area(key="paths-original").set_value(str(files["original"]))
    app.text_area(key="paths-unlearned").set_value(text).run()
    (sentence,) = sentences(app)
    assert reason in sentence.replace("\\", "") and app.button(key="audit").disabled and not app.exception


def test_two_originals_are_one_too_many(files):
    app = opened()
    app.text_area(key="paths-original").set_value(f"{files['original']}\n{files['gd']}").run()
    assert "1 file at most" in sentences(app)[0]


def test_without_re_trained_models_compare_speaks_of_no_target_and_of_no_time(app, files, tmp_path):
    store = Store(tmp_path / "store")
    asked = {"dataset": "digits", "forget": "class:0:0.5", "model": "", "taus": "0,0.1", "draws": 2}
    found = audit(store, original=files["original"], unlearned=[files["gd"]], retrained=(), **asked)
    test = app("compare.py", store, run=found["key"])
    text = " ".join(item.body for item in test.get("html"))
    assert "no re-trained model to hold them against" in text and "nothing was removed from it" in text
    assert not any(words in text for words in ("The target of every column", "dashed line", "follows the line of"))
    said = [caption.value for caption in test.caption]
    assert "No run time was measured." in said
    assert "There is nothing to draw: there is no re-trained model to compare with." in said
