// The plane of a lesson on its canvas: shades of classes, borders, the copies around one point, the samples.
import { hex, trace } from "./shapes.js";

export const INK = "#14171D";
export const DARK = ["#6b5b00", "#0b5a86", "#8a2140", "#3c5c00"];
export const KINDS = ["circle", "square", "triangle-up"];

/** What the unlearned model believes at the moment of the film, a pixel a node. */
function shades({ lesson, my, data }) {
  const { n, classes } = lesson;
  const fills = data.fills.map(hex);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = n;
  const picture = new ImageData(n, n);
  for (let j = 0; j < n; j++) {
    for (let i = 0; i < n; i++) {
      const to = 4 * ((n - 1 - j) * n + i);
      const p = Array.from({ length: classes }, (_, c) =>
        Math.exp((1 - lesson.value("unlearned", my.frame, c, j * n + i) / 255) * data.floor),
      );
      const sum = p.reduce((a, b) => a + b, 0);
      for (let k = 0; k < 3; k++) picture.data[to + k] = p.reduce((mix, of, c) => mix + (of / sum) * fills[c][k], 0);
      picture.data[to + 3] = 255;
    }
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}

function stroke(pen, { X, Y }, segments, colour, width) {
  pen.lineCap = "round";
  for (const [style, wide] of [
    ["rgba(255,255,255,.85)", width + 2.4],
    [colour, width],
  ]) {
    pen.strokeStyle = style;
    pen.lineWidth = wide;
    pen.beginPath();
    for (const [[a, b], [p, q]] of segments) {
      pen.moveTo(X(a), Y(b));
      pen.lineTo(X(p), Y(q));
    }
    pen.stroke();
  }
}

function borders(pen, { lesson, my, data }) {
  const { original, references, unlearned } = data.looks;
  if (my.on.original) for (const line of lesson.borders("original")) stroke(pen, my.map, line, original.colour, 2.6);
  if (my.on.references)
    for (const line of lesson.borders("references")) stroke(pen, my.map, line, references.colour, 2.2);
  if (my.on.unlearned) stroke(pen, my.map, lesson.border("unlearned", my.frame), unlearned.colour, 3.6);
}

/** The ball around the point in view, and the copies in it: filled where the unlearned model recognises them. */
function ball(pen, { lesson, my, data }) {
  if (my.look === null) return;
  const { X, Y, side } = my.map;
  const [x, y] = data.points[my.look];
  const { colour } = data.looks.unlearned;
  pen.beginPath();
  pen.arc(X(x), Y(y), my.tau * side, 0, 7);
  pen.fillStyle = "rgba(255,255,255,.5)";
  pen.fill();
  pen.strokeStyle = INK;
  pen.lineWidth = 1.6;
  pen.stroke();
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = 1.3;
  for (const [a, b] of lesson.copies([x, y], my.tau)) {
    trace(pen, "circle", X(a), Y(b), 3.1);
    if (lesson.says("unlearned", my.frame, a, b) === data.labels[my.look]) pen.fill();
    else pen.stroke();
  }
}

/** The samples: a shape and a shade per class; a thick ring is to be forgotten. */
function samples(pen, { my, data }, wide) {
  const { X, Y } = my.map;
  const gone = my.mode === "choose" ? my.chosen : new Set(data.forget);
  const big = Math.max(3.4, wide / 130);
  data.points.forEach(([x, y], i) => {
    const kind = KINDS[data.labels[i] % 3];
    const out = gone.has(i);
    const r = out ? big * 1.45 : big;
    trace(pen, kind, X(x), Y(y), r);
    pen.fillStyle = out ? "#fff" : DARK[data.labels[i]];
    pen.fill();
    pen.strokeStyle = out ? INK : "rgba(255,255,255,.9)";
    pen.lineWidth = out ? 2.2 : 1;
    pen.stroke();
    if (!out) return;
    trace(pen, kind, X(x), Y(y), r * 0.42);
    pen.fillStyle = DARK[data.labels[i]];
    pen.fill();
  });
  for (const [x, y, c] of my.drawn.slice(data.held)) {
    trace(pen, KINDS[c % 3], X(x), Y(y), big);
    pen.fillStyle = DARK[c];
    pen.fill();
    pen.strokeStyle = "#4A4AC8";
    pen.lineWidth = 2;
    pen.stroke();
  }
  if (my.at === undefined || !my.keys) return;
  const [x, y] = data.points[my.at];
  trace(pen, "circle", X(x), Y(y), big * 2.6);
  pen.strokeStyle = "#4A4AC8";
  pen.lineWidth = 3;
  pen.stroke();
}

function axes(pen, { root, my, data }, rem) {
  const { pad, side } = my.map;
  const { color, fontFamily } = getComputedStyle(root);
  pen.fillStyle = color;
  pen.globalAlpha = 0.78;
  pen.font = `${0.86 * rem}px ${fontFamily}`;
  pen.textAlign = "center";
  pen.fillText(data.axes[0], pad + side / 2, side + 2 + 1.35 * rem);
  pen.save();
  pen.translate(1.05 * rem, 2 + side / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(data.axes[1], 0, 0);
  pen.restore();
  pen.globalAlpha = 1;
}

/** Draw everything; keeps where it lies in `my.map`. */
export function draw(plane) {
  const { canvas, lesson, my } = plane;
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  const wide = canvas.clientWidth;
  const ratio = devicePixelRatio || 1;
  if (!wide) return;
  if (canvas.width !== Math.round(wide * ratio)) canvas.width = canvas.height = Math.round(wide * ratio);
  const pen = canvas.getContext("2d");
  const pad = 2.1 * rem;
  const side = wide - pad - 4;
  my.map = { X: (x) => pad + x * side, Y: (y) => 2 + (1 - y) * side, pad, side };
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, wide, wide);
  pen.save();
  pen.beginPath();
  pen.roundRect(pad, 2, side, side, 6);
  pen.clip();
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  // nodes of the grid lie on the edges of the picture, so it reaches half a cell beyond them
  const over = side / (lesson.n - 1) / 2;
  pen.drawImage(shades(plane), pad - over, 2 - over, side + 2 * over, side + 2 * over);
  borders(pen, plane);
  ball(pen, plane);
  samples(pen, plane, wide);
  pen.restore();
  axes(pen, plane, rem);
}
