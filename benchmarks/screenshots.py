"""Every page, light and dark, on the experiment that came with the app: small WebP files in ``assets/screenshots``."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from tests.e2e.conftest import FLAGS, find_chromium, serving, settled
from tests.e2e.test_walk import named_paths

TARGET = Path(__file__).parents[1] / "assets" / "screenshots"
WIDTH, HEIGHT = 1440, 1000
VIEWS = {"Neighbourhood": "tau=0.16&method=gd", "Forget": "data=digits&forget=class:0:0.5"}
"""What a page shows, where its defaults would show little."""


def main() -> None:
    chromium = find_chromium()
    if chromium is None:
        sys.exit("There is no Chromium here; install it with apt-get install chromium.")
    from PIL import Image
    from playwright.sync_api import sync_playwright

    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "store") as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for theme in ("light", "dark"):
            context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)
            page = context.new_page()
            page.goto(url)
            settled(page)
            for path, title in named_paths(page).items():
                page.goto(f"{url}{path}?{VIEWS.get(title, '')}")
                settled(page)
                page.wait_for_timeout(2500)  # figures are drawn after the page has run
                settled(page)
                shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
                shot.save(TARGET / f"{title.lower().replace(' ', '-')}-{theme}.webp", quality=82, method=6)
            context.close()
        browser.close()
    sizes = {file.name: file.stat().st_size for file in sorted(TARGET.iterdir())}
    print(f"{len(sizes)} pictures, {sum(sizes.values()) / 1e6:.2f} MB in {TARGET}")


if __name__ == "__main__":
    main()
