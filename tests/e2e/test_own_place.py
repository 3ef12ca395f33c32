"""The server tells the browser to load nothing from elsewhere, and finds its own files wherever it is reached.

That pages try nothing else is seen by every other test.
"""

from __future__ import annotations

import urllib.request

import pytest

from .conftest import serving, settled

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("path", ["", "compare", "_stcore/health"])
def test_every_answer_carries_the_policy(server, path):
    policy = urllib.request.urlopen(f"{server}/{path}", timeout=10).headers["content-security-policy"]
    assert policy.startswith("default-src 'self'") and "object-src 'none'" in policy and "http" not in policy


def test_behind_a_path_components_and_pictures_are_found(tmp_path, visit):
    with serving(tmp_path / "store", STREAMLIT_SERVER_BASE_URL_PATH="rurk") as url:
        page = visit(f"{url}/rurk/evidence")
        page.locator(".rk-gallery img").first.wait_for()
        page.wait_for_function("document.querySelector('.rk-gallery img').naturalWidth > 0")
        page = visit(f"{url}/rurk/embedding?models=original&layer=features")
        page.wait_for_function("document.querySelector('.rk-map')?.dataset.drawn")
        settled(page)
        box = page.locator(".rk-over").bounding_box()
        for x in range(100, int(box["width"]) - 60, 24):
            page.mouse.move(box["x"] + x, box["y"] + box["height"] * 0.5)
            if page.locator(".rk-card").is_visible():
                break
        page.wait_for_function("document.querySelector('.rk-card img').naturalWidth > 0")
