"""All methods beside Re-train in one table."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.compare.columns import COLUMNS, RETRAIN
from rurk_core.compare.table import ranks
from rurk_core.compare.texts import cell_text, flat, gap_text, to_csv, to_latex
from rurk_core.unlearning import METHODS
from ui.components.table import table
from ui.glossary import term
from ui.sections.comparison import View, pick

GLYPHS = {"best": "◎", "worst": "✕"}


TARGET = (
    '<div class="rk-see">The target of every column up to r̂ is what '
    f"{term('re-trained', 'Re-train')} has, not the highest or the lowest number. Under each value: its difference "
    "to Re-train, with ≈ where one more re-training would lie as near in 95% of all cases, and its 95% interval "
    "(bootstrap over seeds and samples). ◎ <b>nearest</b> to Re-train, ✕ <i>furthest</i>; of costs ◎ is the "
    "least. A click on a column sorts by the distance, one on a model highlights it. The grey word is whose "
    "settings a method ran with.</div>"
)
"""What the table says, where there is a Re-train."""


def cell_of(key: str, cell: dict[str, Any] | None, mark: str) -> dict[str, Any]:
    metric = COLUMNS[key]
    if cell is None:
        return {"text": "–", "gap": "", "interval": "", "help": "not measured", "glyph": "", "mark": "", "sort": None}
    scale, digits = metric.scale, metric.digits
    interval = ""
    if cell["interval"] and cell["n"] > 0:
        low, high = (f"{scale * edge:.{digits}f}" for edge in cell["interval"])
        interval = f"{low} – {high}"
    gap = gap_text(key, cell)
    if not gap and cell["within"]:
        gap = "≈"
    values = ", ".join(f"{scale * value:.{digits}f}" for value in cell["values"][:12])
    distance = cell["gap"] if metric.target and cell["gap"] is not None else cell["mean"]
    return {
        "text": cell_text(key, cell),
        "gap": gap,
        "interval": interval,
        "help": f"{metric.help}; {'values' if cell['n'] > 1 else 'value'}: {values}",
        "glyph": GLYPHS.get(mark, ""),
        "mark": mark,
        "sort": abs(distance) if metric.target else distance,
    }


def settings_words(row: dict[str, Any]) -> str:
    """The name of the settings; of own ones also what differs from the method's defaults."""
    known = METHODS.get(row["method"])
    if known is None or not (row["settings"] == "own" or row["settings"].endswith("changed")):
        return row["settings"]
    default = known.config().to_dict()
    apart = [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
             for name, value in row["config"].items() if default.get(name) != value]  # fmt: skip
    return f"{row['settings']}: {', '.join(apart[:3])}{', …' if len(apart) > 3 else ''}"


def show_table(view: View) -> None:
    unknown = ("seconds",) if "audit" in view.results[0] else ()  # models that were made elsewhere took no time here
    shown = [key for key in COLUMNS if key not in unknown and any(row["cells"][key] for row in view.rows)]
    marks = {key: ranks(view.rows, key) for key in shown}
    rows = []
    for row in view.rows:
        look, failed = view.looks[row["name"]], row["failed"]
        gone = bool(failed) and not any(row["cells"].values())
        note = settings_words(row) + (f" · failed with {len(failed)} of the seeds" if failed and not gone else "")
        rows.append(
            {
                "name": row["name"],
                "title": look.title,
                "note": note,
                "letter": look.letter,
                "colour": look.colour,
                "ink": look.ink,
                "fixed": row["name"] in ("original", RETRAIN),
                "failed": "Failed: " + " ".join(dict.fromkeys(failed.values())) if gone else "",
                "cells": []
                if gone
                else [cell_of(key, row["cells"][key], marks[key].get(row["name"], "")) for key in shown],
            }
        )
    columns = [{"title": COLUMNS[key].title, "unit": COLUMNS[key].unit, "help": COLUMNS[key].help} for key in shown]
    version = ",".join([*view.comparison["runs"], *shown])
    picked = table("comparison", columns, rows, selected=view.chosen, version=version)
    if picked is not None:
        pick(picked, view.chosen)
        st.rerun()
    if view.retrained:
        st.html(TARGET)
    name = f"comparison-{view.comparison['dataset']['name']}"
    with st.container(horizontal=True, gap="small"):
        for label, text, ending in (
            ("Table (CSV)", to_csv(flat(view.comparison)), "csv"),
            ("Table (LaTeX)", to_latex(view.comparison), "tex"),
        ):
            st.download_button(
                label,
                text.encode(),
                file_name=f"{name}.{ending}",
                mime="text/plain",
                key=f"table_{ending}",
                type="tertiary",
                icon=":material/download:",
                on_click="ignore",
            )
