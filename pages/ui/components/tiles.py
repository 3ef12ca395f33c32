"""Pictures of samples side by side, to look at or to pick."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st

from ui.components.assets import component
from ui.figures.sheet import Sheet, sheet_of

_tiles = component(
    "rurk_tiles",
    "<div class='rk-tiles' role='group'></div><div class='rk-tip' hidden></div>",
    "tiles.js",
    "tiles.css",
)


def tiles(
    key: str,
    sheet: Sheet,
    ids: Sequence[int],
    names: Sequence[str],
    *,
    label: str,
    side: int = 44,
    mode: str = "look",
    selected: Sequence[int] = (),
    strip: bool = False,
    marks: np.ndarray | None = None,
    looks: Sequence[dict[str, str]] = (),
    seen: int = 0,
    on_change: Callable[[], None] | None = None,
) -> int | None:
    """Thumbnails with a word on hover, scaled by a whole factor where they are small.

    Args:
        ids: a number per picture; names: what it says when pointed at; label: what all of them are.
        side: about how many screen pixels a picture's longer side takes.
        mode: ``"look"``, ``"one"`` (a click returns the id) or ``"many"`` (clicks add and remove; the new state is in
            ``st.session_state[key]["picks"]``, and ``seen`` tells the browser the last ``turn`` that was heard).
        strip: one row that scrolls sideways.
        marks: float [models, pictures], share of the models behind a mark that still say the sample's class;
            looks: ``{"colour", "shape"}`` of each.
    """
    factor = side / max(sheet.height, sheet.width)
    factor = max(1, round(factor)) if factor >= 1 else 1
    st.html(f"<style>{sheet.rule}</style>")
    look = hashlib.sha256(repr((tuple(names), marks.tobytes() if marks is not None else 0, looks)).encode())
    found = _tiles(
        key=key,
        data={
            "sheet": sheet.name,
            "version": f"{sheet.name}-{look.hexdigest()[:12]}-{factor}-{mode}",
            "columns": sheet.columns,
            "rows": sheet.rows,
            "width": sheet.width * factor,
            "height": sheet.height * factor,
            "ids": [int(i) for i in ids],
            "names": list(names),
            "label": label,
            "mode": mode,
            "strip": strip,
            "selected": [int(i) for i in selected],
            "seen": seen,
            "marks": np.round(marks, 3).tolist() if marks is not None else None,
            "looks": list(looks),
        },
        on_pick_change=lambda: None,
        on_picks_change=on_change or (lambda: None),
    )
    picked = found.get("pick")
    return picked if isinstance(picked, int) and picked in ids else None


def sample_tiles(
    key: str, dataset: Any, samples: Sequence[int], names: Sequence[str] = (), *, label: str, **options: Any
) -> int | None:
    """Training samples as :func:`tiles`, which ``options`` are for; each says its number and class, or its name."""
    names = names or [f"sample {i}, class {dataset.classes[int(dataset.train_labels[i])]}" for i in samples]
    sheet = sheet_of(dataset.fingerprint, tuple(samples), dataset)
    return tiles(key, sheet, samples, names, label=label, **options)
