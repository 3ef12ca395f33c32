"""Pictures of one's own: turned, cut, made grey or coloured, bounded; and a scene that says no more than is known."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from packs import unpack
from PIL import Image

from rurk_core.apart.reading import Reading
from rurk_core.device import logits_of
from rurk_core.errors import UsageError
from rurk_core.explore import stage
from rurk_core.explore.own import LARGEST, OWN, brought, inverted, own_scene, read_own, shape_of
from rurk_core.report.stages import described
from rurk_core.run.stored import load_model

GREY, COLOUR = (1, 8, 8), (3, 8, 8)


def file(picture: Image.Image, kind: str = "PNG", **more) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


@pytest.fixture(scope="module")
def reading():
    with Reading() as found:
        yield found


def halves(wide: int, high: int) -> Image.Image:
    """Black on the left, white on the right."""
    return Image.fromarray(np.where(np.arange(wide) < wide / 2, 0, 255).astype(np.uint8)[None].repeat(high, 0))


def test_a_camera_s_rotation_is_applied_and_said(reading):
    turned = Image.Exif()
    turned[274] = 6  # held so that it must be turned a quarter clockwise: left comes on top
    own = read_own(reading, "a.png", file(halves(8, 8), exif=turned), GREY)
    assert own.pixels[0, 0].max() == 0 and own.pixels[0, -1].min() == 255
    assert own.words == "a.png, 8 × 8 pixels: turned as its camera says."


def test_it_is_cut_around_its_middle_and_brought_to_the_size_of_the_data(reading):
    own = read_own(reading, "wide.png", file(halves(64, 16)), GREY)
    assert tuple(own.pixels.shape) == GREY and own.pixels[0, :, 0].max() == 0 and own.pixels[0, :, -1].min() == 255
    assert own.words == "wide.png, 64 × 16 pixels: cut to the middle square, brought to 8 × 8 pixels."
    assert brought(np.zeros((20, 10), np.uint8), (1, 4, 8)).shape == (1, 4, 8)


def test_colour_becomes_grey_and_grey_colour_and_what_is_clear_is_white(reading):
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    assert abs(int(read_own(reading, "red.png", file(red), GREY).pixels[0, 0, 0]) - 0.299 * 255) < 1
    assert read_own(reading, "red.jpg", file(red, "JPEG", quality=100), COLOUR).pixels[0].min() > 240
    own = read_own(reading, "grey.png", file(halves(8, 8)), COLOUR)
    assert (own.pixels[0] == own.pixels[2]).all() and "taken as colour" in own.words
    assert read_own(reading, "clear.png", file(Image.new("RGBA", (8, 8), (0, 0, 0, 0))), GREY).pixels.min() == 255
    assert (inverted(own).pixels == 255 - own.pixels).all()


@pytest.mark.parametrize(
    ("data", "shape", "words"),
    [
        (b"no picture", GREY, "damaged"),
        (file(halves(8, 8))[:-20], GREY, "damaged"),
        (bytes(LARGEST + 1), GREY, "limit is 20 MB"),
        (file(halves(8, 8)), (4,), "not on grey or coloured images"),
        (file(Image.new("L", (9000, 9000))), GREY, "limit is 50 million"),
    ],
)
def test_what_is_no_picture_is_one_sentence(reading, data, shape, words):
    with pytest.raises(UsageError, match=words):
        read_own(reading, "a.png", data, shape)


@pytest.fixture(scope="module")
def scene(tiny_run, reading):
    store, result = tiny_run
    assert shape_of(store, result) == (1, 8, 8)
    keys = {row["name"]: row["key"] for row in result["models"]}
    model = cache(lambda name: load_model(store, keys[name]).eval())
    pictures = [read_own(reading, f"{n}.png", file(halves(8, 8).rotate(90 * n)), GREY) for n in range(2)]
    return own_scene(store, result, pictures, name="own-1", method="gd", attack="gaussian", model=model)


def test_its_class_is_what_the_original_says_and_there_is_no_finding(scene):
    for sample in (0, 1):
        says = logits_of(scene.judge("original"), scene.pixels(sample)[None])[0].softmax(0)
        assert scene.label(sample) == int(says.argmax()) == scene.ordered(sample)[0]
        (said,) = scene.said(sample)
        assert scene.data.classes[scene.label(sample)] in said and f"{says.max():.0%}" in said
        assert "No model was trained on it" in said
    assert sorted(scene.ordered(0)) == list(range(10)) and scene.data.name == OWN
    # the numbers of the run's own samples 0 and 1 are not taken for theirs
    header, _ = unpack(stage.base(scene, 0))
    assert header["counts"] == {} and scene.same(0, 1, scene.models) is None
    assert [row[0] for row in described(scene, "v")["samples"]] == [0, 1]


def test_its_copies_are_counted_as_those_of_any_sample(scene):
    table = scene.table(1)
    own = logits_of(scene.judge("gd"), scene.moved(1, 2)).argmax(1) == scene.label(1)
    assert table.recognised("gd")[0, 2] == int(own.sum())
    assert table.recognised("original")[0, 0] == scene.copies_each, "all, at radius 0"
