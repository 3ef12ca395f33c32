"""What is to be forgotten: rules choose what they say, files travel, impossible sets are refused with the reason."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rurk_core.data import ForgetSet, forget_set, load_dataset, needs_losses, retain_indices
from rurk_core.data.forget import parse_indices
from rurk_core.errors import UsageError


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def test_half_a_class_is_half_of_it_and_seeded(digits):
    members = int((digits.train_labels == 3).sum())
    half = forget_set(digits, "class:3:0.5")
    assert len(half.indices) == round(members / 2)
    assert all(digits.train_labels[list(half.indices)] == 3)
    assert half == forget_set(digits, "class:3:0.5") != forget_set(digits, "class:3:0.5:1")


def test_a_whole_class_by_number_and_by_name(digits):
    named = dataclasses.replace(digits, classes=tuple(f"the digit: {i}" for i in range(10)))
    expected = tuple((digits.train_labels == 7).nonzero()[:, 0].tolist())
    assert forget_set(digits, "class:7").indices == expected
    assert forget_set(named, "class:the digit: 7").indices == expected
    assert len(forget_set(named, "class:the digit: 7:0.5").indices) == round(len(expected) / 2)


def test_losses_decide_hardest_and_memorised(digits):
    losses = torch.arange(len(digits.train_labels)).float().flip(0)
    assert forget_set(digits, "hardest:3", losses=losses).indices == (0, 1, 2)
    last = len(losses) - 1
    assert forget_set(digits, "memorised:2", losses=losses).indices == (last - 1, last)
    assert needs_losses("hardest:3") and needs_losses("memorised:2") and not needs_losses("random:3")


def test_retain_is_the_rest(digits):
    chosen = forget_set(digits, "random:40:9")
    rest = retain_indices(digits, chosen).tolist()
    assert sorted([*rest, *chosen.indices]) == list(range(len(digits.train_labels)))


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("", "cannot be read"),
        ("everything", "cannot be read"),
        ("class:ten", "no class"),
        ("class:0:0", "share"),
        ("class:0:1.5", "share"),
        ("class:0:nan", "share"),
        ("class:0:0.5:-1", "share"),
        ("indices:", "written like"),
        ("indices:1,1", "twice"),
        ("indices:5-3", "backwards"),
        ("indices:999999", "no sample 999999"),
        ("indices:0-1437", "whole training set"),
        ("random:0", "empty"),
        ("random:2000", "asks for 2000"),
        ("random:x", "how many"),
        ("hardest:5", "needs the losses"),
        ("file:/nowhere/set.json", "cannot be read"),
    ],
)
def test_what_cannot_be_forgotten_is_refused_with_the_reason(digits, rule, reason):
    with pytest.raises(UsageError, match=reason):
        forget_set(digits, rule)


def test_a_file_brings_the_set_to_somebody_else(digits, tmp_path):
    chosen = forget_set(digits, "class:0:0.5")
    file = tmp_path / "set.json"
    file.write_text(chosen.to_json())
    assert forget_set(digits, f"file:{file}") == chosen
    other = dataclasses.replace(digits, name="other", fingerprint="0" * 16)
    with pytest.raises(UsageError, match="made for 'digits' with fingerprint"):
        forget_set(other, f"file:{file}")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": "x"}, "not a forget set"),
        ({"indices": "0,1"}, "list of whole numbers"),
        ({"indices": [0, True]}, "list of whole numbers"),
        ({"indices": [0, 0]}, "twice"),
        ({"indices": [-1]}, "-1"),
        ({"indices": []}, "empty"),
        ({"rule": 3}, "must be text"),
    ],
)
def test_bent_files_are_refused(digits, change, reason):
    values = json.loads(forget_set(digits, "random:3").to_json()) | change
    with pytest.raises(UsageError, match=reason):
        ForgetSet.from_json(json.dumps(values), digits)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_is_a_set_or_a_sentence(digits, text):
    for parse in (lambda: forget_set(digits, text), lambda: ForgetSet.from_json(text, digits)):
        try:
            found = parse()
        except UsageError as error:
            assert str(error)
        else:
            assert 0 < len(found.indices) < len(digits.train_labels)


@given(st.sets(st.integers(0, 300), min_size=1))
def test_written_indices_read_back(indices):
    text = ",".join(map(str, sorted(indices)))
    assert parse_indices(text, limit=301) == sorted(indices)
