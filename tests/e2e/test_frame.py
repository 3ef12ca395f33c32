"""What stands around every page in a real browser: addresses, Back, what runs, what fits on a phone, long names."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rurk_core.jobs.control import cancel_job, start_job
from rurk_core.store.store import Store

from .conftest import settled

pytestmark = pytest.mark.e2e


def test_a_deep_link_complains_of_nothing_and_back_leaves_in_one_press(server, browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page, complaints = context.new_page(), []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto("about:blank")
    page.goto(f"{server}/compare")
    page.get_by_role("heading", name="Compare").first.wait_for(timeout=60_000)
    settled(page)
    assert not complaints and "run=" in page.url
    page.go_back()
    assert page.url == "about:blank"
    context.close()


def test_an_address_that_is_no_page_is_one_sentence_on_the_overview(server, visit):
    page = visit(f"{server}/compare")
    page.goto(f"{server}/Nonsense?method=gd")
    page.get_by_text("There is no page “Nonsense”").wait_for(timeout=60_000)
    settled(page)
    assert page.locator("[role=dialog]").count() == 0 and page.locator("[data-testid=stAlert]").count() == 1
    assert "nowhere" not in page.url and page.get_by_role("heading", name="What does an unlearned").is_visible()
    page.go_back()
    page.get_by_role("heading", name="Compare").first.wait_for(timeout=20_000)


def test_what_runs_stands_below_the_page_and_covers_nothing(serve, visit, tmp_path):
    store = Store(tmp_path / "store")
    url = serve(tmp_path / "store")
    job = start_job(
        store, {"kind": "experiment", "spec": {"title": "A run"}}, runner="tests.job_runners:until_cancelled"
    )
    try:
        for width, height in ((1440, 900), (1280, 720), (390, 844)):
            page = visit(f"{url}/neighbourhood", width=width, height=height)
            dock = page.locator(".st-key-dock")
            dock.get_by_text("25%").wait_for(timeout=60_000)
            box, main = dock.bounding_box(), page.locator("[data-testid=stMain]").bounding_box()
            assert box["y"] + box["height"] == pytest.approx(height, abs=1)
            assert main["y"] + main["height"] <= box["y"] + 1, "the page ends above it"
            stop = dock.get_by_role("button", name="Stop").bounding_box()
            assert stop["x"] >= 0 and stop["x"] + stop["width"] <= width
    finally:
        cancel_job(store, job)
    # one's own stop is no news: the bar goes without a notice
    page.wait_for_function("!document.querySelector('.st-key-dock_now, .st-key-dock_ended')", timeout=60_000)


WORDS = [("neighbourhood?method=gd", ".rks-name"), ("teach", ".stMain [role=radio]")]


@pytest.mark.parametrize(("path", "parts"), WORDS)
def test_no_word_is_cut_off_on_a_phone(server, visit, path, parts):
    page = visit(f"{server}/{path}", width=390, height=844)
    page.locator(parts).first.wait_for(timeout=60_000)
    boxes = page.locator(parts).evaluate_all(
        """all => all.map(each => { const box = each.getBoundingClientRect();
        return [box.left, box.right, each.scrollWidth - each.clientWidth]; })"""
    )
    assert boxes and all(left >= 0 and right <= 390 and over <= 1 for left, right, over in boxes), boxes


def test_a_slider_is_dark_in_the_dark(server, visit):
    page = visit(f"{server}/neighbourhood?method=gd", theme="dark")
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=60_000)
    track = np.asarray(Image.open(io.BytesIO(page.locator(".rks-tau input").screenshot())).convert("L"))
    assert track[:, -30:-10].max() < 190, "the part that is not passed"


NAMES = ["Long-tailed macaque monkey (juvenile)", "Long-tailed macaque monkey (adult)", "Cat"]


def test_long_names_are_shortened_in_the_middle_and_stay_apart(server, visit):
    page = visit(f"{server}/neighbourhood?method=gd")
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=60_000)
    short = page.evaluate(
        """async names => { const found = performance.getEntriesByType('resource').find(e => /shapes.js/.test(e.name));
        const { shortened } = await import(found.name), pen = new OffscreenCanvas(9, 9).getContext('2d');
        pen.font = '600 12px sans-serif';
        return names.map(name => [shortened(pen, name, 120), pen.measureText(shortened(pen, name, 120)).width]); }""",
        NAMES,
    )
    assert all(width <= 120 for _, width in short) and short[2][0] == "Cat"
    assert len({name for name, _ in short}) == 3 and all("…" in name for name, _ in short[:2])


def test_names_on_a_field_lie_on_no_other_words(server, visit):
    page = visit(f"{server}/neighbourhood?method=gd")
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=60_000)
    boxes = page.evaluate(
        """() => { const stage = document.querySelector('.rks').stage, all = [];
        const { fillText, measureText } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
          const wide = this.measureText(text).width, left = { center: wide / 2, right: wide, left: 0 };
          const turned = this.getTransform().b !== 0;
          if (text) all.push({ text, at: this.canvas, turned, x: x - left[this.textAlign], y, wide });
          return fillText.call(this, text, x, y); };
        stage.paint();
        CanvasRenderingContext2D.prototype.fillText = fillText;
        const panels = stage.frame.panels.map(panel => panel.canvas);
        return panels.map(canvas => all.filter(one => one.at === canvas && !one.turned)
          .map(({ text, x, y, wide }) => ({ text, x, y: /→/.test(text) ? y - 6 : y, wide }))); }"""
    )
    assert all(len(panel) > 1 for panel in boxes)
    for panel in boxes:
        for n, one in enumerate(panel):
            for other in panel[:n]:
                apart = abs(one["y"] - other["y"]) >= 11 or one["x"] + one["wide"] <= other["x"]
                assert apart or other["x"] + other["wide"] <= one["x"], (one, other)
