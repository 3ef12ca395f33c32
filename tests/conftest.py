"""What several test files share: one tiny finished digits experiment, and pages as a link opens them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from rurk_core.run.experiment import run
from rurk_core.run.spec import Spec, make_spec
from rurk_core.store.store import Store

FRAME = Path(__file__).parents[1] / "pages" / "frame.py"
DEMO = Path(__file__).parents[1] / "assets" / "demo"
os.environ.pop("RURK_STORE", None)  # no test may write among the results of whoever runs it
REAL_DATA = Path(os.environ.get("RURK_DATA") or Path(__file__).parents[2] / "shared" / "data")

SLOW = {"tiny_spec", "tuned", "app", "browser", "real_data"}
"""Fixtures whose tests train, open pages or drive a browser; they are marked slow with all that build on them."""


TOGETHER = {"tests/pages/test_embedding.py": "tests/explore/test_maps.py"}
"""Files that go to the process of another one: UMAP is compiled in each process anew."""


TIMED = (
    "test_dragging_the_radius_draws_at_least_thirty_frames_a_second",
    "test_the_next_sample_is_there_within_fifty_milliseconds",
)
"""Tests that measure how fast a page is: they come last, when the other processes have ended."""
ALONE = "alone"


def group_of(nodeid: str) -> str:
    """What runs in one process: a file, so that what it shares is made once; browsers, so that none slows another."""
    file = nodeid.partition("::")[0]
    if nodeid.endswith(TIMED):
        return ALONE
    return "browser" if file.startswith("tests/e2e/") else TOGETHER.get(file, file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is slow; groups that take longest come first, so that no process is alone at the end."""
    weights: Counter[str] = Counter()
    for item in items:
        if SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
        group = group_of(item.nodeid)
        weights[group] += 1000 if group == "browser" else item.get_closest_marker("slow") is not None
    weights[ALONE] = -1
    items.sort(key=lambda item: -weights[group_of(item.nodeid)])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups go to processes whole; xdist's own marks for that have no effect under pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

        def _reschedule(self, node: Any) -> None:
            others = [self._pending_of(work) for other, work in self.assigned_work.items() if other is not node]
            if self.workqueue and next(iter(self.workqueue)) == ALONE and any(pending > 1 for pending in others):
                return  # the last of them to end takes it; one test a process keeps until it hears that all is over
            super()._reschedule(node)

    config.option.loadscopereorder = False
    return ByGroup(config, log)


@pytest.fixture(autouse=True)
def own_main():
    """AppTest leaves the page as ``__main__``, which every process that is spawned later would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True)
def own_threads():
    """Sums of floats hang on the number of threads: nothing may leave it other than it was."""
    threads = torch.get_num_threads()
    yield
    left = torch.get_num_threads()
    torch.set_num_threads(threads)
    assert left == threads, f"it was left at {left} threads"


@pytest.fixture(scope="session")
def tiny_spec() -> Spec:
    return make_spec(
        methods="gd:epochs=1,rurk:epochs=1",
        references=2,
        taus="0,0.1,0.3",
        draws=20,
        train={"epochs": 2},
        title="Tiny digits",
    )


@pytest.fixture(scope="session")
def tiny_run(tiny_spec, tmp_path_factory) -> tuple[Store, dict]:
    """A store with one finished run, and its result document; not to be written to."""
    store = Store(tmp_path_factory.mktemp("store"))
    return store, run(tiny_spec, store)


@pytest.fixture
def tiny_store(tiny_run, tmp_path) -> Store:
    """A copy of the tiny run's store, to be written to."""
    shutil.copytree(tiny_run[0].url, tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def forge() -> Callable[[Store, str, str, Any], None]:
    """``forge(store, key, "result.json", value)`` puts other content into a stored entry, as if it had been made so."""

    def change(store: Store, key: str, name: str, value: Any) -> None:
        spec = json.loads(store.read(key, "spec.json"))["spec"]
        store.delete(key)
        store.put(key, spec, {name: json.dumps(value).encode()})

    return change


@pytest.fixture
def app(tmp_path, monkeypatch) -> Callable[..., AppTest]:
    """``app("forget.py", store, run="…")`` → the page (Neighbourhood unless named), run once; the store is empty unless
    one is given."""
    monkeypatch.setenv("RURK_CACHE", str(tmp_path / "cache"))

    def open_page(
        page: str = "neighbourhood.py", store: Store | Path | str = "", bundled: bool = True, **query: str
    ) -> AppTest:
        place = store.url if isinstance(store, Store) else store or tmp_path / "store"
        monkeypatch.setenv("RURK_STORE", str(place))
        import ui.session.state

        monkeypatch.setattr(ui.session.state, "BUNDLED", [str(DEMO)] if bundled else [])
        test = AppTest.from_file(str(FRAME), default_timeout=60)
        for name, value in query.items():
            test.query_params[name] = value
        if page != "overview.py":
            test.switch_page(page)
        test.run()
        assert not test.exception, test.exception[0].stack_trace
        return test

    return open_page


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real CIFAR-10, where there is one."""
    if not (REAL_DATA / "cifar10").is_dir():
        pytest.skip("no CIFAR-10 under RURK_DATA")
    return REAL_DATA
