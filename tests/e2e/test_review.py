"""A reviewer at work: the strongest sample first, a note, a verdict by key, the next sample, a report opened."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from rurk_core.data import load_dataset
from rurk_core.evidence.case import open_case
from rurk_core.evidence.reviews import history
from rurk_core.evidence.whole_set import make_whole_set
from rurk_core.measure import radius
from rurk_core.store.store import Store

from .conftest import settled, written

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def reviewed(tiny_run, serve, tmp_path_factory):
    """The address of a server on the tiny run, and its store."""
    folder = tmp_path_factory.mktemp("reviewed") / "store"
    shutil.copytree(Path(tiny_run[0].url) / "runs", folder / "runs")
    return serve(folder), Store(folder), tiny_run[1]["key"]


def test_judging_by_key_and_taking_the_report_home(reviewed, visit, tmp_path):
    url, store, run = reviewed
    page = visit(f"{url}/review?run={run}")
    who = page.locator(".rk-who")
    first = int(who.inner_text().split()[1].strip(","))
    note = page.get_by_label("Note, kept as it is typed")
    note.press_sequentially("2 of 4: <b>looks</b> like a six")
    assert history(store, run) == [], "digits in a note decide nothing"
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")  # at once: the note must not be lost
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("2")
    page.locator(".stMarkdown", has_text="1 of 64 decided").wait_for()  # the server's own count
    assert f"Sample {first}," not in who.inner_text(), "deciding goes on to the next one"
    (judgement,) = history(store, run)
    assert (judgement.sample, judgement.verdict) == (first, "residual")
    assert judgement.note == "2 of 4: <b>looks</b> like a six"
    page.keyboard.press("ArrowLeft")
    sample = first
    who.filter(has_text=f"Sample {first},").wait_for()
    assert note.input_value() == judgement.note
    settled(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Report on this sample").click()
    path = tmp_path / "report.html"
    waiting.value.save_as(path)
    asked = []
    report = page.context.new_page()
    report.on("request", lambda request: asked.append(request.url))
    report.goto(path.as_uri())
    assert f"sample {sample}" in report.locator("h1").inner_text()
    assert "2 of 4: <b>looks</b> like a six" in report.locator("blockquote").text_content()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    pdf = report.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF") and len(pdf) < 3e6


def test_no_key_is_lost_however_fast_and_back_leaves_in_one_step(reviewed, visit):
    url, _, run = reviewed
    page = visit(f"{url}/compare?run={run}")
    page.get_by_role("link", name="Review").first.click()
    page.locator(".rk-who").wait_for()
    settled(page)
    for _ in range(10):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(60)
    assert ", 11 of 64" in page.locator(".rk-who").inner_text()
    settled(page)
    assert ", 11 of 64" in page.locator(".rk-who").inner_text()
    written(page, "sample=")
    page.go_back()
    page.get_by_role("heading", name="Compare").wait_for()


def test_a_sample_that_stayed_and_changed_opens_in_its_neighbourhood(reviewed, visit, forge, monkeypatch):
    url, store, run = reviewed
    monkeypatch.setattr(radius, "ATTEMPTS", 1)
    monkeypatch.setattr(radius, "DIRECTIONS", 16)
    document = make_whole_set(open_case(store, run, method="rurk"), load_dataset("digits"))
    # so that there is something to click, whatever the small models did
    first = document["retained"]["samples"][0]
    first["q_forgotten"], document["retained"]["changed"] = 0.0, [first["sample"]]
    forge(store, document["key"], "wholeset.json", document)
    page = visit(f"{url}/review?run={run}&method=rurk&more=whole")
    page.get_by_role("group", name="Retained samples that changed").get_by_role("button").click()
    page.get_by_text("This sample stays").first.wait_for()
    page.wait_for_url(re.compile(rf"/neighbourhood\?.*sample={first['sample']}\b"))
    page.get_by_role("heading", name="Neighbourhood").wait_for()


WATCH = """who => {
  const said = (window.said = [who.innerText]);
  new MutationObserver(() => { if (said.at(-1) !== who.innerText) said.push(who.innerText); })
    .observe(who, { childList: true, characterData: true, subtree: true });
}"""


def test_an_answer_to_an_earlier_step_does_not_take_the_reviewer_back(reviewed, visit):
    url, _, run = reviewed
    page = visit(f"{url}/review?run={run}")
    page.locator(".rk-who").evaluate(WATCH)
    for _ in range(8):  # each step is told to the server before its answer to the one before can be here
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(200)
    settled(page)
    places = [int(re.search(r", (\d+) of", text)[1]) for text in page.evaluate("window.said")]
    assert places == list(range(1, 10))
