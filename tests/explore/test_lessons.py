"""Lessons in the plane: what is kept of them, that they are honest, and what cannot be forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from rurk_core.data.recipes import TrainConfig
from rurk_core.errors import Cancelled, UsageError
from rurk_core.explore import lessons as teaching
from rurk_core.explore.lessons import (
    FLOOR,
    STEPS,
    field_of,
    grid,
    lesson_config,
    lesson_from_bytes,
    lesson_job,
    lesson_key,
    load_lesson,
    teach,
    telling_point,
)
from rurk_core.explore.planes import MAX_DRAWN, checked_points, find_plane, moons, with_drawn
from rurk_core.store.store import Store
from rurk_core.unlearning import METHODS

SHIPPED = Path(__file__).parents[2] / "assets" / "teaching"


@pytest.fixture
def quick(monkeypatch):
    """Lessons of a fraction of a second."""
    monkeypatch.setattr(teaching, "TRAIN", TrainConfig(epochs=3, lr=0.1, batch=32))
    monkeypatch.setitem(teaching.COMMON, "epochs", 2)


def test_a_field_holds_log_probabilities_on_the_grid():
    class Sure(torch.nn.Module):
        def forward(self, x):
            return torch.stack([x[:, 0] * 0, (x[:, 0] - 0.5) * 1000], 1)

    field = field_of([Sure()])
    assert field.shape == (1, 2, STEPS, STEPS) and field.dtype == torch.uint8
    assert field[0, 1, :, -1].eq(255).all() and field[0, 1, :, 0].eq(0).all()
    assert torch.equal(field[0, :, 0], field[0, :, -1]), "rows are the second value, which this model ignores"
    points = grid()
    assert points.min() == 0 and points.max() == 1 and points[1, 0] > 0 and points[1, 1] == 0 and FLOOR < -5


def test_a_film_starts_with_the_original_and_ends_with_the_result(quick):
    lesson = teach("moons", "gd", seed=1)
    unlearned, original = lesson.fields["unlearned"], lesson.fields["original"]
    assert torch.equal(unlearned[0], original[0]) and not torch.equal(unlearned[-1], original[0])
    assert len(unlearned) == len(lesson.steps) == len(lesson.accuracy) and len(lesson.fields["references"]) == 3
    assert lesson.steps[0] == 0 and (lesson.steps.diff() > 0).all() and lesson.steps[-1] == 10
    assert ((lesson.accuracy >= 0) & (lesson.accuracy <= 1)).all()
    assert lesson.to_bytes() == teach("moons", "gd", seed=1).to_bytes()


@pytest.mark.parametrize("method", [key for key in METHODS if key != "retrain"])
def test_every_method_can_be_taught(quick, method):
    if method == "unsir":
        with pytest.raises(UsageError, match="whole classes"):
            teach("iris", method, (0, 60, 120))
        return
    lesson = teach("iris", method, (0, 60, 120))
    assert lesson.fields["unlearned"].shape[1:] == (3, STEPS, STEPS) and len(lesson.steps) >= 2
    assert lesson_config(method).to_dict()


def test_it_comes_back_from_its_file(quick):
    lesson = teach("moons", "gd", (3, 1, 2))
    again = lesson_from_bytes(lesson.to_bytes())
    assert again.forget == (1, 2, 3) and again.classes == lesson.classes and again.axes == lesson.axes
    assert torch.equal(again.points, lesson.points) and torch.equal(again.accuracy, lesson.accuracy)
    for name, field in lesson.fields.items():
        assert torch.equal(again.fields[name], field)


def test_a_job_makes_it_once_and_can_be_stopped(quick, tmp_path):
    store, job = Store(tmp_path), {"spec": {"plane": "moons", "method": "gd", "forget": [5, 9], "title": "ignored"}}
    with pytest.raises(Cancelled):
        lesson_job(job, store, lambda event: None, lambda: True)
    events: list[dict] = []
    key = lesson_job(job, store, events.append, lambda: False)
    assert key == lesson_key(job["spec"])[0] and load_lesson(store, key).forget == (5, 9)
    assert events[-1]["overall"] == 1 and {event["stage"] for event in events} >= {"Original", "Unlearning"}
    events.clear()
    assert lesson_job(job, store, events.append, lambda: False) == key and not events


@pytest.mark.parametrize(
    ("forget", "sentence"),
    [
        ([], "at least one"),
        ([-1], "numbered 0 to 159"),
        ([160], "numbered 0 to 159"),
        (["1"], "numbered"),
        ([i for i, c in enumerate(moons().labels.tolist()) if c == 0], "have to stay"),
    ],
)
def test_what_cannot_be_forgotten_gets_a_sentence(forget, sentence):
    with pytest.raises(UsageError, match=sentence):
        checked_points(find_plane("moons"), forget)


@pytest.mark.parametrize("spec", [None, {}, {"plane": "sun", "method": "gd"}, {"plane": "moons", "method": "pray"}])
def test_a_job_that_makes_no_sense_gets_a_sentence(spec):
    with pytest.raises(UsageError):
        lesson_key(spec)


def test_what_came_with_the_app_shows_what_the_page_says():
    size = sum(file.stat().st_size for file in SHIPPED.iterdir())
    assert size <= 500_000
    lessons = {name: lesson_from_bytes((SHIPPED / f"{name}.bin").read_bytes()) for name in ("moons-gd", "iris-gd")}
    for lesson in lessons.values():
        assert lesson.forget == find_plane(lesson.plane).forget
        point = telling_point(lesson, 0.08)
        near = torch.cdist(lesson.points[[point]], grid())[0] <= 0.08

        def share(field, near=near, own=lesson.labels[point]):
            return (field.flatten(1).argmax(0) == own)[near].float().mean()

        references = torch.stack([share(field) for field in lesson.fields["references"]])
        assert share(lesson.fields["unlearned"][-1]) > 1.5 * references.max(), "residual knowledge is to be seen"
        assert share(lesson.fields["unlearned"][-1]) < share(lesson.fields["original"][0])
    found = json.loads((SHIPPED / "tradeoff.json").read_text())
    runs = {(run["lambda"], run["tau"]): run for run in found["runs"]}
    assert len(runs) == len(found["lambdas"]) * len(found["taus"]) >= 25
    last = -1
    low, high = found["band"][last]
    assert found["original"]["ratio"][last] > high, "the Original has residual knowledge"
    assert any(low <= run["ratio"][last] <= high for run in runs.values()), "some setting lies in the band"
    assert any(run["ratio"][last] < low and run["retain_accuracy"] < 0.95 for run in runs.values())
    still = {tuple(run["ratio"]) for (weight, _), run in runs.items() if weight == 0}
    assert len(still) == 1, "without weight the radius does nothing"


def test_points_drawn_by_hand_are_learned_too_and_can_be_forgotten(quick):
    plane = moons()
    drawn = [(0.2, 0.9, 0), (0.25, 0.85, 1)]
    more = with_drawn(plane, drawn)
    n = len(plane.labels)
    assert len(more.labels) == n + 2 and more.labels[n:].tolist() == [0, 1]
    assert more.points[n:].tolist() == [pytest.approx(point[:2]) for point in drawn]
    lesson = teach("moons", "gd", (n, 3), drawn=drawn)
    assert lesson.forget == (3, n) and len(lesson.labels) == n + 2
    key, inputs = lesson_key({"plane": "moons", "method": "gd", "forget": [3, n], "drawn": [list(p) for p in drawn]})
    assert inputs["drawn"] and key != lesson_key({"plane": "moons", "method": "gd", "forget": [3, 4]})[0]


@pytest.mark.parametrize(
    "drawn", [[(0, 0)], [(2, 0, 0)], [(0, 0, 5)], [("a", 0, 0)], [(0.5, 0.5, 0)] * (MAX_DRAWN + 1), [float("nan")]]
)
def test_what_is_no_point_cannot_be_drawn(drawn):
    with pytest.raises(UsageError):
        with_drawn(moons(), drawn)


def test_the_point_in_view_is_the_same_for_every_method():
    files = [SHIPPED / f"moons-{name}.bin" for name in ("gd", "neggrad_plus", "rurk")]
    assert len({telling_point(lesson_from_bytes(file.read_bytes()), 0.08) for file in files}) == 1
