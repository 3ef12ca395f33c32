"""A server under use for a long time: sessions and jobs come and go, memory and handles must stay flat.

``python -m benchmarks soak [minutes]`` (30 by default): ten sessions of a real browser walk through the pages, each
leaves after a while and another takes its place; meanwhile tiny experiments are started one after the other and every
third is cancelled. Every half minute the server's memory, open files, threads and children are noted. It fails where
the last third of the notes lies clearly above the middle third.

Every page load is a session to Streamlit, which keeps the last 128 of those that have left for two minutes, in case
they come back, each with the three handles of an event loop. So open files follow the page loads of the last two
minutes; what is judged is what is open beside them.
"""

from __future__ import annotations

import itertools
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rurk_core.jobs import control as jobs
from rurk_core.store.store import Store

from .faults import tiny

SESSIONS = 10
EVERY = 30.0
KEPT, HANDLES = 120.0, 3
"""Seconds that Streamlit keeps a session for, and what it holds meanwhile."""
GROWTH = {"MB": (1.10, 60), "other files": (1.10, 10), "threads": (1.10, 5)}
"""What may grow: by a factor, and by so much beside it."""


def main(minutes: int = 30) -> None:
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "e2e"))
    from conftest import FLAGS, find_chromium, server_process  # type: ignore[import-not-found]

    rng, chromium = random.Random(0), find_chromium()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Store(Path(folder) / "store")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        with server_process(Path(folder) / "store") as (url, pid):
            notes = _use(browser, url, pid, store, minutes * 60.0, rng)
        browser.close()
    judge(notes)


def _use(browser, url: str, pid: int, store: Store, seconds: float, rng: random.Random) -> list[dict[str, float]]:
    began = time.monotonic()
    sessions: list = []
    notes: list[dict[str, float]] = []
    seeds, job, visits, made = itertools.count(100), "", 0, 0
    paths: list[str] = []
    loads: list[float] = []
    print("| minute | MB | files | of kept sessions | threads | visits | jobs |\n|---:|---:|---:|---:|---:|---:|---:|")
    while (now := time.monotonic() - began) < seconds:
        if len(sessions) < SESSIONS:
            sessions.append(browser.new_context())
            sessions[-1].new_page()
        context = rng.choice(sessions)
        page = context.pages[0]
        page.goto(f"{url}/{rng.choice(paths) if paths else ''}", timeout=120_000)
        page.locator("[data-testid=stApp]").wait_for(timeout=120_000)
        page.wait_for_timeout(1000)
        if not paths:
            links = page.locator("a[data-testid=stSidebarNavLink], nav a").evaluate_all(
                "all => all.map(a => a.pathname)"
            )
            paths = sorted({link.strip("/") for link in links})
        visits += 1
        loads.append(time.monotonic() - began)
        if rng.random() < 0.2:
            sessions.remove(context)
            context.close()
        if not job or not jobs.job_status(store, job).alive:
            spec = tiny().to_dict() | {"seed": next(seeds)}
            job, made = jobs.start_job(store, {"spec": spec, "device": "cpu"}), made + 1
        elif made % 3 == 0:
            jobs.cancel_job(store, job)
        if now >= len(notes) * EVERY:
            kept = HANDLES * min(128, sum(load > loads[-1] - KEPT for load in loads))
            notes.append(look(pid) | {"minute": now / 60, "visits": visits, "jobs": made})
            last = notes[-1]
            last["other files"] = last["files"] - kept
            numbers = f"{last['minute']:.1f} | {last['MB']:.0f} | {last['files']} | {kept} | {last['threads']}"
            print(f"| {numbers} | {visits} | {made} |", flush=True)
    if job:
        jobs.cancel_job(store, job, force=True)
    for context in sessions:
        context.close()
    stuck = [status for status in jobs.list_jobs(store) if status.alive]
    assert not stuck, f"{len(stuck)} jobs are stuck"
    states = [status.state for status in jobs.list_jobs(store)]
    print(", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))))
    return notes


def look(pid: int) -> dict[str, float]:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "MB": int(status["VmRSS"].split()[0]) / 1024,
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": int(status["Threads"]),
    }


def judge(notes: list[dict[str, float]]) -> None:
    third = len(notes) // 3
    if third < 2:
        print("Too short to say whether anything grows.")
        return
    for name in (name for name in GROWTH if name in notes[0]):
        factor, beside = GROWTH[name]
        middle = statistics.median(note[name] for note in notes[third : 2 * third])
        last = statistics.median(note[name] for note in notes[2 * third :])
        flat = last <= middle * factor + beside
        print(f"{name}: {middle:.0f} in the middle third, {last:.0f} in the last: {'flat' if flat else 'GROWS'}")
        if not flat:
            sys.exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
