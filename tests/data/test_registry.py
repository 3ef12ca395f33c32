"""Conformance over the data sets by name, and real CIFAR-10 where it lies."""

from __future__ import annotations

import pytest
import torch

from rurk_core.data import DATASETS, load_dataset, to_pixels
from rurk_core.errors import RurkError
from rurk_core.models import parse_model

SHIPPED = ("digits", "iris", "moons")


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_entry_is_described(name):
    entry = DATASETS[name]
    assert entry.title and entry.licence and entry.source and entry.kind in ("image", "table")
    parse_model(entry.default_model)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_needs_nothing_and_keeps_the_contract(name, tmp_path):
    data = load_dataset(name, tmp_path / "nowhere")
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        pixels = to_pixels(images)
        assert pixels.dtype == torch.float32 and labels.dtype == torch.int64 and len(pixels) == len(labels)
        assert pixels.min() >= 0 and pixels.max() <= 1 and labels.unique().tolist() == list(range(len(data.classes)))
    assert data.fingerprint == load_dataset(name).fingerprint and len(data.fingerprint) == 16
    assert data.is_image == (DATASETS[name].kind == "image")


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
