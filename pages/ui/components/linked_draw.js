// The canvases of the linked pictures: histogram, map, matrix.
import { axesOf, left, placeOf, reach } from "./linked.js";
import { minus } from "./shapes.js";

const BINS = 40;
const PAD = { left: 34, right: 8, top: 8, bottom: 30 };
const ROW = 17;
const SIDE = 26; // of a picture on the map
const pictures = new Map();

/** A canvas at the resolution of the screen, empty, with its pen, width, height and colours of the theme. */
function sheet(canvas, high) {
  const ratio = devicePixelRatio || 1;
  const wide = canvas.clientWidth || 300;
  canvas.style.height = `${high}px`;
  canvas.width = Math.round(wide * ratio);
  canvas.height = Math.round(high * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const style = getComputedStyle(canvas);
  pen.font = `12px ${style.fontFamily}`;
  pen.fillStyle = style.color;
  return { pen, wide, high, ink: style.color };
}

const hue = ({ data }, i) => data.groups.find((group) => group.name === data.findings[i]).colour;
const short = (value) => minus(`${+value.toPrecision(3)}`);

function titles(pen, wide, high, across, up, ink) {
  pen.globalAlpha = 0.8;
  pen.fillStyle = ink;
  pen.textAlign = "center";
  pen.fillText(across, (PAD.left + wide - PAD.right) / 2, high - 4);
  pen.save();
  pen.translate(11, (PAD.top + high - PAD.bottom) / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(up, 0, 0);
  pen.restore();
  pen.globalAlpha = 1;
}

/** How many samples have which value, stacked by finding; what a filter leaves out is faint. */
export function bars(view) {
  const { data, my, part } = view;
  const canvas = part("bars");
  const { pen, wide, high, ink } = sheet(canvas, 190);
  const signal = data.signals[my.signal];
  const [low, top] = reach(signal);
  const bin = (value) => Math.min(BINS - 1, Math.floor(((value - low) / (top - low || 1)) * BINS));
  const stacks = Array.from({ length: BINS }, () => []);
  for (const group of data.groups)
    data.ids.forEach((_, i) => {
      const value = signal.values[i];
      if (value !== null && data.findings[i] === group.name) stacks[bin(value)].push(i);
    });
  const most = Math.max(1, ...stacks.map((stack) => stack.length));
  const step = (wide - PAD.left - PAD.right) / BINS;
  const unit = (high - PAD.top - PAD.bottom) / most;
  for (const [b, stack] of stacks.entries())
    for (const [n, i] of stack.entries()) {
      pen.globalAlpha = left(view, i) ? 1 : 0.16;
      pen.fillStyle = i === my.at ? ink : hue(view, i);
      pen.fillRect(PAD.left + b * step + 0.5, high - PAD.bottom - (n + 1) * unit, step - 1, Math.max(0.6, unit - 0.3));
    }
  pen.globalAlpha = 0.8;
  pen.fillStyle = ink;
  pen.textAlign = "right";
  pen.fillText(`${most}`, PAD.left - 5, PAD.top + 10);
  pen.textAlign = "left";
  pen.fillText(short(low), PAD.left, high - PAD.bottom + 13);
  pen.textAlign = "right";
  pen.fillText(short(top), wide - PAD.right, high - PAD.bottom + 13);
  titles(pen, wide, high, `${signal.title} (${signal.unit})`, "samples", ink);
  canvas.setAttribute(
    "aria-label",
    `${view.kept.length} of ${data.ids.length} samples by ${signal.title}, ${short(low)} to ${short(top)} ${signal.unit}`,
  );
}

/** A sample's picture, once it has come. */
function pictureOf(view, i) {
  const address = `${view.data.images}/train/${view.data.ids[i]}`;
  if (!pictures.has(address)) {
    const image = new Image();
    image.onload = () => view.my.redraw?.();
    image.src = address;
    pictures.set(address, image);
  }
  const image = pictures.get(address);
  return image.complete && image.naturalWidth ? image : null;
}

/** The samples on a map, coloured by finding; those that are left on top. */
export function places(view) {
  const { data, my, part } = view;
  const canvas = part("places");
  const { pen, wide, high, ink } = sheet(canvas, 230);
  const X = (x) => PAD.left + 12 + x * (wide - PAD.left - PAD.right - 24);
  const Y = (y) => high - PAD.bottom - 12 - y * (high - PAD.top - PAD.bottom - 24);
  view.mapOf = (u, v) => [
    (u * wide - PAD.left - 12) / (wide - PAD.left - PAD.right - 24),
    (high - PAD.bottom - 12 - v * high) / (high - PAD.top - PAD.bottom - 24),
  ];
  view.nearest = (x, y) => {
    let [best, least] = [null, 0.05 ** 2];
    for (const i of view.kept) {
      const [a, b] = placeOf(view, i);
      const far = a === null || b === null ? 1 : (a - x) ** 2 + (b - y) ** 2;
      if (far < least) [best, least] = [i, far];
    }
    return best;
  };
  const all = data.ids.map((_, i) => i).sort((a, b) => Number(left(view, a)) - Number(left(view, b)));
  for (const i of all) {
    const [x, y] = placeOf(view, i);
    if (x === null || y === null) continue;
    pen.globalAlpha = left(view, i) ? 1 : 0.14;
    pen.fillStyle = hue(view, i);
    const image = my.pictures && data.images ? pictureOf(view, i) : null;
    if (image) {
      pen.imageSmoothingEnabled = false;
      pen.drawImage(image, X(x) - SIDE / 2, Y(y) - SIDE / 2, SIDE, SIDE);
      pen.strokeStyle = hue(view, i);
      pen.lineWidth = 2.5;
      pen.strokeRect(X(x) - SIDE / 2, Y(y) - SIDE / 2, SIDE, SIDE);
    } else {
      pen.beginPath();
      pen.arc(X(x), Y(y), 4, 0, 7);
      pen.fill();
    }
    if (i === my.at) {
      pen.globalAlpha = 1;
      pen.strokeStyle = ink;
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(X(x), Y(y), image ? SIDE : 8, 0, 7);
      pen.stroke();
    }
  }
  pen.globalAlpha = 1;
  if (my.box) {
    const [x0, x1, y0, y1] = my.box;
    pen.strokeStyle = ink;
    pen.setLineDash([5, 4]);
    pen.strokeRect(X(x0), Y(y1), X(x1) - X(x0), Y(y0) - Y(y1));
    pen.setLineDash([]);
  }
  const [across, up] =
    my.axes === "map" ? ["first main direction", "second"].map((title) => ({ title, unit: "" })) : axesOf(data);
  const titled = ({ title, unit }) => (unit ? `${title} (${unit})` : title);
  titles(pen, wide, high, titled(across), titled(up), ink);
  canvas.setAttribute(
    "aria-label",
    `Map of ${data.ids.length} samples, ${view.kept.length} chosen; across ${across.title}, up ${up.title}`,
  );
}

/** Blue below 0, red above it, stronger further out. */
function shade(value, [low, high]) {
  if (value === null) return "transparent";
  const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
  const strength = Math.min(1, Math.abs(value) / most);
  return value < 0 ? `rgba(61,111,182,${strength.toFixed(2)})` : `rgba(181,64,42,${strength.toFixed(2)})`;
}

/** The matrix: a column a sample, sorted by the signal in hand. */
export function cells(view) {
  const { data, my, part, order } = view;
  const canvas = part("cells");
  const { pen, wide, high, ink } = sheet(canvas, ROW * (1 + data.signals.length));
  const step = wide / order.length;
  const reaches = data.signals.map(reach);
  order.forEach((i, column) => {
    pen.globalAlpha = left(view, i) ? 1 : 0.15;
    pen.fillStyle = hue(view, i);
    pen.fillRect(column * step, 0, Math.ceil(step), ROW - 2);
    data.signals.forEach((signal, row) => {
      pen.fillStyle = shade(signal.values[i], reaches[row]);
      pen.fillRect(column * step, (row + 1) * ROW, Math.ceil(step), ROW - 1);
    });
  });
  pen.globalAlpha = 1;
  const at = order.indexOf(my.at);
  if (at >= 0) {
    pen.strokeStyle = ink;
    pen.strokeRect(at * step - 1, 0, Math.max(3, step + 2), high);
  }
  canvas.setAttribute(
    "aria-label",
    `Matrix of ${order.length} samples and ${data.signals.length} signals, sorted by ${data.signals[my.signal].title}; red above 0, blue below`,
  );
}
