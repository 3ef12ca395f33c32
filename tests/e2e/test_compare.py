"""The Compare page in a browser: sorting, and one highlight for the whole page."""

from __future__ import annotations

import pytest

from .conftest import settled

pytestmark = pytest.mark.e2e


def test_a_click_on_a_model_highlights_it_everywhere_and_a_click_on_a_column_sorts(server, visit):
    page = visit(f"{server}/compare")
    rows = page.locator(".rk-grid tbody tr")
    names = rows.locator("td:first-child button").all_inner_texts()
    assert any("GD" in name for name in names)
    page.locator(".rk-grid tbody button", has_text="GD").click()
    settled(page)
    assert "method=gd" in page.url
    assert "GD" in page.locator(".rk-grid tr.on").inner_text()
    assert page.locator(".st-key-highlight button[aria-checked=true]", has_text="GD").count() == 1
    head = page.locator(".rk-grid th", has_text="Time")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    times = [float(row.locator("td").nth(-3).inner_text().split()[0].lstrip("◎✕ ") or 0) for row in rows.all()[2:]]
    assert times == sorted(times)


def test_a_phone_keeps_the_names_in_sight(server, visit):
    page = visit(f"{server}/compare", width=390, height=844)
    page.evaluate("document.querySelector('.rk-grid-box').scrollLeft = 400")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    left = page.locator(".rk-grid tbody td").first.bounding_box()["x"]
    assert left >= 0
