"""A stage in a file: opened from a folder, without a server and without a network, it moves as in the app."""

from __future__ import annotations

import pytest

from rurk_core.cli import main

from .conftest import ROOT
from .test_stage import RADII

pytestmark = pytest.mark.e2e
STAGE = "document.querySelector('.rks').stage"


def until(page, expression: str) -> None:
    """Wait until an expression is true; the page's own rules forbid the browser to do the waiting."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    out = tmp_path_factory.mktemp("shared") / "stage.html"
    store = str(ROOT / "assets" / "demo")
    assert main(["share", "latest", "--store", store, "--count", "4", "--method", "gd", "--out", str(out)]) == 0
    return out


def test_the_file_moves_without_a_server(file, browser):
    context = browser.new_context(offline=True, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=30_000)
    first = page.locator(".rks").get_attribute("data-sample")
    page.keyboard.press("ArrowRight")
    until(page, f"document.querySelector('.rks').dataset.sample !== '{first}'")
    page.wait_for_selector(".rks[data-drawn='true true']")
    said = page.locator(".rks-finding").inner_text()
    page.locator(".rks-tau input").focus()
    page.keyboard.press("End")
    until(page, "document.querySelector('.rks-tau span').textContent === 'τ = 0.2'")
    assert page.locator(".rks-finding").inner_text() != said
    heads = page.locator(".rks-head:not([hidden]) b").all_inner_texts()
    assert sum(map(int, heads)) == page.evaluate(f"{STAGE}.copies.count")
    page.locator(".rks-cut select").select_option("copies")
    until(page, f"{STAGE}.frame.panels.every(panel => panel.part?.cut === 'copies')")
    until(page, "location.hash.includes('cut=copies') && location.hash.includes('tau=0.2')")
    where, sample = page.url, page.locator(".rks").get_attribute("data-sample")
    again = context.new_page()
    again.goto(where)
    again.wait_for_selector(".rks[data-drawn='true true']")
    assert again.locator(".rks").get_attribute("data-sample") == sample
    assert again.locator(".rks-tau span").inner_text() == "τ = 0.2"
    assert not wrong and all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    context.close()


def test_the_file_answers_on_a_phone(file, browser):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    side = page.locator(".rks-copy")
    assert side.evaluate("e => e.scrollHeight <= e.clientHeight + 1"), "nothing of the copy is in a scroller of its own"
    page.locator(".rks-rows > :last-child").scroll_into_view_if_needed()
    for row in page.locator(".rks-one .rks-row").all():
        box = row.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 845
    tops = [number.bounding_box()["y"] for number in page.locator(".rks-panels b").all()]
    assert max(tops) - min(tops) < 1
    context.close()


@pytest.mark.parametrize("size", [(1440, 900), (1280, 720)])
def test_nothing_in_the_file_is_cut(file, browser, size):
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=30_000)
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(300)
        assert page.evaluate(RADII) == []
    context.close()
