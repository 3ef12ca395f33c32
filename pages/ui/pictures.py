"""Pictures as the models see them: many samples in one image, drawn without smoothing, to look at or to pick."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from rurk_core.report.pictures import as_pictures

MAX_SIDE = 96
"""Larger pictures are shown reduced to this."""
LOSSLESS_BYTES = 180_000
"""Above this a gallery sheet is sent as WebP of high quality; pictures to be judged are always lossless."""

_HTML = "<div class='rk-tiles' role='group'></div><div class='rk-tip' hidden></div>"

_CSS = """
.rk-tiles { display: flex; flex-wrap: wrap; gap: 6px; }
.rk-tiles.strip { flex-wrap: nowrap; overflow-x: auto; padding: 4px 2px 8px; scrollbar-width: thin; gap: 4px; }
.rk-tile { flex: none; padding: 3px; margin: 0; border: 0; border-radius: 7px; background: none; font: inherit;
  color: inherit; line-height: 0; box-shadow: none; }
button.rk-tile { cursor: pointer; }
button.rk-tile:hover { background: color-mix(in srgb, currentColor 16%, transparent); }
.rk-tile:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
.rk-tile.on { box-shadow: inset 0 0 0 3px var(--st-primary-color); position: relative; }
.rk-tiles.many .rk-tile.on::after { content: "✓"; position: absolute; right: 1px; top: 1px; width: 15px; height: 15px;
  border-radius: 50%; background: var(--st-primary-color); color: #fff; font: 700 10px/15px sans-serif; }
.rk-image { display: block; image-rendering: pixelated; border-radius: 4px; background-repeat: no-repeat;
  box-shadow: 0 0 0 1px color-mix(in srgb, currentColor 18%, transparent); }
.rk-marks { display: flex; justify-content: center; gap: 3px; margin-top: 4px; }
.rk-tip { position: fixed; z-index: 10000; padding: 6px 9px; border-radius: 7px; font-size: 12.5px; line-height: 1.45;
  white-space: pre; pointer-events: none; background: var(--st-text-color); color: var(--st-background-color); }
"""

# Shapes as in the figures: circle O, square R, diamond and others U. A mark fills from the bottom: whole where every
# model behind it still says the sample's class, in part where some re-trained models do.
_JS = """
const SHAPES = {
  circle: '<circle cx="6" cy="6" r="5"/>', square: '<rect x="1.4" y="1.4" width="9.2" height="9.2"/>',
  diamond: '<path d="M6 .6 11.4 6 6 11.4.6 6Z"/>', 'triangle-up': '<path d="M6 1 11.4 11H.6Z"/>',
  cross: '<path d="M4 1h4v3h3v4H8v3H4V8H1V4h3Z"/>', x: '<path d="M1 3 3 1l3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3Z"/>',
  star: '<path d="M6 .6 7.6 4.2l3.8.4-2.8 2.6.8 3.9L6 9.1l-3.4 2 .8-3.9L.6 4.6l3.8-.4Z"/>',
  hexagon: '<path d="M6 .8 10.7 3.4v5.2L6 11.2 1.3 8.6V3.4Z"/>',
};
const mark = (look, share) => {
  const shape = SHAPES[look.shape] || SHAPES.circle, cut = 12 - 12 * share;
  return `<svg width="11" height="11" viewBox="0 0 12 12" aria-hidden="true" style="color:${look.colour}">` +
    `<g fill="currentColor" style="clip-path:inset(${cut}px 0 0 0)">${shape}</g>` +
    `<g fill="none" stroke="currentColor" stroke-width="1.3">${shape}</g></svg>`;
};

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  const box = parentElement.querySelector('.rk-tiles'), tip = parentElement.querySelector('.rk-tip');
  const n = data.ids.length, button = data.mode !== 'look';
  box.className = 'rk-tiles ' + (data.strip ? 'strip ' : '') + (data.mode === 'many' ? 'many' : '');
  box.setAttribute('aria-label', data.label);
  if (box.dataset.version !== data.version) {
    box.dataset.version = data.version;
    box.last = null;
    box.replaceChildren(...data.ids.map((id, i) => {
      const tile = document.createElement(button ? 'button' : 'div');
      tile.className = 'rk-tile';
      tile.tabIndex = !button ? -1 : i ? -1 : 0;
      const image = document.createElement('span');
      image.className = 'rk-image ' + data.sheet;
      image.style.cssText = `width:${data.width}px;height:${data.height}px;` +
        `background-size:${data.columns * data.width}px ${data.rows * data.height}px;` +
        `background-position:-${(i % data.columns) * data.width}px -${Math.floor(i / data.columns) * data.height}px`;
      tile.append(image);
      if (data.marks) {
        const row = document.createElement('span');
        row.className = 'rk-marks';
        row.innerHTML = data.looks.map((look, m) => mark(look, data.marks[m][i])).join('');
        tile.append(row);
      }
      tile.setAttribute(button ? 'aria-label' : 'data-name', data.names[i].replaceAll('\\n', ', '));
      return tile;
    }));
  }
  const tiles = [...box.children];
  // what was clicked here after the server last looked counts more than what the server knew
  if (data.mode !== 'many' || !box.turn || data.seen >= box.turn) box.on = new Set(data.selected);
  const paint = () => tiles.forEach((tile, i) => {
    const on = box.on.has(data.ids[i]);
    tile.classList.toggle('on', on);
    if (button) tile.setAttribute('aria-pressed', on);
  });
  paint();
  if (data.strip && data.selected.length) {
    const at = data.ids.indexOf(data.selected[0]), tile = tiles[at];
    if (tile && box.shown !== data.selected[0]) {
      box.shown = data.selected[0];
      tiles.forEach((other) => { if (button) other.tabIndex = other === tile ? 0 : -1; });
      requestAnimationFrame(() => {
        const left = tile.offsetLeft - box.offsetLeft, right = left + tile.offsetWidth;
        if (left < box.scrollLeft + 40 || right > box.scrollLeft + box.clientWidth - 40)
          box.scrollLeft = left - box.clientWidth / 2;
      });
    }
  }
  const place = (event) => {
    const at = tiles.indexOf(event.target.closest('.rk-tile'));
    if (at < 0) { tip.hidden = true; return; }
    tip.textContent = data.names[at];
    tip.hidden = false;
    const where = tiles[at].getBoundingClientRect(), mine = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(where.left, innerWidth - mine.width - 8)) + 'px';
    const above = where.top - mine.height - 6;
    tip.style.top = (above > 4 ? above : where.bottom + 6) + 'px';
  };
  box.onpointerover = place;
  box.onfocusin = (event) => { if (event.target.matches(':focus-visible')) place(event); };
  box.onpointerleave = box.onfocusout = () => { tip.hidden = true; };
  box.onclick = (event) => {
    const at = tiles.indexOf(event.target.closest('.rk-tile'));
    if (at < 0 || !button) return;
    if (data.mode === 'one') { setTriggerValue('pick', data.ids[at]); return; }
    const to = !box.on.has(data.ids[at]);
    const from = event.shiftKey && box.last !== null ? box.last : at;
    const low = Math.min(from, at), high = Math.max(from, at);
    for (let i = low; i <= high; i++) to ? box.on.add(data.ids[i]) : box.on.delete(data.ids[i]);
    box.last = at;
    paint();
    // the whole page at once, so that clicks faster than the server are not lost
    box.turn = Date.now();
    setStateValue('picks', { turn: box.turn, of: data.ids, on: data.ids.filter((id) => box.on.has(id)) });
  };
  box.onkeydown = (event) => {
    const at = tiles.indexOf(event.target.closest('.rk-tile'));
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 0, ArrowDown: 0, Home: -n, End: n }[event.key];
    if (at < 0 || step === undefined) return;
    event.stopPropagation(); event.preventDefault();
    const across = Math.max(1, tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length);
    const by = event.key === 'ArrowUp' ? -across : event.key === 'ArrowDown' ? across : step;
    const to = Math.max(0, Math.min(n - 1, at + by));
    tiles[at].tabIndex = -1; tiles[to].tabIndex = 0; tiles[to].focus();
  };
}
"""

# in the page's own tree, so that the style rule with the picture reaches it
_tiles = st.components.v2.component("rurk_tiles", html=_HTML, css=_CSS, js=_JS, isolate_styles=False)


@dataclass(frozen=True)
class Sheet:
    """Many pictures in one, row by row.

    Attributes:
        name: a CSS class that belongs to these very pixels; rule: the style rule that gives it the picture.
        columns: pictures in a row; rows: of pictures; height, width: of one picture, in its own pixels.
    """

    name: str
    rule: str
    columns: int
    rows: int
    height: int
    width: int


def make_sheet(images: Any, *, lossless: bool = True) -> Sheet:
    """All images in one picture."""
    from PIL import Image

    tiles = as_pictures(images)
    n, height, width, _ = tiles.shape
    if max(height, width) > MAX_SIDE:
        factor = MAX_SIDE / max(height, width)
        height, width = max(1, round(height * factor)), max(1, round(width * factor))
        tiles = np.stack([np.asarray(Image.fromarray(t).resize((width, height), Image.Resampling.BOX)) for t in tiles])
    columns = min(n, 25)
    rows = math.ceil(n / columns)
    sheet = np.zeros((rows * columns, height, width, 3), np.uint8)
    sheet[:n] = tiles
    sheet = sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    picture, out, kind = Image.fromarray(sheet), io.BytesIO(), "png"
    picture.save(out, "PNG", compress_level=3)
    if not lossless and out.tell() > LOSSLESS_BYTES:
        out, kind = io.BytesIO(), "webp"
        picture.save(out, "WEBP", quality=90, method=2)
    data = out.getvalue()
    name = f"rk-sheet-{hashlib.sha256(data).hexdigest()[:16]}"
    rule = f".{name}{{background-image:url(data:image/{kind};base64,{base64.b64encode(data).decode()})}}"
    return Sheet(name, rule, columns, rows, height, width)


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
