"""One finding of one sample and one of the set: the same on every page, in reports and on the command line."""

from __future__ import annotations

import contextlib
import html
import io
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from rurk_core.cli import main
from rurk_core.evidence.case import open_case
from rurk_core.evidence.findings import SAID, find
from rurk_core.evidence.words import sample_words, set_words, short_words
from rurk_core.report.document import make_report
from rurk_core.store.store import Store

METHODS = ("gd", "rurk-paper", "rurk")
DEMO = Path(__file__).parents[2] / "assets" / "demo"


@pytest.fixture(scope="module")
def bundled():
    """The bundled run's key, and what the one door says of it."""
    store = Store(DEMO, read_only=True)
    (entry,) = store.list("run")
    return entry.key, {name: find(open_case(store, entry.key, method=name)) for name in METHODS}


def everything(test: AppTest) -> str:
    """All that a page says, in whatever element, as plain text."""
    parts = [element.body for element in test.get("html")] + [element.value for element in test.markdown]
    parts += [json.dumps(json.loads(item.proto.json), ensure_ascii=False) for item in test.get("bidi_component")]
    return html.unescape(" ".join(parts)).replace("\\", "")


def test_the_set_is_said_alike_on_overview_and_compare(app, bundled):
    _, found = bundled
    overview, compare = everything(app("overview.py")), everything(app("compare.py"))
    for of in found.values():
        for text in (overview, compare):
            assert set_words(of) in text and short_words(of) in text


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_is_said_alike_on_neighbourhood_and_review(app, bundled, method):
    run, found = bundled
    for one in (found[method].samples[0], found[method].samples[-1]):
        asked = {"run": run, "method": method, "sample": str(one.sample)}
        assert sample_words(one, found[method]) in everything(app("review.py", **asked)), one.finding
        said = everything(app("neighbourhood.py", **asked))
        assert sample_words(one, found[method]) in said or SAID[one.finding] in said.lower(), one.finding


@pytest.mark.slow
def test_reports_and_the_command_line_say_the_same(bundled, tmp_path):
    run, found = bundled
    report = make_report(Store(tmp_path / "store", bundled=[DEMO]), run)
    text = html.unescape(report.html)
    spoken = io.StringIO()
    with contextlib.redirect_stdout(spoken):
        assert main(["evidence", run, "--store", str(tmp_path / "store"), "--json"]) == 0
    told = json.loads(spoken.getvalue())["models"]
    for method, of in found.items():
        answer = next(each for each in report.document["answers"] if each["method"] == method)
        assert answer["sentence"] == told[method]["evidence"]["sentence"] == set_words(of)
        assert set_words(of) in text
        listed = {each["sample"]: each for each in report.document["samples"] if each["method"] == method}
        for one, row in zip(of.samples, told[method]["evidence"]["samples"], strict=True):
            assert (row["sample"], row["finding"]) == (one.sample, one.finding)
            assert row["sentence"] == sample_words(one, of) and listed[one.sample]["finding"] == one.finding
    one = found["gd"].samples[0]
    alone = make_report(Store(tmp_path / "store", bundled=[DEMO]), run, sample=one.sample)
    assert sample_words(one, found["gd"]) in html.unescape(alone.html)


def test_lessons_say_of_their_points_what_the_evidence_says(app):
    from rurk_core.explore.lesson_case import lesson_findings
    from rurk_core.explore.lessons import lesson_from_bytes

    for panel, name in (("moons", "moons-gd"), ("iris", "iris-gd")):
        lesson = lesson_from_bytes((DEMO.parent / "teaching" / f"{name}.bin").read_bytes())
        test = app("teach.py", panel=panel)
        (data,) = (json.loads(item.proto.json) for item in test.get("bidi_component") if "told" in item.proto.json)
        for frame in (0, len(lesson.steps) // 2, -1):
            found = lesson_findings(lesson, data["at"], frame)
            assert {one.sample: one.finding for one in found.samples} == {
                int(point): each[frame] for point, each in data["told"].items()
            }
        if panel == "iris":
            assert set_words(lesson_findings(lesson, data["at"])) in everything(test)
