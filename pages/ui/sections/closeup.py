"""One copy close up: the sample, the copy, what was changed, and what every model makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rurk_core.report.pictures import as_pictures, png_uri
from ui.figures.look import Look
from ui.glossary import term
from ui.text import escape, number

LESS, MORE = (94, 60, 153), (230, 97, 1)
"""Ends of the signed colour scale, purple for darker and orange for brighter (told apart by colour-blind eyes)."""
OTHERS = ("#A0A9B7", "#C6CCD6", "#B4BCC8", "#D5DAE1")
"""Greys of the classes a copy is mistaken for, all light enough for dark text."""
READABLE = 12.0
"""Per cent of a bar that has room for words."""
ROWS = 5
"""Classes listed beside the sample's own."""


def picture(image: Any) -> np.ndarray:
    """An image as models take it → uint8 H×W×3."""
    return as_pictures(np.asarray(image)[None])[0]


def signed_picture(change: np.ndarray) -> tuple[np.ndarray, float]:
    """What was changed, on a colour scale: purple is darker, white is unchanged, orange is brighter.

    Args:
        change: copy minus sample, [C, H, W] or [D]; channels are averaged.

    Returns:
        uint8 H×W×3, and the change that has the full colour.
    """
    flat = change.astype(np.float32)
    flat = flat[None, :] if flat.ndim == 1 else flat.mean(0)
    full = float(np.abs(flat).max())
    share = flat[..., None] / full if full else np.zeros((*flat.shape, 1), np.float32)
    end = np.where(share < 0, np.array(LESS), np.array(MORE))
    return (255 + np.abs(share) * (end - 255.0)).round().astype(np.uint8), full


def pictures(image: np.ndarray, change: np.ndarray, number: int, tau: float) -> str:
    """Sample, copy and change side by side, as HTML.

    Args:
        image: the sample, float [C, H, W] or [D] in [0, 1]; change: copy minus sample; number: of the copy, from 1.
    """
    moved = np.clip(image + change.astype(np.float32), 0, 1)
    difference, full = signed_picture(change)
    gain = f"× {1 / full:.3g}" if full else "nothing changed"
    scale = (
        f'<span class="rk-scale"><span>−{full:.3g}</span><i style="background:linear-gradient(90deg,rgb{LESS},#fff,'
        f'rgb{MORE})"></i><span>+{full:.3g}</span></span>'
        if full
        else ""
    )
    shown = [
        (picture(image), "the sample", ""),
        (picture(moved), f"copy {number} at τ = {tau:.4g}", ""),
        (difference, f"the change, {gain}", scale),
    ]
    cells = "".join(
        f'<figure><img src="{png_uri(pixels)}" alt="{escape(words)}"><figcaption>{escape(words)}{more}</figcaption>'
        "</figure>"
        for pixels, words, more in shown
    )
    return f'<div class="rk-closeup">{cells}</div>'


def probabilities(classes: list[str], own: int, bars: list[tuple[Look, np.ndarray]]) -> str:
    """The likeliest classes of one copy and the probability every model gives them, as an HTML table.

    Args:
        own: the sample's class, always listed first; bars: look and probabilities [C] of each model.
    """
    if not bars:
        return ""
    top = np.max([share for _, share in bars], axis=0)
    others = [c for c in np.argsort(-top, kind="stable") if c != own][: ROWS - 1]
    said = [int(np.argmax(share)) for _, share in bars]
    head = "".join(f"<th>{look.tag()}</th>" for look, _ in bars)
    rows = []
    for c in [own, *others]:
        cells = []
        for (look, share), winner in zip(bars, said, strict=True):
            text = f"{100 * share[c]:.0f}%"
            text = f"<b>{text}</b>" if winner == c else text
            fill = f'<i style="width:{100 * float(share[c]):.1f}%;background:{look.colour}"></i>'
            cells.append(f"<td><div class='rk-share'><div class='rk-bar'>{fill}</div><span>{text}</span></div></td>")
        name = f"<b>{escape(classes[c])}</b>" if c == own else escape(classes[c])
        rows.append(f"<tr><td>{name}</td>{''.join(cells)}</tr>")
    return (
        f"<table class='rk-table rk-probabilities'><tr><th>{term('confidence', 'probability')}</th>{head}</tr>"
        f"{''.join(rows)}</table>"
    )


def taken_for(classes: list[str], own: int, bars: list[tuple[Look, np.ndarray]], draws: int) -> str:
    """One stacked bar per model, as HTML: how many of the copies it takes for which class.

    Args:
        own: the sample's class, which comes first and has the model's colour; the others are grey and carry names.
        bars: look and copies by class [C] of each model; draws: copies in all.
    """
    total = np.sum([counts for _, counts in bars], axis=0)
    others = [int(c) for c in np.argsort(-total, kind="stable") if c != own and total[c] > 0]
    rows = []
    for look, counts in bars:
        parts = []
        for place, c in enumerate([own, *others]):
            share, text = 100 * float(counts[c]) / draws, f"{escape(classes[c])}: {number(counts[c])}"
            if share > 0:
                fill, ink = (look.colour, look.ink) if c == own else (OTHERS[(place - 1) % len(OTHERS)], "#000")
                parts.append(
                    f'<span style="width:{share:.2f}%;background:{fill};color:{ink}" title="taken for {text} of '
                    f'{draws}">{text if share >= READABLE else ""}</span>'
                )
        rows.append(
            f"<tr><td>{look.label()}</td><td style='width:62%'><div class='rk-stack'>{''.join(parts)}</div></td></tr>"
        )
    scale = f"<div class='rk-ends'><span>0</span><span>copies</span><span>{draws}</span></div>"
    return f"<table class='rk-table'>{''.join(rows)}<tr><td></td><td>{scale}</td></tr></table>"
