"""Conformance over the data sets by name, and real CIFAR-10 where it lies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rurk_core.data import (
    DATASETS,
    DatasetEntry,
    dataset_entry,
    forget_set,
    load_dataset,
    split_validation,
    to_pixels,
    with_validation,
)
from rurk_core.data.dataset import hold_out, make_dataset
from rurk_core.errors import RurkError, UsageError
from rurk_core.experiment import run
from rurk_core.models import parse_model
from rurk_core.run.spec import make_spec, parse_taus
from rurk_core.store import Store

SHIPPED = ("digits", "fashion", "iris", "moons")


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_entry_is_described(name):
    entry = DATASETS[name]
    assert entry.title and entry.licence and entry.source and entry.kind in ("image", "table")
    parse_model(entry.model)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "fashion" else n for n in SHIPPED])
def test_what_ships_needs_nothing_and_keeps_the_contract(name, tmp_path):
    data = load_dataset(name, tmp_path / "nowhere")
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        pixels = to_pixels(images)
        assert pixels.dtype == torch.float32 and labels.dtype == torch.int64 and len(pixels) == len(labels)
        assert pixels.min() >= 0 and pixels.max() <= 1 and labels.unique().tolist() == list(range(len(data.classes)))
    assert data.fingerprint == load_dataset(name).fingerprint and len(data.fingerprint) == 16
    assert (data.train_images.dim() == 4) == (DATASETS[name].kind == "image")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion_mnist"])
def test_offline_one_sentence_says_where_to_put_the_files(name, tmp_path, monkeypatch):
    def refused(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refused)
    with pytest.raises(RurkError, match="cannot be downloaded from here; put ") as caught:
        load_dataset(name, tmp_path)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_real_cifar10(real_data):
    data = load_dataset("cifar10?validation=0", real_data)
    assert data.train_images.shape == (50_000, 3, 32, 32) and data.train_images.dtype == torch.uint8
    assert torch.bincount(data.train_labels).tolist() == [5000] * 10
    assert torch.bincount(data.test_labels).tolist() == [1000] * 10
    assert data.classes[:3] == ("airplane", "automobile", "bird")


def test_real_small_cifar5(real_data):
    data = load_dataset("small_cifar5?validation=0", real_data)
    assert torch.bincount(data.train_labels).tolist() == [200] * 5 == torch.bincount(data.test_labels).tolist()
    assert data.classes == ("airplane", "automobile", "bird", "cat", "deer")


@pytest.mark.parametrize("name", [*sorted(DATASETS), "some/folder"])
def test_every_entry_says_how_to_train_and_how_far_to_perturb(name):
    spec = make_spec(name)
    entry, recipe = dataset_entry(name), spec.training()
    assert spec.model == entry.model and spec.taus == parse_taus(entry.taus) and spec.taus[0] == 0 < spec.taus[-1]
    assert recipe.train.epochs > 0 and recipe.reference.epochs > 0
    assert (recipe.pretrain is None) == (entry.pretrain_on is None)
    assert (recipe.origin == "") == (name in DATASETS), "borrowed settings say so"
    if name in DATASETS and entry.paper is None:
        with pytest.raises(UsageError, match="There is no paper recipe for"):
            make_spec(name, recipe="paper")


def test_an_entry_without_a_recipe_or_radii_cannot_be_made():
    with pytest.raises(TypeError, match=r"'taus' and 'quick'|taus.*quick"):
        DatasetEntry(title="t", licence="l", source="s", kind="table", model="mlp", load=lambda root, progress: None)


def test_one_entry_is_all_that_a_new_table_needs(monkeypatch, tmp_path):
    """A table added through the registry alone once ran under CIFAR's recipe and radii, without a word."""
    moons = DATASETS["moons"]
    monkeypatch.setitem(DATASETS, "table", replace(moons, title="A table", taus="0:0.1:3"))
    spec = make_spec("table", methods="gd:epochs=1", references=1, draws=5, relearn=0, train={"epochs": 2})
    assert spec.taus == (0, 0.05, 0.1) and spec.training().train.batch == moons.quick.train.batch
    result = run(spec, Store(tmp_path))
    assert result["dataset"]["train"] == 720 and not result["notes"]


@pytest.mark.parametrize("model", ["cnn", "vgg11", "mlp", "linear"])
def test_networks_of_one_size_are_not_trained_on_smaller_images(model):
    training = make_spec("small_cifar5", model=model).training()
    assert training.train.grow == 0 and training.pretrain.grow == 0
    assert make_spec("small_cifar5").training().pretrain.grow == 0.4
    with pytest.raises(UsageError, match="takes images of one size only"):
        make_spec("small_cifar5", model=model, pretrain={"grow": 0.2})


# --- the part that is held out ---


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_training_and_the_validation_part_are_the_whole(name, share):
    whole, data = load_dataset(f"{name}?validation=0"), load_dataset(f"{name}?validation={share}")
    assert whole.validation_images is None and data.validation_labels is not None
    assert len(data.train_labels) + len(data.validation_labels) == len(whole.train_labels)
    for label in range(len(data.classes)):
        members = int((whole.train_labels == label).sum())
        assert int((data.validation_labels == label).sum()) == members - round((1 - share) * members)
    rows = [
        to_pixels(part).flatten(1).double() for part in (data.train_images, data.validation_images, whole.train_images)
    ]
    assert torch.allclose(torch.cat(rows[:2]).sum(0), rows[2].sum(0))
    assert data.fingerprint != whole.fingerprint and data.test_labels is not None
    assert data.fingerprint == load_dataset(f"{name}?validation={share}").fingerprint


def test_forget_sets_are_chosen_among_what_is_trained_on():
    data = load_dataset("fashion")
    assert torch.bincount(data.train_labels).tolist() == [450] * 10
    assert torch.bincount(data.validation_labels).tolist() == [50] * 10
    assert len(forget_set(data, "class:0:0.5").indices) == 225 and forget_set(data, "class:9").indices[-1] < 4500


def test_a_class_keeps_two_samples_and_a_tiny_one_all():
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2])
    images = torch.arange(9.0).view(9, 1) / 9
    found = hold_out(make_dataset("t", (images, labels), (images, labels), "abc", licence="l", source="s"), 0.5)
    assert torch.bincount(found.train_labels).tolist() == [2, 2, 2]
    assert found.validation_labels.tolist() == [1, 2, 2]


def test_the_name_says_what_is_held_out():
    assert split_validation("a/b?size=32") == ("a/b?size=32", None)
    assert split_validation("a/b?validation=0.2&size=32") == ("a/b?size=32", 0.2)
    assert split_validation("a/b?label=x&validation=0.2&size=32") == ("a/b?label=x&size=32", 0.2)
    for name, share in (("digits", 0.2), ("fashion", 0), ("a/b?size=32", 0.3), ("fashion?validation=0.2", 0)):
        said = with_validation(name, share)
        assert split_validation(said) == (split_validation(name)[0], share)
        assert dataset_entry(said) is dataset_entry(name)
    assert with_validation("fashion?validation=0.3", 0.1) == "fashion"
    for bad in ("x", "-0.1", "0.6", "nan", ""):
        with pytest.raises(UsageError, match=r"number from 0 to 0\.5"):
            load_dataset(f"digits?validation={bad}")


def test_nothing_held_out_leaves_every_key_as_it_was(tmp_path):
    whole = load_dataset("digits?validation=0")
    assert whole.numbers is None and whole.fingerprint != load_dataset("digits").fingerprint
    assert load_dataset("digits?validation=0.1").fingerprint == load_dataset("digits").fingerprint
    assert make_spec("digits").dataset == "digits"


def test_a_list_from_elsewhere_counts_all_training_samples(tmp_path):
    data = load_dataset("digits?validation=0.1")
    apart = sorted(set(range(1437)) - set(data.numbers.tolist()))
    asked = data.numbers[[3, 700, 1200]].tolist()
    file = tmp_path / "list.txt"
    file.write_text("\n".join(map(str, asked)))
    assert forget_set(data, f"file:{file}").indices == (3, 700, 1200)
    whole = load_dataset("digits?validation=0")
    assert torch.equal(whole.train_images[asked], data.train_images[[3, 700, 1200]])
    for wrong in (-1, 1438):
        file.write_text(f"{asked[0]} {wrong}")
        with pytest.raises(UsageError, match=f"sample {wrong}, but"):
            forget_set(data, f"file:{file}")
    file.write_text(str(apart[0]))
    with pytest.raises(UsageError, match=f"sample {apart[0]}, which is held out"):
        forget_set(data, f"file:{file}")
    with pytest.raises(UsageError):
        file.write_text("5000")
        forget_set(data, f"file:{file}")
