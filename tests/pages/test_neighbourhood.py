"""The Neighbourhood page: the stage is told what was stored, follows the address, and its parts come by themselves."""

from __future__ import annotations

import json
import re

import pytest
from packs import unpack
from starlette.requests import Request
from ui.session import stages

from rurk_core.jobs.control import JobStatus
from rurk_core.report.share import share_job

from .looking import fine, words


def told(test) -> dict:
    """What the page tells the stage."""
    (element,) = [e for e in test.get("bidi_component") if e.proto.component_name.endswith("rurk_stage")]
    return json.loads(element.proto.json)


def asked(place: str, part: str):
    _, name = place.split("/")
    sample, _, rest = part.partition("/")
    return stages.answer(Request({"type": "http", "path_params": {"name": name, "sample": int(sample), "part": rest}}))


def rest(test, **at):
    """The stage comes to rest somewhere, as a browser says it."""
    where = {"turn": 1, "sample": at["sample"], "tau": 0.1, "chosen": False, "copy": None, "cut": "adversarial", **at}
    test.session_state["stage"] = {"rest": where}
    return fine(test.run())


def test_the_stage_begins_at_the_sample_most_beyond_a_retraining_and_says_what_is_said_elsewhere(app, tiny_run):
    from rurk_core.evidence.case import open_case
    from rurk_core.evidence.findings import find
    from rurk_core.evidence.words import sample_words

    store, result = tiny_run
    about = told(fine(app(store=store.url, run=result["key"], method="rurk")))
    found = find(open_case(store, result["key"], method="rurk"))
    assert [row[0] for row in about["samples"]] == [one.sample for one in found.samples]
    assert about["start"]["sample"] == found.samples[0].sample and about["method"] == "rurk"
    header, _ = unpack(asked(about["place"], f"{found.samples[0].sample}/base").body)
    assert " ".join(header["said"]) == sample_words(found.samples[0], found)


def test_counts_on_the_stage_are_those_that_were_stored(app, tiny_run):
    from rurk_core.run.stored import load_verdicts

    store, result = tiny_run
    entry = next(e for e in result["residual"] if e["method"] == "rurk")
    verdicts = load_verdicts(store, entry["verdicts"])
    sample = int(verdicts.samples[3])
    about = told(fine(app(store=store.url, run=result["key"], method="rurk", sample=str(sample), tau="0.1")))
    assert (about["start"]["sample"], about["start"]["t"]) == (sample, 1)
    counts = unpack(asked(about["place"], f"{sample}/base").body)[0]["counts"]
    assert counts == {name: verdicts.recognised(name)[3].tolist() for name in about["judges"]}
    judges = "-".join(str(about["names"].index(name)) for name in about["judges"])
    header, found = unpack(asked(about["place"], f"{sample}/copies/adversarial/1/{judges}").body)
    assert header["same"] == [True]
    own = (found["top"][0, :, :, 0] == verdicts.labels[3]).sum(1)
    assert own.tolist() == [counts[name][1] for name in about["judges"]]


def test_where_the_stage_rests_is_where_a_link_begins(app, tiny_run):
    store, result = tiny_run
    test = fine(app(store=store.url, run=result["key"]))
    about = told(test)
    second = about["samples"][1][0]
    telling = unpack(asked(about["place"], f"{second}/base").body)[0]["telling"]
    other = 3 - telling  # radii 1 and 2 are above 0
    rest(test, sample=second, tau=about["taus"][other], chosen=True, copy=4, cut="copies")
    query = dict(test.query_params.items())
    wanted = {"sample": str(second), "tau": str(about["taus"][other]), "copy": "4", "cut": "copies"}
    assert wanted.items() <= query.items()
    again = told(fine(app(store=store.url, **query)))
    assert again["start"] == {"sample": second, "t": other, "chosen": True, "copy": 3, "cut": "copies"}


def test_what_was_not_chosen_stays_the_default_of_the_next_sample(app, tiny_run):
    store, result = tiny_run
    test = fine(app(store=store.url, run=result["key"], copy="2"))
    second = told(test)["samples"][1][0]
    rest(test, sample=second)
    assert test.query_params["sample"] == str(second)
    assert "copy" not in test.query_params and "cut" not in test.query_params
    assert not told(test)["start"]["chosen"]


@pytest.mark.parametrize("attack", ["uniform_l2", "fgsm", "pgd_untargeted"])
def test_an_attack_that_was_not_measured_is_made_for_the_one_sample(app, tiny_run, attack):
    store, result = tiny_run
    test = app(store=store.url, run=result["key"], attack=attack, tau="0.1")
    about = told(fine(test))
    assert about["samples"][0][2] == ""
    sample = about["start"]["sample"]
    header, _ = unpack(asked(about["place"], f"{sample}/base").body)
    assert header["counts"] == {} and "was measured of this sample only" in header["said"][0]
    test.session_state["drawer"] = True
    fine(test.run())
    assert "of 20</b> copies" in words(test) and "“0”" in words(test)


def test_the_drawer_holds_what_the_stage_rests_on(app, tiny_run):
    store, result = tiny_run
    test = fine(app(store=store.url, run=result["key"], method="rurk", tau="0.1"))
    assert not test.get("plotly_chart")
    test.session_state["drawer"] = True
    fine(test.run())
    assert "model / re-trained" in words(test) and len(test.get("plotly_chart")) == 1
    assert {"report_sample", "report_run"} <= {getattr(e, "key", None) for e in test.get("download_button")}


def test_a_page_to_hand_on_is_made_in_the_background_and_begins_with_the_sample_in_view(
    app, tiny_run, tiny_store, monkeypatch
):
    started: list[dict] = []
    monkeypatch.setattr("ui.jobs.runs.start_job", lambda store, about, runner: started.append(about) or "gone")
    store, result = tiny_store, tiny_run[1]
    sample = result["forget"]["indices"][7]
    test = app(store=store.url, run=result["key"], method="rurk", sample=str(sample))
    test.session_state["drawer"] = True
    fine(test.run())
    test.number_input(key="share_count").set_value(2)
    fine(test.button(key="share_make").click().run())
    (about,) = started
    assert about["spec"]["samples"][0] == sample and len(about["spec"]["samples"]) == 2
    assert about["device"] == "page", "it does not wait for experiments"
    key = share_job(about, store, lambda event: None, lambda: False)
    assert about["spec"]["title"] == "A page of 2 samples of Handwritten digits, 8×8, RURK"
    done = JobStatus("20260101t000000000000-abcdef", "done", about, result=key)
    for place in ("ui.sections.sharing", "ui.jobs.runs"):
        monkeypatch.setattr(f"{place}.list_jobs", lambda store: [done])
    there = {getattr(e, "key", None) for e in fine(test.run()).get("download_button")}
    assert f"share-save-{done.id}" in there
    monkeypatch.setattr("ui.jobs.runs.job_status", lambda store, job: done)
    listed = {getattr(e, "key", None) for e in fine(app("unlearn.py", store)).get("download_button")}
    assert f"save-{done.id}" in listed, "it is handed over in the list of runs too"


def test_a_sample_changed_by_hand_is_judged_and_nonsense_is_a_sentence(app, tiny_run):
    store, result = tiny_run
    about = told(fine(app(store=store.url, run=result["key"], method="rurk")))
    assert about["hand"]
    wanted = {"name": about["place"].split("/")[1], "sample": about["start"]["sample"], "cut": "adversarial"}
    header, found = unpack(stages._answer_hand(wanted, b'{"changes": {"blur": [0.4]}}').body)
    assert header["models"] == about["judges"] and found["picture"].shape == (8, 8, 1)
    searched, _ = unpack(stages._answer_hand(wanted, b'{"find": true}').body)
    assert len(searched["changes"]) == 1
    for said in (b"", b"[", b"[]", b'{"changes": {"blur": [9]}}', b"[" * 100_000, b"\xff"):
        answer = stages._answer_hand(wanted, said)
        assert answer.status_code == 422 and answer.body.endswith(b".")
    assert stages._answer_hand({**wanted, "name": "other"}, b"{}").status_code == 404


def test_parts_that_are_not_there_are_a_sentence(app, tiny_run):
    store, result = tiny_run
    place = told(fine(app(store=store.url, run=result["key"])))["place"]
    assert asked(place, "0/base").status_code == 200
    for part in ("0/nothing", "0/field/adversarial/99/0/0", "0/field/adversarial/x/0/0", "0/copies/adversarial/x/0"):
        assert asked(place, part).status_code == 404, part
    for part in ("0/field/nowhere/0/0/0", "99999999/base", "0/copies/adversarial/77/0", "0/field/samples:0:0/0/0/0"):
        assert asked(place, part).status_code == 422 and asked(place, part).body.endswith(b".")
    assert b"reload" in asked("stages/other", "0/base").body


def test_a_plane_that_is_none_is_left_out_of_the_link(app, tiny_run):
    store, result = tiny_run
    test = app(store=store.url, run=result["key"], cut="samples:5:5")
    assert not test.exception and not test.error
    assert any("does not exist here" in warning.value for warning in test.warning)


def test_the_smallest_changes_are_those_the_core_finds(app, tiny_run):
    from rurk_core.data import load_dataset, to_pixels
    from rurk_core.measure.radius import smallest_radii
    from rurk_core.run.plan import derived_seed
    from rurk_core.run.stored import load_model

    store, result = tiny_run
    sample = result["forget"]["indices"][0]
    test = app(store=store.url, run=result["key"], sample=str(sample), norm="linf")
    test.session_state["drawer"] = test.session_state["distance_box"] = True
    table = next(e.body for e in fine(test.run()).get("html") if "by random directions" in e.body)
    assert table.count("<tr>") == 1 + 4  # the Original, one method, two re-trained
    data = load_dataset("digits")
    key = next(row["key"] for row in result["models"] if row["role"] == "original")
    found = smallest_radii(
        load_model(store, key).requires_grad_(False),
        to_pixels(data.train_images[[sample]]),
        data.train_labels[[sample]],
        [sample],
        norm="linf",
        seed=derived_seed(result["seed"], "draws"),
    )
    shown = float(re.search(r"<b>([0-9.e-]+)</b>", table)[1])
    assert shown == pytest.approx(found.strong[0], rel=0.05)
