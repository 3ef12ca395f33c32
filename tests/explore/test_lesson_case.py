"""A lesson as a case: copies even over the disc, beliefs read between nodes, counts and margins by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rurk_core.explore.lesson_case import DRAWS, beliefs, disc, findings_by_frame, lesson_findings, lesson_verdicts
from rurk_core.explore.lessons import FLOOR, lesson_from_bytes

SHIPPED = Path(__file__).parents[2] / "assets" / "teaching"


def test_places_fill_the_unit_disc_evenly():
    places = disc()
    far = np.hypot(*places.T)
    assert len(places) == DRAWS and far.max() < 1
    assert np.abs(places.mean(0)).max() < 0.02
    assert abs((far < np.sqrt(0.5)).mean() - 0.5) < 0.02  # half of the area holds half of them


def test_beliefs_are_exact_on_nodes_and_linear_between():
    fields = torch.zeros(1, 1, 3, 3, dtype=torch.uint8)
    fields[0, 0, 0, 2] = 255  # first value 1, second value 0
    found = beliefs(fields, torch.tensor([[1.0, 0.0], [0.75, 0.0], [0.0, 1.0]]))[0, 0]
    assert found.tolist() == pytest.approx([0.0, FLOOR / 2, FLOOR])


@pytest.fixture(scope="module")
def lesson():
    return lesson_from_bytes((SHIPPED / "iris-gd.bin").read_bytes())


def test_counts_and_margins_are_those_of_the_copies(lesson):
    table = lesson_verdicts(lesson, 0.05, 0)
    assert (table.counts.sum(3) == DRAWS).all()
    # at the first moment the unlearned model is the Original
    assert (table.counts[table.models.index("unlearned")] == table.counts[0]).all()
    assert table.agreement.shape == (5, 3, len(lesson.forget), 1)
    assert (table.agreement[[1, 2, 3], [0, 1, 2]] == DRAWS).all(), "every model agrees with itself"
    at_once = lesson_verdicts(lesson, 0.0, 0)
    logs = beliefs(lesson.fields["original"], lesson.points[list(lesson.forget)])[0]
    own = logs.gather(0, torch.tensor(at_once.labels)[None])[0]
    expected = (own - torch.log1p(-own.exp())).clamp(-12, 12)
    assert at_once.margins[0, :, 0] == pytest.approx(expected.numpy(), abs=1e-4)


def test_the_film_is_told_moment_by_moment(lesson):
    told = findings_by_frame(lesson, 0.08)
    last = {one.sample: one.finding for one in lesson_findings(lesson, 0.08).samples}
    assert set(told) == set(lesson.forget) and {point: each[-1] for point, each in told.items()} == last
    assert all(len(each) == len(lesson.steps) for each in told.values())
