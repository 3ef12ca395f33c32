// A map of samples, a panel per model: tools, legend, and when it is drawn.

import { arrivals } from "./points.js";
import { ScatterMap, SPLITS } from "./scatter_map.js";
import { drawMarks } from "./scatter_marks.js";
import { listen } from "./scatter_pointer.js";
import { drawPoints } from "./scatter_points.js";
import { SHAPES } from "./shapes.js";

const TOOLS = [
  ["move", "Move", "Drag to move, wheel to zoom"],
  ["lasso", "Lasso", "Draw around samples to forget"],
  ["box", "Box", "Draw a box around samples to forget"],
];
const LAYER_SHAPES = ["circle", "triangle-up", "diamond"];

const icon = (shape, fill, stroke) =>
  `<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><g fill="${fill}" ` +
  `stroke="${stroke || "none"}" stroke-width="1.4">${SHAPES[shape]}</g></svg>`;

function render(map) {
  const { my, root, stage } = map;
  my.asked = 0;
  if (!root.isConnected) return;
  map.layout();
  if (!map.points || !stage.clientWidth) return;
  drawPoints(map);
  drawMarks(map);
  root.dataset.drawn = map.data.version;
}

/** What is seen, as a PNG. */
function save({ back, over, ground, data }) {
  const out = document.createElement("canvas");
  out.width = over.width;
  out.height = over.height;
  const pen = out.getContext("2d");
  pen.fillStyle = ground;
  pen.fillRect(0, 0, out.width, out.height);
  pen.drawImage(back, 0, 0);
  pen.drawImage(over, 0, 0);
  const link = document.createElement("a");
  link.download = `${data.file}.png`;
  link.href = out.toDataURL("image/png");
  link.click();
}

function tools(map) {
  const { my } = map;
  const bar = map.part("tools");
  const button = ([name, word, help]) =>
    `<button type="button" data-tool="${name}" title="${help}" aria-pressed="${my.tool === name}">${word}</button>`;
  bar.innerHTML =
    `${TOOLS.map(button).join("")}<i></i><button type="button" data-do="in" aria-label="Zoom in">+</button>` +
    '<button type="button" data-do="out" aria-label="Zoom out">−</button>' +
    '<button type="button" data-do="all">Whole map</button><button type="button" data-do="save">PNG</button>';
  const acts = {
    in: () => map.zoom(1.5),
    out: () => map.zoom(1 / 1.5),
    all: () => {
      map.whole();
      map.refresh();
    },
    save: () => save(map),
  };
  const pen = () => map.over.classList.toggle("draw", my.tool !== "move");
  pen();
  bar.onclick = (event) => {
    const { tool, do: act } = event.target.dataset;
    if (act) acts[act]();
    if (!tool) return;
    my.tool = tool;
    for (const each of bar.querySelectorAll("[data-tool]")) {
      each.setAttribute("aria-pressed", each.dataset.tool === tool);
    }
    pen();
  };
}

function legend(map) {
  const { my, data, points } = map;
  const counts = points ? SPLITS.map((_, at) => points.starts[at + 1] - points.starts[at]) : data.counts;
  const colour = data.panels[0].colour;
  const box = (attributes, on, words) =>
    `<label><input type="checkbox" ${attributes} ${on ? "checked" : ""}>${words}</label>`;
  const layer = (name, at) => {
    const mark =
      my.by === "class" ? icon(LAYER_SHAPES[at], "none", "currentColor") : icon(LAYER_SHAPES[at], map.ink(name));
    const words = `${mark}${data.layers[name].title} (${counts[at].toLocaleString("en")})`;
    return box(`data-layer="${name}"`, my.on[name], words);
  };
  const copies = `${icon("circle", colour)}copies it recognises ${icon("circle", "none", colour)}or not`;
  const key = map.part("mapkey");
  const next = `${icon("circle", "none", data.primary)}to forget next (${data.chosen.length.toLocaleString("en")})`;
  const beyond = `${data.outside.toLocaleString("en")} sample${data.outside === 1 ? "" : "s"} may lie`;
  key.innerHTML =
    SPLITS.map(layer).join("") +
    (data.chosen.length ? box('data-layer="next"', my.on.next, next) : "") +
    (data.cloud ? box('data-layer="copies"', my.on.copies, copies) : "") +
    box("data-names", my.names, "class names") +
    box("data-by", my.by === "class", "colour by class") +
    (data.outside
      ? `<span>The view begins with the middle of the map; ${beyond} outside: “Whole map” shows all.</span>`
      : "");
  key.onchange = (event) => {
    const { checked, dataset } = event.target;
    if (dataset.layer) my.on[dataset.layer] = checked;
    else if ("names" in dataset) my.names = checked;
    else my.by = checked ? "class" : "layer";
    legend(map);
    map.refresh();
  };
}

/** Draw again when the stage changes, the points have come, or the theme turns; returns what ends that. */
function watch(map) {
  const { my, stage } = map;
  if (my.end) return my.end;
  const size = new ResizeObserver(() => map.refresh());
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const came = () => {
    my.ready = false;
    map.refresh();
  };
  const turned = () => {
    my.inked = "";
    map.refresh();
  };
  size.observe(stage);
  arrivals.addEventListener("points", came);
  dark.addEventListener("change", turned);
  my.end = () => {
    size.disconnect();
    arrivals.removeEventListener("points", came);
    dark.removeEventListener("change", turned);
    my.end = null;
  };
  return my.end;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const map = new ScatterMap(parentElement.querySelector(".rk-map"), data);
  map.my.render = () => render(map);
  listen(map, setTriggerValue);
  tools(map);
  legend(map);
  map.over.setAttribute(
    "aria-label",
    `${data.label}. Arrow keys move the map, plus and minus zoom, 0 shows all of it; a sample can be chosen in the ` +
      "box below it.",
  );
  const end = watch(map);
  map.refresh();
  return end;
}
