"""The parts of a stage, on linear models whose fields, copies and verdicts are known by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from packs import unpack
from torch import nn

from rurk_core.data.dataset import make_dataset
from rurk_core.errors import UsageError
from rurk_core.explore import stage
from rurk_core.explore.scene import CUTS, Once, Scene
from rurk_core.measure.verdicts import count_verdicts
from rurk_core.perturb.copies import ATTACKS

TAUS = [0.0, 0.1, 0.2]
DRAWS = 25


class Linear(nn.Module):
    """Three classes: 0 where w·x > c, else 1; class 2 never."""

    def __init__(self, w, c: float):
        super().__init__()
        self.w, self.c = nn.Parameter(torch.tensor(w), requires_grad=False), c

    def forward(self, x):
        z = 4 * (x.flatten(1) @ self.w - self.c)
        return torch.stack([z, -z, torch.full_like(z, -9.0)], 1)


MODELS = {
    "original": Linear([1.0, 1.0, 1.0, 1.0], 1.5),
    "gd": Linear([1.0, 1.0, 0.0, 0.0], 0.95),
    "reference-1": Linear([1.0, -1.0, 0.0, 0.0], 0.05),
    "reference-2": Linear([0.0, 0.0, 1.0, -1.0], -0.02),
}
ROLES = {"original": "original", "gd": "unlearned"}


def field(*about) -> tuple[dict, np.ndarray]:
    """A field as a browser reads it: header and shades."""
    header, found = unpack(stage.field(*about))
    return header, found["shades"].cumsum(-1, dtype=np.uint8).cumsum(-2, dtype=np.uint8)


@pytest.fixture(scope="module")
def data():
    images = torch.full((7, 1, 2, 2), 0.5)
    images[1:] += 0.1 * torch.rand(6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 0, 2, 1, 2, 0])
    return make_dataset("squares", (images, labels), (images, labels), ["a", "b", "c"], licence="", source="")


@pytest.fixture(scope="module")
def make_scene(data):
    def make(attack: str = "gaussian", measured: bool = True, draws: int = DRAWS, **models: nn.Module) -> Scene:
        judges = {**MODELS, **models}
        table = count_verdicts(
            judges,
            ["reference-1", "reference-2"],
            data.train_images[[0, 2]],
            data.train_labels[[0, 2]],
            [0, 2],
            attack=attack if measured else "gaussian",
            taus=TAUS,
            draws=draws,
            seed=3,
            classes=3,
            source="gd",
        )
        rows = [{"name": name, "key": name, "role": ROLES.get(name, "reference")} for name in judges]
        result = {"models": rows, "forget": {"indices": [0, 2]}}
        return Scene(result, data, "gd", attack, table, measured, None, judges.__getitem__)

    return make


@pytest.fixture(scope="module")
def scene(make_scene):
    return make_scene()


@pytest.mark.parametrize("attack", ATTACKS)
def test_counts_of_copies_are_those_of_the_verdict_table(make_scene, attack):
    scene = make_scene(attack)
    header, found = unpack(stage.copies(scene, 2, "adversarial", [0, 1, 2], scene.models))
    place = scene.like.samples.tolist().index(2)
    for m, name in enumerate(scene.models):
        counted = scene.like.counts[scene.like.models.index(name), place]
        taken = found["top"][:, m, :, 0]
        assert [np.bincount(row, minlength=3).tolist() for row in taken] == counted.tolist()
    assert header["same"] == [True] * 3
    table = scene.table(2)
    rows = [scene.like.models.index(name) for name in scene.models]
    assert (table.counts[:, 0] == scene.like.counts[rows, place]).all()
    assert np.allclose(table.margins[:, 0], scene.like.margins[rows, place], atol=1e-4)
    assert (table.agreement[:, :, 0] == scene.like.agreement[rows, :, place]).all()


@pytest.mark.parametrize("attack", ATTACKS)
def test_copies_can_be_drawn_from_what_is_sent(make_scene, attack):
    scene = make_scene(attack)
    base = dict(zip(("header", "arrays"), unpack(stage.base(scene, 2)), strict=True))
    header, found = unpack(stage.copies(scene, 2, "adversarial", [0, 1, 2], ["gd"]))
    picture = base["arrays"]["picture"].astype(float) / 255
    for t, tau in enumerate(TAUS):
        true = scene.moved(2, t).permute(0, 2, 3, 1).numpy()
        if "noise" in base["arrays"]:
            step = base["header"]["step"]
            drawn = np.clip(picture + tau * step * base["arrays"]["noise"], 0, 1)
            bound = tau * step
        else:
            drawn = np.clip(picture + header["steps"][t] * found["change"][t].astype(float), 0, 1)
            bound = header["steps"][t]
        assert np.abs(drawn - true).max() <= 0.5 / 255 + 0.51 * bound + 1e-6


def test_the_field_of_a_linear_model_is_its_half_plane(scene):
    header, shades = field(scene, 0, "adversarial", "gd", 1)
    side = stage.sides(scene)[1]
    assert shades.shape == (3, side, side) and header["extent"] == pytest.approx(1.3 * 0.2)
    cut = scene.cut(0, "adversarial")[0]
    line = torch.linspace(-header["extent"], header["extent"], side)
    at = torch.cartesian_prod(line, line).flip(1)
    z = 4 * (cut.images(at).flatten(1) @ MODELS["gd"].w - 0.95)
    belief = torch.stack([z, -z, torch.full_like(z, -9.0)], 1).log_softmax(1).view(side, side, 3)
    read = (1 - shades.astype(float) / 255) * header["floor"]
    assert np.abs(read - belief.clamp(min=header["floor"]).permute(2, 0, 1).numpy()).max() < 0.5 * 8 / 255 + 1e-3
    # FGSM's direction is minus the sign of the gradient of z: along it, and up to clipping, z falls by 4·τ·Σ|w|
    middle = side // 2
    assert read[0, middle].argmax() == 0 and (np.diff(read[0, middle]) <= 1e-9).all()


def test_a_finer_field_keeps_the_nodes_of_the_coarser_one(scene):
    for zoom in (0, 2):
        levels = [field(scene, 0, "copies", "original", level, zoom)[1] for level in range(2)]
        for coarse, fine in pairwise(levels):
            assert (fine[:, ::2, ::2] == coarse).all()
    whole, half = (field(scene, 0, "copies", "gd", 0, zoom) for zoom in (0, 1))
    assert half[0]["extent"] == whole[0]["extent"] / 2
    n = whole[1].shape[1]
    inner = whole[1][:, n // 4 : n - n // 4, n // 4 : n - n // 4]
    assert np.abs(half[1][:, ::2, ::2].astype(int) - inner).max() <= 1


def test_a_copy_stands_at_its_distance_in_the_direction_of_its_projection(make_scene):
    scene = make_scene("fgsm_untargeted")  # along the adversarial direction itself: exactly on the axis
    places = unpack(stage.copies(scene, 0, "adversarial", [0, 1, 2], ["gd"]))[1]["places"]
    apart = math.sqrt(0.5)  # two of four pixels move by τ
    assert places[:, 0].ravel().tolist() == pytest.approx([0, 0, 0.1 * apart, 0, 0.2 * apart, 0], abs=1e-5)
    scene = make_scene()
    places = unpack(stage.copies(scene, 0, "adversarial", [2], ["gd"]))[1]["places"][0]
    far = (scene.moved(0, 2) - scene.pixels(0)).flatten(1).square().mean(1).sqrt()
    assert np.linalg.norm(places, axis=1) == pytest.approx(far.numpy(), rel=1e-4)


def test_another_plane_moves_copies_and_needs_no_answers(scene):
    places = [unpack(stage.copies(scene, 0, "copies", [1, 2], names))[1] for names in (["gd"], [])]
    assert list(places[1]) == ["places"] and (places[0]["places"] == places[1]["places"]).all()


def test_the_plane_that_tells_copies_apart_follows_the_weights(scene):
    cut = scene.cut(0, "copies")[0]
    weights = MODELS["gd"].w / MODELS["gd"].w.norm()
    assert float(cut.across @ weights) > 0.9
    # so copies that the model recognises lie on the right
    _, found = unpack(stage.copies(scene, 0, "copies", [scene.telling(0)], ["gd"]))
    knows = found["top"][0, 0, :, 0] == 0
    assert 0 < knows.sum() < DRAWS
    assert found["places"][0, knows, 0].mean() > found["places"][0, ~knows, 0].mean()


def test_a_plane_through_two_samples_holds_both(scene, data):
    cut, extent, about = scene.cut(0, "samples:3:4")
    assert [mark["sample"] for mark in about["marks"]] == [3, 4]
    at = torch.tensor([[mark["x"], mark["y"]] for mark in about["marks"]])
    assert torch.allclose(cut.images(at), data.train_images[[3, 4]], atol=1e-4)
    assert extent >= at.abs().max()
    assert len(scene.cut(0, "samples")[2]["marks"]) == 2


def test_all_models_alike_and_certain_still_have_planes(make_scene):
    flat = Linear([0.0, 0.0, 0.0, 0.0], -9.0)  # no gradient, one answer to everything
    scene = make_scene(gd=flat, **{"reference-1": flat, "reference-2": flat})
    for cut in ("adversarial", "copies"):
        on = scene.cut(0, cut)[0]
        assert abs(float(on.across @ on.up)) < 1e-5
    assert scene.cut(0, "adversarial")[2]["across"] == "random direction"
    assert scene.cut(0, "copies")[2]["across"] == "main direction of the copies", "not what no model recognises"


@pytest.mark.parametrize("draws", [1, 2])
def test_few_copies_still_have_every_plane(make_scene, draws):
    scene = make_scene(draws=draws)
    for text in ("copies", "samples", "adversarial"):
        cut, extent, _ = scene.cut(2, text)
        assert abs(float(cut.across @ cut.up)) < 1e-5 and cut.across.norm() > 0.99 and extent > 0
    assert scene.cut(2, "copies")[2]["up"] == "random direction"


def test_a_plane_through_others_is_there_for_the_only_one_of_its_class(make_scene):
    scene = make_scene()
    scene = replace(scene, data=replace(scene.data, train_labels=torch.tensor([0, 1, 1, 2, 1, 2, 1])))
    assert len(scene.cut(0, "samples")[2]["marks"]) == 2


@pytest.mark.parametrize("text", ["nothing", "samples:3", "samples:3:x", "samples:3:99", "adversarial:-1", ""])
def test_planes_that_are_none_are_one_sentence(scene, text):
    with pytest.raises(UsageError):
        scene.cut(0, text)


def test_what_is_asked_wrongly_is_one_sentence(scene):
    for ask in (
        lambda: stage.field(scene, 0, "adversarial", "gd", 9),
        lambda: stage.field(scene, 0, "adversarial", "gd", 0, 9),
        lambda: stage.field(scene, 0, "adversarial", "nobody", 0),
        lambda: stage.copies(scene, 0, "adversarial", [7], ["gd"]),
        lambda: stage.copies(scene, 0, "adversarial", [], ["gd"]),
        lambda: stage.copies(scene, 0, "adversarial", [0], ["nobody"]),
        lambda: stage.base(scene, 60),
    ):
        with pytest.raises(UsageError):
            ask()


def test_parts_are_the_same_whenever_and_wherever_they_are_asked_for(make_scene):
    one, two = make_scene(), make_scene()
    two.table(2)
    for cut in CUTS:
        assert stage.field(one, 2, cut, "gd", 1) == stage.field(two, 2, cut, "gd", 1)
        assert stage.copies(one, 2, cut, [1], ["gd"]) == stage.copies(two, 2, cut, [1], ["gd"])
    assert stage.base(one, 2) == stage.base(two, 2)


def test_a_canary_is_said_to_be_one_beside_the_sample(make_scene, data):
    scene = replace(make_scene(), data=replace(data, canaries=(2,)))
    plain, planted = (unpack(stage.base(scene, sample))[0]["said"] for sample in (0, 2))
    label = data.classes[int(data.train_labels[2])]
    assert planted[0] == f"{scene.said(2)[0]} It is a canary, planted under the wrong label “{label}”."
    assert plain == scene.said(0)


def test_a_sample_that_was_not_measured_is_judged_and_compared_with_nothing(make_scene):
    scene = make_scene("uniform_l2", measured=False)
    header, _ = unpack(stage.base(scene, 4))
    assert header["counts"] == {} and header["label"] == 1 and "stays" in header["said"][0]
    assert unpack(stage.copies(scene, 4, "adversarial", [1], ["gd"]))[0]["same"] == [None]
    assert scene.table(4).counts.sum(-1).tolist() == [[[DRAWS] * 3]] * 4


def test_pictures_are_as_many_as_there_is_room_for(scene):
    assert unpack(stage.base(scene, 0, room=12))[1]["noise"].shape == (3, 2, 2, 1)
    assert unpack(stage.base(scene, 0, levels=4))[0]["step"] > unpack(stage.base(scene, 0))[0]["step"]


def test_who_asks_for_what_is_being_made_waits_for_it():
    from concurrent.futures import ThreadPoolExecutor
    from time import sleep

    made, once = [], Once(2)

    def make() -> int:
        sleep(0.05)
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: once("a", make), range(4))) == [1] * 4
    with pytest.raises(ZeroDivisionError):
        once("b", lambda: 1 // 0)
    assert once("b", lambda: 2) == 2  # what failed is tried again
    once("c", lambda: 3)
    assert once("a", make) == 2  # the oldest was forgotten


def test_what_is_kept_is_bounded_in_bytes_but_the_last_is_there():
    once, made = Once(100, room=1000), []

    def make(size: int):
        made.append(size)
        return np.zeros(size, np.uint8)

    for key in "abc":
        once(key, lambda: make(400))
    once("c", lambda: make(1))
    once("b", lambda: make(2))
    assert made == [400] * 3
    once("a", lambda: make(3))  # it had to go
    once("d", lambda: make(5000))
    once("d", lambda: make(4))
    assert made == [400, 400, 400, 3, 5000]
