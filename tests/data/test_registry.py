"""Conformance over the data sets by name, and real CIFAR-10 where it lies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rurk_core.data import DATASETS, DatasetEntry, dataset_entry, load_dataset, to_pixels
from rurk_core.errors import RurkError, UsageError
from rurk_core.experiment import run
from rurk_core.models import parse_model
from rurk_core.run.spec import make_spec, parse_taus
from rurk_core.store import Store

SHIPPED = ("digits", "iris", "moons")


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_entry_is_described(name):
    entry = DATASETS[name]
    assert entry.title and entry.licence and entry.source and entry.kind in ("image", "table")
    parse_model(entry.model)


@pytest.mark.parametrize("name", SHIPPED)
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
    data = load_dataset("cifar10", real_data)
    assert data.train_images.shape == (50_000, 3, 32, 32) and data.train_images.dtype == torch.uint8
    assert torch.bincount(data.train_labels).tolist() == [5000] * 10
    assert torch.bincount(data.test_labels).tolist() == [1000] * 10
    assert data.classes[:3] == ("airplane", "automobile", "bird")


def test_real_small_cifar5(real_data):
    data = load_dataset("small_cifar5", real_data)
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
        with pytest.raises(UsageError, match="The paper has no recipe for"):
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
    assert result["dataset"]["train"] == 800 and not result["notes"]


@pytest.mark.parametrize("model", ["cnn", "vgg11", "mlp", "linear"])
def test_networks_of_one_size_are_not_trained_on_smaller_images(model):
    training = make_spec("small_cifar5", model=model).training()
    assert training.train.grow == 0 and training.pretrain.grow == 0
    assert make_spec("small_cifar5").training().pretrain.grow == 0.4
    with pytest.raises(UsageError, match="takes images of one size only"):
        make_spec("small_cifar5", model=model, pretrain={"grow": 0.2})
