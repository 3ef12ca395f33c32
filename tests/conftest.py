"""What several test files share: one tiny finished digits experiment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rurk_core.experiment import run
from rurk_core.spec import Spec, make_spec
from rurk_core.store import Store

REAL_DATA = Path(os.environ.get("RURK_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture(autouse=True)
def own_main():
    """AppTest leaves the page as ``__main__``, which every process that is spawned later would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


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


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real CIFAR-10, where there is one."""
    if not (REAL_DATA / "cifar10").is_dir():
        pytest.skip("no CIFAR-10 under RURK_DATA")
    return REAL_DATA
