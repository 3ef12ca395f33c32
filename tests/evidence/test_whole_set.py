"""Evidence on a whole forget set: one document per run, model and attack, made once, resumed, told apart by content."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from reading import SCHEMA, SCRIPT, checked

from rurk_core.cli import main
from rurk_core.data import load_dataset
from rurk_core.errors import Cancelled, UsageError
from rurk_core.evidence import case as judging
from rurk_core.evidence import radii as radii_module
from rurk_core.evidence import whole_set as wholeset
from rurk_core.evidence.case import open_case
from rurk_core.evidence.signals import siblings, signals_of
from rurk_core.evidence.whole_set import (
    find_whole_set,
    make_whole_set,
    other_siblings,
    radii_summary,
    whole_set_costs,
    whole_set_job,
    whole_set_key,
)
from rurk_core.evidence.whole_words import changes
from rurk_core.measure import radius
from rurk_core.measure.radius import Radii
from rurk_core.report.document import make_report, write_report
from rurk_core.run.experiment import run
from rurk_core.store.store import Store

MADE = ("wholeset-*", "radii-*", "more_verdicts-*", "evidence-*")


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Coarse searches: what is tested here is what is made of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(radius, "ATTEMPTS", 3)
        patch.setattr(radius, "DIRECTIONS", 16)
        yield


@pytest.fixture(scope="module")
def few(tiny_spec):
    """Six samples, three references, one method."""
    return replace(tiny_spec, forget="class:0:0.04", references=3, methods=tiny_spec.methods[:1], relearn=0)


@pytest.fixture(scope="module")
def made(few, tmp_path_factory):
    """A store with a run, the run, the data, and the document on its model."""
    store, data = Store(tmp_path_factory.mktemp("whole")), load_dataset("digits")
    result = run(few, store)
    return store, result, data, make_whole_set(open_case(store, result["key"], method="gd"), data)


def test_a_document_has_all_parts_and_is_made_once(made, monkeypatch):
    store, result, data, document = made
    n = len(result["forget"]["indices"])
    assert (
        document["key"] == whole_set_key(open_case(store, result["key"], method="gd"))
        and document["attack"] == "gaussian"
    )
    assert document["missing"] == {} and document["references"] == 3
    assert [signal["name"] for signal in document["membership"]][:4] == ["SVC", "confidence", "LiRA", "RMIA"]
    for signal in document["membership"]:
        assert 0 <= signal["low"] <= signal["auc"] <= signal["high"] <= 1
        fpr, tpr = signal["curve"]
        assert len(fpr) == len(tpr) == 101 and tpr == sorted(tpr) and tpr[-1] == 1
    for norm in ("l2", "linf"):
        found = document["radii"][norm]
        assert len(found["said"]) == len(found["strong"]) == n and found["expected"] == n / 4
        models = found["share"]["strong"]["models"]
        assert list(models) == ["original", "gd", "reference-1", "reference-2", "reference-3"]
        here = found["share"]["strong"]["grid"].index(0)
        assert models["gd"][here] == pytest.approx(np.mean(found["said"]), abs=1e-4)
        assert all(shares == sorted(shares, reverse=True) for shares in models.values())
    assert len(document["retained"]["samples"]) == 100 and document["unreferenced"]["agreement"]
    assert all("calibrated" in row for row in document["unreferenced"]["samples"])
    monkeypatch.setattr(wholeset, "radii_of", None)  # not asked again
    again = make_whole_set(open_case(store, result["key"], method="gd", attack="gaussian"), data)
    assert again == find_whole_set(open_case(store, result["key"], method="gd")) == json.loads(json.dumps(document))


def test_parts_that_are_kept_are_not_computed_again(made, monkeypatch, tmp_path):
    """The command's own parts and the document's are the same entries."""
    store, result, data, _ = made
    fresh = Store(tmp_path / "own", bundled=[store.url])
    Path(fresh.root).mkdir(exist_ok=True)
    costs = whole_set_costs(open_case(store, result["key"], method="gd"), data)
    assert costs["Radii, l2"] == costs["Radii, linf"] == 0 == costs["Verdicts, held-out samples"]
    monkeypatch.setattr(radii_module, "measure", None)
    monkeypatch.setattr(judging, "count_alike", None)
    asked = ["--method", "gd", "--radius", "l2", "--radius", "linf", "--retained", "100", "--unreferenced"]
    assert main(["evidence", result["key"], "--store", store.url, *asked]) == 0


def test_a_damaged_document_is_made_anew(made, tmp_path):
    store, result, data, document = made
    shutil.copytree(Path(store.url) / "runs", tmp_path / "runs")
    own = Store(tmp_path)
    (tmp_path / "runs" / document["key"] / "wholeset.json").write_text("{")
    assert find_whole_set(open_case(own, result["key"], method="gd")) is None
    again = make_whole_set(open_case(own, result["key"], method="gd"), data)
    assert again["radii"] == document["radii"] and find_whole_set(open_case(own, result["key"], method="gd"))


def test_a_stopped_job_goes_on_where_it_was(made, tmp_path):
    store, result, data, document = made
    shutil.copytree(Path(store.url) / "runs", tmp_path / "runs", ignore=shutil.ignore_patterns(*MADE))
    own = Store(tmp_path)
    job = {"spec": {"run": result["key"], "method": "gd", "attack": "gaussian"}, "device": "cpu"}
    events = []

    def stop_after_one_norm() -> bool:
        return any(event["stage"] == "Radii, linf" for event in events)

    with pytest.raises(Cancelled):
        whole_set_job(job, own, events.append, stop_after_one_norm)
    assert find_whole_set(open_case(own, result["key"], method="gd")) is None
    assert len(own.list("radii")) == 5, "those of the first norm are kept"
    costs = whole_set_costs(open_case(own, result["key"], method="gd"), data)
    assert costs["Radii, l2"] == 0 < costs["Radii, linf"]
    shares = [event["overall"] for event in events]
    assert shares == sorted(shares)
    key = whole_set_job(job, own, lambda event: None, lambda: False)
    found = find_whole_set(open_case(own, result["key"], method="gd"))
    assert key == found["key"] == document["key"]
    assert {k: v for k, v in found.items() if k != "made_with"} == {
        k: v for k, v in document.items() if k != "made_with"
    }


def test_what_cannot_be_measured_is_said(made):
    store, result, data, _ = made
    with pytest.raises(UsageError, match="no model 'nobody'"):
        make_whole_set(open_case(store, result["key"], method="nobody"), data)
    with pytest.raises(UsageError, match="it has gaussian"):
        whole_set_key(open_case(store, result["key"], method="gd", attack="pgd"))
    with pytest.raises(UsageError, match="Name a run"):
        whole_set_job({"spec": {"run": 7}}, store, lambda event: None, lambda: False)
    with pytest.raises(UsageError, match="fingerprint"):
        make_whole_set(open_case(store, result["key"], method="original"), replace(data, fingerprint="0" * 16))


def test_without_references_two_parts_are_missing_and_say_why(made, tmp_path):
    from safetensors.torch import save_file

    from rurk_core.run.audit import audit
    from rurk_core.run.stored import load_model

    store, result, *_ = made
    paths = {}
    for row in result["models"][:2]:
        paths[row["name"]] = tmp_path / f"{row['name']}.safetensors"
        save_file(load_model(store, row["key"]).state_dict(), paths[row["name"]])
    own, whole = Store(tmp_path / "store"), load_dataset("digits?validation=0")
    forget = "indices:" + ",".join(map(str, result["forget"]["indices"][:4]))
    found = audit(
        own, dataset="digits", forget=forget, original=paths["original"], unlearned=[paths["gd"]], taus="0.2", draws=5
    )
    document = make_whole_set(open_case(own, found["key"], method="unlearned"), whole)
    assert document["membership"] is None and document["retained"] is None and document["references"] == 0
    assert set(document["missing"]) == {"membership", "retained"}
    assert document["radii"]["l2"]["beyond_all"] is None and document["unreferenced"]["agreement"] is None
    assert siblings(own, found["models"][1]["key"], found["models"][1]["scores"]) == {}


def test_models_of_other_seeds_join_the_attack_and_name_another_document(made, few):
    store, result, data, document = made
    before = {s.name: s for s in signals_of(open_case(store, result["key"], method="gd"), data)[0]}
    assert (before["LiRA"].inside, before["LiRA"].outside) == (0, 2) and before["SVC"].outside == 0
    others = [run(replace(few, seed=seed), store) for seed in (8, 9)]
    # one that differs in a setting, and one with another forget set, do not count
    changed = few.methods[0]
    changed = replace(changed, config=replace(changed.config, lr=0.02))
    run(replace(few, seed=10, methods=(changed,)), store)
    run(replace(few, seed=11, forget="class:1:0.04"), store)
    row = next(row for row in result["models"] if row["name"] == "gd")
    expected = {next(r["key"] for r in other["models"] if r["name"] == "gd") for other in others}
    assert set(siblings(store, row["key"], row["scores"])) == expected
    after = {s.name: s for s in signals_of(open_case(store, result["key"], method="gd"), data)[0]}
    assert (after["LiRA"].inside, after["LiRA, copies"].inside, after["SVC"].inside) == (2, 0, 0)
    assert after["LiRA"].to_dict()["inside"] == 2
    assert np.array_equal(after["SVC"].own, before["SVC"].own)
    # a reference handed in as unlearned never saw the samples
    assert all(s.inside == 0 for s in signals_of(open_case(store, result["key"], method="reference-1"), data)[0])
    case = open_case(store, result["key"], method="gd")
    assert whole_set_key(case) != document["key"] and find_whole_set(case) == document, "what was measured stays"
    assert other_siblings(case, document["key"]) == (0, 2)
    (told,) = [e for e in make_report(store, result["key"]).document["whole_set"] if e["method"] == "gd"]
    assert told["found"]["radii"] == document["radii"] and "held 0 other models" in told["sentence"]
    assert "; now it holds 2." in told["sentence"]
    again = make_whole_set(case, data)
    assert again["key"] == whole_set_key(case) and find_whole_set(case) == again != document
    assert other_siblings(case, again["key"]) is None and again["radii"] == document["radii"]


def test_radii_in_shares_by_hand():
    """Two of four are said; the others come back at 0.1 and never. Radii to the border of the said ones: 0.3, 0.2."""
    own = Radii("linf", np.array([1, 1, 0, 0], bool), np.array([0.3, 0.2, 0.1, np.inf]), np.full(4, np.inf))
    other = Radii("linf", np.array([1, 0, 0, 0], bool), np.array([0.4, 0.2, 0.3, 0.5]), np.full(4, 0.5))
    found = radii_summary({"m": own, "reference-1": other}, "m", ["reference-1"])
    share = found["share"]["strong"]
    at = {round(change, 6): place for place, change in enumerate(share["grid"])}
    m, reference = share["models"]["m"], share["models"]["reference-1"]
    assert 0.0 in at and share["grid"][0] <= -0.4 and share["grid"][-1] >= 0.35
    assert m[at[0.0]] == 0.5 and reference[at[0.0]] == 0.25
    assert m[0] == 0.75 and reference[0] == 0.75 and m[-1] == 0
    further = next(place for place, change in enumerate(share["grid"]) if 0.31 < change < 0.39)
    assert m[further] == 0 and reference[further] == 0.25, "0.4 is not found within it"
    assert m == sorted(m, reverse=True)
    # sample 1 is said by m alone, sample 2 is nearer; sample 0 has a nearer border, sample 3 is never found
    assert (found["beyond_all"], found["expected"]) == (2, 2.0)
    assert found["strong"] == [0.3, 0.2, 0.1, None] and found["random"] == [None] * 4


def test_changes_in_words():
    row = {"q_residual": 0.01, "q_forgotten": 1.0, "q_shift": 0.2, "shift": -3.0}
    assert changes(row, 0.05) == ["recognised more firmly than after re-training"]
    assert changes(row | {"q_shift": 0.05}, 0.05)[1] == "membership signal lower"
    assert changes(row | {"q_residual": 0.5}, 0.05) == []


def test_the_command_reads_and_writes_the_document(made, capsys):
    store, result, _, _ = made
    asked = ["evidence", result["key"], "--store", store.url, "--method", "original", "--whole"]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["models"]["original"]
    kept = find_whole_set(open_case(store, result["key"], method="original"))
    assert found["key"] == kept["key"] and found["radii"] == kept["radii"]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert "in / out" in printed and kept["key"] in printed and "Held-out samples of the same class" in printed


# --- in reports ---------------------------------------------------------------------------------------------------


def test_a_report_has_the_same_sections_once_they_are_measured(made, tmp_path):
    store, result, _, document = made
    # models of other seeds, which other tests leave behind, would make it another document
    kept = {row["key"] for row in result["models"]}
    others = [entry.key for entry in store.list("unlearned") if entry.key not in kept]
    shutil.copytree(Path(store.url) / "runs", tmp_path / "runs", ignore=shutil.ignore_patterns(*others))
    report = make_report(Store(tmp_path), result["key"])
    jsonschema.validate(json.loads(report.json), SCHEMA)
    page = checked(report.html)
    by_method = {entry["method"]: entry for entry in report.document["whole_set"]}
    found = by_method["gd"]["found"]
    assert found["radii"] == document["radii"] and found["retained"] == document["retained"]
    text = " ".join(page.text)
    assert "Re-recognition radius" in text and "Those who stayed" in text and "LiRA" in text
    assert f"{document['membership'][0]['auc']:.3f}" in text and "Measured here, it gives the same answer" in text
    paths = write_report(report, tmp_path / "out")
    assert sum(path.stat().st_size for path in paths) < 3e6


def test_a_report_says_in_one_sentence_what_was_not_measured(made, capsys, tmp_path):
    """And the command in it makes it."""
    import shlex

    store, result, _, _ = made
    shutil.copytree(Path(store.url) / "runs", tmp_path / "runs", ignore=shutil.ignore_patterns("wholeset-*"))
    own = Store(tmp_path)
    report = make_report(own, result["key"])
    jsonschema.validate(report.document, SCHEMA)
    entry = next(entry for entry in report.document["whole_set"] if entry["method"] == "gd")
    assert entry["found"] is None and "Not measured" in report.html
    words = shlex.split(entry["sentence"].rpartition("or run: ")[2])
    assert words[0] == "rurk" and main([*words[1:], "--store", own.url]) == 0
    assert find_whole_set(open_case(own, result["key"], method="gd", attack="gaussian"))
    single = make_report(own, result["key"], sample=result["forget"]["indices"][0])
    assert single.document["whole_set"] == [] and "Not measured" not in single.html


def test_names_in_the_sections_are_text_whatever_they_look_like(made, forge, tmp_path):
    store, result, data, _ = made
    shutil.copytree(Path(store.url) / "runs", tmp_path / "runs")
    own = Store(tmp_path)
    document = make_whole_set(open_case(own, result["key"], method="gd"), data)
    row = document["retained"]["samples"][0]
    document["retained"]["changed"] = [row["sample"]]
    row["q_forgotten"] = 0.0
    document["missing"] = {"unreferenced": SCRIPT}
    document["membership"][0]["name"] = SCRIPT
    changed = json.loads(json.dumps(result))
    changed["dataset"]["classes"] = [SCRIPT] * 10
    forge(own, document["key"], "wholeset.json", document)
    forge(own, result["key"], "result.json", changed)
    report = make_report(own, result["key"])
    assert next(e for e in report.document["whole_set"] if e["method"] == "gd")["found"]["missing"]
    page = checked(report.html)
    assert "".join(page.text).count(SCRIPT) >= 4 and "<script" not in report.html
