// Pictures of samples, to look at or to pick; with marks as in the figures: circle O, square R, diamond and others U.
import { SHAPES, within } from "./shapes.js";

/** A mark fills from the bottom: whole where every model behind it still says the sample's class, else in part. */
function mark(look, share) {
  const shape = SHAPES[look.shape] || SHAPES.circle;
  return (
    `<svg width="11" height="11" viewBox="0 0 12 12" aria-hidden="true" style="color:${look.colour}">` +
    `<g fill="currentColor" style="clip-path:inset(${12 - 12 * share}px 0 0 0)">${shape}</g>` +
    `<g fill="none" stroke="currentColor" stroke-width="1.3">${shape}</g></svg>`
  );
}

/** The tile of picture i: a part of the sheet, and its marks. */
function tile(data, i) {
  const button = data.mode !== "look";
  const made = document.createElement(button ? "button" : "div");
  made.className = "rk-tile";
  made.tabIndex = button && !i ? 0 : -1;
  const image = document.createElement("span");
  image.className = `rk-picture ${data.sheet}`;
  const [column, row] = [i % data.columns, Math.floor(i / data.columns)];
  image.style.cssText =
    `width:${data.width}px;height:${data.height}px;` +
    `background-size:${data.columns * data.width}px ${data.rows * data.height}px;` +
    `background-position:-${column * data.width}px -${row * data.height}px`;
  made.append(image);
  if (data.marks) {
    const marks = document.createElement("span");
    marks.className = "rk-marks";
    marks.innerHTML = data.looks.map((look, m) => mark(look, data.marks[m][i])).join("");
    made.append(marks);
  }
  made.setAttribute(button ? "aria-label" : "data-name", data.names[i].replaceAll("\n", ", "));
  return made;
}

/** Bring what is selected into a strip's sight, once. */
function reveal(box, tiles, data) {
  const [selected] = data.selected;
  const chosen = tiles[data.ids.indexOf(selected)];
  if (!data.strip || !chosen || box.shown === selected) return;
  box.shown = selected;
  if (data.mode !== "look") for (const each of tiles) each.tabIndex = each === chosen ? 0 : -1;
  requestAnimationFrame(() => {
    const left = chosen.offsetLeft - box.offsetLeft;
    const right = left + chosen.offsetWidth;
    if (left < box.scrollLeft + 40 || right > box.scrollLeft + box.clientWidth - 40) {
      box.scrollLeft = left - box.clientWidth / 2;
    }
  });
}

/** Say the name of a tile above it, or below where there is no room; of none, say nothing. */
function say(tip, tile, name) {
  tip.hidden = !tile;
  if (!tile) return;
  tip.textContent = name;
  const where = tile.getBoundingClientRect();
  const mine = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(where.left, innerWidth - mine.width - 8))}px`;
  const above = where.top - mine.height - 6;
  tip.style.top = `${above > 4 ? above : where.bottom + 6}px`;
}

/** Arrow keys, Home and End go from tile to tile. */
function step(event, tiles, at) {
  const n = tiles.length;
  const across = Math.max(1, tiles.filter((each) => each.offsetTop === tiles[0].offsetTop).length);
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, Home: -n, End: n }[event.key];
  if (at < 0 || by === undefined) return;
  event.stopPropagation();
  event.preventDefault();
  const to = within(at + by, 0, n - 1);
  tiles[at].tabIndex = -1;
  tiles[to].tabIndex = 0;
  tiles[to].focus();
}

/** Add or remove a picture, or with shift all from the last one clicked; returns the new state of the page. */
function toggle(box, data, at, range) {
  const add = !box.on.has(data.ids[at]);
  const from = range && box.last !== null ? box.last : at;
  for (let i = Math.min(from, at); i <= Math.max(from, at); i++) box.on[add ? "add" : "delete"](data.ids[i]);
  box.last = at;
  // the whole page at once, so that clicks faster than the server are not lost
  box.turn = Date.now();
  return { turn: box.turn, of: data.ids, on: data.ids.filter((id) => box.on.has(id)) };
}

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  const box = parentElement.querySelector(".rk-tiles");
  const tip = parentElement.querySelector(".rk-tip");
  const button = data.mode !== "look";
  box.className = `rk-tiles ${data.strip ? "strip " : ""}${data.mode === "many" ? "many" : ""}`;
  box.setAttribute("aria-label", data.label);
  if (box.dataset.version !== data.version) {
    box.dataset.version = data.version;
    box.last = null;
    box.replaceChildren(...data.ids.map((_, i) => tile(data, i)));
  }
  const tiles = [...box.children];
  // what was clicked here after the server last looked counts more than what the server knew
  if (data.mode !== "many" || !box.turn || data.seen >= box.turn) box.on = new Set(data.selected);
  const paint = () =>
    tiles.forEach((each, i) => {
      const on = box.on.has(data.ids[i]);
      each.classList.toggle("on", on);
      if (button) each.setAttribute("aria-pressed", on);
    });
  paint();
  reveal(box, tiles, data);
  const placeOf = (event) => tiles.indexOf(event.target.closest(".rk-tile"));
  box.onpointerover = (event) => say(tip, tiles[placeOf(event)], data.names[placeOf(event)]);
  box.onfocusin = (event) => {
    if (event.target.matches(":focus-visible")) box.onpointerover(event);
  };
  box.onpointerleave = box.onfocusout = () => say(tip);
  box.onclick = (event) => {
    const at = placeOf(event);
    if (at < 0 || !button) return;
    if (data.mode === "one") return setTriggerValue("pick", data.ids[at]);
    const picks = toggle(box, data, at, event.shiftKey);
    paint();
    setStateValue("picks", picks);
  };
  box.onkeydown = (event) => step(event, tiles, placeOf(event));
}
