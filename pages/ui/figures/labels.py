"""Where names go in a crowded figure: at the ends of its lines, or beside its points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ui.text import escape

LINE, LETTER = 13.0, 7.0
"""Height of a line of small text, and about the width of a letter in it."""
SIDES = {
    "top center": (0, 1),
    "bottom center": (0, -1),
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top right": (1, 1),
    "top left": (-1, 1),
    "bottom right": (1, -1),
    "bottom left": (-1, -1),
}
"""Plotly's places of a text beside its point, the best first: (to the right, up)."""


@dataclass(frozen=True)
class End:
    """The end of a line: where it is, what it is called, its colour and how strong it is drawn."""

    x: float | str
    y: float
    text: str
    colour: str
    strength: float


def spread(places: Sequence[float], gap: float) -> list[float]:
    """The numbers nearest to ``places`` (least squares) that keep their order and lie at least ``gap`` apart.

    >>> spread([1, 1, 9], 2)
    [0.0, 2.0, 9.0]
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    pools: list[tuple[float, int]] = []  # once all have moved down by the room of those below, order is all that counts
    for rank, at in enumerate(order):
        mean, size = places[at] - rank * gap, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    moved = [mean for mean, size in pools for _ in range(size)]
    found = [0.0] * len(places)
    for rank, at in enumerate(order):
        found[at] = moved[rank] + rank * gap
    return found


def name_ends(figure: go.Figure, ends: Sequence[End], height: float) -> None:
    """Write every line's name at its end, threads leading to those that had to move; sets the range of the axis.

    Args:
        height: of the plot, in pixels.
    """
    values = [float(y) for trace in figure.data if trace.y is not None for y in trace.y if y is not None]
    low, high = min(values), max(values)
    pad = 0.05 * ((high - low) or 1.0)
    low, high = low - pad, high + pad
    scale = height / (high - low)
    places = spread([scale * end.y for end in ends], LINE)
    for end, place in zip(ends, places, strict=True):
        figure.add_annotation(
            x=end.x,
            y=end.y,
            text=escape(end.text),
            ax=20,
            ay=scale * end.y - place,
            xanchor="left",
            font={"size": 11},
            opacity=end.strength,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=end.colour,
            standoff=4,
            borderpad=0,
        )
    figure.update_yaxes(range=[min(low, (min(places) - LINE / 2) / scale), max(high, (max(places) + LINE / 2) / scale)])
    figure.update_layout(margin_r=46)


def together(points: Sequence[tuple[float, float]], near: float) -> list[list[int]]:
    """Groups of points of which each is within ``near`` of another in both directions.

    >>> together([(0, 0), (50, 0), (6, 6), (12, 6)], 8)
    [[0, 2, 3], [1]]
    """
    groups: list[list[int]] = []
    for at, (x, y) in enumerate(points):
        touched = [g for g in groups if any(abs(points[o][0] - x) <= near and abs(points[o][1] - y) <= near for o in g)]
        groups = [group for group in groups if group not in touched]
        groups.append(sorted([at, *(other for group in touched for other in group)]))
    return sorted(groups)


def beside(points: Sequence[tuple[float, float]], named: Sequence[int], texts: Sequence[str], size: float) -> list[str]:
    """For every named point the side of it (a key of :data:`SIDES`) on which its text covers least of the rest.

    Args:
        points: (x, y) in pixels, upwards; named: places of those that get ``texts``; size: of a marker.
    """
    taken = [(x - size / 2, y - size / 2, x + size / 2, y + size / 2) for x, y in points]
    found = []
    for at, text in zip(named, texts, strict=True):
        x, y = points[at]
        boxes = {side: _box(x, y, right, up, text, size) for side, (right, up) in SIDES.items()}
        side = min(boxes, key=lambda side: sum(_common(boxes[side], other) for other in taken))
        taken.append(boxes[side])
        found.append(side)
    return found


Box = tuple[float, float, float, float]


def _box(x: float, y: float, right: int, up: int, text: str, size: float) -> Box:
    width = LETTER * len(text)
    middle, centre = x + right * (size + width) / 2, y + up * (size + LINE) / 2
    return middle - width / 2, centre - LINE / 2, middle + width / 2, centre + LINE / 2


def _common(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
