"""Tens of thousands of points that stay fluid: one WebGL canvas for all panels, and a thin one above it for the rest.

The points travel in a component of their own whose message does not change, so that the browser is sent them once;
what does change (the sample in view, its copies, the set to forget) is small. Layers, colours, zoom and hovering
never ask the server: pictures of samples come over HTTP (:mod:`ui.session.served`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from ui.components.assets import component

LAYERS = {
    "retain": ("retain set", "#8B95A5", 0),
    "test": ("test set", "#B59A5B", 1),
    "forget": ("forget set", "", 2),
}
"""Split → its name, colour ("" for the colour of text) and shape (0 disc, 1 triangle, 2 diamond)."""
CLASS_COLOURS = (
    "#6E5BD0",
    "#88CCEE",
    "#44AA99",
    "#2E8B4A",
    "#999933",
    "#DDCC77",
    "#CC6677",
    "#A03A5C",
    "#AA4499",
    "#808794",
)
"""Paul Tol's muted colours, none of which belongs to a model, made readable on dark and on white."""

_HTML = """
<div class="rk-map">
  <div class="rk-tools" role="toolbar" aria-label="Map tools"></div>
  <div class="rk-stage"><canvas class="rk-gl" aria-hidden="true"></canvas>
    <canvas class="rk-over" tabindex="0" role="application"></canvas></div>
  <div class="rk-mapkey"></div>
  <i class="rk-ground" hidden></i>
  <div class="rk-card" hidden><img alt=""><span></span></div>
</div>
"""

_points = component("rurk_points", "<div hidden></div>", "points.js")
_scatter = component("rurk_scatter", _HTML, "scatter.js", "scatter.css")


@dataclass(frozen=True)
class Points:
    """What does not change while a map is looked at.

    Attributes:
        version: names these very points; message: what the browser is sent once.
        low, span: float [2], how coordinates become 0 to 1; aspect: width of the map over its height.
        centres: [M][C], the middle of every class in every panel, in 0 to 1; None where it has no sample.
        counts: samples per split, in the order of the rows.
        view: (x, y, x, y) in 0 to 1, the corners of what is shown at first; outside: rows that lie beyond it somewhere.
    """

    version: str
    message: dict[str, Any]
    low: np.ndarray
    span: np.ndarray
    aspect: float
    centres: list[list[list[float] | None]]
    counts: list[int]
    view: tuple[float, float, float, float]
    outside: int

    def scaled(self, coordinates: np.ndarray) -> np.ndarray:
        """Coordinates of the map as the browser has them, 0 to 1."""
        return (coordinates - self.low) / self.span


def make_points(
    version: str, coordinates: np.ndarray, ids: np.ndarray, splits: np.ndarray, labels: np.ndarray, classes: int
) -> Points:
    """Points of M panels: float [M, N, 2], ids int [N], splits uint8 [N] (never falling), labels int [N]."""
    flat = coordinates.reshape(-1, 2).astype(float)
    low, span = flat.min(0), np.maximum(flat.max(0) - flat.min(0), 1e-9)
    scaled = (coordinates - low) / span
    centres = [
        [
            np.median(panel[labels == c], axis=0).round(4).tolist() if (labels == c).any() else None
            for c in range(classes)
        ]
        for panel in scaled
    ]
    counts = [int((splits == at).sum()) for at in range(3)]

    def packed(values: np.ndarray, kind: str) -> str:
        return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()

    message = {
        "version": version,
        "xy": packed((scaled * 65535).round(), "<u2"),
        "ids": packed(ids, "<i4"),
        "labels": packed(labels, "<u2"),
        "starts": [0, *np.cumsum(counts).tolist()],
    }
    view = middle(scaled, scaled[:, splits == 2])
    beyond = ((scaled < view[:2]) | (scaled > view[2:])).any((0, 2))
    corners = (float(view[0]), float(view[1]), float(view[2]), float(view[3]))
    return Points(version, message, low, span, float(span[0] / span[1]), centres, counts, corners, int(beyond.sum()))


def middle(*clouds: np.ndarray, share: float = 0.995) -> np.ndarray:
    """The box (x, y, x, y) that holds the middle ``share`` of every cloud [M, N, 2] along each axis; empty ones do not
    count."""
    tail = (1 - share) / 2
    ends = [np.quantile(cloud.reshape(-1, 2), [tail, 1 - tail], axis=0) for cloud in clouds if cloud.size]
    low, high = np.min([end[0] for end in ends], axis=0), np.max([end[1] for end in ends], axis=0)
    return np.concatenate([low, np.maximum(high, low + 1e-6)])


def scatter(
    key: str,
    points: Points,
    panels: Sequence[dict[str, str]],
    *,
    axes: tuple[str, str],
    classes: Sequence[str],
    label: str,
    file: str,
    images: str = "",
    selected: int = -1,
    chosen: Sequence[int] = (),
    cloud: Sequence[dict[str, Any]] | None = None,
) -> tuple[int | None, list[int] | None]:
    """The map; returns (row that was clicked, training ids that were drawn around), each once and otherwise None.

    Args:
        panels: ``{"title", "colour", "symbol"}`` of each model; label: what the map is, in words.
        file: name of the PNG that can be saved; images: where pictures are, see :func:`ui.session.served.images_at`.
        selected: the row in view; chosen: training ids with a ring; cloud: per panel ``{"xy", "right"}`` of copies.
    """
    _points(key=f"{key}-points", data=points.message)
    found: Any = _scatter(
        key=key,
        data={
            "version": points.version,
            "count": sum(points.counts),
            "counts": points.counts,
            "aspect": points.aspect,
            "centres": points.centres,
            "view": points.view,
            "outside": points.outside,
            "panels": list(panels),
            "axes": list(axes),
            "classes": list(classes),
            "colours": list(CLASS_COLOURS),
            "layers": {
                name: {"title": title, "colour": colour, "shape": shape}
                for name, (title, colour, shape) in LAYERS.items()
            },
            "primary": "#6464E4",
            "label": label,
            "file": file,
            "images": images,
            "selected": selected,
            "chosen": [int(i) for i in chosen],
            "cloud": list(cloud) if cloud else None,
        },
        on_pick_change=lambda: None,
        on_taken_change=lambda: None,
    )
    row = _news(key, "pick", found).get("index")
    ids = _news(key, "taken", found).get("ids")
    fits = type(row) is int and 0 <= row < sum(points.counts)
    listed = isinstance(ids, list) and all(type(i) is int and i >= 0 for i in ids)
    return (row if fits else None), (ids if listed else None)


def _news(key: str, name: str, found: Any) -> dict[str, Any]:
    """What the browser said under ``name``, once: its moment tells whether it was heard before."""
    said, heard = found.get(name), f"{key}-{name}-heard"
    if not isinstance(said, dict) or said.get("at") in (None, st.session_state.get(heard)):
        return {}
    st.session_state[heard] = said["at"]
    return said
