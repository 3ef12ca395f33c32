"""Pictures of every page, light and dark, and a short recording of the stage, in ``assets/screenshots``.

On the experiment that came with the app; small WebP files. ``python -m benchmarks.screenshots recording`` makes the
recording alone, ``pages`` the pictures.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.conftest import FLAGS, find_chromium, serving, settled
from tests.e2e.test_walk import named_paths

TARGET = Path(__file__).parents[1] / "assets" / "screenshots"
WIDTH, HEIGHT = 1440, 1000
VIEWS = {"Neighbourhood": "tau=0.16&method=gd", "Forget": "data=digits&forget=class:0:0.5"}
"""What a page shows, where its defaults would show little."""
DRAWN = {"Neighbourhood": ".rks[data-drawn='true true']", "Embedding": ".rk-map[data-drawn]"}
"""What is there once a page has drawn what it asks the server for, or has made first."""
RECORDED = (1180, 800)
"""The window of the recording, of which the sidebar is cut off."""
STEP = 120
"""Milliseconds between two pictures of the recording, and for how long each is shown."""
POINTER = """() => { const dot = document.createElement('div');
dot.style = 'position:fixed;z-index:9999;width:18px;height:18px;margin:-9px;border-radius:50%;pointer-events:none;' +
  'background:rgba(74,74,200,.45);box-shadow:0 0 0 2px #fff';
document.body.append(dot);
addEventListener('pointermove', at => { dot.style.left = `${at.clientX}px`; dot.style.top = `${at.clientY}px`; }, true);
}"""


def pages(browser: Any, url: str, theme: str) -> None:
    """A picture of every page."""
    from PIL import Image

    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)
    page = context.new_page()
    page.goto(url)
    settled(page)
    for path, title in named_paths(page).items():
        page.goto(f"{url}{path}?{VIEWS.get(title, '')}")
        settled(page)
        if title in DRAWN:
            page.wait_for_selector(DRAWN[title], timeout=240_000)
        page.wait_for_timeout(2500)  # figures are drawn after the page has run
        settled(page)
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        shot.save(TARGET / f"{title.lower().replace(' ', '-')}-{theme}.webp", quality=82, method=6)
    context.close()


def moves(page: Any) -> Iterator[int]:
    """What is done on the stage, picture by picture: for how many milliseconds each is shown."""
    page.mouse.move(300, 300)
    yield 900
    knob = page.locator(".rks-tau input").bounding_box()
    y, at = knob["y"] + knob["height"] / 2, float(page.evaluate("document.querySelector('.rks').stage.my.t"))
    most = float(page.locator(".rks-tau input").get_attribute("max"))
    where = [at + (most - at) * n / 9 for n in range(10)] + [most * (1 - n / 14) for n in range(13)]
    page.mouse.move(knob["x"] + knob["width"] * at / most, y)
    page.mouse.down()
    for t in [*where, *(at * n / 6 for n in range(2, 7))]:
        page.mouse.move(knob["x"] + 8 + (knob["width"] - 16) * t / most, y)
        yield STEP
    page.mouse.up()
    yield 700
    tiles = page.locator(".rks-blocks canvas").bounding_box()
    for n in range(6):
        page.mouse.move(tiles["x"] + 30 + 52 * n, tiles["y"] + 75)
        yield 260
    plane = page.locator(".rks-plane canvas").last.bounding_box()
    for n in range(10):
        page.mouse.move(
            plane["x"] + plane["width"] * (0.2 + 0.07 * n), plane["y"] + plane["height"] * (0.75 - 0.05 * n)
        )
        yield STEP
    page.mouse.move(300, 300)
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(".rks[data-drawn='true true']")
        yield 800


def recording(browser: Any, url: str, theme: str) -> None:
    """The stage under the hand: the radius is dragged, copies and places are pointed at, samples are gone through."""
    from PIL import Image

    context = browser.new_context(viewport={"width": RECORDED[0], "height": RECORDED[1]}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{url}/neighbourhood?method=gd")
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=120_000)
    settled(page)
    page.wait_for_timeout(6000)  # neighbours come too
    page.evaluate(POINTER)
    left = page.locator("[data-testid=stMain]").bounding_box()["x"]
    clip = {"x": left, "y": 0, "width": RECORDED[0] - left, "height": RECORDED[1]}
    shots, times = [], []
    for time in moves(page):
        page.wait_for_timeout(STEP)
        shots.append(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))
        times.append(time)
    shots[0].save(
        TARGET / f"stage-{theme}.webp",
        save_all=True,
        append_images=shots[1:],
        duration=times,
        loop=0,
        quality=68,
        method=5,
    )
    context.close()


def main(only: str = "") -> None:
    chromium = find_chromium()
    if chromium is None:
        sys.exit("There is no Chromium here; install it with apt-get install chromium.")
    from playwright.sync_api import sync_playwright

    TARGET.mkdir(parents=True, exist_ok=True)
    for file in TARGET.glob("*.webp"):
        if only in ("", "recording" if file.name.startswith("stage-") else "pages"):
            file.unlink()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "store") as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for theme in ("light", "dark"):
            if only != "recording":
                pages(browser, url, theme)
            if only != "pages":
                recording(browser, url, theme)
        browser.close()
    sizes = {file.name: file.stat().st_size for file in sorted(TARGET.iterdir())}
    print(f"{len(sizes)} pictures, {sum(sizes.values()) / 1e6:.2f} MB in {TARGET}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
