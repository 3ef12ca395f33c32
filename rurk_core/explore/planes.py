"""The planes of lessons: samples with two values each, those to forget, and points drawn in by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError


@dataclass(frozen=True)
class Plane:
    """Samples in the plane.

    Attributes:
        points: float32 [N, 2] in [0, 1]; labels: int64 [N].
        classes: a name per class; axes: titles of the two values, with units.
        forget: the samples a lesson forgets unless told otherwise.
    """

    points: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    axes: tuple[str, str]
    forget: tuple[int, ...]


def moons() -> Plane:
    """160 points in two moons; to forget: the inner tip of the upper one, which reaches towards the lower."""
    from sklearn.datasets import make_moons

    rows, labels = make_moons(160, noise=0.16, random_state=4)
    points = _fitted(rows)
    tip = np.linalg.norm(points - points[labels == 0][rows[labels == 0][:, 0].argmax()], axis=1)
    tip[labels == 1] = np.inf
    return Plane(
        torch.from_numpy(points),
        torch.from_numpy(labels).long(),
        ("upper moon", "lower moon"),
        ("first value (from 0 to 1)", "second value (from 0 to 1)"),
        tuple(sorted(int(i) for i in tip.argsort()[:14])),
    )


def iris() -> Plane:
    """The 150 irises by petal length and width; to forget: seven over the three species, as in the paper's Figure 1.

    Two of the four measurements, so that what is drawn is all that the network sees. The seven are those
    furthest from the rest of their species, whose absence can be seen.
    """
    from sklearn.datasets import load_iris

    found = load_iris()
    rows = found.data[:, 2:]
    low, high = rows.min(0), rows.max(0)
    names = [f"petal {name} (cm, {a:g} to {b:g})" for name, a, b in zip(("length", "width"), low, high, strict=True)]
    points = _fitted(rows)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    apart[found.target[:, None] != found.target[None]] = np.nan
    lonely = np.argsort(-np.nanmean(apart, axis=1), kind="stable")
    forget = [i for c, count in ((0, 1), (1, 3), (2, 3)) for i in lonely[found.target[lonely] == c][:count]]
    return Plane(
        torch.from_numpy(points),
        torch.from_numpy(found.target).long(),
        tuple(str(name) for name in found.target_names),
        (names[0], names[1]),
        tuple(sorted(int(i) for i in forget)),
    )


PLANES: dict[str, Callable[[], Plane]] = {"moons": moons, "iris": iris}


MAX_DRAWN = 60
"""Points that may be drawn into a plane by hand."""


def with_drawn(plane: Plane, drawn: Sequence[Any]) -> Plane:
    """A plane with further points behind its own: ``(x, y, class)`` each, x and y in [0, 1], kept to 3 decimals.

    Raises:
        UsageError: too many points, or one that is none.
    """
    if not drawn:
        return plane
    if len(drawn) > MAX_DRAWN:
        raise UsageError(f"At most {MAX_DRAWN} points can be drawn, not {len(drawn)}.")
    rows = []
    for point in drawn:
        try:
            x, y, label = (float(value) for value in point)
        except (TypeError, ValueError):
            raise UsageError("A drawn point is x, y and the number of its class.") from None
        if not (0 <= x <= 1 and 0 <= y <= 1 and label in range(len(plane.classes))):
            raise UsageError("A drawn point lies in the plane, from 0 to 1, and is of one of its classes.")
        rows.append((round(x, 3), round(y, 3), int(label)))
    return replace(
        plane,
        points=torch.cat([plane.points, torch.tensor([row[:2] for row in rows], dtype=torch.float32)]),
        labels=torch.cat([plane.labels, torch.tensor([row[2] for row in rows])]),
    )


def find_plane(name: str) -> Plane:
    """The plane called ``name``; raises UsageError where there is none."""
    if name not in PLANES:
        raise UsageError(f"There is no plane '{name}'; choose one of {', '.join(PLANES)}.")
    return PLANES[name]()


def checked_points(plane: Plane, forget: Sequence[int]) -> tuple[int, ...]:
    """Indices of points, sorted, or the reason why they cannot be forgotten."""
    chosen = sorted(set(forget)) if all(type(i) is int for i in forget) else [-1]
    n = len(plane.labels)
    if not chosen:
        raise UsageError("Nothing is chosen to forget; click at least one point.")
    if chosen[0] < 0 or chosen[-1] >= n:
        raise UsageError(f"Points are numbered 0 to {n - 1}.")
    left = torch.bincount(plane.labels, minlength=len(plane.classes))
    left -= torch.bincount(plane.labels[chosen], minlength=len(plane.classes))
    if int(left.min()) < 2:
        name = plane.classes[int(left.argmin())]
        raise UsageError(f"At least two points of “{name}” have to stay, or there is nothing to learn it from.")
    return tuple(chosen)


def _fitted(rows: np.ndarray) -> np.ndarray:
    """Rows [N, 2] brought into [0.08, 0.92], float32: room for perturbed copies at every edge."""
    low, high = rows.min(0), rows.max(0)
    return (0.08 + 0.84 * (rows - low) / (high - low)).astype(np.float32)
