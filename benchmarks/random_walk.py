"""Ten minutes of a visitor who does anything: nothing typed, decided or chosen may be lost, nothing may break.

``RURK_BENCH_MINUTES=1`` makes it shorter, ``RURK_BENCH_SEED=3`` walks another way.
"""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

from rurk_core.store.store import Store
from tests.e2e.conftest import FLAGS, find_chromium, serving, settled
from tests.e2e.random_walk import Walk

MINUTES = float(os.environ.get("RURK_BENCH_MINUTES", "10"))
SEED = int(os.environ.get("RURK_BENCH_SEED", "1"))
DEMO = Path(__file__).parents[1] / "assets" / "demo"


def main() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder) / "store"
        with serving(place) as url:
            browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.goto(f"{url}/review")
            settled(page)
            store = Store(place, bundled=[DEMO])
            walk = Walk(page, url, store, store.list("run")[0].key, random.Random(SEED))
            walk.go(60 * MINUTES)
            browser.close()
    print(
        f"  walked {MINUTES:g} minutes, {len(walk.done)} steps: {len(walk.written)} notes and {len(walk.decided)} "
        "decisions, none lost (bar 0)"
    )


if __name__ == "__main__":
    main()
