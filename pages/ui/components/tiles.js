// Shapes as in the figures: circle O, square R, diamond and others U. A mark fills from the bottom: whole where every
// model behind it still says the sample's class, in part where some re-trained models do.
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
      tile.setAttribute(button ? 'aria-label' : 'data-name', data.names[i].replaceAll('\n', ', '));
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
