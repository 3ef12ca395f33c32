// A table that sorts by a click on a column. Every text goes in as text, never as HTML: names come from users.

function make(tag, className, ...inside) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...inside);
  return element;
}

/** @param {{by: ?number, down: boolean}} order the column that rows are sorted by, and whether falling */
function head(data, order, sort) {
  const row = make("tr", "", make("th", "", "model"));
  data.columns.forEach((column, at) => {
    const button = make("button", "", column.title);
    button.title = column.help;
    button.onclick = () => sort(at);
    const here = order.by === at;
    const th = make("th", "", button, here ? (order.down ? " ↓" : " ↑") : "", make("div", "quiet", column.unit));
    th.setAttribute("aria-sort", here ? (order.down ? "descending" : "ascending") : "none");
    row.append(th);
  });
  return row;
}

/** Rows that stay on top, then the others in order; those without a value last. */
function ordered(rows, { by, down }) {
  const fixed = rows.filter((row) => row.fixed);
  const others = rows.filter((row) => !row.fixed);
  const value = (row) => (row.cells.length ? row.cells[by].sort : null);
  if (by !== null) {
    others.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return Number(x === null) - Number(y === null);
      return down ? y - x : x - y;
    });
  }
  return [...fixed, ...others];
}

function cell({ text, gap, interval, glyph, mark, help }) {
  const line = make("div", "", ...(glyph ? [make("span", "mark", glyph)] : []), text);
  const below = [gap, interval].filter(Boolean).map((words) => make("div", "quiet", words));
  const td = make("td", mark, line, ...below);
  td.title = help;
  return td;
}

function body(row, data, last, pick) {
  const tag = make("span", "rk-tag", row.letter);
  tag.style.background = row.colour;
  tag.style.color = row.ink;
  const button = make("button", "", tag, row.title);
  button.setAttribute("aria-pressed", row.name === data.selected);
  button.onclick = () => pick(row.name);
  const className = (row.name === data.selected ? "on " : "") + (last ? "fixed" : "");
  const tr = make("tr", className, make("td", "", button, make("div", "quiet", row.note)));
  if (!row.cells.length) {
    const said = make("td", "", make("div", "failed", row.failed));
    said.colSpan = data.columns.length;
    tr.append(said);
  }
  tr.append(...row.cells.map(cell));
  return tr;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".rk-grid");
  if (box.version !== data.version) Object.assign(box, { version: data.version, order: { by: null, down: false } });
  const draw = () => {
    const sort = (at) => {
      box.order = { by: at, down: box.order.by === at && !box.order.down };
      draw();
    };
    box.tHead.replaceChildren(head(data, box.order, sort));
    const rows = ordered(data.rows, box.order);
    const fixed = rows.filter((row) => row.fixed).length;
    const pick = (name) => setTriggerValue("pick", name);
    box.tBodies[0].replaceChildren(...rows.map((row, i) => body(row, data, i === fixed - 1, pick)));
  };
  draw();
}
