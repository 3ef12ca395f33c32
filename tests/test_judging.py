"""Evidence on a finished run: kept, read again, refused with one sentence."""

from __future__ import annotations

import json

import pytest

from rurk_core import judging
from rurk_core.errors import UsageError
from rurk_core.judging import evidence_of_run
from rurk_core.store import Store


def test_evidence_is_computed_once(tiny_run, monkeypatch):
    store, result = tiny_run
    first = evidence_of_run(store, result["key"], method="rurk")
    assert (first.attack, first.samples.tolist()) == ("gaussian", result["forget"]["indices"])
    monkeypatch.setattr(judging, "sample_evidence", None)  # not called again
    again = evidence_of_run(store, result["key"], method="rurk", attack="gaussian")
    assert json.dumps(again.to_dict()) == json.dumps(first.to_dict())


def test_a_store_that_is_only_read_costs_time_only(tiny_run):
    store, result = tiny_run
    found = evidence_of_run(Store(store.url, read_only=True), result["key"], method="original", rate=0.1)
    assert found.rate == 0.1 and not [e for e in store.list("evidence") if "0.1" in e.title]


def test_what_is_not_there_is_said(tiny_run):
    store, result = tiny_run
    with pytest.raises(UsageError, match="no model 'nobody'"):
        evidence_of_run(store, result["key"], method="nobody")
    with pytest.raises(UsageError, match="it has gaussian"):
        evidence_of_run(store, result["key"], method="rurk", attack="pgd")
