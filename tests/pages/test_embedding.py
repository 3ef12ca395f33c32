"""The Embedding page: maps at once and in the background, what is drawn around joins the set, pictures over HTTP."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request
from streamlit.testing.v1 import AppTest
from ui.components.scatter import make_points
from ui.jobs import runs
from ui.sections import map_choice
from ui.session import served

from rurk_core.data import load_dataset
from rurk_core.explore.maps import embedding_job
from rurk_core.store.store import Store


@pytest.fixture
def opened(app, tiny_store, tiny_run):
    """``opened(models="original~gd")`` → the page on the tiny run."""

    def open_page(**query: str) -> AppTest:
        test = app("embedding.py", tiny_store, **{"run": tiny_run[1]["key"]} | query)
        assert not test.error
        return test

    return open_page


def sent(app):
    """What the map was given."""
    found = [json.loads(item.proto.json) for item in app.get("bidi_component") if '"panels"' in item.proto.json]
    return found[0] if found else None


def test_the_first_map_shows_three_models_and_the_copies_of_a_forgotten_sample(opened, tiny_run):
    _, result = tiny_run
    app = opened()
    data = sent(app)
    assert [panel["title"] for panel in data["panels"]] == ["O · Original", "R1 · Re-trained 1", "GD"]
    assert data["counts"][2] == len(result["forget"]["indices"]) and data["count"] == sum(data["counts"])
    assert len(data["cloud"]) == 3 and all(len(cloud["xy"]) == len(cloud["right"]) == 20 for cloud in data["cloud"])
    assert "logits" in data["axes"][0] and data["selected"] >= sum(data["counts"][:2])
    assert "map_job" not in app.session_state


def test_at_radius_0_all_copies_lie_on_their_sample(opened, tiny_run):
    _, result = tiny_run
    for layer in ("features", "scores"):
        data = sent(opened(tau="0", layer=layer, models="original", sample=str(result["forget"]["indices"][0])))
        xy = np.array(data["cloud"][0]["xy"])
        assert np.ptp(xy, axis=0).max() == 0


def test_a_slow_map_is_made_in_the_background(opened, tiny_run, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(runs, "start_job", lambda store, job, runner: started.append((job, runner)) or "gone")
    query = {"map": "umap", "models": "original", "shown": "1000"}
    app = opened(**query)
    assert sent(app) is None
    app.button(key="make").click().run()
    ((job, runner),) = started
    assert runner == "rurk_core.explore.maps:embedding_job" and job["spec"]["method"] == "umap"
    job["spec"]["retain"] = 1000
    embedding_job(job, Store(tmp_path / "store"), lambda event: None, lambda: False)
    assert "UMAP 1 of last features (arbitrary units)" in sent(opened(**query))["axes"]


def test_a_pca_that_takes_long_begins_by_itself_once_and_says_of_how_many_samples(opened, tiny_run, monkeypatch):
    started = []
    monkeypatch.setattr(map_choice, "at_once", lambda *_: False)
    monkeypatch.setattr(runs, "start_job", lambda store, job, runner: started.append(job) or "gone")
    app = opened(shown="1000")
    assert [job["spec"]["method"] for job in started] == ["pca"], "and not again once it has ended"
    about = next(text.value for text in app.markdown if "not made yet" in text.value)
    assert f"PCA of {1000 + 359 + len(tiny_run[1]['forget']['indices']):,} samples under 3 models" in about


def test_what_is_drawn_around_joins_the_set_and_can_be_undone(opened):
    app = opened()
    app.session_state["map"] = {"taken": {"ids": [1, 2, 3], "at": 1}}
    app.run()
    assert any("3 to forget" in text.value for text in app.markdown)
    app.button(key="map_undo").click().run()
    assert any("Nothing chosen" in text.value for text in app.markdown)


@pytest.mark.parametrize(
    "query",
    [{"models": "nobody"}, {"models": "original~" * 9}, {"sample": "99999"}, {"layer": "soul"}, {"map": "tsne"}],
)
def test_a_link_that_cannot_be_is_left_out_with_a_note(opened, query):
    app = opened(**query)
    assert any("was left out" in warning.value for warning in app.warning) and sent(app)


def test_points_are_packed_without_loss_that_shows():
    chance = np.random.default_rng(0)
    xy = chance.normal(size=(2, 40, 2)).astype(np.float32) * [30, 2]
    splits = np.repeat([0, 1, 2], [20, 15, 5]).astype(np.uint8)
    points = make_points("v", xy, np.arange(40), splits, chance.integers(0, 3, 40), 4)
    import base64

    back = np.frombuffer(base64.b64decode(points.message["xy"]), "<u2").reshape(2, 40, 2) / 65535
    assert np.abs(back - points.scaled(xy)).max() < 1e-4 and back.min() == 0 and back.max() == 1
    assert points.message["starts"] == [0, 20, 35, 40] and points.counts == [20, 15, 5]
    assert points.aspect > 3 and points.centres[0][3] is None and len(points.centres[1]) == 4


def test_pictures_come_over_http_for_data_sets_that_were_shown_and_no_others():
    digits = load_dataset("digits")

    def get(fingerprint, split, index):
        params = {"fingerprint": fingerprint, "split": split, "index": index}
        return served.answer(Request({"type": "http", "path_params": params}))

    assert get("0" * 16, "train", 1).status_code == 404
    place = served.images_at(digits)
    assert place == f"pictures/{digits.fingerprint}"
    answer = get(digits.fingerprint, "train", 7)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    pixels = np.asarray(Image.open(io.BytesIO(answer.body)))[..., 0]
    assert (pixels == (digits.train_images[7, 0].numpy() * 255).round()).all()
    assert get(digits.fingerprint, "test", 0).status_code == 200
    for split, index in (("train", 999_999), ("secret", 1), ("train", -1)):
        assert get(digits.fingerprint, split, index).status_code == 404


def test_a_few_far_points_do_not_make_all_others_small():
    rng = np.random.default_rng(0)
    panels = rng.normal(size=(2, 1000, 2))
    panels[0, 3] = [60.0, -50.0]
    splits = np.repeat(np.array([0, 1, 2], np.uint8), [700, 200, 100])
    panels[:, splits == 2] += [4.0, 0.0]  # the forget set lies aside, and stays in view
    points = make_points("v", panels, np.arange(1000), splits, np.zeros(1000, np.int64), 1)
    low, high = np.array(points.view[:2]), np.array(points.view[2:])
    inside = ((points.scaled(panels) >= low) & (points.scaled(panels) <= high)).all(2)
    assert inside.mean() > 0.97 and inside[:, splits == 2].mean() > 0.9 and not inside[0, 3]
    assert points.outside == (~inside).any(0).sum()
    assert ((high - low) < 0.25).all(), "without the far point the view is much smaller"


def test_a_map_of_one_point_has_a_view():
    points = make_points("v", np.zeros((1, 1, 2)), np.arange(1), np.zeros(1, np.uint8), np.zeros(1, np.int64), 1)
    assert points.view[2] > points.view[0] and points.view[3] > points.view[1] and points.outside == 0
