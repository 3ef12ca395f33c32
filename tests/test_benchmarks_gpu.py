"""The GPU benchmark: all of it runs on the CPU in its tiny form, and a cut run keeps what it had."""

from __future__ import annotations

import json
import time

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu_page import page
from rurk_core.errors import RurkError
from rurk_core.unlearning import METHODS

CPU = torch.device("cpu")


def place(folder, seconds=600.0):
    return gpu.Place(CPU, True, folder, time.monotonic() + seconds)


def test_without_a_gpu_it_says_so_and_measures_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="needs a CUDA device"):
        gpu.main("--out", str(tmp_path / "none"))
    assert not capsys.readouterr().out and not (tmp_path / "none").exists()


@pytest.mark.slow
def test_every_part_runs_in_its_tiny_form(tmp_path):
    found = gpu.measure(place(tmp_path))
    assert json.loads((tmp_path / "gpu.json").read_text()) == found
    assert {name: part.get("failed") for name, part in found["parts"].items()} == dict.fromkeys(gpu.PARTS)
    parts = {name: part["found"] for name, part in found["parts"].items()}
    assert parts["same_numbers"]["holds"], "the CPU beside itself"
    assert all(each["ratio"] > 0 for each in parts["verdicts"].values())
    assert set(parts["methods"]["methods"]) == set(METHODS)
    assert not [key for key, one in parts["methods"]["methods"].items() if "seconds" not in one and "says" not in one]
    assert "tiny" in page(found)


def test_a_cut_run_keeps_what_it_had_and_goes_on(tmp_path):
    ran = []

    def part(name, fails=False):
        def run(at):
            ran.append(name)
            if fails and ran.count(name) == 1:
                raise RurkError("the first try fails")
            return {"n": len(ran)}

        return run

    parts = {"a": part("a"), "b": part("b", fails=True), "c": lambda at: {"finished": False}}
    first = gpu.measure(place(tmp_path), parts)["parts"]
    assert first["a"]["found"] == {"n": 1} and first["b"]["failed"] == "RurkError: the first try fails"
    again = gpu.measure(place(tmp_path), parts)["parts"]
    assert ran == ["a", "b", "b"] and again["b"]["found"] and "failed" not in again["b"]
    assert gpu.measure(place(tmp_path / "late", seconds=-1), parts)["parts"] == {}


def test_a_page_without_measurements_says_so():
    assert "Not measured yet" in page(None)
