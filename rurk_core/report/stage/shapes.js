// What several components draw with: marks as SVG and on a canvas, and how numbers come out of a message.

/** Shapes of marks as SVG, in a box of 12 by 12, by the names that figures use. */
export const SHAPES = {
  circle: '<circle cx="6" cy="6" r="5"/>',
  square: '<rect x="1.4" y="1.4" width="9.2" height="9.2"/>',
  diamond: '<path d="M6 .6 11.4 6 6 11.4.6 6Z"/>',
  "triangle-up": '<path d="M6 1 11.4 11H.6Z"/>',
  cross: '<path d="M4 1h4v3h3v4H8v3H4V8H1V4h3Z"/>',
  x: '<path d="M1 3 3 1l3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3Z"/>',
  star: '<path d="M6 .6 7.6 4.2l3.8.4-2.8 2.6.8 3.9L6 9.1l-3.4 2 .8-3.9L.6 4.6l3.8-.4Z"/>',
  hexagon: '<path d="M6 .8 10.7 3.4v5.2L6 11.2 1.3 8.6V3.4Z"/>',
};

/**
 * Begin the path of a mark.
 * @param {CanvasRenderingContext2D} pen
 * @param {string} symbol circle (and all that has no other path), square, diamond or triangle-up
 * @param {number} x @param {number} y @param {number} r
 */
export function trace(pen, symbol, x, y, r) {
  const corners = {
    diamond: [0, -1.2, 1.2, 0, 0, 1.2, -1.2, 0],
    "triangle-up": [0, -1.15, 1.05, 0.85, -1.05, 0.85],
  }[symbol];
  pen.beginPath();
  if (symbol === "square") pen.rect(x - r * 0.88, y - r * 0.88, 1.76 * r, 1.76 * r);
  else if (!corners) pen.arc(x, y, r, 0, 7);
  else {
    pen.moveTo(x + r * corners[0], y + r * corners[1]);
    for (let at = 2; at < corners.length; at += 2) pen.lineTo(x + r * corners[at], y + r * corners[at + 1]);
    pen.closePath();
  }
}

/** @type {Map<string, string>} */
const cut = new Map();

/**
 * A name that takes no more than `most` pixels: where it is longer its middle is left out, for names of a kind often
 * differ at their ends.
 * @param {CanvasRenderingContext2D} pen @param {string} text @param {number} most
 */
export function shortened(pen, text, most) {
  const key = `${pen.font} ${Math.round(most)} ${text}`; // it is asked for with every frame
  if (!cut.has(key)) cut.set(key, cutTo(pen, text, most));
  return cut.get(key);
}

function cutTo(pen, text, most) {
  if (pen.measureText(text).width <= most) return text;
  for (let kept = text.length - 1; kept > 3; kept--) {
    const [head, tail] = [Math.ceil(0.6 * kept), Math.floor(0.4 * kept)];
    const short = `${text.slice(0, head).trimEnd()}…${text.slice(text.length - tail).trimStart()}`;
    if (pen.measureText(short).width <= most) return short;
  }
  return `${text.slice(0, 3)}…`;
}

/** @typedef {[number, number, number, number]} Box middle, and half the sides */
/** @param {Box} a @param {Box} b */
export const overlap = (a, b) => Math.abs(a[0] - b[0]) < a[2] + b[2] && Math.abs(a[1] - b[1]) < a[3] + b[3];

/** @param {string} text base64 @returns {Uint8Array} */
export const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** @param {string} text #RRGGBB @returns {number[]} red, green, blue */
export const hex = (text) => [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16));

/** A number as people read it: with a minus sign. @param {string} number @returns {string} */
export const minus = (number) => number.replace("-", "−");

/** @param {number} value @param {number} low @param {number} high */
export const within = (value, low, high) => Math.min(high, Math.max(low, value));
