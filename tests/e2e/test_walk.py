"""The main path by mouse and keyboard, and what must survive on the way: refresh, links, small screens, bad paths."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from .conftest import go, serving, settled, written

pytestmark = pytest.mark.e2e


def named_paths(page) -> dict[str, str]:
    """Path → title of every page, as the navigation lists them."""
    links = page.locator("[data-testid=stSidebarNavLink]")
    found = links.evaluate_all("links => links.map(link => [link.href, link.innerText])")
    assert len(found) >= 3
    return {urlsplit(link).path: text.split("\n")[-1].strip() for link, text in found}


def press(page, name: str, **options) -> None:
    page.get_by_role("button", name=name, **options).first.click()
    settled(page)


def changed(page, selector: str, act: Callable[[], None]) -> str:
    """Do something and wait until the text at ``selector`` is another one; returns it."""
    before = page.locator(selector).first.inner_text()
    act()
    page.wait_for_function(
        "([selector, before]) => { const e = document.querySelector(selector); return e && e.innerText !== before }",
        arg=[selector, before],
        timeout=60_000,
    )
    settled(page)
    return page.locator(selector).first.inner_text()


def test_forget_unlearn_and_look_by_mouse(server, visit):
    page = visit(f"{server}/forget?data=digits")
    tray = ".st-key-tray [data-testid=stMarkdownContainer]"
    tiles = page.locator(".st-key-gallery button.rk-tile")
    assert changed(page, tray, lambda: tiles.nth(3).click()).startswith("1 to forget")
    assert changed(page, tray, lambda: tiles.nth(6).click(modifiers=["Shift"])).startswith("4 to forget")
    assert changed(page, tray, lambda: press(page, "Undo")).startswith("1 to forget")
    page.get_by_text("Choose by rule", exact=True).click()
    settled(page)
    assert changed(page, tray, lambda: press(page, "Take these 64")).startswith("64 to forget · 64 of 128 “0”")

    press(page, "Unlearn this set")
    page.get_by_role("heading", name="Unlearn").wait_for()
    page.get_by_text("Quick look", exact=True).click()
    settled(page)
    page.get_by_text("Network, training, perturbations, seed", exact=True).click()
    settled(page)
    for label, value in (("Copies of a sample", "10"), ("Radii", "3"), ("Seed", "11")):
        box = page.get_by_label(label, exact=True)
        box.fill(value)
        box.press("Enter")
        settled(page)
    assert "64 samples × 3 radii × 10 copies" in page.locator(".rk-plan").inner_text()
    page.locator(".st-key-start button").click()
    job = page.locator("[class*=st-key-job-2]").first
    job.get_by_role("button", name="Stop").wait_for(timeout=30_000)
    page.reload()  # a refresh in the middle of a run: it goes on, and the page shows it
    settled(page)
    page.locator("[class*=st-key-job-2]").get_by_role("button", name="Look at it").click(timeout=240_000)
    settled(page)
    page.get_by_role("heading", name="Neighbourhood").wait_for()
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=60_000)
    finding = ".rks-finding"
    assert re.search(r"recognises \d+ of 10 copies as “0”", page.locator(finding).inner_text())

    # another radius, another sample, another copy
    slider = page.locator(".rks-tau input")
    slider.focus()
    page.keyboard.press("Home")  # where it stands at first hangs on the models
    changed(page, ".rks-tau span", lambda: page.keyboard.press("End"))
    page.evaluate("document.activeElement.blur()")
    first = page.locator(".rks").get_attribute("data-sample")
    changed(page, finding, lambda: page.keyboard.press("ArrowRight"))
    assert page.locator(".rks").get_attribute("data-sample") != first
    caption = ".rks-copy .rks-title"
    page.locator(".rks-blocks canvas").focus()
    picked = changed(page, caption, lambda: page.keyboard.press("ArrowRight"))
    assert re.match(r"Copy \d+ of 10 at τ = 0.3", picked)

    # the address bar holds it all: somebody else sees the same
    written(page, "copy=")
    said, where = page.locator(finding).inner_text(), page.url
    again = visit(where)
    again.wait_for_selector(".rks[data-drawn='true true']", timeout=60_000)
    assert again.locator(finding).inner_text() == said
    assert again.locator(caption).inner_text() == picked
    assert all(f"{name}=" in where for name in ("run", "attack", "method", "sample", "tau", "copy"))


def test_a_run_can_be_stopped_and_seen_from_a_second_tab(server, visit):
    page = visit(f"{server}/unlearn?data=digits")
    press(page, "Run the digits experiment")
    page.get_by_role("button", name="Stop").first.wait_for(timeout=30_000)
    other = visit(f"{server}/unlearn")
    other.get_by_role("button", name="Stop").first.click()
    for tab in (page, other):
        tab.locator(".stMarkdownBadge").filter(has_text="stopped").first.wait_for(timeout=60_000)
        tab.get_by_role("button", name="Resume").first.wait_for(timeout=30_000)
    press(other, "Dismiss")


def test_a_deep_link_is_the_first_thing_a_cold_server_is_asked(tmp_path, visit):
    with serving(tmp_path / "store") as url:
        page = visit(f"{url}/forget?data=digits&forget=class:3:0.25:2")
        assert page.get_by_text("Page not found").count() == 0
        assert "33 to forget" in page.locator(".st-key-tray").inner_text()
        path = next(path for path, name in named_paths(page).items() if name == "Neighbourhood")
        page = visit(f"{url}{path}?tau=0.16&method=rurk&attack=fgsm")
        assert page.get_by_text("Page not found").count() == 0
        page.wait_for_selector(".rks[data-drawn='true true']", timeout=60_000)
        assert "At τ = 0.16 RURK recognises" in page.locator(".rks-finding").inner_text()
        assert page.title() == "Neighbourhood · RURK Explorer"


def test_a_folder_that_is_not_there_is_one_sentence(server, visit):
    page = visit(f"{server}/forget")
    box = page.get_by_role("combobox", name="Data set")
    box.click()
    box.fill("/no/such/folder")
    box.press("Enter")
    settled(page)
    alert = page.get_by_role("alert").first
    alert.wait_for(timeout=30_000)
    assert "/no/such/folder" in alert.inner_text()


def test_every_page_fits_a_phone(server, visit):
    paths = named_paths(visit(server))
    phone = visit(server, width=390, height=844)
    for path in paths:
        go(phone, server + path)
        assert phone.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 391, path
        assert phone.locator("h1").first.is_visible(), path
