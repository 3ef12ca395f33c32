"""A short walk at random; ``python -m benchmarks random_walk`` walks for ten minutes."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from rurk_core.store.store import Store

from .random_walk import Walk

pytestmark = pytest.mark.e2e


def test_nothing_is_lost_on_a_walk_at_random(tiny_run, serve, visit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("walked") / "store"
    shutil.copytree(Path(tiny_run[0].url) / "runs", folder / "runs")
    url, run = serve(folder), tiny_run[1]["key"]
    page = visit(f"{url}/review?run={run}")
    walk = Walk(page, url, Store(folder), run, random.Random(7))
    walk.go(25)
    assert len(walk.done) >= 5 and (walk.written or walk.decided)
