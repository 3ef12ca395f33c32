// What lies above the points: frames, titles, names of classes, rings, the copies of a sample, a lasso.
import { FORGET, TEST } from "./scatter_map.js";
import { overlap, shortened, trace } from "./shapes.js";

const STEPS = [0, 0.5, -0.5, 1, -1, 1.5, -1.5, 2, -2, 2.5, -2.5]; // letters that a name may lie off its middle
const RING = 11; // pixels from the middle of the sample in view to its ring

function frame(map, pen, box, panel) {
  const { rem } = map.my;
  const { color, fontFamily } = map.style;
  pen.strokeStyle = color;
  pen.globalAlpha = 0.22;
  pen.lineWidth = 1;
  pen.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
  pen.globalAlpha = 1;
  pen.font = `600 ${0.92 * rem}px ${fontFamily}`;
  pen.textAlign = "left";
  pen.textBaseline = "alphabetic";
  pen.fillStyle = panel.colour;
  trace(pen, panel.symbol, box.x + 0.5 * rem, box.y - 0.72 * rem, 0.36 * rem);
  pen.fill();
  pen.fillStyle = color;
  pen.fillText(panel.title, box.x + 1.25 * rem, box.y - 0.42 * rem, box.w - 1.3 * rem);
  pen.font = `${0.82 * rem}px ${fontFamily}`;
  pen.textAlign = "center";
  pen.globalAlpha = 0.8;
  pen.fillText(map.data.axes[0], box.x + box.w / 2, box.y + box.h + 1.25 * rem, box.w);
  pen.save();
  pen.translate(box.x - 0.55 * rem, box.y + box.h / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(map.data.axes[1], 0, 0, box.h);
  pen.restore();
  pen.globalAlpha = 1;
}

/** A ring around every sample that is to be forgotten next. */
function chosen(map, pen, box, m) {
  const { data, points } = map;
  const ids = new Set(map.my.on.next ? data.chosen : []);
  pen.strokeStyle = data.primary;
  pen.lineWidth = 1.5;
  if (!ids.size) return;
  for (let i = 0; i < data.count; i++) {
    if (map.layerOf(i) === TEST || !ids.has(points.ids[i])) continue;
    const [x, y] = map.at(m, i);
    pen.beginPath();
    pen.arc(map.x(box, x), map.y(box, y), map.size("retain") * 0.5 + 1.8, 0, 7);
    pen.stroke();
  }
}

/** The copies of the sample in view: filled where the model still recognises them, else an empty outline. */
function copies(map, pen, box, m) {
  const panel = map.data.panels[m];
  const cloud = map.data.cloud[m];
  cloud.xy.forEach(([x, y], j) => {
    const [px, py] = [map.x(box, x), map.y(box, y)];
    trace(pen, panel.symbol, px, py, 5.2);
    pen.lineWidth = 4;
    pen.strokeStyle = map.ground;
    pen.stroke();
    pen.fillStyle = cloud.right[j] ? panel.colour : map.ground;
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = panel.colour;
    pen.stroke();
  });
  forgotten(map, pen, box, m);
}

/** The forget set once more, so that no copy covers it. */
function forgotten(map, pen, box, m) {
  if (!map.my.on.forget) return;
  const { starts } = map.points;
  const r = Math.min(2.6, map.size("forget") / 3); // small: what lies under it can be seen too
  pen.lineWidth = 1;
  pen.fillStyle = map.ink("forget");
  pen.strokeStyle = map.ground;
  for (let i = starts[FORGET]; i < starts[FORGET + 1]; i++) {
    const [x, y] = map.at(m, i);
    pen.beginPath();
    pen.arc(map.x(box, x), map.y(box, y), r, 0, 7);
    pen.fill();
    pen.stroke();
  }
}

/** Every class by name, in its middle or as near it as there is room, inside the panel; without room it has none. */
function names(map, pen, box, m) {
  const { rem } = map.my;
  /** @type {import("./shapes.js").Box[]} */
  const placed = [];
  if (map.data.selected >= 0) {
    const [x, y] = map.at(m, map.data.selected);
    placed.push([map.x(box, x), map.y(box, y), RING + 3, RING + 3]); // no name under the ring
  }
  pen.font = `600 ${0.86 * rem}px ${map.style.fontFamily}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  pen.lineWidth = 3.5;
  pen.strokeStyle = map.ground;
  pen.fillStyle = map.style.color;
  map.data.centres[m].forEach((centre, c) => {
    if (!centre) return;
    const [x, y] = [map.x(box, centre[0]), map.y(box, centre[1])];
    if (x < box.x || x > box.x + box.w || y < box.y || y > box.y + box.h) return;
    const name = shortened(pen, map.data.classes[c], 0.45 * box.w);
    const half = pen.measureText(name).width / 2 + 4;
    const inside = Math.max(box.x + half, Math.min(box.x + box.w - half, x));
    /** @type {import("./shapes.js").Box[]} */
    const spots = STEPS.map((by) => [inside, y + by * rem, half, 0.6 * rem]);
    const fits = (at) => at > box.y + rem / 2 && at < box.y + box.h - rem / 2;
    const spot = spots.find((one) => fits(one[1]) && !placed.some((other) => overlap(one, other)));
    if (!spot) return;
    placed.push(spot);
    pen.strokeText(name, spot[0], spot[1]);
    pen.fillText(name, spot[0], spot[1]);
  });
}

/** The sample in view, and the one that is pointed at. */
function rings(map, pen, box, m) {
  const { data, my } = map;
  for (const [i, r, wide, colour] of [
    [data.selected, RING, 3, data.primary],
    [my.hover, 8, 2, map.style.color],
  ]) {
    if (i === null || i === undefined || i < 0) continue;
    const [x, y] = map.at(m, i);
    pen.beginPath();
    pen.arc(map.x(box, x), map.y(box, y), r, 0, 7);
    pen.strokeStyle = map.ground;
    pen.lineWidth = wide + 2.5;
    pen.stroke();
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    pen.stroke();
  }
}

function lasso(map, pen) {
  const { path } = map.my;
  if (!path || path.length < 2) return;
  pen.beginPath();
  pen.moveTo(...path[0]);
  for (const [x, y] of path.slice(1)) pen.lineTo(x, y);
  pen.closePath();
  pen.fillStyle = pen.strokeStyle = map.data.primary;
  pen.globalAlpha = 0.14;
  pen.fill();
  pen.globalAlpha = 1;
  pen.lineWidth = 2;
  pen.setLineDash([5, 4]);
  pen.stroke();
  pen.setLineDash([]);
}

/** @param {import("./scatter_map.js").ScatterMap} map */
export function drawMarks(map) {
  const [ratio, w, h] = map.fill(map.over);
  const pen = map.over.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, w, h);
  map.my.boxes.forEach((box, m) => {
    frame(map, pen, box, map.data.panels[m]);
    pen.save();
    pen.beginPath();
    pen.rect(box.x, box.y, box.w, box.h);
    pen.clip();
    chosen(map, pen, box, m);
    if (map.my.on.copies && map.data.cloud) copies(map, pen, box, m);
    if (map.my.names) names(map, pen, box, m);
    rings(map, pen, box, m);
    pen.restore();
  });
  lasso(map, pen);
}
