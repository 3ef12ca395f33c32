// One copy close up: the sample, the copy, what was changed, and what every model makes of it.

const LESS = [94, 60, 153];
const MORE = [230, 97, 1];
export const percentOf = (share) => `${Math.round(100 * share)}%`;

/** An element with a class and text. */
export function made(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

/** Put text into an element where it is another: the same text again would have the browser lay the page out anew. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The letter of a model on its colour. */
export function tagOf(look) {
  const tag = made("span", "rks-tag", look.letter);
  tag.style.cssText = `background:${look.colour};color:${look.ink}`;
  return tag;
}

function paint(canvas, rgba, height, width) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
}

/** A change on a colour scale: purple is darker, white unchanged, orange brighter; the largest has the full colour. */
export function amplified(change) {
  let full = 0;
  for (const value of change) full = Math.max(full, Math.abs(value));
  const rgba = new Uint8ClampedArray(4 * change.length);
  change.forEach((value, at) => {
    const share = full ? Math.abs(value) / full : 0;
    const end = value < 0 ? LESS : MORE;
    for (let c = 0; c < 3; c++) rgba[4 * at + c] = 255 + share * (end[c] - 255);
    rgba[4 * at + 3] = 255;
  });
  return { rgba, full };
}

/** The sample alone as RGBA. */
export function plainPixels(picture) {
  const channels = picture.shape[2];
  const rgba = new Uint8ClampedArray((4 * picture.length) / channels);
  for (let at = 0; at < rgba.length / 4; at++) {
    for (let c = 0; c < 3; c++) rgba[4 * at + c] = picture[at * channels + (channels === 3 ? c : 0)];
    rgba[4 * at + 3] = 255;
  }
  return rgba;
}

/** What a model says of copy i: its class and how sure it is. */
function saidBy(copies, name, i) {
  const found = copies.answer(name);
  if (!found) return null;
  const k = found.top.shape[1];
  return { c: found.top[i * k], p: found.share[i * k] / 255 };
}

/** A row of a model: its letter, what it says, and the probability of the sample's class as a bar. */
export function answerRow(look, words, own, right) {
  const row = made("div", `rks-row${right ? " rks-right" : ""}`);
  const says = made("span", "rks-says", words);
  const bar = made("span", "rks-bar");
  const fill = document.createElement("i");
  fill.style.cssText = `width:${100 * own}%;background:${look.colour}`;
  bar.append(fill);
  row.append(tagOf(look), says, bar, made("span", "rks-own", percentOf(own)));
  return row;
}

/** What the re-trained models say together: "5 say Coat, 3 Shirt"; what is beyond three classes is counted. */
function together(copies, i) {
  const { data } = copies;
  const counts = new Map();
  for (const name of data.references) {
    const c = copies.says(name, i);
    counts.set(c, (counts.get(c) || 0) + 1);
  }
  const sorted = [...counts].toSorted((a, b) => b[1] - a[1]);
  if (data.references.length === 1) return `says ${data.classes[sorted[0][0]]}`;
  const said = sorted.slice(0, 3).map(([c, n], at) => `${n} ${at ? "" : n === 1 ? "says " : "say "}${data.classes[c]}`);
  const others = sorted.slice(3).reduce((sum, [, n]) => sum + n, 0);
  if (others) said.push(others === 1 ? "1 other" : `${others} others`);
  return said.join(", ");
}

/** Everything that is said of copy i, row by row. */
export function answersOf(copies, i) {
  const { data, my } = copies;
  const rows = [];
  const shown = [...new Set([...copies.groupers.map((one) => one.name), ...my.panels.map((m) => data.names[m])])];
  for (const name of shown.filter((each) => !data.references.includes(each))) {
    if (name === "references") {
      const own = data.references.reduce((sum, each) => sum + copies.own(each, i), 0) / data.references.length;
      const right = copies.retrained(i) > data.references.length / 2;
      rows.push(answerRow(data.looks.references, together(copies, i), own, right));
      continue;
    }
    const said = saidBy(copies, name, i);
    if (!said) continue;
    const words = `says ${data.classes[said.c]}, ${percentOf(said.p)}`;
    rows.push(answerRow(data.looks[name], words, copies.own(name, i), said.c === copies.base.label));
  }
  return rows;
}

/** Put a picture [height, width, channels] of bytes on a canvas. */
export function paintPixels(canvas, picture, height, width) {
  paint(canvas, plainPixels(picture), height, width);
}

/** Show copy i at the radius in view, in pictures and rows. */
export function showCopy(side, copies, i, tau) {
  const { base, data } = copies;
  const [height, width] = base.picture.shape;
  const change = new Float32Array(height * width);
  const rgba = new Uint8ClampedArray(4 * height * width);
  copies.pixels(i, rgba, change);
  const { rgba: shown, full } = amplified(change);
  const [first, second, third] = side.pictures;
  paint(first, plainPixels(base.picture), height, width);
  paint(second, i < copies.pictured ? rgba : new Uint8ClampedArray(rgba.length).fill(150), height, width);
  paint(third, shown, height, width);
  const captions = [
    "sample",
    i < copies.pictured ? `copy ${i + 1}` : `copy ${i + 1} (no picture)`,
    full ? `change × ${+(1 / full).toPrecision(2)}` : "no change",
  ];
  captions.forEach((caption, at) => {
    write(side.captions[at], caption);
    side.pictures[at].setAttribute("aria-label", caption);
  });
  write(side.title, `Copy ${i + 1} of ${copies.count} at τ = ${tau}`);
  write(side.key, `Bars: probability of ${data.classes[base.label]}, its own class.${copies.apart}`);
  const rows = made("div", side.rows.className);
  rows.append(...answersOf(copies, i));
  if (!rows.isEqualNode(side.rows)) side.rows.replaceChildren(...rows.childNodes);
}
