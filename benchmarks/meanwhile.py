"""How long somebody else waits while the server chews what a visitor brought: ``python -m benchmarks meanwhile``.

One browser opens a hostile link again and again, or names a folder of eight pictures of 49 megapixels, or a Parquet
file of one picture in 1,500 rows, as its data set; another goes from page to page. The bar is 2 s.
"""

from __future__ import annotations

import io
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from rurk_core.store.store import Store
from tests.e2e.conftest import FLAGS, find_chromium, server_process, settled

from .app import opened, words
from .many_runs import many

BAR = 2.0
ROUNDS = 8
PAGES = ("compare", "forget", "teach", "")
LINK = "/forget?data=digits&find=" + ",".join(["0-49999"] * 6000)


def main() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        many(Store(place / "store"), 1)
        typed = {"eight pictures of 49 megapixels": _pictures(place), "a picture in 1,500 rows": _rows(place)}
        with server_process(place / "store") as (url, _):
            browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
            print(f"somebody else's next page while the server is busy (bar {BAR:g} s)")
            print(f"  with nothing else: {_others(browser, url)}")
            for what, act in {
                "a link of 48 kB": _visits(url, LINK), **{what: _names(url, path) for what, path in typed.items()}
            }.items():  # fmt: skip
                stop = threading.Event()
                busy = threading.Thread(target=act, args=(stop,))
                busy.start()
                time.sleep(3)  # until the first of it has come to the server
                print(f"  {what}: {_others(browser, url)}", flush=True)
                stop.set()
                busy.join()
            browser.close()


def _others(browser, url: str) -> str:
    """A second visitor's waits from click to rest, the median and the longest."""
    times = []
    with opened(browser, url) as page:
        for turn in range(ROUNDS):
            started = time.perf_counter()
            page.goto(f"{url}/{PAGES[turn % len(PAGES)]}")
            page.locator("h1").first.wait_for(timeout=120_000)
            times.append(1000 * (time.perf_counter() - started))
            settled(page)
    return words(times)


def _visits(url: str, link: str) -> Callable[[threading.Event], None]:
    def act(stop: threading.Event) -> None:
        with _browser() as page:
            while not stop.is_set():
                page.goto(url + link)
                page.wait_for_timeout(500)

    return act


def _names(url: str, path: Path) -> Callable[[threading.Event], None]:
    """Types a path as the data set, another name of the same folder each time, so that none is known already."""

    def act(stop: threading.Event) -> None:
        with _browser() as page:
            turn = 0
            while not stop.is_set():
                turn += 1
                page.goto(f"{url}/forget")
                settled(page)
                box = page.get_by_role("combobox", name="Data set")
                box.click()
                box.fill(f"{path}?size={16 + turn}")
                box.press("Enter")
                page.wait_for_timeout(4000)

    return act


class _browser:
    """A page of a browser of its own: Playwright's belong to the thread that started them."""

    def __enter__(self):
        from playwright.sync_api import sync_playwright

        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        return self._browser.new_page()

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._playwright.stop()


def _pictures(place: Path) -> Path:
    pixels = np.zeros((7000, 7000), np.uint16)
    pixels[::7, ::5] = 60_000
    for split in ("train", "test"):
        for at in range(4):
            folder = place / "pictures" / split / f"class{at % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels + at).save(folder / f"{at}.png")
    return place / "pictures"


def _rows(place: Path) -> Path:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (600, 600, 3)).astype(np.uint8)).save(buffer, "PNG")
    folder = place / "rows"
    folder.mkdir()
    for split, rows in (("train", 1500), ("test", 100)):
        images = pa.array([{"bytes": buffer.getvalue(), "path": None}] * rows)
        pq.write_table(pa.table({"image": images, "label": [0, 1] * (rows // 2)}), folder / f"{split}.parquet")
    return folder


if __name__ == "__main__":
    main()
