// What a model believes on the plane, from the numbers of a field: shades, edges, names of regions, single answers.
import { hex } from "./shapes.js";

const LEFT_OUT = 0.03; // regions smaller than this share of the plane carry no name
const PLACES = 14; // where a name may go
const FINE = 4; // pixels of the picture a node of a coarse field
const MOST = 240; // pixels of the picture, along a side

const mixed = Float32Array.from({ length: 1024 }, () => 0);

/** The field as a picture: colours of the classes, mixed as their probabilities are. */
function shadesOf(part, colours) {
  const [k, n] = part.shades.shape;
  const side = Math.min(MOST, FINE * (n - 1));
  for (let i = 0; i < 1024; i++) mixed[i] = Math.exp((1 - i / 1020) * part.floor);
  const fills = colours.slice(0, k).map(hex);
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const picture = new ImageData(side, side);
  const cells = n * n;
  for (let py = 0; py < side; py++) {
    const v = ((side - 0.5 - py) / side) * (n - 1);
    const j = Math.min(n - 2, Math.floor(v));
    for (let px = 0; px < side; px++) {
      const u = ((px + 0.5) / side) * (n - 1);
      const i = Math.min(n - 2, Math.floor(u));
      const [a, b, at] = [u - i, v - j, j * n + i];
      let [red, green, blue, sum] = [0, 0, 0, 0];
      for (let c = 0; c < k; c++) {
        const s = part.shades;
        const o = c * cells + at;
        const value = (1 - b) * ((1 - a) * s[o] + a * s[o + 1]) + b * ((1 - a) * s[o + n] + a * s[o + n + 1]);
        const p = mixed[(value * 4) | 0];
        red += p * fills[c][0];
        green += p * fills[c][1];
        blue += p * fills[c][2];
        sum += p;
      }
      picture.data.set([red / sum, green / sum, blue / sum, 255], 4 * (py * side + px));
    }
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}

/** The likeliest class at every node, as places in the order of the part. */
function winners(part) {
  const [k, n] = part.shades.shape;
  const cells = n * n;
  return Uint8Array.from({ length: cells }, (_, at) => {
    let best = 0;
    for (let c = 1; c < k; c++) if (part.shades[c * cells + at] > part.shades[best * cells + at]) best = c;
    return best;
  });
}

/** By how much class c leads the best other one at every node. */
function leads(part, c) {
  const [k, n] = part.shades.shape;
  const cells = n * n;
  return Float32Array.from({ length: cells }, (_, at) => {
    let other = -1;
    for (let d = 0; d < k; d++) if (d !== c) other = Math.max(other, part.shades[d * cells + at]);
    return part.shades[c * cells + at] - other + 0.01;
  });
}

/** Where a class begins and ends, by marching squares: lines in the square from 0 to 1. */
function edgeOf(part, c) {
  const n = part.shades.shape[1];
  const heights = leads(part, c);
  const path = new Path2D();
  for (let j = 0; j < n - 1; j++) {
    for (let i = 0; i < n - 1; i++) {
      const at = j * n + i;
      const corners = [heights[at], heights[at + 1], heights[at + n + 1], heights[at + n]];
      const positive = corners.filter((h) => h > 0).length;
      if (positive === 0 || positive === 4) continue;
      const ends = [];
      for (let e = 0; e < 4; e++) {
        const [a, b] = [corners[e], corners[(e + 1) % 4]];
        if (a > 0 === b > 0) continue;
        const s = a / (a - b);
        ends.push(
          [
            [i + s, j],
            [i + 1, j + s],
            [i + 1 - s, j + 1],
            [i, j + 1 - s],
          ][e],
        );
      }
      for (let pair = 0; pair + 1 < ends.length; pair += 2) {
        path.moveTo(ends[pair][0] / (n - 1), 1 - ends[pair][1] / (n - 1));
        path.lineTo(ends[pair + 1][0] / (n - 1), 1 - ends[pair + 1][1] / (n - 1));
      }
    }
  }
  return path;
}

/** How far every node is from the edge of its region, in nodes. */
function depths(won, n) {
  const deep = new Float32Array(n * n);
  for (let round = 0; round < 2; round++) {
    const before = round ? [1, n] : [-1, -n];
    for (let step = 0; step < n * n; step++) {
      const at = round ? n * n - 1 - step : step;
      const [i, j] = [at % n, Math.floor(at / n)];
      const edge = Math.min(i, j, n - 1 - i, n - 1 - j) + 1;
      let depth = round ? deep[at] : edge;
      for (const by of before) {
        const other = at + by;
        if (other < 0 || other >= n * n || (Math.abs(by) === 1 && Math.floor(other / n) !== j)) continue;
        depth = Math.min(depth, won[other] === won[at] ? deep[other] + 1 : 1);
      }
      deep[at] = depth;
    }
  }
  return deep;
}

/** Where the names of large regions may go, the largest first: places far from their edges, the farthest first. */
function namesOf(part, won) {
  const n = part.shades.shape[1];
  const deep = depths(won, n);
  const inside = new Map();
  won.forEach((c, at) => {
    if (!inside.has(c)) inside.set(c, []);
    inside.get(c).push(at);
  });
  const large = [...inside]
    .filter(([, all]) => all.length > LEFT_OUT * n * n)
    .sort((a, b) => b[1].length - a[1].length);
  return large.map(([c, all]) => {
    const places = [];
    for (const at of all.sort((a, b) => deep[b] - deep[a])) {
      const [i, j] = [at % n, Math.floor(at / n)];
      if (places.some((one) => Math.abs(one.i - i) < n / 7 && Math.abs(one.j - j) < n / 7)) continue;
      places.push({ i, j, x: i / (n - 1), y: 1 - j / (n - 1) });
      if (places.length === PLACES) break;
    }
    return { c, places };
  });
}

/** All that is drawn of a field again and again, made once. */
export function drawn(part, colours) {
  if (part.drawn) return part.drawn;
  const won = winners(part);
  const present = [...new Set(won)].sort((a, b) => a - b);
  part.drawn = {
    picture: shadesOf(part, colours),
    own: edgeOf(part, 0),
    others: present.filter((c) => c).map((c) => edgeOf(part, c)),
    names: namesOf(part, won),
  };
  return part.drawn;
}

/** What the model says at a place of the plane: {c, p}, the class as a place in the order. */
export function saidAt(part, x, y) {
  const [k, n] = part.shades.shape;
  const [u, v] = [x, y].map((at) => Math.min(n - 1.001, Math.max(0, ((at / part.extent + 1) / 2) * (n - 1))));
  const [i, j] = [Math.floor(u), Math.floor(v)];
  const [a, b] = [u - i, v - j];
  let [best, top, sum] = [0, -1, 0];
  for (let c = 0; c < k; c++) {
    const o = c * n * n + j * n + i;
    const s = part.shades;
    const value = (1 - b) * ((1 - a) * s[o] + a * s[o + 1]) + b * ((1 - a) * s[o + n] + a * s[o + n + 1]);
    const p = Math.exp((1 - value / 255) * part.floor);
    sum += p;
    if (p > top) [best, top] = [c, p];
  }
  return { c: best, p: top / Math.max(sum, 1e-9) };
}
