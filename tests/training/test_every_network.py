"""The law: every network takes every shape under every recipe, or says in one sentence why not."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rurk_core.data import DATASETS, RECIPES, find_recipe
from rurk_core.errors import UsageError
from rurk_core.models import MODELS, create_model, parse_model
from rurk_core.run.spec import make_spec
from rurk_core.training.fit import fit
from rurk_core.training.loop import Diverged
from rurk_core.unlearning import METHODS
from rurk_core.unlearning.base import MethodFailed, Samples, unlearn

SHAPES = [
    (4,), (1, 1, 1), (3, 4, 4), (3, 5, 40), (1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (3, 16, 24), (3, 64, 64),
    (3, 224, 224),
]  # fmt: skip
NARROW = {"linear": "linear", "mlp": "mlp:8"} | {
    n: f"{n}:2" for n in ("cnn", "lenet", "resnet9", "resnet18", "vgg11", "resnet50")
}
SETS = [*DATASETS, "a/folder/of/images"]


def recipes():
    """Every training configuration that there is, once."""
    found = {}
    for name in SETS:
        for recipe in RECIPES:
            try:
                held = find_recipe(recipe, name)
            except UsageError:
                continue
            for config in (held.train, held.reference, held.pretrain):
                if config:
                    found[(config.grow, config.augment, config.schedule, config.label_smoothing)] = config
    return list(found.values())


def of(shape, count):
    labels = torch.arange(count) % 3
    if len(shape) == 1:
        return torch.rand(count, *shape), labels
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8), labels


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("name", MODELS)
def test_networks_shapes_and_recipes(name, shape):
    """Two recipes for each network on each shape, in turn: each network and each shape meets every recipe."""
    model = NARROW[name]
    if len(shape) == 1 and MODELS[name].images_only:
        with pytest.raises(UsageError, match="needs images"):
            create_model(model, shape, 3)
        return
    large = max(shape) > 100
    images, labels = of(shape, 3 if large else 9)
    at, found = list(MODELS).index(name) + SHAPES.index(shape), recipes()
    for config in [found[(at + n) % len(found)] for n in range(1 if large else 2 if len(shape) > 1 else len(found))]:
        # as Spec.training has it; the first of three epochs is on smaller images where that is asked for
        grow = config.grow if parse_model(model)[0].any_size else 0.0
        config = dataclasses.replace(config, epochs=3 if grow else 1, grow=min(grow and 0.4, grow), batch=4, lr=0.001)
        try:
            trained = fit(create_model(model, shape, 3), images, labels, config, seed=0)
        except Diverged:  # a few images of a few pixels through fifty layers: one sentence, and no traceback
            continue
        with torch.no_grad():
            # in eval mode on a few images of a few pixels statistics may be of nothing; shapes are the law
            assert trained(images.float() / 255).shape == (len(images), 3)


@pytest.mark.parametrize("dataset", SETS)
@pytest.mark.parametrize("name", MODELS)
def test_a_plan_never_trains_a_network_of_one_size_on_smaller_images(name, dataset):
    recipe = make_spec(dataset=dataset, model=NARROW[name], methods="gd").training()
    for config in (recipe.train, recipe.reference, recipe.pretrain):
        assert config is None or MODELS[name].any_size or config.grow == 0


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key, method in METHODS.items() if not method.origin])
@pytest.mark.parametrize("name", MODELS)
def test_every_method_takes_every_network_or_says_why_not(key, name):
    torch.manual_seed(0)
    method, shape = METHODS[key], (1, 8, 8)
    images, labels = of(shape, 24)
    retain, forget = Samples(images[6:], labels[6:]), Samples(images[:6], labels[:6])
    model = create_model(NARROW[name], shape, 3).eval()
    few = {"epochs": 1, "batch": 8, "steps": 2, "noise_steps": 2, "pgd_steps": 2}
    known = {setting.name for setting in method.config.settings()}
    config = method.config.from_dict({name: value for name, value in few.items() if name in known})
    if method.check and (refusal := method.check(model, retain, forget, config)):
        assert refusal[-1] == "." and "\n" not in refusal
        return
    try:
        found, _ = unlearn(method, model, retain, forget, config, generator=torch.Generator().manual_seed(0))
    except MethodFailed as error:
        assert "\n" not in str(error)
        return
    assert found(images.float() / 255).shape == (24, 3)
