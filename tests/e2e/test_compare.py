"""The Compare page in a browser: sorting, and one highlight for the whole page."""

from __future__ import annotations

import pytest

from .conftest import settled

pytestmark = pytest.mark.e2e


def test_a_click_on_a_model_highlights_it_everywhere_and_a_click_on_a_column_sorts(server, visit):
    page = visit(f"{server}/compare")
    page.get_by_text("All numbers in one table").click()
    settled(page)
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


def test_a_small_figure_highlights_its_model(server, visit):
    page = visit(f"{server}/compare")
    page.locator(".rk-multiples button", has_text="SCRUB").click()
    settled(page)
    assert "method=scrub" in page.url
    assert "SCRUB" in page.locator(".rk-dot-row.on").first.inner_text()


def test_a_phone_shows_every_model_of_every_metric(server, visit):
    page = visit(f"{server}/compare", width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for panel in page.locator(".rk-dots").all():
        rows = panel.locator(".rk-dot-row")
        assert rows.count() == 6
        assert all(row.bounding_box()["x"] + row.bounding_box()["width"] <= 390 for row in rows.all())
