"""Maps: exact where they can be, alike for equal input, honest about what does not fit, and cheap to look up."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rurk_core.data import load_dataset, to_pixels
from rurk_core.errors import Cancelled, UsageError
from rurk_core.explore.maps import (
    SPLITS,
    MapSpec,
    at_once,
    chosen_samples,
    embedding_job,
    encode,
    load_map,
    make_map,
    map_key,
    map_spec,
)
from rurk_core.explore.reduction import umap
from rurk_core.measure.scores import map_samples
from rurk_core.run.stored import load_model
from rurk_core.store.store import Store


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture
def own(tiny_run, tmp_path):
    """A store of its own on top of the tiny run, and the run's result."""
    store, result = tiny_run
    return Store(tmp_path, bundled=[store.url]), result


def spec_of(result, *models, **more):
    return MapSpec(result["key"], models or ("original",), **more)


def test_a_map_holds_the_forget_set_and_samples_of_the_others(own, digits):
    store, result = own
    spec = spec_of(result, "original", "gd", retain=200, test=50)
    found = load_map(store, make_map(store, spec, result, digits))
    names = [SPLITS[at] for at in found.splits]
    assert names.count("forget") == len(result["forget"]["indices"]) and names.count("test") == 50
    assert (
        found.coordinates.shape == (2, len(names), 2)
        and found.ids[found.splits == 2].tolist() == result["forget"]["indices"]
    )
    assert not set(found.ids[found.splits == 0].tolist()) & set(result["forget"]["indices"])
    more, splits = chosen_samples(result, digits, 300, 50)
    assert set(found.ids[found.splits == 0].tolist()) < set(more[splits == 0].tolist())


@pytest.mark.parametrize("layer", ["features", "scores"])
def test_a_fitted_sample_is_placed_where_it_was_fitted(own, digits, layer):
    store, result = own
    spec = spec_of(result, "original", "reference-1", layer=layer, retain=150, test=0)
    found = load_map(store, make_map(store, spec, result, digits))
    for name in spec.models:
        row = next(row for row in result["models"] if row["name"] == name)
        vectors = encode(load_model(store, row["key"]), digits.train_images[found.ids], layer)
        again = found.place(vectors, name)
        scale = found.coordinates.std()
        # features are stored as float16 from a pass in other batches
        assert (again - found.coordinates[spec.models.index(name)]).abs().max() < 2e-3 * scale


def test_stored_features_and_a_fresh_pass_give_the_same_map(own, digits, tmp_path):
    store, result = own
    spec = spec_of(result, retain=100, test=20)
    bare = result | {"models": [{k: v for k, v in row.items() if k != "scores"} for row in result["models"]]}
    one = load_map(store, make_map(store, spec, result, digits))
    other = Store(tmp_path / "other", bundled=[store.bundled[0].url])
    two = load_map(other, make_map(other, spec, bare, digits))
    assert torch.allclose(one.coordinates, two.coordinates, atol=2e-3 * float(one.coordinates.std()))
    assert at_once(store, spec, result, digits) and not at_once(store, replace(spec, method="umap"), result, digits)


def test_umap_keeps_neighbours_and_places_copies_near_their_sample(own, digits):
    store, result = own
    events: list[dict] = []
    spec = spec_of(result, method="umap", retain=250, test=50)
    key = embedding_job({"spec": spec.to_dict()}, store, events.append, lambda: False)
    assert events[-1]["overall"] == 1 and any(e["stage"] == "UMAP" and 0 < e["done"] < e["total"] for e in events)
    found = load_map(store, key)
    row = next(row for row in result["models"] if row["name"] == "original")
    images, model = to_pixels(digits.train_images[found.ids[found.splits != 1]]), load_model(store, row["key"])
    there = found.coordinates[0][found.splits != 1]
    assert torch.allclose(found.place(encode(model, images, "features"), "original"), there, atol=0.05)
    moved = images + 0.02 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    apart = (found.place(encode(model, moved.clamp(0, 1), "features"), "original") - there).norm(dim=1)
    assert apart.median() < 0.1 * (there.max(0).values - there.min(0).values).norm()
    labels = digits.train_labels[found.ids[found.splits != 1]]
    near = torch.cdist(there, there).topk(6, largest=False).indices[:, 1:]
    assert (labels[near] == labels[:, None]).float().mean() > 0.75
    assert torch.equal(umap(found.anchors[0], spec.seed), found.coordinates[0]), "equal seeds, equal maps"


def test_a_map_in_the_making_can_be_stopped(own, digits):
    store, result = own
    spec = spec_of(result, method="umap", retain=100)
    with pytest.raises(Cancelled):
        embedding_job({"spec": spec.to_dict()}, store, lambda event: None, lambda: True)
    assert not store.has(map_key(spec, result)[0])


def test_the_key_is_of_what_decides_the_bytes(own):
    _, result = own
    first = map_key(spec_of(result), result)[0]
    assert map_key(spec_of(result, seed=8), result)[0] == first, "PCA has no seed"
    assert (
        map_key(spec_of(result, method="umap", seed=8), result)[0] != map_key(spec_of(result, method="umap"), result)[0]
    )
    assert len({map_key(spec_of(result, *m), result)[0] for m in (("original",), ("gd",), ("original", "gd"))}) == 3


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (None, "experiment"),
        ({"run": "run-1", "models": []}, "at least one"),
        ({"run": "run-1", "models": ["original"], "layer": "soul"}, "features or scores"),
        ({"run": "run-1", "models": ["original"], "retain": -1}, "retain"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(values, sentence):
    with pytest.raises(UsageError, match=sentence):
        map_spec(values)


def test_a_model_that_is_not_there_gets_a_sentence(own, digits):
    store, result = own
    with pytest.raises(UsageError, match="no model 'nobody'"):
        make_map(store, spec_of(result, "nobody"), result, digits)


def test_fewer_samples_are_among_more():
    assert set(map_samples(1000, 50).tolist()) < set(map_samples(1000, 200).tolist())
