"""The Review page: the queue, judging, filters, and what it says where something is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import streamlit as st
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest
from ui.session import state

from rurk_core.evidence.case import open_case
from rurk_core.evidence.findings import find
from rurk_core.evidence.reviews import history, latest
from rurk_core.run.audit import audit
from rurk_core.run.stored import load_model
from rurk_core.store.store import Store

FRAME = str(Path(__file__).parents[2] / "pages" / "frame.py")


@pytest.fixture
def store(tiny_run, tmp_path, monkeypatch):
    """A copy of the tiny run's store, which the app opens."""
    shutil.copytree(Path(tiny_run[0].url) / "runs", tmp_path / "store" / "runs")
    monkeypatch.setenv("RURK_STORE", str(tmp_path / "store"))
    st.cache_resource.clear()
    return Store(tmp_path / "store")


def opened(run=None, **choices):
    app = AppTest.from_file(FRAME, default_timeout=60)
    for name, value in {**({"run": run} if run else {}), **choices}.items():
        app.query_params[name] = value
    return app.run().switch_page("review.py").run()


def sample_of(app):
    (words,) = [m.value for m in app.markdown if m.value.startswith("Training sample")]
    return int(words.split("**")[1])


def text_of(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.get("html")] if element.value)


def test_the_queue_starts_with_the_most_recognised_sample_and_keys_judge(store, tiny_run):
    _, result = tiny_run
    run = result["key"]
    ranked = find(open_case(store, result["key"], method="gd")).samples
    app = opened(run)
    assert not app.exception and not app.error
    assert sample_of(app) == ranked[0].sample
    app.text_area(key=f"note-{run}-gd-{ranked[0].sample}").set_value("looks *like* a <b>six</b>")
    app.text_input(key="reviewer").set_value("Ada")
    app.button(key="verdict_residual").click().run()
    ((key, found),) = latest(history(store, run)).items()
    assert key == ("gd", ranked[0].sample)
    assert (found.verdict, found.note, found.author) == ("residual", "looks *like* a <b>six</b>", "Ada")
    assert sample_of(app) == ranked[1].sample, "judging goes on to the next one"
    app.button(key="previous").click().run()
    assert sample_of(app) == ranked[0].sample
    assert app.text_area(key=f"note-{run}-gd-{ranked[0].sample}").value == "looks *like* a <b>six</b>"
    app.button(key="take_back").click().run()
    assert latest(history(store, run)) == {} and len(history(store, run)) == 2


def test_the_radius_is_searched_when_asked_for(store, tiny_run):
    app = opened(tiny_run[1]["key"])
    assert "loses it at" not in text_of(app)
    app.session_state["radius_box"] = True
    app.run()
    assert not app.exception and not app.error and "loses it at" in text_of(app)


def test_filters_leave_what_they_say(store, tiny_run):
    _, result = tiny_run
    ranked = find(open_case(store, result["key"], method="gd")).samples
    app = opened(result["key"])
    app.button(key="verdict_clear").click().run()
    app.selectbox(key="view_show").select("undecided").run()
    assert sample_of(app) == ranked[1].sample and "1** of 70" in text_of(app)
    app.selectbox(key="view_show").select("clear").run()
    assert sample_of(app) == ranked[0].sample and "1** of 1 in" in text_of(app)
    app.selectbox(key="view_show").select("residual").run()
    assert "No sample fits" in app.info[0].value and not app.exception
    app.selectbox(key="view_show").select("all").run()
    # two references and twenty draws: nothing can be told of any sample
    assert {finding.finding for finding in ranked} == {"cannot_tell"}
    app.selectbox(key="view_evidence").select("cannot_tell").run()
    assert "** of 71 in" in text_of(app) and "Cannot be told" in text_of(app)
    app.selectbox(key="view_evidence").select("clear").run()
    assert "No sample fits" in app.info[0].value


def test_without_any_run_there_is_a_way_to_begin(tmp_path, monkeypatch):
    monkeypatch.setenv("RURK_STORE", str(tmp_path / "empty"))
    monkeypatch.setattr(state, "BUNDLED", [])
    app = opened()
    assert not app.exception and not app.error and app.button(key="empty_digits")


def test_without_references_the_pages_say_so(tiny_run, tmp_path, monkeypatch):
    source, result = tiny_run
    paths = {}
    for row in result["models"][:2]:
        paths[row["name"]] = tmp_path / f"{row['name']}.safetensors"
        save_file(load_model(source, row["key"]).state_dict(), paths[row["name"]])
    monkeypatch.setenv("RURK_STORE", str(tmp_path / "store"))
    found = audit(
        Store(tmp_path / "store"),
        dataset="digits",
        forget="class:0:0.1",
        original=paths["original"],
        unlearned=[paths["gd"]],
        taus="0,0.2",
        draws=5,
    )
    app = AppTest.from_file(FRAME, default_timeout=60)
    app.query_params["run"] = found["key"]
    app.run()
    assert not app.exception and not app.error and "no re-trained model" in text_of(app)
    app.switch_page("review.py").run()
    assert not app.exception and not app.error and "no re-trained model" in text_of(app)
    assert app.button(key="verdict_clear")
    app.toggle(key="peers").set_value(True).run()
    assert not app.exception and not app.error and "Weaker evidence" in text_of(app)
    app.switch_page("neighbourhood.py").run()
    assert not app.exception and not app.error and "no re-trained model to compare with" in text_of(app)
    app.segmented_control(key="curve_what").set_value("ratio").run()
    assert not app.exception and "there is none" in text_of(app)


def test_damaged_judgements_and_verdicts_are_no_traceback(store, tiny_run):
    _, result = tiny_run
    folder = store.beside("reviews")
    folder.mkdir()
    (folder / f"{result['key']}.jsonl").write_text('half a line\n{"sample": 1}\n')
    app = opened(result["key"])
    assert not app.exception and not app.error and "0 of 71" in app.get("progress")[0].proto.text
    verdicts = Path(store.url) / "runs" / result["residual"][0]["verdicts"] / "verdicts.safetensors"
    verdicts.write_bytes(b"damaged")
    st.cache_resource.clear()
    app = opened(result["key"])
    assert not app.exception and "is damaged" in app.error[0].value.replace("\\", "")


def test_names_with_markup_are_text(store, tiny_run):
    _, result = tiny_run
    entry = Path(store.url) / "runs" / result["key"]
    changed = json.loads((entry / "result.json").read_text())
    changed["dataset"]["classes"] = ["<script>alert(1)</script>"] * 10
    data = json.dumps(changed).encode()
    (entry / "result.json").write_bytes(data)
    import hashlib

    spec = json.loads((entry / "spec.json").read_text())
    spec["files"]["result.json"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (entry / "spec.json").write_text(json.dumps(spec))
    app = opened(result["key"])
    assert not app.exception
    assert not any("<script" in element.value for element in app.get("html"))
