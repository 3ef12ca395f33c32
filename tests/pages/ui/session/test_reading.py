"""Reading a data set beside the page: it says how far it is, and what failed is tried anew."""

from __future__ import annotations

import threading

import pytest
from ui.session import reading

from rurk_core.data import load_dataset_apart
from rurk_core.errors import RurkError


def test_it_says_how_far_it_is_until_it_is_there(monkeypatch):
    told, go_on = threading.Event(), threading.Event()

    def slow(name, root, *, progress):
        progress(1024, 50_000, "Decoding images")
        told.set()
        go_on.wait(10)
        return name

    monkeypatch.setattr(reading, "load_dataset_apart", slow)
    found = reading.Reading("photos", "")
    assert told.wait(10) and not found.found.done()
    assert found.said.startswith("Decoding images, 1,024 of 50,000") and found.share == 1024 / 50_000
    go_on.set()
    assert found.found.result(10) == "photos"


def test_what_could_not_be_read_is_tried_anew(monkeypatch):
    def gone(name, root, *, progress):
        raise RurkError("The data are not there.")

    reading._reading.clear()
    monkeypatch.setattr(reading, "load_dataset_apart", gone)
    with pytest.raises(RurkError, match="not there"):
        reading.read("digits", "")
    monkeypatch.setattr(reading, "load_dataset_apart", load_dataset_apart)
    assert reading.read("digits", "").input_shape == (1, 8, 8)
