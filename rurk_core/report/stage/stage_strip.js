// The samples at the side, each with what was found of it.
import { made } from "./stage_side.js";

const WINDOW = 240; // samples in the strip at a time
export const MARKS = { residual: "▲", over_forgotten: "▼", clear: "✓", nothing_to_see: "·", cannot_tell: "?" };

function itemOf(data, host, at) {
  const [sample, label, finding] = data.samples[at];
  const item = made("button", `rks-item rks-${finding || "none"}`);
  item.type = "button";
  item.dataset.sample = sample;
  item.setAttribute("role", "option");
  const words = [`sample ${sample}`, data.classes[label], data.findings[finding]].filter(Boolean).join(", ");
  item.setAttribute("aria-label", words);
  item.title = words;
  const image = document.createElement("img");
  image.alt = "";
  image.decoding = "async";
  image.loading = "lazy";
  host.picture(sample).then((url) => {
    image.src = url;
  });
  item.append(image, made("i", "", MARKS[finding] || ""));
  return item;
}

/** Draw the strip again where its samples or their order changed, and mark the chosen one. */
export function drawStrip(strip, data, host, my, order) {
  const here = order.findIndex((at) => data.samples[at][0] === my.sample);
  const first = Math.max(0, Math.min(here - WINDOW / 2, order.length - WINDOW));
  const version = `${data.version} ${my.order} ${Math.floor(first / 60)}`;
  if (strip.version !== version) {
    strip.version = version;
    const from = Math.floor(first / 60) * 60;
    strip.root.replaceChildren(...order.slice(from, from + WINDOW + 60).map((at) => itemOf(data, host, at)));
    strip.chosen = null;
  }
  if (strip.chosen?.dataset.sample === String(my.sample)) return;
  const next = [...strip.root.children].find((item) => item.dataset.sample === String(my.sample));
  for (const item of [strip.chosen, next]) {
    if (!item) continue;
    item.setAttribute("aria-selected", item === next);
    item.tabIndex = item === next ? 0 : -1;
  }
  for (const item of strip.chosen ? [] : strip.root.children) if (item !== next) item.tabIndex = -1;
  strip.chosen = next || null;
  if (!next) return;
  const [box, at] = [strip.root, next];
  const tall = box.scrollHeight > box.clientHeight + 2;
  const [size, place, room] = tall
    ? [at.offsetHeight, at.offsetTop - box.offsetTop, box.clientHeight]
    : [at.offsetWidth, at.offsetLeft - box.offsetLeft, box.clientWidth];
  const now = tall ? box.scrollTop : box.scrollLeft;
  if (place >= now + 4 && place + size <= now + room - 4) return;
  box[tall ? "scrollTop" : "scrollLeft"] = place - room / 2 + size / 2;
}
