"""Each way of ``python -m benchmarks kills`` once; that tries hundreds of moments of the whole path."""

from __future__ import annotations

import pytest

from benchmarks.kills import Disk, die, ended_at, lose_power, stopped, two_servers, unharmed, vanished

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("share", "strike"), [(0.2, die), (0.5, lose_power), (0.9, die), (0.97, lose_power)])
def test_ended_at_a_moment_of_the_whole_path(share, strike, tmp_path):
    events = unharmed()[1]
    assert events > 80, "every file of every entry is an event or more"
    ended_at(tmp_path, int(share * events), strike)


def test_a_job_that_is_stopped_is_not_dead(tmp_path):
    stopped(tmp_path, 1.0)


def test_two_servers_on_one_store(tmp_path):
    two_servers(tmp_path)


@pytest.mark.parametrize("how", ["deleted", "a file"])
def test_a_store_that_vanishes(how, tmp_path):
    vanished(tmp_path, how, 4)


def test_a_loss_of_power_drops_what_was_not_synced(tmp_path):
    """The measure itself: a synced file stays whole, another is cut, a rename that was not synced may be undone."""
    import builtins
    import os
    import random

    kept = {name: getattr(os, name) for name in ("fsync", "rename", "replace")} | {"open": builtins.open}
    disk = Disk(tmp_path, -1, die)
    try:
        disk.watch()
        for name in ("synced", "cut"):
            with open(tmp_path / name, "wb") as file:
                file.write(bytes(1000))
                file.flush()
                if name == "synced":
                    os.fsync(file.fileno())
        os.rename(tmp_path / "synced", tmp_path / "renamed")
    finally:
        builtins.open = kept.pop("open")
        for name, function in kept.items():
            setattr(os, name, function)
    outcomes = set()
    for seed in range(20):
        disk.lose_power(random.Random(seed))
        outcomes.add((tmp_path / "renamed").exists())
        if (tmp_path / "synced").exists():
            (tmp_path / "synced").rename(tmp_path / "renamed")
    assert outcomes == {True, False} and (tmp_path / "renamed").stat().st_size == 1000
    assert (tmp_path / "cut").stat().st_size < 1000
