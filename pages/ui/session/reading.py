"""Reading a data set beside the page: what takes minutes says how far it is, and goes on if one leaves."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

import streamlit as st

from rurk_core.data import Dataset, load_dataset_apart

QUICK = 0.3
"""Seconds that are waited without a word."""


class Reading:
    """A data set read in a thread of its own: ``found`` will hold it, ``share`` and ``said`` are how far it is."""

    def __init__(self, name: str, root: str) -> None:
        self.found: Future[Dataset] = Future()
        self.share, self.said = 0.0, "Reading the data set …"
        threading.Thread(target=self._read, args=(name, root), name=f"reading {name}", daemon=True).start()

    def _read(self, name: str, root: str) -> None:
        try:
            self.found.set_result(load_dataset_apart(name, root or None, progress=self._tell))
        except BaseException as error:
            self.found.set_exception(error)

    def _tell(self, done: int, total: int, what: str) -> None:
        self.share = min(1.0, done / max(1, total))
        self.said = f"{what}, {done:,} of {total:,}: only this first time, afterwards the data set opens at once."


@st.cache_resource(max_entries=3, show_spinner=False)
def _reading(name: str, root: str) -> Reading:
    return Reading(name, root)


def read(name: str, root: str) -> Dataset:
    """A data set, with progress on the page while it is read; what cannot be read is tried anew by the next call."""
    reading = _reading(name, root)
    wait_until = time.monotonic() + QUICK
    while not reading.found.done() and time.monotonic() < wait_until:
        time.sleep(0.01)
    if not reading.found.done():
        place = st.empty()
        while not reading.found.done():
            place.progress(reading.share, reading.said)
            time.sleep(QUICK)
        place.empty()
    try:
        return reading.found.result()
    except BaseException:
        _reading.clear(name, root)
        raise
