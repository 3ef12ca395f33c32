// The stage in a file of its own: all parts are in the page.
import { bytes } from "./shapes.js";
import { Stage } from "./stage_app.js";
import { unpack } from "./stage_parts.js";
import { plainPixels } from "./stage_side.js";

const about = JSON.parse(document.getElementById("rks-told").textContent);
const opened = new Map();
const answered = Object.keys(about.cuts)[0]; // the plane whose copies come with what models say of them

/** All parts of a sample by their names. */
async function partsIn(sample) {
  const text = document.getElementById(`rks-${sample}`).textContent;
  const plain = new Blob([/** @type {any} */ (bytes(text))])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"));
  return unpack(await new Response(plain).arrayBuffer());
}

/** The part that an address asks for; a file has one field of a zoom, the copies at all radii, and answers once. */
async function partAt(address) {
  const [sample, kind, cut, model, more, zoom] = address.split("/");
  if (!opened.has(sample)) opened.set(sample, partsIn(sample));
  const all = await opened.get(sample);
  const name = {
    base: "base",
    field: `field/${cut}/${model}/${zoom}`,
    copies: `copies/${more === "none" ? cut : answered}`,
  }[kind];
  const found = all[`${sample}/${name}`];
  if (!found) throw new Error("not in this file");
  return found.slice().buffer;
}

async function pictureOf(sample) {
  const { picture } = unpack(await partAt(`${sample}/base`));
  const [height, width] = picture.shape;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").putImageData(new ImageData(plainPixels(picture), width, height), 0, 0);
  return canvas.toDataURL();
}

/** Where the page was left: the part of its address behind "#". */
function started() {
  const at = new URLSearchParams(location.hash.slice(1));
  const t = about.taus.indexOf(Number(at.get("tau") ?? Number.NaN));
  const sample = Number(at.get("sample"));
  if (about.samples.some(([index]) => index === sample)) about.start.sample = sample;
  if (t >= 0) Object.assign(about.start, { t, chosen: at.get("chosen") === "true" });
  if (about.cuts[at.get("cut")]) about.start.cut = at.get("cut");
  if (at.get("copy")) about.start.copy = Number(at.get("copy")) - 1;
  return about;
}

function rested(at) {
  const said = Object.entries(at).filter(([, value]) => value !== null);
  history.replaceState(null, "", `#${new URLSearchParams(said.map(([name, value]) => [name, String(value)]))}`);
}

const root = /** @type {any} */ (document.querySelector(".rks"));
root.stage = new Stage(root, started(), { bring: partAt, picture: pictureOf, rest: rested });
