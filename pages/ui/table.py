"""A table of numbers that sorts by a click on a column and tells which row was clicked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

_HTML = '<div class="rk-grid-box"><table class="rk-grid"><thead></thead><tbody></tbody></table></div>'
_CSS = """
.rk-grid-box { overflow-x: auto; max-width: 100%; container-type: inline-size; }
.rk-grid { border-collapse: separate; border-spacing: 0; width: 100%; font: 400 12.75px/1.35 var(--st-font);
  color: var(--st-text-color); font-variant-numeric: tabular-nums; }
.rk-grid th, .rk-grid td { padding: 5px 5px 5px 2px; text-align: right; vertical-align: top; white-space: nowrap;
  border-bottom: 1px solid color-mix(in srgb, currentColor 13%, transparent); }
.rk-grid th:first-child, .rk-grid td:first-child { text-align: left; position: sticky; left: 0; z-index: 1;
  background: var(--st-background-color); padding-left: 8px; }
.rk-grid th { font-weight: 500; font-size: 12.5px; vertical-align: bottom; }
.rk-grid th button { all: unset; cursor: pointer; color: inherit; border-bottom: 1px dotted currentColor; }
.rk-grid th button:focus-visible, .rk-grid td button:focus-visible { outline: 2px solid var(--st-primary-color);
  outline-offset: 2px; border-radius: 3px; }
.rk-grid .quiet { font-size: 11px; opacity: .72; }
.rk-grid .best { font-weight: 750; background: color-mix(in srgb, #009E73 15%, transparent); }
.rk-grid .worst { font-style: italic; background: color-mix(in srgb, #D55E00 11%, transparent); }
.rk-grid .failed { position: sticky; left: 8.6rem; max-width: calc(100cqw - 9.2rem); text-align: left;
  white-space: normal; }
.rk-grid .mark { font-style: normal; font-weight: 400; padding-right: 3px; }
.rk-grid td button { all: unset; cursor: pointer; }
.rk-grid tbody tr:hover td { background: color-mix(in srgb, var(--st-text-color) 5%, var(--st-background-color)); }
.rk-grid tr.on td { background: color-mix(in srgb, var(--st-primary-color) 13%, var(--st-background-color)); }
.rk-grid tr.on td:first-child { box-shadow: inset 4px 0 0 var(--st-primary-color); }
.rk-grid tr.fixed td { border-bottom-style: double; border-bottom-width: 3px; }
.rk-grid .rk-tag { margin-right: 5px; }
@container (max-width: 520px) {
  .rk-grid td:first-child { white-space: normal; min-width: 5.4rem; max-width: 6.6rem; overflow-wrap: break-word; }
  .rk-grid .failed { left: 7rem; max-width: calc(100cqw - 7.6rem); }
}
"""

# every text goes in as text, never as HTML: names and sentences come from users
_JS = """
export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector('.rk-grid');
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  if (box.version !== data.version) { box.version = data.version; box.by = null; box.down = false; }
  const draw = () => {
    const head = make('tr');
    head.append(make('th', '', 'model'));
    data.columns.forEach((column, at) => {
      const th = make('th'), button = make('button', '', column.title);
      button.title = column.help;
      button.onclick = () => { box.down = box.by === at && !box.down; box.by = at; draw(); };
      th.setAttribute('aria-sort', box.by === at ? (box.down ? 'descending' : 'ascending') : 'none');
      th.append(button, box.by === at ? (box.down ? ' ↓' : ' ↑') : '', make('div', 'quiet', column.unit));
      head.append(th);
    });
    box.tHead.replaceChildren(head);
    const fixed = data.rows.filter((row) => row.fixed), rows = data.rows.filter((row) => !row.fixed);
    if (box.by !== null) {
      const value = (row) => row.cells.length ? row.cells[box.by].sort : null;
      rows.sort((a, b) => {
        const x = value(a), y = value(b);
        if (x === null || y === null) return (x === null) - (y === null);
        return box.down ? y - x : x - y;
      });
    }
    box.tBodies[0].replaceChildren(...fixed.concat(rows).map((row, i) => {
      const tr = make('tr', (row.name === data.selected ? 'on ' : '') + (i === fixed.length - 1 ? 'fixed' : ''));
      const td = make('td'), button = make('button');
      const tag = make('span', 'rk-tag', row.letter);
      tag.style.background = row.colour; tag.style.color = row.ink;
      button.append(tag, row.title);
      button.setAttribute('aria-pressed', row.name === data.selected);
      button.onclick = () => setTriggerValue('pick', row.name);
      td.append(button, make('div', 'quiet', row.note));
      tr.append(td);
      if (!row.cells.length) {
        const said = make('td');
        said.colSpan = data.columns.length;
        said.append(make('div', 'failed', row.failed));
        tr.append(said);
      }
      row.cells.forEach((cell) => {
        const td = make('td', cell.mark);
        const line = make('div');
        if (cell.glyph) line.append(make('span', 'mark', cell.glyph));
        line.append(cell.text);
        td.append(line);
        if (cell.gap) td.append(make('div', 'quiet', cell.gap));
        if (cell.interval) td.append(make('div', 'quiet', cell.interval));
        td.title = cell.help;
        tr.append(td);
      });
      return tr;
    }));
  };
  draw();
}
"""

_table = st.components.v2.component("rurk_table", html=_HTML, css=_CSS, js=_JS, isolate_styles=False)


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
