"""A store of 5,000 small runs: how long every page takes at rest, and ``rurk store ls``.

``python -m benchmarks many_runs [runs]`` makes them from one run of digits (copies with other seeds and titles, each
with entries of its own), opens every page as a visitor does, twice, and prints the second: at rest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from rurk_core.run.archive import entries_of
from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.store.names import KEY
from rurk_core.store.store import Store

ROOT = Path(__file__).parents[1]
PAGES = sorted({path.stem for path in (Path(__file__).parents[1] / "pages").glob("*.py")} - {"frame"})


def many(store: Store, runs: int) -> str:
    """One real run, and others that are it under other seeds: nothing is shared, as after as many trainings.

    Returns:
        The key of the newest.
    """
    few = {"references": 2, "taus": "0,0.1", "draws": 5, "relearn": 0, "train": {"epochs": 1}}
    first = run(make_spec("digits", methods="gd:epochs=1", **few), store)
    parts = {key: (store.document(key), _files(store, key)) for key in entries_of(store, first["key"])}
    with patch("os.fsync"):  # what is measured is reading
        for number in range(1, runs):
            _copy(store, parts, number)
    return max(store.own("run"), key=lambda entry: entry.created).key


def _files(store: Store, key: str) -> dict[str, bytes]:
    return {name: store.read(key, name) for name in store.document(key)["files"]}


def _copy(store: Store, parts: dict, number: int) -> None:
    """The same entries under other names: each made from the others' new names and another seed."""
    renamed: dict[str, str] = {}

    def moved(value: object) -> object:
        if isinstance(value, str):
            return renamed.get(value, value) if KEY.fullmatch(value) else value
        if isinstance(value, list):
            return [moved(item) for item in value]
        return {name: moved(item) for name, item in value.items()} if isinstance(value, dict) else value

    order = ("original", "reference", "unlearned", "scores", "verdicts", "peers", "run")
    for key in sorted(parts, key=lambda key: order.index(key.rpartition("-")[0])):
        kind, (document, files) = key.rpartition("-")[0], parts[key]
        spec = moved(document["spec"]) | {"seed" if kind == "run" else "copy": number}
        renamed[key] = store.key(kind, {name: value for name, value in spec.items() if name != "title"})
        if kind == "run":
            result = moved(json.loads(files["result.json"])) | {"key": renamed[key], "seed": number}
            result["spec"] = result["spec"] | {"seed": number}
            files = files | {"result.json": json.dumps(result).encode()}
            spec |= {"title": f"Digits {number}"}
        store.put(renamed[key], spec, files)


def open_page(page: str, run: str) -> float:
    """Seconds of a rerun of a page that was shown before."""
    from streamlit.testing.v1 import AppTest

    test = AppTest.from_file(str(ROOT / "pages" / "frame.py"), default_timeout=600)
    test.query_params["run"] = run
    if page != "overview":
        test.switch_page(f"{page}.py")
    started = time.perf_counter()
    test.run()
    first = time.perf_counter() - started
    assert not test.exception, test.exception[0].stack_trace
    started = time.perf_counter()
    test.run()
    print(f"| {page} | {first:.2f} | {time.perf_counter() - started:.2f} |", flush=True)
    return time.perf_counter() - started


def listed(store: Store) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "rurk_core", "store", "ls", "--store", store.url]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main(runs: int = 5000) -> None:
    sys.path.insert(0, str(ROOT / "pages"))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(os.environ.get("RURK_BENCH_STORE") or Path(folder, "store"))
        started = time.perf_counter()
        newest = max(store.own("run"), key=lambda e: e.created).key if store.own("run") else many(store, runs)
        print(f"{runs} runs, {len(store.own())} entries, made in {time.perf_counter() - started:.0f} s", flush=True)
        print(f"rurk store ls: {min(listed(store) for _ in range(3)):.2f} s", flush=True)
        os.environ["RURK_STORE"] = store.url
        print("\n| page | first, s | at rest, s |\n|---|---:|---:|")
        slowest = max(open_page(page, newest) for page in PAGES)
        print(f"\nSlowest at rest: {slowest:.2f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
