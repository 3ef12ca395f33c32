"""A lesson as a case of evidence: what is said of its forgotten points comes through the one door, as everywhere."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from ..arrays import Floats
from ..evidence.case import Case
from ..evidence.findings import Findings, find
from ..measure.residual import Verdicts
from ..measure.verdicts import LOG_ODDS_BOUND
from ..store.store import Store
from .lessons import FLOOR, Lesson

DRAWS = 80
"""Copies of a point."""
ATTACK = "uniform_l2"


def disc() -> Floats:
    """float64 [DRAWS, 2]: places spread evenly over the unit disc, the same for every point, radius and model."""
    at = np.arange(DRAWS)
    turn = np.pi * (3 - np.sqrt(5)) * at  # the golden angle
    return np.sqrt((at + 0.5) / DRAWS)[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)


def beliefs(fields: Tensor, places: Tensor) -> Tensor:
    """Log-probabilities [M, C, P] at places [P, 2] in [0, 1], between the nodes of the grids [M, C, S, S] (uint8)."""
    logs = FLOOR * (1 - fields.double() / 255)
    asked = (2 * places.double() - 1).expand(len(fields), 1, -1, -1)
    return grid_sample(logs, asked, align_corners=True, padding_mode="border")[:, :, 0]


def lesson_verdicts(lesson: Lesson, tau: float, frame: int = -1) -> Verdicts:
    """What the models of a lesson make of the copies of its forgotten points within ``tau``, at a moment of the film.

    The models are "original", "reference-1", … and "unlearned"; the one radius is ``tau``.
    """
    gone = list(lesson.forget)
    near = lesson.points[gone, None].double() + tau * torch.from_numpy(disc())
    frame = frame % len(lesson.fields["unlearned"])
    fields = torch.cat(
        [lesson.fields["original"], lesson.fields["references"], lesson.fields["unlearned"][frame : frame + 1]]
    )
    labels = lesson.labels[gone]
    logs = beliefs(fields, near.clamp(0, 1).reshape(-1, 2)).unflatten(2, (len(gone), DRAWS))  # [M, C, N, D]
    taken = logs.argmax(1)  # [M, N, D]
    classes = len(lesson.classes)
    counts = torch.nn.functional.one_hot(taken, classes).sum(2).int()  # [M, N, C]
    own = logs.gather(1, labels[None, None, :, None].expand(len(fields), 1, -1, DRAWS))[:, 0]
    odds = (own - torch.log1p(-own.clamp(max=-1e-9).exp())).clamp(-LOG_ODDS_BOUND, LOG_ODDS_BOUND)
    k = len(lesson.fields["references"])
    agreement = (taken[:, None] == taken[None, 1 : 1 + k]).sum(3).int()
    names = ("original", *(f"reference-{i + 1}" for i in range(k)), "unlearned")
    return Verdicts(
        attack=ATTACK,
        source="",
        draws=DRAWS,
        seed=lesson.seed,
        taus=np.array([tau]),
        samples=np.array(gone, np.int64),
        labels=labels.numpy(),
        models=names,
        references=names[1 : 1 + k],
        counts=counts[:, :, None].numpy(),
        agreement=agreement[..., None].numpy(),
        margins=odds.mean(2)[..., None].float().numpy(),
    )


def lesson_findings(lesson: Lesson, tau: float, frame: int = -1) -> Findings:
    """What the evidence says of every forgotten point of a lesson, all models together."""
    table = lesson_verdicts(lesson, tau, frame)
    return find(Case(Store("memory://lesson"), "", {}, "unlearned", ATTACK, "", table, None))


def findings_by_frame(lesson: Lesson, tau: float) -> dict[int, list[str]]:
    """Forgotten point → its finding at every moment of the film."""
    found = [lesson_findings(lesson, tau, frame) for frame in range(len(lesson.steps))]
    return {
        point: [next(one.finding for one in at.samples if one.sample == point) for at in found]
        for point in lesson.forget
    }
