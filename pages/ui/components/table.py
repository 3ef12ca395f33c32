"""A table of numbers that sorts by a click on a column and tells which row was clicked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ui.components.assets import component

_HTML = '<div class="rk-grid-box"><table class="rk-grid"><thead></thead><tbody></tbody></table></div>'

_table = component("rurk_table", _HTML, "table.js", "table.css")


def table(
    key: str, columns: Sequence[dict[str, str]], rows: Sequence[dict[str, Any]], *, selected: str, version: str
) -> str | None:
    """Show the table; returns the name of the row that was clicked just now.

    Args:
        columns: ``{"title", "unit", "help"}``.
        rows: ``{"name", "title", "note", "letter", "colour", "ink", "fixed", "failed", "cells"}``; fixed rows stay on
            top. A cell is ``{"text", "gap", "interval", "help", "glyph", "mark", "sort"}``: mark is a CSS class
            ("best", "worst" or ""), sort a number or None. A row without cells shows ``failed``.
        version: another one forgets the order that was clicked.
    """
    found = _table(
        key=key,
        data={"columns": list(columns), "rows": list(rows), "selected": selected, "version": version},
        on_pick_change=lambda: None,
    )
    picked = found.get("pick")
    return picked if picked in [row["name"] for row in rows] else None
