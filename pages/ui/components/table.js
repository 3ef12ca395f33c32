// Every text goes in as text, never as HTML: names and sentences come from users.
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
