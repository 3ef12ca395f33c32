"""A real server and a real browser: the system's Chromium or Playwright's own, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no Chromium for the browser tests; get one: apt-get install chromium, or: playwright install chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
READY = "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"


@contextmanager
def serving(store: Path, **environment: str) -> Iterator[str]:
    """A server of its own on a free port, with its results in ``store``; yields its address."""
    with server_process(store, **environment) as (url, _):
        yield url


@contextmanager
def server_process(store: Path, **environment: str) -> Iterator[tuple[str, int]]:
    """As :func:`serving`; yields the address and the number of the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    env = {**os.environ, "RURK_STORE": str(store), "PYTHONPATH": str(ROOT), **environment}
    with (store.parent / f"server-{port}.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--server.headless", "true"], cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT
        )
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).read()
                    break
                except OSError:
                    assert process.poll() is None, "the server ended at once"
                    time.sleep(0.1)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait(10)


AT_REST = """document.getAnimations().every(
    each => each.playState !== "running" || each.effect?.getTiming().iterations === Infinity)"""


def settled(page) -> None:
    """Wait until the page has run, nothing is loading, and nothing moves: a click on what moves can miss it."""
    page.wait_for_timeout(250)
    page.locator(READY).wait_for(timeout=60_000)
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')", timeout=60_000)
    page.wait_for_function(AT_REST, timeout=60_000)
    page.wait_for_timeout(150)


def go(page, url: str) -> None:
    """Load ``url`` in a tab and wait until it has settled; in one tab scripts are fetched and compiled once."""
    page.goto(url)
    page.locator("[data-testid=stApp]").wait_for(timeout=60_000)
    settled(page)


def written(page, text: str) -> None:
    """Wait until the address holds ``text``: it is written once nothing has changed for a while."""
    page.wait_for_function("text => location.search.includes(text)", arg=text, timeout=30_000)


def find_chromium() -> str | None:
    """Where the system's Chromium is, or Playwright's own; None where there is neither."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None


@pytest.fixture(scope="session", autouse=True)
def chromium() -> str:
    """Without a browser these tests are passed over, but not in continuous integration."""
    return find_chromium() or (pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING))


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[str]:
    """A server with an empty store: it shows the experiment that came with the app."""
    with serving(tmp_path_factory.mktemp("served") / "store") as url:
        yield url


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Path], str]]:
    """``serve(store)`` → the address of a server of its own, which ends with the module."""
    with ExitStack() as stack:
        yield lambda store: stack.enter_context(serving(store))


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """``visit(url, width=1440, height=900, theme="light")`` → a page that has settled; contexts are closed after.

    No page may ask another machine for anything.
    """
    contexts, foreign = [], []

    def watch(request) -> None:
        if urlsplit(request.url).hostname not in (None, "", "127.0.0.1", "localhost"):
            foreign.append(request.url)

    def open_page(url: str, *, width: int = 1440, height: int = 900, theme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.on("request", watch)
        go(page, url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not foreign, f"asked of another machine: {foreign[:3]}"
