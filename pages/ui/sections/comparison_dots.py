"""Every metric as a small figure of its own: how far each model is from Re-train, with its interval, one line each."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.compare.columns import COLUMNS, RETRAIN
from rurk_core.compare.texts import cell_text
from ui.sections.comparison import View
from ui.sections.comparison_curves import nothing
from ui.text import escape

SHOWN = [key for key, metric in COLUMNS.items() if metric.target]


def reach_of(cells: list[dict[str, Any] | None]) -> float:
    """How far the widest of the differences, intervals and bands of a metric goes from 0, in stored units."""
    found = [0.0]
    for cell in cells:
        if cell is None or cell["gap"] is None:
            continue
        target = cell["mean"] - cell["gap"]
        found += [cell["gap"], *(cell["spread"] or ()), *(edge - target for edge in cell["interval"] or ())]
    return max(map(abs, found)) or 1.0


def state_of(view: View, key: str, name: str) -> str:
    """Why there is no difference to draw, in words."""
    if key in ("residual", "prevalence") and any(curve["name"] == name for curve in view.comparison["curves"]):
        return f"undefined: {nothing(view, 'prevalence')}"
    return "not measured"


def in_words(key: str, cell: dict[str, Any]) -> str:
    return cell_text(key, cell).replace("> ", "more than ")


def without_target(of: dict[str, Any] | None) -> str:
    """Why a value has no distance to Re-train, whose cell is ``of``."""
    if of is not None and of["over"]:
        return "how far from Re-train is not known: it takes longer than was looked"
    return "Re-train has no number to compare with"


def line_of(view: View, key: str, row: dict[str, Any], reach: float, of: dict[str, Any] | None) -> str:
    """A model's difference to Re-train in a metric, whose cell is ``of``."""
    look, cell, metric = view.looks[row["name"]], row["cells"][key], COLUMNS[key]
    on = " on" if row["name"] == view.chosen else ""
    head = f'<div class="rk-dot-row{on}"><span class="rk-dot-name">{look.label()}</span>'
    if cell is None:
        return f'{head}<span class="rk-dot-state">{state_of(view, key, row["name"])}</span></div>'
    if cell["gap"] is None:
        return (
            f'{head}<span class="rk-dot-state rk-dot-wide">{in_words(key, cell)} {metric.unit}; '
            f"{without_target(of)}</span></div>"
        )

    def at(difference: float) -> float:
        return 50 + 48 * difference / reach

    target = cell["mean"] - cell["gap"]
    parts = ""
    if cell["spread"]:
        low, high = map(at, cell["spread"])
        parts += f'<u style="left:{low:.1f}%;width:{high - low:.1f}%"></u>'
    if cell["interval"]:
        low, high = (at(edge - target) for edge in cell["interval"])
        parts += f'<i style="left:{low:.1f}%;width:{max(0.6, high - low):.1f}%;background:{look.colour}"></i>'
    parts += f'<b style="left:{at(cell["gap"]):.1f}%;background:{look.colour}"></b>'
    gap = f"{metric.scale * cell['gap']:+.{metric.digits}f}"
    near = " ≈" if cell["within"] else ""
    said = f"{look.title}: {cell_text(key, cell)} {metric.unit}, {gap} from Re-train"
    said += ", as near as re-trainings" if near else ""
    return (
        f'{head}<span class="rk-dot-track" role="img" aria-label="{escape(said)}" title="{escape(said)}">{parts}</span>'
        f'<span class="rk-dot-text">{gap}{near}</span></div>'
    )


def show_dots(view: View) -> None:
    """A panel a metric; numbers are differences to Re-train in the unit of the metric."""
    rows = [row for row in view.rows if row["name"] != RETRAIN and any(row["cells"].values())]
    panels = []
    for key in SHOWN:
        cells = [row["cells"][key] for row in rows]
        if not any(cells):
            continue
        metric, reach = COLUMNS[key], reach_of(cells)
        of = next((row["cells"][key] for row in view.rows if row["name"] == RETRAIN), None)
        lines = "".join(line_of(view, key, row, reach, of) for row in rows)
        about = "1, where there is no excess" if key == "residual" else in_words(key, of) if of else "each other"
        panels.append(
            f'<section class="rk-dots"><h3>{metric.title} <span class="rk-quiet">{metric.help}</span></h3>'
            f'<div class="rk-dot-about">difference to Re-train ({escape(about)}), {metric.unit}</div>{lines}</section>'
        )
    st.html(f'<div class="rk-dot-grid">{"".join(panels)}</div>')
    st.html(
        '<div class="rk-see">The middle line is Re-train; green, where it is drawn: where one more re-training lies in '
        "95% of all cases (≈ inside of it: by this number the model may be such a re-training, whatever single samples "
        "show); bars: 95% intervals (bootstrap over seeds and samples).</div>"
    )
