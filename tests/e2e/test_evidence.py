"""Linked pictures in a browser: a filter in one is a filter in all, and a picture opens its sample."""

from __future__ import annotations

import re

import pytest

from .conftest import settled, written

pytestmark = pytest.mark.e2e


def left(page) -> int:
    return int(page.locator(".rk-chosen b").inner_text().split(" of ")[0])


def test_every_picture_filters_the_others(server, visit):
    page = visit(f"{server}/evidence?method=scrub")
    assert left(page) == 225
    unseen = page.get_by_role("button", name=re.compile("^nothing to see"))
    rest = 225 - int(re.search(r"\d+", unseen.inner_text())[0])
    unseen.click()
    assert left(page) == rest and 0 < rest < 225
    page.get_by_role("slider", name="how unusual, at least").fill("2")
    fewer = left(page)
    assert 0 < fewer < rest
    places = page.locator(".rk-places")
    box = places.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 50, steps=4)
    page.mouse.up()
    assert left(page) < fewer
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    text = waiting.value.path().read_text()
    assert len(text.splitlines()) == left(page) + 1 and "excess_total" in text.splitlines()[0]
    page.get_by_role("button", name="Show all").click()
    assert left(page) == 225
    sample = page.locator(".rk-gallery button").first
    number = re.search(r"\d+", sample.get_attribute("aria-label"))[0]
    sample.click()
    settled(page)
    page.get_by_role("heading", name="Neighbourhood").wait_for()
    written(page, f"sample={number}")


def test_the_range_of_the_histogram_is_one_track_with_two_handles(server, visit):
    page = visit(f"{server}/evidence?method=gd")
    low, high = page.locator(".rk-span input").all()
    assert low.bounding_box() == high.bounding_box(), "both handles run on one track"
    low.fill("2")
    high.fill("-1")
    assert float(high.input_value()) >= float(low.input_value()), "a handle stops at the other one"
