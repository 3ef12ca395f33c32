// The copies as pictures, in blocks by who recognises them; they glide from block to block as the radius moves.
import { isTelling, wordsOf } from "./stage_copies.js";

const HEAD = 46; // pixels of the words above a block
const GAP = 14;
const LEAST = 124; // pixels a block is wide at least
const LARGEST = 76; // pixels of a copy, at most
const NARROW = 420; // below, blocks stand one under the other

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

/** Where blocks and their copies go: [{group, left, top, width, cols, size}], and how high it all is. */
function arranged(groups, wide, high) {
  const narrow = wide < NARROW;
  for (let size = LARGEST; size >= 8; size--) {
    const rows = Math.max(1, Math.floor((high - HEAD) / size));
    let [left, top] = [0, 0];
    const found = groups.map((group) => {
      const n = group.copies.length;
      const cols = narrow ? Math.max(1, Math.floor(wide / size)) : Math.ceil(n / rows);
      const width = narrow ? wide : Math.max(LEAST, cols * size);
      const here = { group, left, top, width, size, cols: narrow ? cols : Math.max(1, Math.floor(width / size)) };
      if (narrow) top += HEAD + Math.ceil(n / cols) * size + GAP;
      else left += width + GAP;
      return here;
    });
    if (narrow ? size <= 34 : left - GAP <= wide) return { found, height: narrow ? top : high };
  }
  return { found: [], height: high };
}

function headOf(blocks, { group, left, top, width }, data) {
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
  head.style.cssText = `left:${left}px;top:${top}px;width:${width}px;--rks-own:${data.looks[data.method].colour}`;
  const [count, words] = head.children;
  if (count.textContent !== String(group.copies.length)) count.textContent = group.copies.length;
  const said = wordsOf(group, data.references.length);
  if (words.textContent !== said) words.textContent = said;
  head.hidden = false;
}

/**
 * Draw the blocks; returns whether anything still moves.
 * @param {any} blocks {root, canvas}: what is kept from frame to frame
 */
export function drawBlocks(blocks, copies, { chosen, pointed, still }) {
  const { canvas, root } = blocks;
  const groups = copies.groups();
  const wide = root.clientWidth;
  const grows = wide < NARROW; // as high as the blocks are, where they stand one under the other
  const { found, height } = arranged(groups, wide, root.clientHeight);
  canvas.style.height = grows ? `${height}px` : "";
  const ratio = devicePixelRatio || 1;
  const size = [Math.round(wide * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const pen = canvas.getContext("2d");
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
      const y = block.top + HEAD + Math.floor(n / block.cols) * block.size;
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
