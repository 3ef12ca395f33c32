// All samples in linked pictures. Each picture filters all the others; everything answers in the browser.
import { bars, cells, places } from "./linked_draw.js";
import { minus } from "./shapes.js";

const SHOWN = 160; // pictures in the gallery
const THUMB = 44;

function make(tag, className, text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

function remember(root, data) {
  root.my ||= {};
  const { my } = root;
  if (my.version === data.version) return my;
  const signal = Math.max(
    0,
    data.signals.findIndex((each) => each.name === "deviate"),
  );
  Object.assign(my, { version: data.version, signal, off: new Set(), span: null, box: null, slice: "", at: null });
  my.pictures ??= false;
  my.axes = data.places ? "map" : "signals";
  return my;
}

/** Lowest and highest of a signal. */
export function reach(signal) {
  const known = signal.values.filter((value) => value !== null);
  return known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
}

/** Where a sample is on the map that is shown, from 0 to 1; null where a value is missing. */
export function placeOf({ data, my }, i) {
  if (my.axes === "map") return data.places[i];
  const [across, up] = axesOf(data);
  return [across, up].map((signal) => {
    const [low, high] = reach(signal);
    const value = signal.values[i];
    return value === null ? null : high > low ? (value - low) / (high - low) : 0.5;
  });
}

/** The two signals of the map that is no map of representations. */
export function axesOf(data) {
  const named = (name) => data.signals.find((each) => each.name === name);
  return [named("excess_total") || data.signals[0], named("excess_specific") || data.signals.at(-1)];
}

/** Whether a sample is left by all filters. */
export function left({ data, my }, i) {
  if (my.off.has(data.findings[i])) return false;
  if (my.slice && !data.slices[my.slice]?.includes(data.ids[i])) return false;
  const value = data.signals[my.signal].values[i];
  if (my.span && (value === null || value < my.span[0] || value > my.span[1])) return false;
  if (!my.box) return true;
  const [x, y] = placeOf({ data, my }, i);
  const [x0, x1, y0, y1] = my.box;
  return x !== null && y !== null && x >= x0 && x <= x1 && y >= y0 && y <= y1;
}

function chosen(view) {
  const { data, my, part, say } = view;
  const kept = view.kept.map((i) => data.ids[i]);
  const chips = data.groups.map((group) => {
    const count = data.findings.filter((name) => name === group.name).length;
    const button = make("button", my.off.has(group.name) ? "" : "on", `${group.title} ${count}`);
    button.style.setProperty("--hue", group.colour);
    button.setAttribute("aria-pressed", String(!my.off.has(group.name)));
    button.disabled = !count;
    button.onclick = () => {
      if (!my.off.delete(group.name)) my.off.add(group.name);
      view.show();
    };
    return button;
  });
  const names = Object.keys(data.slices);
  const select = make("select", "");
  select.setAttribute("aria-label", "Slice");
  for (const name of ["", ...names]) select.append(new Option(name || "no slice", name, false, name === my.slice));
  select.onchange = () => {
    my.slice = select.value;
    view.show();
  };
  const act = (kind, words) => {
    const button = make("button", "act", words);
    button.disabled = !kept.length;
    button.onclick = () => {
      const name = kind === "slice" ? prompt(`A name for these ${kept.length} samples`) : "";
      if (name !== null) say("act", { act: kind, ids: kept, name });
    };
    return button;
  };
  const all = make("button", "act", "Show all");
  all.onclick = () => {
    Object.assign(my, { off: new Set(), span: null, box: null, slice: "" });
    view.show();
  };
  const csv = make("button", "act", "CSV");
  csv.onclick = () => save(view);
  const count = make("b", "", `${kept.length} of ${data.ids.length}`);
  const acts = [act("forget", "To the forget set"), act("slice", "Name a slice"), csv, all];
  part("chosen").replaceChildren(...chips, ...(names.length ? [select] : []), count, ...acts);
}

/** The samples that are left, with all signals, as a file. */
function save({ data, kept }) {
  const quoted = (text) => `"${`${text}`.replaceAll('"', '""')}"`;
  const head = ["sample", "class", "finding", ...data.signals.map((each) => `${each.name} (${each.unit})`)];
  const rows = kept.map((i) => [
    data.ids[i],
    quoted(data.classes[data.labels[i]]),
    data.findings[i],
    ...data.signals.map((each) => each.values[i] ?? ""),
  ]);
  const text = [head.map(quoted), ...rows].map((row) => row.join(",")).join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
  link.download = "evidence.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}

/** One range with two handles that cuts the histogram. */
function span(view) {
  const { data, my, part } = view;
  const [low, high] = reach(data.signals[my.signal]);
  const step = (high - low) / 200 || 1;
  const sliders = [0, 1].map((end) => {
    const slider = Object.assign(document.createElement("input"), { type: "range", min: low, max: high, step });
    slider.value = (my.span || [low, high])[end];
    slider.setAttribute("aria-label", `${data.signals[my.signal].title}, ${end ? "at most" : "at least"}`);
    slider.oninput = () => {
      const [a, b] = sliders.map((each) => +each.value);
      if (a > b) slider.value = `${end ? a : b}`; // a handle stops at the other one
      my.span = [+sliders[0].value, +sliders[1].value + (b >= high - step ? step : 0)];
      shown();
      view.show(true);
    };
    return slider;
  });
  const shown = () => {
    const [a, b] = sliders.map((each) => (high > low ? (+each.value - low) / (high - low) : 0));
    part("span").style.cssText = `--from:${100 * a}%;--to:${100 * (high > low ? b : 1)}%`;
    sliders[0].style.zIndex = a > 0.5 ? "1" : ""; // where both stand at an end, the one that can move is on top
  };
  shown();
  part("span").replaceChildren(...sliders);
}

function heads(view) {
  const { data, my, part } = view;
  const select = make("select", "");
  select.setAttribute("aria-label", "Signal of the histogram");
  for (const [i, each] of data.signals.entries())
    select.append(new Option(`${each.title} (${each.unit})`, `${i}`, false, i === my.signal));
  select.onchange = () => {
    Object.assign(my, { signal: +select.value, span: null });
    view.show();
  };
  part("hist-head").replaceChildren("Samples by ", select, make("small", "", data.signals[my.signal].meaning));
  const toggle = make("button", my.pictures ? "on" : "", "Pictures");
  toggle.setAttribute("aria-pressed", String(my.pictures));
  toggle.onclick = () => {
    my.pictures = !my.pictures;
    view.show();
  };
  const kind = make("select", "");
  kind.setAttribute("aria-label", "Axes of the map");
  const [across, up] = axesOf(data);
  const options = [
    ...(data.places ? [["map", "class scores (PCA)"]] : []),
    ["signals", `${across.title} × ${up.title}`],
  ];
  for (const [value, words] of options) kind.append(new Option(words, value, false, value === my.axes));
  kind.onchange = () => {
    Object.assign(my, { axes: kind.value, box: null });
    view.show();
  };
  part("map-head").replaceChildren("Map by ", kind, toggle, make("small", "", "Drag to choose samples."));
  const names = data.signals.map((each, i) => {
    const button = make("button", i === my.signal ? "on" : "", each.title);
    button.title = `${each.meaning} (${each.unit})`;
    button.onclick = () => {
      Object.assign(my, { signal: i, span: null });
      view.show();
    };
    return button;
  });
  part("heat-names").replaceChildren(make("span", "", "finding"), ...names);
}

function gallery(view) {
  const { data, my, part, say } = view;
  const group = (name) => data.groups.find((each) => each.name === name);
  const tiles = view.kept.slice(0, SHOWN).map((i) => {
    const button = make("button", i === my.at ? "on" : "");
    button.style.setProperty("--hue", group(data.findings[i]).colour);
    button.setAttribute("aria-label", `Open sample ${data.ids[i]}, ${group(data.findings[i]).title}`);
    const image = Object.assign(document.createElement("img"), {
      loading: "lazy",
      width: THUMB,
      height: THUMB,
      alt: "",
    });
    image.src = `${data.images}/train/${data.ids[i]}`;
    button.append(data.images ? image : `${data.ids[i]}`);
    button.onclick = () => say("act", { act: "open", ids: [data.ids[i]] });
    button.onpointerenter = button.onfocus = () => point(view, i);
    return button;
  });
  const more = view.kept.length - tiles.length;
  part("gallery").replaceChildren(...tiles, ...(more > 0 ? [make("span", "", `and ${more} more`)] : []));
}

/** Say all that is known of a sample, and mark it in every picture. */
function point(view, i) {
  const { data, my, part } = view;
  if (my.at === i) return;
  my.at = i;
  if (i !== null) {
    const group = data.groups.find((each) => each.name === data.findings[i]);
    const values = data.signals.map(
      (each) => `${each.title} ${each.values[i] === null ? "undefined" : minus(each.values[i].toFixed(2))}`,
    );
    part("told").textContent =
      `Sample ${data.ids[i]}, “${data.classes[data.labels[i]]}”: ${group.title}; ${values.join(", ")}.`;
  }
  draw(view);
}

function draw(view) {
  bars(view);
  places(view);
  cells(view);
}

/** The pointer on the map: dragging chooses a box, pointing names a sample, a click opens it. */
function pointer(view) {
  const { my, part, say, data } = view;
  const canvas = part("places");
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return view.mapOf((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  canvas.onpointerdown = (event) => {
    view.from = at(event);
    canvas.setPointerCapture(event.pointerId);
  };
  canvas.onpointermove = (event) => {
    const [x, y] = at(event);
    if (!view.from) return point(view, view.nearest(x, y));
    const [a, b] = view.from;
    if (Math.hypot(x - a, y - b) > 0.015) {
      my.box = [Math.min(a, x), Math.max(a, x), Math.min(b, y), Math.max(b, y)];
      draw(view);
    }
  };
  canvas.onpointerup = (event) => {
    const [x, y] = at(event);
    const [a, b] = view.from || [x, y];
    view.from = null;
    if (Math.hypot(x - a, y - b) > 0.015) return view.show();
    const near = view.nearest(x, y);
    if (my.box) {
      my.box = null;
      view.show();
    } else if (near !== null) say("act", { act: "open", ids: [data.ids[near]] });
  };
  const heat = part("cells");
  heat.onpointermove = (event) => {
    const box = heat.getBoundingClientRect();
    const order = view.order;
    point(view, order[Math.min(order.length - 1, Math.floor(((event.clientX - box.left) / box.width) * order.length))]);
  };
  heat.onclick = () => my.at !== null && say("act", { act: "open", ids: [data.ids[my.at]] });
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".rk-linked");
  const my = remember(root, data);
  const view = { root, data, my, say: setTriggerValue, part: (name) => root.querySelector(`.rk-${name}`) };
  view.show = (sliding = false) => {
    view.kept = data.ids.map((_, i) => i).filter((i) => left(view, i));
    const values = data.signals[my.signal].values;
    view.order = data.ids.map((_, i) => i).sort((a, b) => (values[b] ?? -Infinity) - (values[a] ?? -Infinity));
    view.kept.sort((a, b) => (values[b] ?? -Infinity) - (values[a] ?? -Infinity));
    chosen(view);
    if (!sliding) {
      span(view);
      heads(view);
    }
    draw(view);
    gallery(view);
  };
  my.redraw = () => draw(view);
  pointer(view);
  view.show();
  if (!my.watch) {
    my.watch = new ResizeObserver(() => my.redraw());
    my.watch.observe(root);
  }
}
