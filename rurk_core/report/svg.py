"""Small figures as SVG text, for documents that hold no script: curves, histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from .looks import Look

WIDTH, HEIGHT = 620, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 14, 46
GREEN = "#009E73"
"""Of the re-trained models."""
DASHES = {"solid": "", "dash": "7 5", "dot": "2 4", "dashdot": "8 4 2 4", "longdash": "12 5", "longdashdot": "12 4 2 4"}
SHAPES = {
    "circle": '<circle r="4"/>',
    "square": '<rect x="-3.6" y="-3.6" width="7.2" height="7.2"/>',
    "diamond": '<path d="M0-5 5 0 0 5-5 0Z"/>',
    "triangle-up": '<path d="M0-5 5 4H-5Z"/>',
    "cross": '<path d="M-1.6-5h3.2v3.4h3.4v3.2h-3.4V5h-3.2V1.6H-5v-3.2h3.4Z"/>',
    "x": '<path d="M-4-2.4-2.4-4 0-1.6 2.4-4 4-2.4 1.6 0 4 2.4 2.4 4 0 1.6-2.4 4-4 2.4-1.6 0Z"/>',
    "star": '<path d="M0-5.5 1.5-1.8 5.5-1.6 2.4.9 3.4 4.8 0 2.6-3.4 4.8-2.4.9-5.5-1.6-1.5-1.8Z"/>',
    "hexagon": '<path d="M0-5 4.4-2.5v5L0 5-4.4 2.5v-5Z"/>',
}


@dataclass(frozen=True)
class Curve:
    """A line: how it looks, and its values; NaN leaves a gap."""

    look: Look
    values: NDArray


def mark(look: Look, x: float = 0, y: float = 0) -> str:
    """A model's shape in its colour, centred at (x, y)."""
    return f'<g transform="translate({x:.1f} {y:.1f})" fill="{look.colour}">{SHAPES[look.symbol]}</g>'


def curves(
    taus: Sequence[float],
    lines: Sequence[Curve],
    band: tuple[NDArray, NDArray] | None,
    *,
    title: str,
    label: str,
    across: str,
    top: float = 100.0,
    ticks: Sequence[float] | None = None,
    marked: int = 1,
    even: bool = False,
    at: float | None = None,
) -> str:
    """Values over τ, the span of the re-trained models behind them.

    Args:
        band: lowest and highest re-trained value at each radius; title: of the vertical axis; across: of the horizontal
            one; top: upper end of the vertical one; label: what the figure shows, for those who cannot see it.
        ticks: numbers below, at most seven of ``taus`` by default; marked: every how many points a mark is drawn; even:
            a line from corner to corner; at: an upright line there.
    """
    span = (taus[-1] - taus[0]) or 1.0

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - taus[0]) / span

    xs = [x(tau) for tau in taus]

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value, top) / top

    parts = [_frame(title, across, top, y)]
    numbered = taus[:: max(1, math.ceil(len(taus) / 7))] if ticks is None else ticks
    parts += [_tick(x(tau), f"{tau:.3g}") for tau in numbered]
    if even:
        parts.append(f'<line x1="{xs[0]:.1f}" x2="{xs[-1]:.1f}" y1="{y(0):.1f}" y2="{y(top):.1f}" class="grid"/>')
    if at is not None:
        parts.append(f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" class="zero"/>')
    if band is not None and np.isfinite(band[0]).all():
        edge = [f"{px:.1f},{y(v):.1f}" for px, v in zip(xs, band[1], strict=True)]
        back = [f"{px:.1f},{y(v):.1f}" for px, v in zip(reversed(xs), band[0][::-1], strict=True)]
        parts.append(f'<polygon points="{" ".join(edge + back)}" fill="{GREEN}" fill-opacity=".2"/>')
    for line in lines:
        points = [(px, y(float(v))) for px, v in zip(xs, line.values, strict=True) if np.isfinite(v)]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{line.look.colour}" stroke-width="2" '
            f'stroke-dasharray="{DASHES[line.look.dash]}"/>'
        )
        parts += [mark(line.look, px, py) for px, py in points[::marked]]
    return _svg(parts, label)


def histogram(values: NDArray, edges: NDArray, *, colour: str, title: str, label: str) -> str:
    """How many samples have which value; a line at 0.

    Args:
        values: float N; edges: of the bins, rising; title: of the horizontal axis, with its unit.
    """
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    high = nice(max(1, int(counts.max())))

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - edges[0]) / (edges[-1] - edges[0])

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / high

    parts = [_frame("samples", title, high, y)]
    for count, low, top in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            parts.append(
                f'<rect x="{x(low) + 0.6:.1f}" y="{y(count):.1f}" width="{max(0.5, x(top) - x(low) - 1.2):.1f}" '
                f'height="{HEIGHT - BOTTOM - y(count):.1f}" fill="{colour}"><title>{count}</title></rect>'
            )
    parts += [_tick(x(value), f"{value:.4g}") for value in round_numbers(edges[0], edges[-1])]
    parts.append(f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" class="zero"/>')
    return _svg(parts, label)


def _svg(parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" class="figure">'
        f"{''.join(parts)}</svg>"
    )


def _frame(title: str, below: str, high: float, y) -> str:
    """Axes with titles, and four grid lines with their values."""
    rows = []
    for k in range(5):
        value = high * k / 4
        rows.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>'
            f'<text x="{LEFT - 7}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    middle = (HEIGHT - BOTTOM + TOP) / 2
    return (
        "".join(rows) + f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(below)}'
        f'</text><text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(title)}</text>'
    )


def _tick(x: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{text}</text>'


def round_numbers(low: float, high: float, most: int = 8) -> list[float]:
    """About ``most`` multiples of a round number between ``low`` and ``high``, 0 among them where it lies there.

    >>> round_numbers(-0.3, 0.8, 5)
    [-0.25, 0.0, 0.25, 0.5, 0.75]
    """
    step = nice((high - low) / most)
    return [float(step * at) for at in range(math.ceil(low / step), math.floor(high / step) + 1)]


def nice(value: float) -> float:
    """The next of 1, 2, 2.5, 5, 10, ... upwards.

    >>> nice(0.3), nice(7), nice(100)
    (0.5, 10.0, 100.0)
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(float(power * step) for step in (1, 2, 2.5, 5, 10) if power * step >= value * (1 - 1e-9))
