"""Reports: self-contained, safe whatever names hold, true to the stored numbers, and repeatable from themselves."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from reading import SCHEMA, SCRIPT, Page, checked
from safetensors.torch import save_file

from rurk_core.cli import main
from rurk_core.data import load_dataset
from rurk_core.errors import UsageError
from rurk_core.evidence.case import open_case
from rurk_core.evidence.findings import find
from rurk_core.evidence.reviews import Judgement, judge
from rurk_core.evidence.words import set_words
from rurk_core.report import document as reports
from rurk_core.report.document import latest_run, make_report, write_report
from rurk_core.report.looks import Look, looks_of
from rurk_core.report.svg import Curve, curves, histogram, nice
from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.run.stored import load_model, load_verdicts
from rurk_core.store.store import Store


@pytest.fixture(scope="module")
def whole(tiny_run):
    store, result = tiny_run
    return make_report(store, result["key"])


@pytest.fixture(scope="module")
def single(tiny_run):
    store, result = tiny_run
    return make_report(store, result["key"], sample=result["forget"]["indices"][3])


@pytest.mark.slow
@pytest.mark.parametrize("which", ["whole", "single"])
def test_a_report_is_one_page_and_one_document_of_the_published_schema(which, request, tmp_path):
    report = request.getfixturevalue(which)
    checked(report.html)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(report.json), SCHEMA)
    paths = write_report(report, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["report.html", "report.json", "experiment.json"]
    assert sum(path.stat().st_size for path in paths) < 3e6
    assert json.loads(paths[1].read_text()) == report.document


def test_the_published_schema_follows_from_the_list_of_statistics():
    from benchmarks.schema import written

    assert written(json.loads(json.dumps(SCHEMA))) == SCHEMA, "run: python -m benchmarks.schema"


def test_a_long_document_is_written_without_lines(whole, monkeypatch):
    short = whole.json
    monkeypatch.setattr(reports, "READABLE", 1000)
    assert json.loads(whole.json) == json.loads(short) and len(whole.json) < 0.8 * len(short) and "\n" in short


def test_the_numbers_are_those_of_the_run(whole, tiny_run):
    store, result = tiny_run
    document = whole.document
    assert {entry["method"]: entry for entry in document["residual"]} == {e["method"]: e for e in result["residual"]}
    assert [answer["method"] for answer in document["answers"]] == ["gd", "rurk", "original"]
    verdicts = load_verdicts(store, result["residual"][0]["verdicts"])
    u, v = verdicts.recognised("gd"), verdicts.reference_recognised()
    rows = [row for row in document["samples"] if row["method"] == "gd"]
    found = find(open_case(store, result["key"], method="gd"))
    assert [row["sample"] for row in rows] == [one.sample for one in found.samples]
    for row, one in zip(rows, found.samples, strict=True):
        assert row["recognised"] == u[one.place].tolist() and row["over_radii"] == u[one.place, 1:].sum()
        assert row["references"] == v[:, one.place, 1:].sum(1).tolist() == row["references_over_radii"]
        assert row["evidence"] == one.row and row["finding"] == one.finding
        assert row["excess"] == pytest.approx(
            100 * (u[one.place, 1:].sum() - np.mean(row["references"])) / 40, abs=1e-6
        )
    answer = document["answers"][0]
    assert answer["evidence"] == found.to_dict() and answer["samples"] == 64
    assert answer["sentence"] == set_words(found) and "at least 3 re-trained models" in whole.html


def test_fingerprints_are_of_the_stored_weights(whole, tiny_run):
    store, result = tiny_run
    import hashlib

    for row in whole.document["models"]:
        data = store.read(row["key"], "model.safetensors")
        assert row["weights_sha256"] == hashlib.sha256(data).hexdigest() and row["weights_sha256"] in whole.html
    assert result["dataset"]["fingerprint"] in whole.html


def test_computing_it_again_gives_the_same_numbers(whole, tiny_run, tmp_path, monkeypatch, capsys):
    """From the report alone: its file, its command."""
    monkeypatch.chdir(tmp_path)
    write_report(whole, tmp_path)
    words = shlex.split(whole.document["rerun"]["command"])
    assert words[0] == "rurk" and main(words[1:]) == 0
    assert main(["report", "latest", "--store", "rurk-store", "--out", "again"]) == 0
    again = json.loads((tmp_path / "again" / "report.json").read_text())
    for name in ("answers", "data", "forget", "samples", "residual", "settings", "question"):
        assert again[name] == whole.document[name]
    kept = ("name", "role", "key", "retain_accuracy", "unlearn_accuracy", "test_accuracy")
    ours, theirs = ([{name: row[name] for name in kept} for row in d["models"]] for d in (again, whole.document))
    assert ours == theirs


@pytest.mark.slow
def test_a_forget_set_from_a_file_is_written_out(tmp_path):
    data = load_dataset("digits")
    file = tmp_path / "set.json"
    file.write_text(
        json.dumps(
            {"format": "rurk-forget-set/1", "dataset": "digits", "fingerprint": data.fingerprint, "indices": [5, 9, 11]}
        )
    )
    store = Store(tmp_path / "store")
    spec = make_spec(forget=f"file:{file}", methods="gd:epochs=0", references=1, taus="0", draws=1, train={"epochs": 1})
    report = make_report(store, run(spec, store)["key"])
    assert report.document["rerun"]["experiment"]["forget"] == "indices:5,9,11"


def test_an_audit_names_its_files_and_its_command(tiny_run, tmp_path, capsys):
    from rurk_core.run.audit import audit

    store, result = tiny_run
    paths = {}
    for row in result["models"]:
        paths[row["name"]] = tmp_path / f"{row['name']} of <b>mine.safetensors"
        save_file(load_model(store, row["key"]).state_dict(), paths[row["name"]])
    own = Store(tmp_path / "store")
    found = audit(
        own,
        dataset="digits",
        forget="indices:" + ",".join(map(str, result["forget"]["indices"])),
        original=paths["original"],
        unlearned=[paths["gd"]],
        retrained=[],
        taus="0,0.1",
        draws=5,
    )
    report = make_report(own, found["key"])
    checked(report.html)
    jsonschema.validate(report.document, SCHEMA)
    assert report.document["kind"] == "audit" and report.document["rerun"]["experiment"] is None
    assert found["audit"]["files"]["unlearned"]["sha256"] in report.html and "<b>mine" not in report.html
    assert "no re-trained model to compare with" in report.document["answers"][0]["sentence"]
    assert [path.name for path in write_report(report, tmp_path / "out")] == ["report.html", "report.json"]
    words = shlex.split(report.document["rerun"]["command"])
    assert main([*words[1:], "--store", str(tmp_path / "again"), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["key"], again["residual"]) == (found["key"], found["residual"])


def test_names_and_notes_are_text_whatever_they_look_like(tiny_run, tmp_path):
    store, result = tiny_run
    own = Store(tmp_path)
    changed = json.loads(json.dumps(result))
    changed["dataset"] |= {"name": SCRIPT, "classes": [SCRIPT] * 10, "source": SCRIPT, "licence": SCRIPT}
    changed["notes"] = [SCRIPT]
    changed["spec"]["title"] = SCRIPT
    for row in changed["models"]:
        row["file"] = SCRIPT
        row["sha256"] = "0" * 64
    for key in (
        {e["verdicts"] for e in result["residual"]}
        | {row["key"] for row in result["models"]}
        | set(result["peers"].values())
    ):
        document = json.loads(store.read(key, "spec.json"))
        own.put(key, document["spec"], {name: store.read(key, name) for name in document["files"]})
    own.put(result["key"], {"title": SCRIPT}, {"result.json": json.dumps(changed).encode()})
    sample = result["forget"]["indices"][0]
    judge(own, result["key"], Judgement(sample, SCRIPT, "residual", note=SCRIPT, author=SCRIPT))
    for report in (make_report(own, result["key"]), make_report(own, result["key"], sample=sample)):
        page = checked(report.html)
        jsonschema.validate(report.document, SCHEMA)
        assert SCRIPT in "".join(page.text) and "<img src=x" not in report.html


def test_a_report_on_a_sample_shows_it_and_its_judgements(single, tiny_run, tmp_path):
    document, (_, result) = single.document, tiny_run
    sample = result["forget"]["indices"][3]
    assert {row["sample"] for row in document["samples"]} == {sample} and len(document["samples"]) == 3
    assert all(np.shape(row["references"]) == (2, 3) for row in document["samples"])
    page = Page(single.html)
    pictures = [found for tag, found in page.tags if tag == "img"]
    assert pictures[0]["alt"] == f"sample {sample}" and len(pictures) == 1 + 20


def test_without_the_data_there_are_no_pictures_and_a_sentence(tiny_run, monkeypatch):
    store, result = tiny_run

    def missing(*_):
        raise UsageError("The data is not there.")

    monkeypatch.setattr(reports, "data_of", missing)
    report = make_report(store, result["key"], sample=result["forget"]["indices"][0])
    assert "no pictures: The data is not there." in report.html and "<img" not in report.html


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["run-0123456789abcdef"], "There is no run"),
        (["../../etc/passwd"], "There is no run"),
        (["original-0123456789abcdef"], "There is no run"),
        (["latest", "--sample", "-1"], "Sample -1 is not among"),
        (["latest", "--sample", "x"], "invalid int value"),
    ],
)
def test_what_cannot_be_reported_is_said(arguments, reason, tiny_run, capsys, tmp_path):
    code = main(["report", *arguments, "--store", tiny_run[0].url, "--out", str(tmp_path / "out")])
    err = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and len(err) == 1 and reason in err[0] and not (tmp_path / "out").exists()


def test_the_latest_run_of_an_empty_store_is_the_one_that_came_with_the_app(tmp_path):
    with pytest.raises(UsageError, match="make one with"):
        latest_run(Store(tmp_path / "empty"))
    demo = Path(__file__).parents[2] / "assets" / "demo"
    (bundled,) = Store(demo, read_only=True).list("run")
    assert latest_run(Store(tmp_path / "empty", bundled=[demo])) == bundled.key


def test_a_folder_that_cannot_be_written_is_said(whole, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(reports.RurkError, match="could not be saved"):
        write_report(whole, tmp_path / "file")


# --- figures -------------------------------------------------------------------------------------------------

RED = Look("m", "<M>", "M", "#D55E00", "diamond", "dash")


def test_curves_lie_where_the_numbers_say():
    svg = curves([0.0, 0.5, 1.0], [Curve(RED, np.array([0.0, 50, 100]))], None, title="a < b", across="τ", label="l")
    Page(svg)
    ((points,),) = [re.findall(r'polyline points="([^"]*)"', svg)]
    found = [tuple(map(float, point.split(","))) for point in points.split()]
    assert found == [(58, 254), (333, 134), (608, 14)] and "a &lt; b" in svg


def test_a_curve_without_a_value_has_a_gap_and_one_radius_is_enough():
    assert curves([0.1], [Curve(RED, np.array([np.nan]))], None, title="t", across="τ", label="l").count("<circle") == 0
    svg = curves(
        [0.0, 1.0],
        [Curve(RED, np.array([1.0, np.nan]))],
        (np.array([0.0, 1]), np.array([1.0, 2])),
        title="t",
        across="τ",
        label="l",
    )
    assert "nan" not in svg and svg.count("<polygon") == 1


def test_a_histogram_counts_every_sample_once():
    svg = histogram(np.array([-9.0, 0.5, 0.6, 1.5]), np.arange(-2.0, 3), colour="#000", title="t", label="l")
    assert [int(n) for n in re.findall(r"<title>(\d+)</title>", svg)] == [1, 2, 1]


@pytest.mark.parametrize(("value", "expected"), [(0.3, 0.5), (7, 10), (100, 100), (0.025, 0.025), (0, 1), (2.1, 2.5)])
def test_nice_numbers(value, expected):
    assert nice(value) == pytest.approx(expected)


@pytest.fixture(scope="module")
def smallest(tmp_path_factory):
    """One sample, one re-trained model, one copy, no radius above 0."""
    store = Store(tmp_path_factory.mktemp("smallest"))
    asked = {"references": 1, "taus": "0", "draws": 1, "train": {"epochs": 1}, "relearn": 0}
    return store, run(make_spec("iris", forget="indices:3", methods="gd:epochs=1", **asked), store)


@pytest.mark.slow
def test_what_a_report_says_is_true_of_one_of_everything(smallest):
    store, result = smallest
    text = make_report(store, result["key"]).html
    assert "1 of 108 training samples of iris was to be forgotten" in text and "copies of it that" in text
    assert "over the copies at τ = 0:" in text and "radii above 0:" not in text
    assert "Counts are of one copy at each radius" in text and "1 sample, rule indices:3" in text
    assert "nothing was removed from it" in text
    alone = make_report(store, result["key"], sample=3).html
    assert "τ = 0 is the radius that was measured." in alone and "the share of them that do" not in alone


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ([np.inf, np.inf], "On no sample could any log-odds have been found residual"),
        ([2.0, 4.0], "It takes log-odds of 3.0 beyond a re-training (median) to be found residual in 4 of 5 cases."),
        ([2.0, np.inf, np.inf], "On 2 of the 3 samples no log-odds could have been found residual in 4 of 5 cases; on"),
    ],
)
def test_what_could_have_been_found(seen, said):
    from types import SimpleNamespace

    assert said in reports._detectable(SimpleNamespace(detectable=np.array(seen)))


@pytest.mark.parametrize(
    ("references", "taus", "unmarked", "said"),
    [
        (3, [0.0, 0.1], 0, "strong as the share of them that do. τ = 0.1 is the radius at which a model and the re-"),
        (1, [0.0, 0.1], 1, "faint where it does not. τ = 0.1 is the radius at which a model and the re-trained ones"),
        (0, [0.0, 0.1], 2, "τ = 0.1 is the radius at which a model recognises most copies. 2 further models have no"),
        (1, [0.1], 0, "τ = 0.1 is the radius that was measured."),
    ],
)
def test_what_marks_on_copies_mean(references, taus, unmarked, said):
    from types import SimpleNamespace

    from rurk_core.report.figures import _marks_words

    table = SimpleNamespace(references=tuple("r" * references), taus=np.array(taus))
    words = _marks_words(0.1, table, unmarked)
    assert said in words and ("no mark here" in words) == bool(unmarked)


def test_every_model_of_a_usual_run_has_a_mark_on_copies():
    from types import SimpleNamespace

    from rurk_core.report.figures import Copies, copies_of

    methods = [f"unlearned-{i + 1}" for i in range(8)]
    names = ["original", "reference-1", *methods]
    looks = looks_of([{"name": "original", "role": "original"}, {"name": "reference-1", "role": "reference"}])
    looks |= dict.fromkeys(methods, looks["original"])
    table = SimpleNamespace(models=tuple(names), references=("reference-1",), taus=np.array([0.0, 0.1]))
    drawn = copies_of(Copies(0.1, np.zeros((1, 1, 4, 4), np.float32), np.ones((10, 1))), table, looks)
    assert "no mark here" not in drawn and drawn.count("opacity:1.00") == 10
