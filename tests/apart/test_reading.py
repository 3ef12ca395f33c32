"""Reading apart: a value or one sentence, whatever becomes of the process that reads."""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch

from rurk_core.apart import reading as bounded
from rurk_core.apart.reading import Reading
from rurk_core.errors import UsageError
from rurk_core.models.checkpoints import load_apart, load_checkpoint

READ = "rurk_core.models.checkpoints:read_apart"


@pytest.fixture(scope="module")
def reading():
    """One process for all, made again where a test ends it."""
    with Reading() as found:
        yield found


def test_it_reads_what_is_read_here(reading, tmp_path):
    from rurk_core.models import create_model

    model = create_model("mlp", (4,), 3, seed=1)
    torch.save(model.state_dict(), path := tmp_path / "a.pt")
    reading.ask(READ, [str(path), str(tmp_path), [4], 3], size=path.stat().st_size, what="The checkpoint")
    found = load_apart(str(tmp_path), str(path), "mlp", (4,), 3)
    here = load_checkpoint(path, "mlp", (4,), 3)
    assert all(torch.equal(value, here.state_dict()[name]) for name, value in found.state_dict().items())


def test_its_refusals_are_those_of_the_reader(reading, tmp_path):
    (tmp_path / "a.pt").write_text("hello")
    with pytest.raises(UsageError, match="its first bytes are of no known kind"):
        reading.ask(READ, [str(tmp_path / "a.pt"), str(tmp_path), [4], 3], size=5, what="The checkpoint")


def hashed_for_ever(path: Path) -> None:
    """A state dict one of whose names is a tuple of a tuple of … twice each: 2^40 parts to hash, 40 in the file."""
    torch.save({"w": torch.zeros(2)}, path)
    nested = pickle.dumps({"w": 1}, protocol=2)
    text = b"\x80\x02}(" + b")" + b"".join(b"q%c" % k + b"h%c" % k + b"\x86" for k in range(40)) + b"K\x01u."
    assert nested[:2] == text[:2]
    with zipfile.ZipFile(path) as old:
        parts = {part.filename: old.read(part) for part in old.infolist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in parts.items():
            new.writestr(name, text if name.endswith("data.pkl") else data)


def test_what_never_ends_is_ended(reading, tmp_path, monkeypatch):
    monkeypatch.setattr(bounded, "SECONDS", 2.0)
    hashed_for_ever(path := tmp_path / "a.pt")
    before = set(multiprocessing.active_children())
    assert path.stat().st_size < 2000
    started = time.monotonic()
    with pytest.raises(UsageError, match="takes longer than 2 s to be read"):
        reading.ask(READ, [str(path), str(tmp_path), [4], 3], size=path.stat().st_size, what="The checkpoint a.pt")
    assert time.monotonic() - started < 20
    assert reading._process is None and not set(multiprocessing.active_children()) - before


@pytest.mark.parametrize(
    ("call", "reason"), [("torch:zeros", "more memory than 10 times"), ("os:_exit", "ended the process")]
)
def test_memory_and_sudden_ends(call, reason, reading):
    size = 10**9 if call == "torch:zeros" else 1
    with pytest.raises(UsageError, match=reason):
        reading.ask(call, [size], size=100, what="The file")
    assert reading.ask("math:prod", [[2, 3]], size=0, what="The file") == 6, "the next question is answered"


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not forked there")
def test_the_process_keeps_no_pipe_of_the_other_open(tmp_path):
    """Else whoever waits for the end of such a pipe would wait until the reading ends."""
    ours, theirs = os.pipe()
    with Reading() as reading:
        assert reading.ask("rurk_core.apart.reading:die_with_parent", [], size=0, what="Nothing") is None
        os.close(theirs)
        os.set_blocking(ours, False)
        assert os.read(ours, 1) == b"", "the end is seen at once"
    os.close(ours)


def in_steps(steps: int, pause: float, tell) -> int:
    for step in range(steps):
        tell(step, steps)
        time.sleep(pause)
    return steps


def test_what_gets_on_has_its_time_anew_and_what_does_not_is_given_up(monkeypatch):
    monkeypatch.setattr(bounded, "SECONDS", 1.0)
    heard = []
    with Reading() as reading:
        ask = functools.partial(
            reading.ask, f"{__name__}:in_steps", size=0, what="The set", told=lambda *a: heard.append(a)
        )
        assert ask([6, 0.3]) == 6 and heard == [(step, 6) for step in range(6)]
        with pytest.raises(UsageError, match="The set takes longer than 1 s"):
            ask([1, 60])
