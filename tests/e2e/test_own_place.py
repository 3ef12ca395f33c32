"""The page asks no other server for anything."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.e2e


def test_nothing_is_loaded_from_elsewhere(browser, server):
    context = browser.new_context()
    page = context.new_page()
    answered, refused = [], []
    page.on("requestfinished", lambda request: answered.append(urlsplit(request.url)))
    page.on("console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else 0)
    for path in ("", "compare", "neighbourhood"):
        page.goto(f"{server}/{path}")
        page.locator("[data-testid=stMain] h1").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1500)
    own = urlsplit(server).netloc
    assert {place.netloc for place in answered if place.scheme.startswith("http")} == {own}
    # Streamlit fetches a page's icon from a font server unless it is kept from it; nothing else may be in the way
    assert all("fonts.gstatic.com" in text for text in refused), refused
    context.close()
