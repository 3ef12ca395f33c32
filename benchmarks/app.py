"""The app in headless Chromium against a running server: how long a visitor waits, what travels, what the server keeps.

``python -m benchmarks app`` takes about two minutes; ``RURK_BENCH_MINUTES=10`` keeps ten sessions busy for that long.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from tests.e2e.conftest import FLAGS, find_chromium, server_process, settled
from tests.e2e.test_walk import named_paths

MINUTES = float(os.environ.get("RURK_BENCH_MINUTES", "0.5"))
SESSIONS = 10
PAUSE = 5
"""Seconds between two moves of a visitor."""

# resolves with the milliseconds until the text at a selector is another one, and until the page is at rest and painted
PROBE = """(selector) => {
  const app = document.querySelector('[data-testid=stApp]'), text = () => document.querySelector(selector)?.innerText;
  const before = text(), start = performance.now();
  let changed = null;
  window.waited = new Promise((resolve) => {
    const look = () => {
      const now = performance.now() - start;
      if (changed === null && text() !== before) changed = now;
      if (changed !== null && app.dataset.testScriptState === 'notRunning')
        return requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)));
      if (now > 20000) return resolve(null);
      setTimeout(look, 4);
    };
    look();
  });
}"""


def words(times: list[float]) -> str:
    """Milliseconds → "median 203 ms, p95 320 ms of 20"."""
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"median {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms of {len(ordered)}"


@contextmanager
def opened(browser, url: str, *, at_rest: bool = True) -> Iterator:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(url)
    if at_rest:
        settled(page)
    yield page
    context.close()


def waits(page, selector: str, act: Callable[[int], None], rounds: int) -> list[float]:
    """How long each of ``rounds`` interactions takes until the picture is drawn again; the first one is not counted."""
    times = []
    for turn in range(rounds + 1):
        page.evaluate(PROBE, selector)
        act(turn)
        waited = page.evaluate("window.waited")
        if waited is not None and turn:
            times.append(waited)
        page.wait_for_timeout(120)
    return times


def resident(pid: int) -> float:
    """Memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def first_paint(browser, url: str) -> None:
    """Of every page: in a browser that was never here, and in one that has the app's scripts already."""
    with opened(browser, url) as page:
        paths = named_paths(page)
    for path, title in paths.items():
        new, warm = [], []
        for _ in range(4):
            with opened(browser, "about:blank", at_rest=False) as page:
                for times in (new, warm):
                    start = time.perf_counter()
                    page.goto(url + path)
                    page.locator("h1").first.wait_for(timeout=60_000)
                    times.append(1000 * (time.perf_counter() - start))
                    settled(page)
        print(f"  first paint, {title}: {words(warm)} (bar 800 ms); in a new browser {words(new)}", flush=True)


def interactions(browser, url: str, what: str) -> None:
    with opened(browser, url) as page:
        page.wait_for_selector(".rks[data-drawn='true true']", timeout=60_000)
        slider = page.locator(".rks-tau input")

        def move(turn: int) -> None:
            slider.focus()
            page.keyboard.press("ArrowRight" if turn % 16 < 8 else "ArrowLeft")

        print(f"  radius slider, {what}: {words(waits(page, '.rks-tau span', move, 20))} (bars 300 and 700 ms)")
        page.evaluate("document.activeElement.blur()")
        times = waits(page, ".rks-finding", lambda turn: page.keyboard.press("ArrowRight"), 20)
        print(f"  next sample, {what}: {words(times)} (bars 300 and 700 ms)")


def gallery(browser, url: str, data: str) -> None:
    received = [0]
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()

    def count(frame: str | bytes) -> None:
        received[0] += len(frame)

    page.on("websocket", lambda socket: socket.on("framereceived", count))
    page.goto(f"{url}/forget?data={data}")
    settled(page)
    sizes: list[int] = []

    def turn_page(turn: int) -> None:
        sizes.append(received[0])
        page.get_by_role("button", name="Next page").or_(page.locator(".st-key-gallery_page button").last).last.click()

    times = waits(page, ".st-key-pager", turn_page, 6)
    page.wait_for_timeout(500)
    sizes.append(received[0])
    kilobytes = [(after - before) / 1000 for before, after in pairwise(sizes)][1:]
    print(
        f"  gallery page of 200, {data}: {words(times)} (bar 500 ms), "
        f"{statistics.median(kilobytes):.0f} KB on the wire (bar 300 KB)"
    )
    context.close()


def uncached() -> None:
    """What a page computes for an attack that was not measured: one sample, 100 draws × 11 radii × 5 models."""
    import torch

    from rurk_core.data import load_dataset
    from rurk_core.measure.verdicts import count_verdicts
    from rurk_core.run.result import load_result
    from rurk_core.run.stored import load_model
    from rurk_core.store.store import Store

    torch.set_num_threads(max(1, torch.get_num_threads() // 2))  # as the server does
    store = Store(Path(__file__).parents[1] / "assets" / "demo", read_only=True)
    result = load_result(store, store.list("run")[0].key)
    rows = [row for row in result["models"] if row["role"] != "unlearned"] + [
        row for row in result["models"] if row["role"] == "unlearned"
    ][:1]
    models = {row["name"]: load_model(store, row["key"]) for row in rows}
    data, sample = load_dataset("digits"), result["forget"]["indices"][0]
    references = [name for name in models if name.startswith("reference-")]
    times = []
    for seed in range(5):
        start = time.perf_counter()
        count_verdicts(
            models,
            references,
            data.train_images[[sample]],
            torch.tensor([int(data.train_labels[sample])]),
            [sample],
            attack="uniform_l2",
            taus=[0.03 * (t + 1) for t in range(11)],
            draws=100,
            seed=seed,
            classes=10,
        )
        times.append(1000 * (time.perf_counter() - start))
    print(f"  uncached neighbourhood, digits, {len(models)} models: {words(times[1:])} (bar 1,000 ms)")


def sessions(browser, url: str, pid: int) -> None:
    """Ten visitors who move the slider, each every few seconds and then all at the same instant.

    The browsers draw on the same cores as the server; on machines of their own they would wait for its share only.
    """
    contexts = [browser.new_context(viewport={"width": 1440, "height": 900}) for _ in range(SESSIONS)]
    pages = [context.new_page() for context in contexts]
    for page in pages:
        page.goto(url)
    for page in pages:
        settled(page)

    def act(page, turn: int) -> None:
        page.evaluate(PROBE, ".rks-tau span")
        page.locator(".rks-tau input").focus()
        page.keyboard.press("ArrowRight" if turn % 16 < 8 else "ArrowLeft")

    def waited(acted: list) -> list[float]:
        found = (page.evaluate("window.waited") for page in acted)
        return [milliseconds for milliseconds in found if milliseconds is not None]

    times, memory, turn, end = [], [resident(pid)], 0, time.monotonic() + 60 * MINUTES
    while time.monotonic() < end:
        for page in pages:
            if turn:
                times += waited([page])  # of its turn before, long done
            start = time.monotonic()
            act(page, turn)
            page.wait_for_timeout(max(0.0, 1000 * (PAUSE / SESSIONS - (time.monotonic() - start))))
        memory.append(resident(pid))
        turn += 1
    times += waited(pages)
    print(
        f"  {SESSIONS} sessions for {MINUTES:g} min, each moves the slider every {PAUSE} s: {words(times)} "
        "(bar 1,500 ms)"
    )
    together = []
    for again in range(turn, turn + 5):
        for page in pages:
            act(page, again)
        together += waited(pages)
    print(f"  all {SESSIONS} within the same moment: {words(together)}")
    for context in contexts:
        context.close()
    half = len(memory) // 2
    print(
        f"  memory of the server: {memory[0]:.0f} MB at first, {memory[half]:.0f} half way, {memory[-1]:.0f} at the end"
    )


def main() -> None:
    chromium = find_chromium()
    if chromium is None:
        print("app: no Chromium here; install it with apt-get install chromium")
        return
    from playwright.sync_api import sync_playwright

    print("the app in headless Chromium, warm server")
    uncached()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Path(os.environ.get("RURK_STORE") or f"{folder}/store")
        store = store if store.is_dir() else Path(folder) / "store"
        with server_process(store) as (url, pid):
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            with opened(browser, url):
                pass  # the first visitor of a server waits for its caches
            first_paint(browser, url)
            interactions(browser, f"{url}/neighbourhood", "the experiment in view")
            for data in ("digits", "cifar10"):
                if data == "digits" or os.environ.get("RURK_DATA"):
                    gallery(browser, url, data)
            sessions(browser, f"{url}/neighbourhood", pid)
            browser.close()


if __name__ == "__main__":
    main()
