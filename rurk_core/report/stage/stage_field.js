// One panel of a stage: what a model believes on the plane, the ball, the copies, and what is pointed at.
import { overlap, shortened, trace } from "./shapes.js";
import { drawn } from "./stage_shades.js";

export const FIELD_INK = "#14171D";
function ball(pen, part, tau, scale, middle) {
  const { outline } = part;
  if (!outline.length || !tau) return;
  for (const [colour, width, dash] of [
    ["#fff", 3.6, []],
    [FIELD_INK, 1.8, [6, 5]],
  ]) {
    pen.beginPath();
    for (let at = 0; at < outline.length; at += 2) {
      pen.lineTo(middle + tau * outline[at] * scale, middle - tau * outline[at + 1] * scale);
    }
    pen.setLineDash(dash);
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.stroke();
  }
  pen.setLineDash([]);
}

/** A name, where it is near none that is written already, and best not under the copies; nowhere if there is no room. */
function written(pen, text, spots, ball, taken) {
  pen.font = `600 12.5px ${pen.canvas.dataset.font}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  const wide = pen.canvas.clientWidth;
  const short = shortened(pen, text, 0.6 * wide);
  const half = pen.measureText(short).width / 2 + 4;
  const boxes = spots.map(([x, y]) => [Math.max(half, Math.min(wide - half, x)), y, half, 8]);
  const free = boxes.filter((box) => !taken.some((other) => overlap(box, other)));
  const box = free.find((one) => !overlap(one, ball)) || free[0];
  if (!box) return;
  taken.push(box);
  pen.strokeStyle = "rgba(255,255,255,.65)";
  pen.lineWidth = 3;
  pen.strokeText(short, box[0], box[1]);
  pen.fillStyle = FIELD_INK;
  pen.fillText(short, box[0], box[1]);
}

/** What the axes are: how far they go, and where they lead; returns the room that takes. */
function axes(pen, part, extent, wide) {
  pen.font = `500 11px ${pen.canvas.dataset.font}`;
  pen.textAlign = "right";
  pen.textBaseline = "bottom";
  pen.strokeStyle = "rgba(255,255,255,.6)";
  pen.fillStyle = FIELD_INK;
  pen.lineWidth = 3;
  const say = (text, x, y) => {
    pen.strokeText(text, x, y);
    pen.fillText(text, x, y);
  };
  const across = `${part.across} (to ${extent.toPrecision(2)}) →`;
  say(across, wide - 6, wide - 4);
  pen.save();
  pen.translate(4, 6);
  pen.rotate(-Math.PI / 2);
  pen.textBaseline = "top";
  say(`${part.up} →`, 0, 0);
  pen.restore();
  const [right, down] = [pen.measureText(across).width / 2, pen.measureText(`${part.up} →`).width / 2];
  return [
    [wide - 6 - right, wide - 10, right, 8],
    [10, 6 + down, 8, down],
  ];
}

/** The picture, the edges of the classes, their names and the axes. */
function ground(pen, { part, extent, colours, names, tau }, wide) {
  const { picture, own, others, names: placed } = drawn(part, colours);
  const [middle, scale] = [wide / 2, wide / 2 / extent];
  const [corner, side] = [middle - part.extent * scale, 2 * part.extent * scale];
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, corner, corner, side, side);
  pen.save();
  pen.translate(corner, corner);
  pen.scale(side, side);
  pen.strokeStyle = "rgba(20,23,29,.45)";
  pen.lineWidth = 1 / side;
  for (const edge of others) pen.stroke(edge);
  pen.strokeStyle = FIELD_INK;
  pen.lineWidth = 2.2 / side;
  pen.stroke(own);
  pen.restore();
  if (wide < 150) return;
  const taken = axes(pen, part, extent, wide);
  const reach = part.outline.length ? tau * Math.max(...part.outline.map(Math.abs)) * scale : wide / 5;
  for (const { c, places } of placed) {
    const spots = places.map(({ x, y }) => [corner + x * side, corner + y * side]);
    const seen = spots.filter(([x, y]) => x > 0 && y > 8 && x < wide && y < wide - 8);
    written(pen, names[c], seen, [middle, middle, reach + 6, reach + 6], taken);
  }
}

/** A disc with a letter in it, or the sample itself without one. */
function disc(pen, x, y, r, letter) {
  trace(pen, "circle", x, y, r);
  pen.fillStyle = FIELD_INK;
  pen.fill();
  pen.strokeStyle = "#fff";
  pen.lineWidth = 1.5;
  pen.stroke();
  pen.font = `700 11px ${pen.canvas.dataset.font}`;
  pen.fillStyle = "#fff";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(letter, x, y);
}

/**
 * Draw a panel.
 * @param {HTMLCanvasElement} canvas
 * @param {any} view part (a field or undefined), extent (how far to show), colours, names, tau, dots [{x, y, on}],
 * look, rings, cross
 */
export function drawPanel(canvas, view) {
  const { part, extent, tau, dots, look, rings, cross } = view;
  const wide = canvas.clientWidth;
  if (!wide) return;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(wide * ratio)) canvas.width = canvas.height = Math.round(wide * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, wide, wide);
  if (!part) return;
  canvas.dataset.font ||= getComputedStyle(canvas).fontFamily;
  ground(pen, view, wide);
  const [middle, scale] = [wide / 2, wide / 2 / extent];
  const across = (x) => middle + x * scale;
  const up = (y) => middle - y * scale;
  ball(pen, part, tau, scale, middle);
  for (const dot of dots) {
    trace(pen, look.shape, across(dot.x), up(dot.y), wide > 200 ? 4.2 : 3);
    pen.fillStyle = dot.on ? look.colour : "#fff";
    pen.fill();
    pen.strokeStyle = dot.on ? "#fff" : FIELD_INK;
    pen.lineWidth = 1.1;
    pen.stroke();
  }
  for (const mark of part.marks) disc(pen, across(mark.x), up(mark.y), 9, mark.letter);
  disc(pen, middle, middle, 4.5, "");
  for (const { x, y, colour } of rings) {
    for (const [ink, width] of /** @type {[string, number][]} */ ([
      ["#fff", 5.5],
      [colour, 3],
    ])) {
      trace(pen, "circle", across(x), up(y), 8.5);
      pen.strokeStyle = ink;
      pen.lineWidth = width;
      pen.stroke();
    }
  }
  if (!cross) return;
  pen.strokeStyle = FIELD_INK;
  pen.lineWidth = 1;
  pen.globalAlpha = 0.6;
  pen.strokeRect(-1, up(cross.y), wide + 2, 0);
  pen.strokeRect(across(cross.x), -1, 0, wide + 2);
  pen.globalAlpha = 1;
}
