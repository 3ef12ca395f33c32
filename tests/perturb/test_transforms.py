"""Perturbations of photographs: laws over all of them, and each against what can be said by hand."""

from __future__ import annotations

import math

import pytest
import torch

from rurk_core.errors import UsageError
from rurk_core.experiment import run
from rurk_core.perturb.copies import ATTACKS, copies
from rurk_core.perturb.planes import ball_outline
from rurk_core.perturb.transforms import NUMBERS, TRANSFORMS, transformed
from rurk_core.run.spec import make_spec
from rurk_core.store import Store
from rurk_core.unlearning import METHODS, method_config
from rurk_core.unlearning.conformance import small_setting


@pytest.fixture(scope="module")
def photos():
    """Three smooth pictures in colour."""
    at = torch.linspace(0, 1, 16)
    one = torch.stack([at[:, None].expand(16, 16), at[None].expand(16, 16), 0.5 + 0 * at[:, None] * at[None]])
    return torch.stack([one, 1 - one, one.flip(1) ** 2])


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor([values]).expand(3, -1).unsqueeze(1)


@pytest.mark.parametrize("name", TRANSFORMS)
class TestEveryTransform:
    def test_it_is_registered(self, name):
        kind = ATTACKS[name]
        assert kind.images and not kind.uses_model and not kind.ray and kind.ball in ("share", "linf")

    def test_pixels_stay_pixels_however_far(self, name, photos):
        for tau in (0.001, 0.3, 1.0, 5.0):
            moved = transformed(TRANSFORMS[name], photos, torch.rand(3, 4, NUMBERS) * 2 - 1, tau)
            assert moved.shape == (3, 4, 3, 16, 16) and moved.dtype == torch.float32
            assert moved.min() >= 0 and moved.max() <= 1

    def test_nothing_at_radius_0_and_when_the_draw_says_so(self, name, photos):
        still = transformed(TRANSFORMS[name], photos, torch.rand(3, 2, NUMBERS), 0.0)
        assert torch.equal(still, photos.unsqueeze(1).expand_as(still))
        none = transformed(TRANSFORMS[name], photos, numbers(0.0, 0.0, 0.0), 0.5)[:, 0]
        assert (none - photos).abs().mean() < 0.02, "JPEG of quality 100 rounds"

    def test_the_extent_grows_with_the_radius(self, name, photos):
        drawn = numbers(0.8, 0.6, 0.9)
        sizes = [
            (transformed(TRANSFORMS[name], photos, drawn, tau)[:, 0] - photos).square().mean().item()
            for tau in (0.05, 0.2, 0.6)
        ]
        assert sizes[0] <= sizes[1] < sizes[2]

    def test_tables_are_refused(self, name):
        with pytest.raises(UsageError, match="a table"):
            transformed(TRANSFORMS[name], torch.rand(3, 4), torch.rand(3, 1, NUMBERS), 0.1)
        with pytest.raises(UsageError, match="'iris' is a table"):
            make_spec("iris", attacks=name)

    @pytest.mark.slow
    def test_rurk_can_search_with_it(self, name):
        setting = small_setting()
        config = method_config(METHODS["rurk"], search=name, tau=0.2, lambda_a=0.3, epochs=1, batch=16)
        found = [
            METHODS["rurk"]
            .run(
                setting.original, setting.retain, setting.forget, config, generator=torch.Generator().manual_seed(seed)
            )
            .state_dict()
            for seed in (1, 1, 2)
        ]
        assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
        assert not all(torch.equal(found[0][key], found[2][key]) for key in found[0])


def test_a_shift_by_whole_pixels_is_a_slice(photos):
    """4 of 16 pixels to the left, the border going on."""
    moved = transformed(TRANSFORMS["shift"], photos, numbers(1.0, 0.0, 0.0), 0.25)[:, 0]
    assert torch.allclose(moved[..., :12], photos[..., 4:], atol=1e-5)
    assert torch.allclose(moved[..., 12:], photos[..., -1:].expand(-1, -1, -1, 4), atol=1e-5)


def test_a_rotation_by_half_a_turn_is_a_flip_both_ways(photos):
    moved = transformed(TRANSFORMS["rotation"], photos, numbers(1.0, 0.0, 0.0), 1.0)[:, 0]
    assert torch.allclose(moved, photos.flip(2, 3), atol=1e-4)
    quarter = transformed(TRANSFORMS["rotation"], photos, numbers(1.0, 0.0, 0.0), 0.5)[:, 0]
    turned = [photos.rot90(k, (2, 3)) for k in (1, 3)]
    assert any(torch.allclose(quarter, one, atol=1e-4) for one in turned)


def test_a_crop_of_half_is_the_middle_at_twice_the_size(photos):
    moved = transformed(TRANSFORMS["crop"], photos, numbers(1.0, 0.0, 0.0), 0.5)[:, 0]
    assert torch.allclose(moved.mean((2, 3)), photos[:, :, 4:12, 4:12].mean((2, 3)), atol=2e-3)


def test_brightness_moves_all_pixels_alike(photos):
    moved = transformed(TRANSFORMS["brightness"], 0.5 * photos, numbers(1.0, 0.0, 0.0), 0.25)[:, 0]
    assert torch.allclose(moved, 0.5 * photos + 0.25)


def test_a_blur_spreads_a_point_as_a_gaussian():
    point = torch.zeros(3, 1, 33, 33)
    point[:, :, 16, 16] = 1
    sigma = 2.0
    moved = transformed(TRANSFORMS["blur"], point, numbers(1.0, 0.0, 0.0), 4 * sigma / 33)[0, 0, 0]
    at = torch.arange(33) - 16.0
    assert moved.sum().item() == pytest.approx(1, abs=1e-4)
    assert (moved.sum(0) * at**2).sum().item() == pytest.approx(sigma**2, rel=0.03)
    flat = transformed(TRANSFORMS["blur"], torch.full((3, 1, 9, 9), 0.7), numbers(1.0, 0, 0), 1.0)
    assert torch.allclose(flat, torch.full_like(flat, 0.7), atol=1e-5)


def test_jpeg_needs_one_or_three_channels(photos):
    with pytest.raises(UsageError, match="these have 2"):
        transformed(TRANSFORMS["jpeg"], photos[:, :2], numbers(1, 1, 1), 0.5)
    grey = transformed(TRANSFORMS["jpeg"], photos[:, :1], numbers(0.1, 0, 0), 0.5)[:, 0]
    assert (grey - photos[:, :1]).abs().mean() < 0.03


def test_an_occlusion_hides_the_share_it_says(photos):
    moved = transformed(TRANSFORMS["occlusion"], torch.ones(3, 1, 16, 16), numbers(0.0, 0.0, 1.0), 0.5)[0, 0, 0]
    assert int((moved == 0.5).sum()) == 64 and bool((moved[4:12, 4:12] == 0.5).all())


def test_no_outline_is_drawn_where_none_is_known():
    assert len(ball_outline(None, "share", 0.3)) == 0  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_run_measures_them_as_it_does_noise(tmp_path):
    names = list(TRANSFORMS)
    spec = make_spec(
        methods="gd:epochs=1", attacks=names, taus="0,0.2", draws=3, references=2, train={"epochs": 1}, relearn=0
    )
    result = run(spec, Store(tmp_path))
    assert {entry["attack"] for entry in result["residual"]} == set(names)
    for entry in result["residual"]:
        assert entry["taus"][1]["trials"] == 3 * len(result["forget"]["indices"])


def test_copies_differ_between_samples_and_repeat_for_one(photos):
    asked = {"tau": 0.3, "draws": 25, "seed": 4, "classes": 3}
    labels = torch.zeros(3, dtype=torch.int64)
    for name in TRANSFORMS:
        both = copies(name, photos[[0, 0]], labels[:2], ids=(3, 8), **asked)
        assert torch.equal(both[0], copies(name, photos[:1], labels[:1], ids=(3,), **asked)[0])
        assert not torch.equal(both[0], both[1]) and math.isfinite(both.sum().item())
