"""The perturbed copies of a sample as pictures, each with a mark for every model."""

from __future__ import annotations

import numpy as np

from ui.components.tiles import tiles
from ui.figures.look import REFERENCES
from ui.session.view import Copies, View
from ui.text import escape


def copies_row(view: View, shown: list[str], found: Copies, *, chosen: int | None = None, count: int = 0) -> int | None:
    """The copies with their marks; returns the one that was clicked.

    Args:
        shown: names of models; chosen: the copy that stands out, or None where none can be chosen.
        count: only the first so many.
    """
    count = min(count, found.taken.shape[1]) if count else found.taken.shape[1]
    right = found.taken[:, :count] == view.label
    names = [f"copy {i + 1}" for i in range(count)]
    marks, looks = [], []
    for name in shown:
        look, at = view.looks[name], view.members(name)
        marks.append(right[at].mean(0))
        looks.append({"colour": look.colour, "shape": look.symbol})
        for i in range(count):
            names[i] += f"\n{look.letter}  {', '.join(view.classes[found.taken[m, i]] for m in at)}"
    return tiles(
        "copies",
        found.sheet,
        range(count),
        names,
        label=f"Perturbed copies of sample {view.sample} at radius {view.tau:.4g}",
        side=48 if found.sheet.width < 30 else 64,
        mode="look" if chosen is None else "one",
        selected=[] if chosen is None else [chosen],
        marks=np.stack(marks) if marks else None,
        looks=looks,
    )


def key_of_marks(view: View, shown: list[str]) -> str:
    """What the marks mean, as HTML."""
    text = f"filled: still says “{escape(view.classes[view.label])}”; hollow: says something else"
    partly = "; R fills with the share of re-trained models" if REFERENCES in shown else ""
    return f'<div class="rk-key"><span class="rk-quiet">{text}{partly}. Point at a copy for the classes.</span></div>'
