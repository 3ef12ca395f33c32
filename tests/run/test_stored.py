"""What finished stages made is found again: the data that a run ran on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rurk_core.data import load_dataset
from rurk_core.errors import RurkError
from rurk_core.run.stored import data_of

EARLIER = Path(__file__).parents[1] / "stores" / "2026-11-25"


def test_a_run_from_before_a_part_was_held_out_finds_its_data():
    (file,) = EARLIER.glob("runs/run-*/result.json")
    result = json.loads(file.read_text())
    assert result["spec"]["dataset"] == "digits", "and no word of validation"
    found = data_of(result)
    assert found.fingerprint == result["dataset"]["fingerprint"] and len(found.train_labels) == 1438


def test_a_run_of_today_has_the_data_of_today(tiny_run):
    result = tiny_run[1]
    assert data_of(result).fingerprint == load_dataset("digits").fingerprint == result["dataset"]["fingerprint"]


def test_other_data_are_handed_on_for_the_caller_to_compare(tiny_run):
    other = tiny_run[1] | {"dataset": {"fingerprint": "0" * 16}}
    assert data_of(other).fingerprint == load_dataset("digits").fingerprint
    named = other | {"spec": other["spec"] | {"dataset": "digits?validation=0.2"}}
    assert data_of(named).fingerprint == load_dataset("digits?validation=0.2").fingerprint
    with pytest.raises(RurkError, match="no data set"):
        data_of(other | {"spec": {"dataset": "nowhere"}})
