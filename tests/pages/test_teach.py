"""The Teach page: every panel is alive at once, a student's own points become a job, links restore what is shown."""

from __future__ import annotations

import gc
import io
import json

import pytest
from PIL import Image
from starlette.requests import Request
from streamlit.testing.v1 import AppTest
from ui.jobs import runs
from ui.session import served, stages

from rurk_core.data.recipes import TrainConfig
from rurk_core.explore import lessons as teaching
from rurk_core.explore.lessons import lesson_job
from rurk_core.store.store import Store

from .looking import fine


@pytest.fixture
def opened(app):
    def open_page(**query: str) -> AppTest:
        test = app("teach.py", **query)
        assert not test.error
        return test

    return open_page


def fields(app):
    return [json.loads(item.proto.json) for item in app.get("bidi_component") if "steps_grid" in item.proto.json]


def words(app):
    return " ".join(item.body for item in app.get("html"))


@pytest.mark.parametrize("panel", ["moons", "iris", "sphere", "tradeoff", "own"])
@pytest.mark.parametrize("size", ["usual", "large"])
def test_every_panel_has_something_to_see_and_something_to_try(opened, panel, size):
    app = opened(panel=panel, type=size)
    assert "<b>See:</b>" in words(app) and "<b>Try:</b>" in words(app)
    assert ("font-size: 21px" in words(app)) == (size == "large")
    assert "lesson_job" not in app.session_state, "nothing is trained to look"


def test_the_numbers_of_the_sphere_follow_the_sliders(opened):
    app = opened(panel="sphere", d="2", arc="0.5")
    assert "<b>65.9%</b>" in words(app), "½ + τ/π"
    app = opened(panel="sphere", d="3072", arc="0.1", disagree="0.001")
    assert "In 3,072 dimensions <b>99.29" in words(app) and "Prop. 2 promises" not in words(app)


def test_a_students_own_points_become_a_job_and_then_a_film(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(teaching, "TRAIN", TrainConfig(epochs=2, lr=0.1, batch=32))
    started = []
    monkeypatch.setattr(runs, "start_job", lambda store, job, runner: started.append((job, runner)) or "gone")
    app = opened(panel="moons", points="3,10-12")
    app.button(key="make").click().run()
    ((job, runner),) = started
    assert runner == "rurk_core.explore.lessons:lesson_job" and job["spec"]["forget"] == [3, 10, 11, 12]
    assert job["device"] == "lesson", "it does not wait for experiments"
    lesson_job(job, Store(tmp_path / "store"), lambda event: None, lambda: False)
    app = opened(panel="moons", points="3,10-12")
    assert not any(button.key == "make" for button in app.button)
    assert "first_points" in [button.key for button in app.button]


@pytest.mark.parametrize(
    "query",
    [{"points": "0-159"}, {"points": "x"}, {"by": "retrain"}, {"panel": "none"}, {"panel": "sphere", "d": "1"}],
)
def test_a_link_that_cannot_be_is_left_out_with_a_note(opened, query):
    app = opened(**({"panel": "moons"} | query))
    assert len(app.warning) == 1 and "was left out" in app.warning[0].value


def test_own_pictures_are_shown_on_a_stage_and_a_bad_file_is_a_sentence(app):
    test = fine(app("teach.py", panel="own"))
    assert "draw a shape on paper" in words(test)
    out = io.BytesIO()
    Image.new("L", (40, 60), 200).save(out, "PNG")
    files = [("a.png", out.getvalue(), "image/png"), ("b.png", b"nothing", "image/png")]
    test.file_uploader(key="own_files").set_value(files).run()
    assert not test.exception and [error.value for error in test.error] == [
        "The image b.png is damaged or is not a PNG, JPEG, WebP or BMP image."
    ]
    captions = " ".join(caption.value for caption in test.caption).replace("\\", "")
    assert "a.png, 40 × 60 pixels: cut to the middle square" in captions
    (scene,) = stages._own.values()
    name = scene.data.fingerprint
    assert scene.own == "original" and name.startswith("own-") and served.images_at(scene.data).endswith(name)
    assert stages.answer(asked(name)).headers["cache-control"] == "no-store"
    del scene
    test.file_uploader(key="own_files").set_value([]).run()
    gc.collect()
    assert not stages._own and stages.answer(asked(name)).status_code == 404, "nothing of it is kept"


def asked(name: str) -> Request:
    return Request({"type": "http", "headers": [], "path_params": {"name": name, "sample": 0, "part": "base"}})
