// A plane with all that the networks of a lesson believe on it: the film, what a click does, and the keyboard.
import { draw } from "./field_draw.js";
import { Lesson } from "./field_lesson.js";
import { legend, lines, tell } from "./field_words.js";

const BETWEEN = 110; // milliseconds between frames of the film
const MOST_DRAWN = 60;
/** Planes that stand beside each other: the film, the point and the radius are one for all of them. */
const beside = new Set();
const REACH = 26; // pixels within which a click finds a point

/** What was done in the browser; another lesson begins anew at its first moment, but for the radius. */
function remember(root, data) {
  root.my ||= { on: { original: true, references: true, unlearned: true }, mode: "look", kind: 0 };
  const { my } = root;
  if (my.version !== data.version) {
    Object.assign(my, { version: data.version, lesson: new Lesson(data), look: data.look, playing: false, frame: 0 });
    my.hold = 0;
    my.tau ??= data.tau;
  }
  if (!my.turn || data.seen >= my.turn) {
    my.chosen = new Set(data.chosen);
    my.drawn = data.drawn.map((point) => [...point]);
  }
  my.lesson.data = data;
  return my;
}

/** Bring the planes beside this one to the same moment, point and radius. */
function together(plane) {
  const { my, data } = plane;
  for (const other of beside) {
    if (!other.root.isConnected) beside.delete(other);
    else if (other.root !== plane.root && other.data.group === data.group) {
      const share = my.frame / Math.max(1, data.steps.length - 1);
      other.my.frame = Math.round(share * (other.data.steps.length - 1));
      other.my.playing = false;
      other.my.tau = my.tau;
      if (other.data.points[my.look]) other.my.look = my.look;
      other.refresh();
    }
  }
}

function tick(plane) {
  const { my, root, data } = plane;
  const last = data.steps.length - 1;
  cancelAnimationFrame(my.timer);
  if (!my.playing || !root.isConnected) return;
  my.timer = requestAnimationFrame((now) => {
    if (now >= my.hold) {
      my.hold = now + BETWEEN;
      if (my.frame < last) my.frame++;
      if (my.frame >= last) my.playing = false;
      plane.refresh();
      together(plane);
    }
    tick(plane);
  });
}

function play(plane) {
  const { my, data } = plane;
  my.playing = !my.playing;
  if (my.playing && my.frame >= data.steps.length - 1) my.frame = 0;
  my.hold = 0;
  plane.refresh();
  together(plane);
  tick(plane);
}

/** The server hears of points that were chosen or drawn once the clicks have paused. */
function later({ my, say }) {
  my.turn = Date.now();
  clearTimeout(my.later);
  my.later = setTimeout(() => say("chosen", { turn: my.turn, points: [...my.chosen], drawn: my.drawn }), 250);
}

/** Choose a point to be forgotten, or not. */
function toggle(plane, i) {
  const { my } = plane;
  if (!my.chosen.delete(i)) my.chosen.add(i);
  later(plane);
}

/** Add a point of the class in hand where the pointer is, or take away one that was drawn there. */
function pencil(plane, event) {
  const { my, data } = plane;
  const [x, y] = place(plane, event);
  if (x < 0 || x > 1 || y < 0 || y > 1) return;
  const first = data.points.length - data.held;
  const at = my.drawn.findIndex(([a, b]) => Math.hypot(a - x, b - y) < 0.02);
  if (at >= 0) {
    my.drawn.splice(at, 1);
    my.chosen = new Set([...my.chosen].filter((i) => i < first));
  } else if (my.drawn.length < MOST_DRAWN) my.drawn.push([+x.toFixed(3), +y.toFixed(3), my.kind]);
  later(plane);
}

/** What a click does: a button each; points are drawn of one class at a time. */
function modes({ part, my, data, refresh }) {
  const kinds = data.choose ? data.classes.map((name, c) => [`draw-${c}`, `Draw: ${name}`]) : [];
  const all = data.choose ? [["look", "Look around a point"], ["choose", "Choose points to forget"], ...kinds] : [];
  const now = () => (my.mode === "draw" ? `draw-${my.kind}` : my.mode);
  part("modes").replaceChildren(
    ...all.map(([mode, words]) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: words });
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", String(now() === mode));
      button.dataset.mode = mode;
      return button;
    }),
  );
  part("modes").onclick = (event) => {
    const { mode } = event.target.dataset;
    if (!mode) return;
    my.mode = mode.split("-")[0];
    if (my.mode === "draw") my.kind = +mode.split("-")[1];
    for (const each of part("modes").children) each.setAttribute("aria-checked", each.dataset.mode === mode);
    refresh();
  };
}

function film(plane) {
  const { part, my, data, refresh } = plane;
  const scrub = part("scrub");
  scrub.max = data.steps.length - 1;
  scrub.oninput = () => {
    my.playing = false;
    my.frame = +scrub.value;
    refresh();
    together(plane);
  };
  part("play").onclick = () => play(plane);
  const knob = part("radius").lastElementChild;
  knob.value = my.tau;
  knob.oninput = () => {
    my.tau = +knob.value;
    refresh();
    together(plane);
  };
}

/** Where the pointer is on the plane, from 0 to 1. */
function place({ canvas, my }, event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.clientWidth / box.width;
  const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  return [(px - my.map.pad) / my.map.side, 1 - (py - 2) / my.map.side];
}

/** The point that a click is nearest to, or null. */
function nearest(plane, event) {
  const { my, data } = plane;
  const [x, y] = place(plane, event);
  let best = null;
  let least = (REACH / my.map.side) ** 2;
  data.points.forEach(([a, b], i) => {
    const far = (a - x) ** 2 + (b - y) ** 2;
    if (far < least) [least, best] = [far, i];
  });
  return best;
}

function click(plane, event) {
  const { my } = plane;
  my.keys = false;
  if (my.mode === "draw") pencil(plane, event);
  else {
    const at = nearest(plane, event);
    if (at === null) return;
    my.at = at;
    if (my.mode === "choose") toggle(plane, at);
    else my.look = at;
    together(plane);
  }
  plane.refresh();
}

function press(plane, event) {
  const { my, data } = plane;
  const all = my.mode === "choose" ? data.points.map((_, i) => i) : data.forget;
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (step) {
    my.at = all[(all.indexOf(my.at ?? my.look) + step + all.length) % all.length];
    my.keys = true;
    if (my.mode === "look") my.look = my.at;
  } else if (event.key === "Enter" && my.mode === "choose" && my.at !== undefined) toggle(plane, my.at);
  else if (event.key === " ") play(plane);
  else return;
  event.preventDefault();
  event.stopPropagation();
  plane.refresh();
  together(plane);
}

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".rk-field");
  const my = remember(root, data);
  root.classList.toggle("pair", data.pair);
  const plane = {
    root,
    data,
    my,
    lesson: my.lesson,
    canvas: root.querySelector("canvas"),
    part: (name) => root.querySelector(`.rk-${name}`),
    say: setStateValue,
    refresh: () => {
      draw(plane);
      tell(plane);
    },
  };
  my.refresh = plane.refresh;
  modes(plane);
  lines(plane);
  legend(plane);
  film(plane);
  plane.canvas.onclick = (event) => click(plane, event);
  plane.canvas.onkeydown = (event) => press(plane, event);
  if (!my.watch) {
    my.watch = new ResizeObserver(() => my.refresh());
    my.watch.observe(plane.canvas);
  }
  for (const other of beside) if (other.root === root) beside.delete(other);
  beside.add(plane);
  plane.refresh();
  tick(plane);
}
