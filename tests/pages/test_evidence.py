"""The Evidence page: what its pictures are made of, and what is done with a choice."""

from __future__ import annotations

import json
from pathlib import Path

from streamlit.testing.v1 import AppTest

from rurk_core.evidence.case import open_case
from rurk_core.evidence.findings import find
from rurk_core.evidence.slices import slices
from rurk_core.store.store import Store

from .looking import fine

DEMO = Path(__file__).parents[2] / "assets" / "demo"


def pictures(test) -> dict:
    (data,) = [json.loads(item.proto.json) for item in test.get("bidi_component") if '"signals"' in item.proto.json]
    return data


def test_the_pictures_hold_every_sample_with_its_finding(app):
    test = fine(app("evidence.py", method="scrub"))
    data = pictures(test)
    (entry,) = Store(DEMO, read_only=True).list("run")
    found = find(open_case(Store(DEMO, read_only=True), entry.key, method="scrub"))
    assert data["ids"] == [one.sample for one in found.samples]
    assert data["findings"] == [one.finding for one in found.samples]
    assert all(len(signal["values"]) == len(data["ids"]) == len(data["places"]) for signal in data["signals"])


def acted(done, run):
    """A script in which one thing is asked for, once."""
    import streamlit as st
    from ui.sections.linked_choice import act
    from ui.session import state

    if st.session_state.setdefault("done", False):
        return
    st.session_state["done"] = True
    act(done, run, "gd", "gaussian", state.dataset("digits"))


def ask(run: str, **done) -> AppTest:
    test = AppTest.from_function(acted, args=(done, run), default_timeout=60).run()
    assert not test.exception
    return test


def test_a_choice_becomes_a_slice_or_joins_the_forget_set(app, tiny_store, tiny_run):
    run, ids = tiny_run[1]["key"], tiny_run[1]["forget"]["indices"][:3]
    fine(app("evidence.py", tiny_store, run=run))
    ask(run, act="slice", ids=ids, name="odd ones")
    assert slices(tiny_store, run) == {"odd ones": ids}
    assert pictures(fine(app("evidence.py", tiny_store, run=run)))["slices"] == {"odd ones": ids}
    (kept,) = [one.indices for one in ask(run, act="forget", ids=ids, name="").session_state["drafts"].values()]
    assert kept == tuple(sorted(ids))


def test_without_data_there_are_numbers_and_no_map(app, monkeypatch):
    from ui.session import state

    from rurk_core.errors import RurkError

    def gone(name):
        raise RurkError("The data are not there.")

    monkeypatch.setattr(state, "dataset", gone)
    data = pictures(fine(app("evidence.py")))
    assert data["places"] is None and data["images"] == "" and data["signals"]
