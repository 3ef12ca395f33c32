"""What is to be forgotten: rules choose what they say, files travel, impossible sets are refused with the reason."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rurk_core.data import ForgetSet, find_recipe, forget_set, load_dataset, needs_losses, retain_indices
from rurk_core.data.forget import parse_indices
from rurk_core.data.twins import twins
from rurk_core.device import logits_of
from rurk_core.errors import UsageError
from rurk_core.models import create_model
from rurk_core.training.fit import fit


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits?validation=0")


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
    assert forget_set(digits, "easiest:2", losses=losses).indices == (last - 1, last)
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
        ("class:0:0.5:99999999999999999999999", "at most 9 digits"),
        ("file:/dev/zero", "is no file"),
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


@settings(max_examples=50, deadline=None)  # `python -m benchmarks fuzz` tries thousands
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


def test_near_twins_are_named_and_their_twins_stay(digits):
    """Of copies one is named and the others stay; of two a grey value apart too, behind them."""
    of_class = (digits.train_labels == 4).nonzero()[:, 0].tolist()
    one, copied, again, nearly = of_class[:4]
    images = digits.train_images.clone()
    images[copied], images[again] = images[one], images[one]
    images[nearly] = images[of_class[5]]
    images[nearly].view(-1)[30] += 1 if images.dtype == torch.uint8 else 1 / 255
    with_twins = dataclasses.replace(digits, train_images=images)
    found = twins(with_twins)
    assert found[0] in (one, copied, again) and found[1] in (nearly, of_class[5])
    assert not {one, copied, again, nearly, of_class[5]} & set(found[2:])
    assert set(forget_set(with_twins, "twins:3").indices) == set(found[:3])
    assert len(found) == len(set(found)) < len(digits.train_labels)
    with pytest.raises(UsageError, match="have a twin that stays"):
        forget_set(with_twins, f"twins:{len(digits.train_labels) - 1}")


def test_canaries_are_planted_with_wrong_labels_and_forgotten_by_name():
    plain, planted = load_dataset("digits"), load_dataset("digits?canaries=20")
    changed = (plain.train_labels != planted.train_labels).nonzero()[:, 0].tolist()
    assert len(changed) == 20 and planted.canaries == tuple(changed)
    assert forget_set(planted, "canaries").indices == tuple(changed)
    assert torch.equal(plain.train_images, planted.train_images) and torch.equal(plain.test_labels, planted.test_labels)
    assert planted.fingerprint != plain.fingerprint and "20 training samples are canaries" in planted.notes[-1]
    assert load_dataset("digits?canaries=20").canaries == planted.canaries
    both = load_dataset("digits?canaries=10&validation=0.1")
    assert len(both.canaries) == 10 and both.validation_labels is not None
    with pytest.raises(UsageError, match="No canaries are planted"):
        forget_set(plain, "canaries")
    for name, reason in (("digits?canaries=0", "from 1 to 10,000"), ("digits?canaries=999", "At most a tenth")):
        with pytest.raises(UsageError, match=reason):
            load_dataset(name)


@pytest.mark.slow
def test_an_original_knows_its_canaries_and_a_re_training_does_not():
    """The known truth: each label is a wrong one, which nobody says who has not seen it."""
    data, recipe = load_dataset("digits?canaries=20"), find_recipe("quick", "digits?canaries=20")
    gone = torch.tensor(data.canaries)
    kept = retain_indices(data, forget_set(data, "canaries"))
    said = []
    for index in (torch.arange(len(data.train_labels)), kept):
        model = create_model("cnn", data.input_shape, 10, seed=1)
        fit(
            model,
            data.train_images[index],
            data.train_labels[index],
            dataclasses.replace(recipe.train, epochs=60),
            seed=1,
        )
        said.append((logits_of(model, data.train_images[gone]).argmax(1) == data.train_labels[gone]).float().mean())
    assert said[0] > 0.8 and said[1] < 0.1
