"""A sample changed by hand: what is done is what was said, models answer for that very picture, the search finds."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch
from packs import unpack
from torch import nn

from rurk_core.data.dataset import make_dataset
from rurk_core.errors import UsageError
from rurk_core.explore.hand import ORDER, Hand, by_hand, judged, read_hand, strongest
from rurk_core.explore.scene import Scene
from rurk_core.measure.verdicts import count_verdicts
from rurk_core.perturb.transforms import TRANSFORMS

SIDE = 8


class Bright(nn.Module):
    """Class 0 where the mean of a region is above a half, else 1."""

    def __init__(self, where):
        super().__init__()
        mask = torch.zeros(1, SIDE, SIDE)
        mask[where] = 1
        self.mask = nn.Parameter(mask / mask.sum(), requires_grad=False)

    def forward(self, x):
        z = 20 * ((x * self.mask).flatten(1).sum(1) - 0.5)
        return torch.stack([z, -z], 1)


@pytest.fixture(scope="module")
def scene():
    images = torch.zeros(4, 1, SIDE, SIDE)
    images[:, :, :, 4:] = 1  # bright on the right
    labels = torch.tensor([0, 1, 0, 1])
    data = make_dataset("halves", (images, labels), (images, labels), ["a", "b"], licence="", source="")
    models = {"gd": Bright(np.s_[:, :, 4:]), "reference-1": Bright(np.s_[:, :4, :])}
    table = count_verdicts(
        models,
        ["reference-1"],
        images[:1],
        labels[:1],
        [0],
        attack="gaussian",
        taus=[0.0, 0.1],
        draws=4,
        seed=1,
        classes=2,
    )
    rows = [{"name": name, "key": name, "role": "unlearned"} for name in models]
    result = {"models": rows, "forget": {"indices": [0]}}
    return Scene(result, data, "gd", "gaussian", table, True, None, models.__getitem__)


def test_nothing_done_is_the_sample_itself(scene):
    x = scene.pixels(0)
    assert torch.equal(by_hand(x, Hand()), x)
    assert torch.equal(by_hand(x, Hand({name: (0.0, 0.0, 0.0) for name in ORDER})), x)
    assert torch.equal(by_hand(x, Hand(paint=np.zeros((SIDE, SIDE, 4), np.uint8))), x)


def test_every_transform_can_be_made_by_hand_and_stays_a_picture(scene):
    assert set(ORDER) == set(TRANSFORMS)
    x = torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    for name in ORDER:
        moved = by_hand(x, Hand({name: (0.5, 0.25, 0.5)}))
        assert moved.shape == x.shape and not torch.equal(moved, x), name
        assert moved.min() >= 0 and moved.max() <= 1


def test_a_shift_of_a_quarter_moves_two_of_eight_columns(scene):
    moved = by_hand(scene.pixels(0), Hand({"shift": (0.25,)}))
    # the view goes to the right, the picture to the left: it is bright from column 2 on
    assert moved[0, 3].tolist() == pytest.approx([0, 0, 1, 1, 1, 1, 1, 1])


def test_paint_covers_as_far_as_it_is_opaque(scene):
    paint = np.zeros((SIDE, SIDE, 4), np.uint8)
    paint[0, 0], paint[0, 7] = (255, 255, 255, 255), (0, 0, 0, 51)
    moved = by_hand(scene.pixels(0), Hand(paint=paint))
    assert moved[0, 0, 0] == 1 and moved[0, 0, 7].item() == pytest.approx(0.8)
    assert torch.equal(moved[0, 1:], scene.pixels(0)[0, 1:])


def test_models_answer_for_the_very_picture_that_is_shown(scene):
    hand = Hand({"brightness": (-0.6,)})
    header, found = unpack(judged(scene, 0, "adversarial", hand))
    moved = by_hand(scene.pixels(0), hand)
    assert (found["picture"][..., 0] == (255 * moved[0]).round().numpy()).all()
    for m, name in enumerate(header["models"]):
        chances = scene.judge(name)(moved[None]).softmax(1)[0]
        assert found["own"][0, m, 0] == round(255 * float(chances[0]))
        assert found["top"][0, m, 0, 0] == int(chances.argmax())
    # half of the pixels go from 1 to 0.4: an RMS change of 0.6/√2
    assert header["distance"] == pytest.approx(0.6 / 2**0.5, abs=1e-4)
    assert np.hypot(*header["place"]) == pytest.approx(header["distance"], abs=1e-4)


def test_the_search_finds_what_tells_the_models_apart_and_finds_it_again(scene):
    found = strongest(scene, 0)
    assert found.changes == strongest(scene, 0).changes and len(found.changes) == 1

    def lead(hand):
        moved = by_hand(scene.pixels(0), hand)[None]
        own = [scene.judge(name)(moved).softmax(1)[0, 0].item() for name in ("gd", "reference-1")]
        return own[0] - own[1]

    assert lead(found) > max(0.4, lead(Hand()))
    rebuilt = read_hand({"changes": {name: list(row) for name, row in found.changes.items()}}, SIDE, SIDE)
    assert lead(rebuilt) == lead(found)


def test_a_browser_s_words_are_checked(scene):
    paint = base64.b64encode(bytes(range(256))).decode()
    hand = read_hand({"changes": {"rotation": [0.5], "shift": [-1, 1]}, "paint": paint}, 8, 8)
    assert hand.changes == {"rotation": (0.5,), "shift": (-1.0, 1.0)} and hand.paint.shape == (8, 8, 4)
    for wrong in (
        7,
        [],
        {"changes": []},
        {"changes": {"twirl": [1]}},
        {"changes": {"blur": []}},
        {"changes": {"blur": [2]}},
        {"changes": {"blur": [float("nan")]}},
        {"changes": {"blur": ["1"]}},
        {"changes": {"blur": [True]}},
        {"changes": {"blur": [0, 0, 0, 0]}},
        {"paint": "?"},
        {"paint": paint[:40]},
        {"paint": 5},
    ):
        with pytest.raises(UsageError):
            read_hand(wrong, 8, 8)


def test_a_table_cannot_be_changed_by_hand():
    with pytest.raises(UsageError, match="table"):
        by_hand(torch.rand(5), Hand())
