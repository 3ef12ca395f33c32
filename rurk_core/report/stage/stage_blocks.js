// The copies as pictures, in blocks by who recognises them; they glide from block to block as the radius moves.
import { isTelling, wordsOf } from "./stage_copies.js";
import { write } from "./stage_side.js";

const GAP = 14;
const LEAST = 124; // pixels a block is wide at least
const LARGEST = 112; // pixels of a copy, at most
const SMALL = 34; // where the page scrolls rather than the blocks shrink
const REM = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
const LINE = REM; // from line to line of the words above a block, which have room for two at least
const COUNT = 1.25 * REM; // a digit of the count
const ALONE = 22 * REM; // a block alone on its shelf is wide at least, for its words
const PHONE = matchMedia("(max-width: 46rem)"); // as in the style: the page scrolls

/** Every copy at the radius in view in one picture, ten in a row. */
function sheetOf(blocks, copies) {
  const [height, width] = copies.base.picture.shape;
  const rows = Math.ceil(copies.count / 10);
  blocks.sheet ||= document.createElement("canvas");
  const { sheet } = blocks;
  if (sheet.width !== 10 * width || sheet.height !== rows * height) {
    Object.assign(sheet, { width: 10 * width, height: rows * height });
  }
  const pen = sheet.getContext("2d");
  const one = new ImageData(width, height);
  for (let i = 0; i < copies.pictured; i++) {
    copies.pixels(i, one.data);
    pen.putImageData(one, (i % 10) * width, Math.floor(i / 10) * height);
  }
  return { sheet, width, height };
}

/** How high the words above a block are if it is `width` pixels wide; its `words` are that many pixels long each. */
function headHeight({ words, copies }, width) {
  const room = width - COUNT * String(copies.length).length - 10;
  let [lines, left] = [1, room];
  for (const needs of words) {
    if (needs > left && left < room) [lines, left] = [lines + 1, room];
    left -= needs;
  }
  return LINE * (Math.max(2, lines) + 0.9);
}

/** Blocks beside each other, in as many shelves as it takes, copies in `rows` rows or as many as fit the width. */
function shelved(groups, wide, size, rows) {
  let [left, top, shelf] = [0, 0, []];
  const shelves = [shelf];
  for (const group of groups) {
    const n = group.copies.length;
    const most = Math.max(1, Math.floor(wide / size));
    const width = Math.min(wide, Math.max(LEAST, size * Math.min(most, Math.ceil(n / rows))));
    if (left && left + width > wide) {
      shelf = [];
      shelves.push(shelf);
      left = 0;
    }
    shelf.push({ group, left, width, size, cols: Math.max(1, Math.floor(width / size)) });
    left += width + GAP;
  }
  for (const blocks of shelves) {
    if (blocks.length === 1) blocks[0].width = Math.max(blocks[0].width, Math.min(wide, ALONE));
    const head = Math.max(...blocks.map(({ group, width }) => headHeight(group, width)));
    for (const block of blocks) Object.assign(block, { top, head });
    const deep = Math.max(...blocks.map(({ group, cols }) => Math.ceil(group.copies.length / cols)));
    top += head + deep * size + GAP;
  }
  return { found: shelves.flat(), height: top - GAP };
}

/**
 * Where blocks and their copies go, as large as they fit, or as flat as can be where they do not:
 * [{group, left, top, width, head, cols, size}], and how high it is.
 */
function arranged(groups, wide, high) {
  const each = groups.map(({ copies }) => copies.length);
  const [deepest, many] = [Math.max(0, ...each), each.reduce((a, b) => a + b, 0)];
  let flattest = { found: [], height: groups.length ? Infinity : 0 };
  for (let size = high === Infinity ? SMALL : LARGEST; groups.length && size >= 8; size--) {
    if (many * size * size > wide * high && size > 8) continue;
    for (let rows = 1; rows <= deepest; rows++) {
      const all = shelved(groups, wide, size, rows);
      if (all.height <= high) return all;
      if (all.height < flattest.height) flattest = all;
      if (all.found.every(({ width }) => width === LEAST)) break; // more rows make nothing narrower
    }
  }
  return flattest;
}

function headOf(blocks, { group, left, top, width, head: height }, data) {
  blocks.heads ||= new Map();
  let head = blocks.heads.get(group.key);
  if (!head) {
    head = document.createElement("div");
    head.className = "rks-head";
    head.innerHTML = "<b></b><span></span>";
    blocks.root.append(head);
    blocks.heads.set(group.key, head);
  }
  head.classList.toggle("rks-telling", isTelling(group, data.method));
  head.style.cssText = `left:${left}px;top:${top}px;width:${width}px;height:${height - 4}px;--rks-own:${data.looks[data.method].colour}`;
  const [count, words] = head.children;
  write(count, String(group.copies.length));
  write(words, group.said);
  head.hidden = false;
}

/** How long the words above a block are in the boldest type that they have, in pixels. */
function measured(pen, root, said) {
  pen.font = `700 ${0.87 * REM}px ${getComputedStyle(root).fontFamily}`;
  return said.split(" ").map((word) => pen.measureText(`${word} `).width);
}

/**
 * Draw the blocks; returns whether anything still moves.
 * @param {any} blocks {root, canvas}: what is kept from frame to frame
 */
export function drawBlocks(blocks, copies, { chosen, pointed, still }) {
  const { canvas, root } = blocks;
  const many = copies.data.references.length;
  const groups = copies.groups().map((group) => ({ ...group, said: wordsOf(group, many) }));
  const wide = root.clientWidth;
  const high = PHONE.matches ? Infinity : root.clientHeight;
  const pen = canvas.getContext("2d");
  const asked = [wide, high, ...groups.map(({ said, copies }) => `${copies.length} ${said}`)].join();
  if (blocks.asked !== asked) {
    blocks.asked = asked;
    const known = groups.map((group) => ({ ...group, words: measured(pen, root, group.said) }));
    blocks.arranged = arranged(known, wide, high);
  }
  const found = blocks.arranged.found.map((block, at) => ({ ...block, group: groups[at] }));
  const height = Math.max(blocks.arranged.height, PHONE.matches ? 0 : high);
  canvas.style.height = `${height}px`;
  const ratio = devicePixelRatio || 1;
  const size = [Math.round(wide * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  for (const head of blocks.heads?.values() ?? []) head.hidden = true;
  if (!groups.length) return false;
  const { sheet, width, height: tall } = sheetOf(blocks, copies);
  blocks.places ||= [];
  blocks.tiles = [];
  let moving = false;
  for (const block of found) {
    headOf(blocks, block, copies.data);
    block.group.copies.forEach((i, n) => {
      const x = block.left + (n % block.cols) * block.size;
      const y = block.top + block.head + Math.floor(n / block.cols) * block.size;
      const was = still ? null : blocks.places[i];
      const at = was ? [was[0] + 0.35 * (x - was[0]), was[1] + 0.35 * (y - was[1])] : [x, y];
      if (Math.abs(at[0] - x) + Math.abs(at[1] - y) < 0.6) [at[0], at[1]] = [x, y];
      else moving = true;
      blocks.places[i] = at;
      blocks.tiles.push({ i, x, y, size: block.size });
      const inner = block.size - 3;
      pen.imageSmoothingEnabled = inner < Math.max(width, tall);
      if (i < copies.pictured) {
        const fit = inner / Math.max(width, tall);
        const [w, h] = [width * fit, Math.max(2, tall * fit)];
        const from = [(i % 10) * width, Math.floor(i / 10) * tall];
        pen.drawImage(sheet, ...from, width, tall, at[0] + (inner - w) / 2, at[1] + (inner - h) / 2, w, h);
      } else {
        pen.fillStyle = "rgba(128,136,150,.35)";
        pen.fillRect(at[0], at[1], inner, inner);
      }
      if (i !== chosen && i !== pointed) return;
      pen.strokeStyle = i === chosen ? "#6464E4" : "#8B95A5";
      pen.lineWidth = i === chosen ? 3 : 2;
      pen.strokeRect(at[0] - 1, at[1] - 1, inner + 2, inner + 2);
    });
  }
  blocks.order = blocks.tiles.map((tile) => tile.i);
  return moving;
}

/** The copy at a point of the blocks, or null. */
export function tileAt(blocks, x, y) {
  const found = blocks.tiles?.find(
    (tile) => x >= tile.x && y >= tile.y && x < tile.x + tile.size && y < tile.y + tile.size,
  );
  return found ? found.i : null;
}

/** The copy beside one, for a key: the next in the blocks, or the one above or below. */
export function beside(blocks, chosen, key) {
  const { tiles = [] } = blocks;
  const here = tiles.findIndex((tile) => tile.i === chosen);
  if (here < 0) return tiles[0]?.i ?? null;
  const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
  if (step) return tiles[(here + step + tiles.length) % tiles.length].i;
  const { x, y, size } = tiles[here];
  const sign = key === "ArrowDown" ? 1 : -1;
  const near = tiles
    .filter((tile) => sign * (tile.y - y) > 1)
    .toSorted((a, b) => Math.abs(a.y - y) + Math.abs(a.x - x) - Math.abs(b.y - y) - Math.abs(b.x - x));
  return near.length && Math.abs(near[0].x - x) < 3 * size ? near[0].i : chosen;
}
