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
from rurk_core.evidence.reviews import Judgement, declarations, history, judge, latest, notes, signatures
from rurk_core.evidence.words import sample_words
from rurk_core.run.audit import audit
from rurk_core.run.stored import load_model
from rurk_core.store.store import Store

FRAME = str(Path(__file__).parents[2] / "pages" / "frame.py")


@pytest.fixture
def store(tiny_run, tmp_path, monkeypatch):
    """A copy of the tiny run's store, which the app opens."""
    shutil.copytree(Path(tiny_run[0].url) / "runs", tmp_path / "store" / "runs")
    monkeypatch.setenv("RURK_STORE", str(tmp_path / "store"))
    return Store(tmp_path / "store")


def opened(run=None, **choices):
    app = AppTest.from_file(FRAME, default_timeout=60)
    for name, value in {**({"run": run} if run else {}), **choices}.items():
        app.query_params[name] = value
    return app.switch_page("review.py").run()


def desk_of(app):
    """What the page sends to the desk."""
    (data,) = [json.loads(item.proto.json) for item in app.get("bidi_component") if '"cards"' in item.proto.json]
    return data


def sample_of(app):
    return desk_of(app)["at"]


def done_at_the_desk(run, method, samples, done):
    """A script that hears what was done at the desk."""
    from ui.sections.desk import heard

    heard({"before": (run, "other", set(samples)), "desk": (run, method, set(samples))}, done)


def hear(run, method, samples, done):
    return AppTest.from_function(done_at_the_desk, args=(run, method, samples, done)).run()


def text_of(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.get("html")] if element.value)


def test_the_desk_holds_the_queue_by_finding_with_what_was_said(store, tiny_run):
    _, result = tiny_run
    run = result["key"]
    found = find(open_case(store, run, method="gd"))
    judge(store, run, Judgement(found.samples[1].sample, "gd", "clear", note="fine", author="Ada"))
    app = opened(run)
    assert not app.exception and not app.error
    data = desk_of(app)
    order = [group["name"] for group in data["groups"]]
    places = [order.index(card["finding"]) for card in data["cards"]]
    assert places == sorted(places) and data["at"] == data["cards"][0]["id"]
    assert {card["id"] for card in data["cards"]} == {one.sample for one in found.samples}
    cards = {card["id"]: card for card in data["cards"]}
    for one in found.samples[:3]:
        assert cards[one.sample]["words"] == sample_words(one, found)
    said = cards[found.samples[1].sample]
    assert (said["verdict"], said["note"]) == ("clear", "fine") and "Ada" in said["by"]
    v = open_case(store, run, method="gd").verdicts
    assert cards[found.samples[0].sample]["counts"]["gd"] == v.recognised("gd")[found.samples[0].place].tolist()


def test_what_is_done_at_the_desk_is_kept_once_and_junk_is_passed_over(store, tiny_run):
    _, result = tiny_run
    run, (one, other, *_) = result["key"], result["forget"]["indices"]
    done = {
        "of": "desk",
        "at": other,
        "decisions": [
            {"n": 1, "of": "desk", "sample": one, "verdict": "residual"},
            {"n": 2, "of": "desk", "sample": other, "verdict": "clear"},
            {"n": 3, "of": "desk", "sample": 10**6, "verdict": "clear"},
            {"n": 4, "of": "desk", "sample": one, "verdict": "guilty"},
            {"n": 5, "of": "elsewhere", "sample": one, "verdict": "clear"},
        ],
        "notes": [
            {"n": 1, "of": "desk", "sample": one, "text": "looks *like* a <b>six</b>"},
            {"n": 2, "of": "before", "sample": one, "text": "typed before the other model was shown"},
            {"n": 3, "of": "desk", "sample": "x", "text": "x"},
            {"n": 4, "of": "desk", "sample": other, "text": 3},
        ],
    }
    app = hear(run, "gd", result["forget"]["indices"], done)
    assert not app.exception
    app.run()  # the browser tells it again
    found = history(store, run)
    assert [(j.sample, j.verdict, j.note) for j in found] == [
        (one, "residual", "looks *like* a <b>six</b>"),
        (other, "clear", ""),
    ]
    assert {key: note.note for key, note in notes(store, run).items()} == {
        ("gd", one): "looks *like* a <b>six</b>",
        ("other", one): "typed before the other model was shown",
    }
    assert app.session_state["choices"]["sample"] == str(other)
    taken_back = [{"n": 9, "of": "desk", "sample": one, "verdict": ""}]
    for n, text in enumerate(("", "once more", "", "once more")):  # a text of before is kept like any other
        written = [{"n": n + 9, "of": "desk", "sample": one, "text": text}]
        app = hear(run, "gd", [one], {"of": "desk", "decisions": taken_back, "notes": written})
        assert not app.exception
    assert list(latest(history(store, run))) == [("gd", other)]
    assert notes(store, run)["gd", one].note == "once more"


def test_what_is_done_to_a_run_that_is_gone_is_said_and_goes_nowhere_else(store, tiny_run):
    run = tiny_run[1]["key"]
    app = opened(run)
    store.delete(run)
    app.run()
    assert not app.exception and "is gone, deleted or moved" in " ".join(box.value for box in app.warning)
    sample = tiny_run[1]["forget"]["indices"][0]
    decided = {"of": "desk", "decisions": [{"n": 1, "of": "desk", "sample": sample, "verdict": "clear"}]}
    hear(run, "gd", [sample], decided)
    assert not (Path(store.url) / "reviews").exists()


def test_what_is_acceptable_is_declared_and_held_against_the_findings(store, tiny_run):
    app = opened(tiny_run[1]["key"])
    app.number_input(key="accept_residual").set_value(2.5)
    app.text_input(key="reviewer").set_value("Ada")
    app.button(key="declare").click().run()
    (declared,) = declarations(store, tiny_run[1]["key"])
    assert declared.residual == 0.025 and declared.author == "Ada"
    app = opened(tiny_run[1]["key"], more="standing")
    text = text_of(app)
    assert "before the first decision" in text and "at most 2.5% of the samples carry" in text.replace("\\", "")
    assert "cannot be told" in text, "two references tell nothing"
    app.text_input(key="conclusion").set_value("too few references")
    assert app.text_input(key="signed_by").value == "", "nobody is named who did not say so"
    app.button(key="sign_False").click().run()
    assert "signed with a name" in " ".join(box.value for box in app.warning)
    assert not signatures(store, tiny_run[1]["key"])
    app.text_input(key="signed_by").set_value("Ada")
    app.button(key="sign_False").click().run()
    assert [(s.accepted, s.author) for s in signatures(store, tiny_run[1]["key"])] == [(False, "Ada")]


def test_the_radius_is_searched_when_asked_for(store, tiny_run):
    app = opened(tiny_run[1]["key"], more="distances")
    assert "loses it at" not in text_of(app)
    app.session_state["radius_box"] = True
    app.run()
    assert not app.exception and not app.error and "loses it at" in text_of(app)


def test_filters_leave_what_they_say(store, tiny_run):
    _, result = tiny_run
    ranked = find(open_case(store, result["key"], method="gd")).samples
    judge(store, result["key"], Judgement(ranked[0].sample, "gd", "clear"))
    app = opened(result["key"])
    app.selectbox(key="view_show").select("undecided").run()
    assert sample_of(app) == ranked[1].sample and len(desk_of(app)["cards"]) == 63
    app.selectbox(key="view_show").select("clear").run()
    assert [card["id"] for card in desk_of(app)["cards"]] == [ranked[0].sample]
    app.selectbox(key="view_show").select("residual").run()
    assert "No sample fits" in app.info[0].value and not app.exception
    app.selectbox(key="view_show").select("all").run()
    # two references and twenty draws: nothing can be told of any sample
    assert {finding.finding for finding in ranked} == {"cannot_tell"}
    app.selectbox(key="view_evidence").select("cannot_tell").run()
    assert len(desk_of(app)["cards"]) == 64 and "Cannot be told" in desk_of(app)["cards"][0]["words"]
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
    assert desk_of(app)["cards"] and "references" not in desk_of(app)["curve"]["looks"]
    app.toggle(key="peers").set_value(True).run()
    assert not app.exception and not app.error and "Weaker evidence" in text_of(app)
    app.session_state["drawer"] = True
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
    assert not app.exception and not app.error and "**0 of 64**" in text_of(app)
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
