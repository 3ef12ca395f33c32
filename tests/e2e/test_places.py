"""The map and the teaching pictures in a real browser: what only a pointer and a canvas can show."""

from __future__ import annotations

import pytest

from .conftest import settled, written

pytestmark = pytest.mark.e2e


def frames(page):
    return page.locator(".rk-moment").inner_text()


def test_a_lasso_selects_into_the_forget_set_and_pointing_shows_a_picture(server, visit):
    page = visit(f"{server}/embedding?models=original&layer=features")
    page.wait_for_function("document.querySelector('.rk-map')?.dataset.drawn")
    # a picture is drawn, not an empty canvas
    inked = page.evaluate(
        """() => { const c = document.querySelector('.rk-gl'), o = document.createElement('canvas');
        o.width = c.width; o.height = c.height; const p = o.getContext('2d'); p.drawImage(c, 0, 0);
        return p.getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3 && v > 100).length; }"""
    )
    assert inked > 3000
    box = page.locator(".rk-over").bounding_box()
    found = False
    for x in range(100, int(box["width"]) - 60, 24):
        page.mouse.move(box["x"] + x, box["y"] + box["height"] * 0.5)
        if page.locator(".rk-card").is_visible():
            found = True
            break
    assert found and "class" in page.locator(".rk-card").inner_text()
    page.wait_for_function("document.querySelector('.rk-card img').naturalWidth > 0")
    legend = page.locator(".rk-mapkey label").filter(has_text="to forget next")
    assert not legend.locator("input:checked").count(), "no rings before anything was drawn around"
    page.get_by_role("button", name="Lasso").click()
    page.mouse.move(box["x"] + 80, box["y"] + 60)
    page.mouse.down()
    for x, y in ((0.9, 0.15), (0.9, 0.85), (0.12, 0.85)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
    page.mouse.up()
    legend.wait_for()
    assert legend.locator("input").is_checked(), "what was drawn around has rings"
    pressed = page.get_by_role("button", name="Lasso").get_attribute("aria-pressed")
    assert pressed == "true", "the tool is still in the hand"
    settled(page)
    zoomed = page.locator(".rk-over")
    zoomed.focus()
    page.keyboard.press("+")
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Nothing chosen yet").wait_for()


def test_a_film_of_the_unlearning_plays_and_is_scrubbed(server, visit):
    page = visit(f"{server}/teach?panel=moons")
    assert "Step 0 of 200" in frames(page), "it waits at the first moment"
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Replay").wait_for(timeout=60_000)
    assert "Step 200 of 200" in frames(page)
    last = page.locator(".rk-counts").inner_text()
    scrub = page.get_by_label("Moment of the unlearning")
    scrub.fill("0")
    assert "Step 0 of 200" in frames(page) and "100% of those to forget" in frames(page)
    assert page.locator(".rk-counts").inner_text() != last, "verdicts follow the film"
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("!document.querySelector('.rk-moment').textContent.includes('Step 0 ')")
    page.get_by_role("radio", name="Choose points to forget").click()
    box = page.locator(".rk-plane canvas").bounding_box()
    page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 0.42 * box["height"])
    page.get_by_role("button", name="Unlearn these 15 points with GD").wait_for(timeout=20_000)
    written(page, "points=")


def test_two_methods_side_by_side_are_at_one_moment_and_points_are_drawn_by_hand(server, visit):
    page = visit(f"{server}/teach?panel=moons&and=neggrad_plus&type=large")
    planes = page.locator(".rk-field")
    assert planes.count() == 2 and not page.locator("[data-testid=stSidebar]").is_visible()
    page.get_by_label("Moment of the unlearning").first.fill("16")
    after = [planes.nth(i).locator(".rk-caption").inner_text() for i in range(2)]
    assert all(text.startswith("After ") for text in after) and after[0] != after[1]
    page = visit(f"{server}/teach?panel=moons")
    page.get_by_role("radio", name="Draw: lower moon").click()
    box = page.locator(".rk-plane canvas").bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.1 * box["height"])
    page.get_by_role("button", name="Unlearn these 14 points with GD").wait_for(timeout=30_000)
    written(page, "drawn=")


def test_a_picture_of_one_s_own_stands_on_a_stage(server, visit, tmp_path):
    page, asked = visit(f"{server}/teach?panel=own"), []
    page.on("response", lambda answer: asked.append((answer.url, answer.status, answer.headers.get("cache-control"))))
    page.locator("input[type=file]").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": drawn(tmp_path / "photo.png")}
    )
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=60_000)
    assert "photo.png, 300 × 200 pixels: cut to the middle square, brought to 28 × 28 pixels." in page.inner_text(
        "body"
    )
    assert (
        page.locator(".rks-plane canvas").count() == 3 and "Your picture" in page.locator(".rks-finding").inner_text()
    )
    assert page.locator(".rks-strip button").count() == 1 and not page.locator(".rks-order").is_visible()
    page.get_by_text("Swap dark and light").click()
    settled(page)
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=60_000)
    page.get_by_role("tab", name="Change it yourself").click()
    page.wait_for_function("document.querySelector('.rks-said').textContent.includes('re-trained models')")
    settled(page)
    mine = [(status, kept) for url, status, kept in asked if "/own-" in url]
    assert len(mine) > 8 and {status for status, _ in mine} == {200}
    assert {kept for _, kept in mine} <= {"no-store", None}, "a browser keeps nothing of it either"


def drawn(path) -> bytes:
    """A bright disc on a dark ground, wider than high."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (300, 200), 10)
    ImageDraw.Draw(picture).ellipse((90, 40, 210, 160), fill=240)
    picture.save(path)
    return path.read_bytes()
