// A plane with all that the networks of a lesson believe on it: the film, what a click does, and the keyboard.
import { draw } from "./field_draw.js";
import { Lesson } from "./field_lesson.js";
import { legend, lines, tell } from "./field_words.js";

const BETWEEN = 110; // milliseconds between frames of the film
const PAUSE = 900; // before it begins
const REACH = 26; // pixels within which a click finds a point

/** What was done in the browser; another lesson begins anew, but for the radius. */
function remember(root, data) {
  root.my ||= { on: { original: true, references: true, unlearned: true }, mode: "look" };
  const { my } = root;
  if (my.version !== data.version) {
    const playing = data.play && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    Object.assign(my, { version: data.version, lesson: new Lesson(data), look: data.look, playing });
    my.frame = playing ? 0 : data.steps.length - 1;
    my.hold = performance.now() + PAUSE;
    my.tau ??= data.tau;
  }
  if (!my.turn || data.seen >= my.turn) my.chosen = new Set(data.chosen);
  my.lesson.data = data;
  return my;
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
  tick(plane);
}

/** Choose a point to be forgotten, or not; the server hears of it once the clicks have paused. */
function toggle({ my, say }, i) {
  if (!my.chosen.delete(i)) my.chosen.add(i);
  my.turn = Date.now();
  clearTimeout(my.later);
  my.later = setTimeout(() => say("chosen", { turn: my.turn, points: [...my.chosen] }), 250);
}

function modes({ part, my, data, refresh }) {
  const button = ([mode, words]) =>
    `<button type="button" role="radio" data-mode="${mode}" aria-checked="${my.mode === mode}">${words}</button>`;
  const words = { look: "Look around a point", choose: "Choose points to forget" };
  part("modes").innerHTML = data.choose ? Object.entries(words).map(button).join("") : "";
  part("modes").onclick = (event) => {
    const { mode } = event.target.dataset;
    if (!mode) return;
    my.mode = mode;
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
  };
  part("play").onclick = () => play(plane);
  const knob = part("radius").lastElementChild;
  knob.value = my.tau;
  knob.oninput = () => {
    my.tau = +knob.value;
    refresh();
  };
}

/** The point that a click is nearest to, or null. */
function nearest({ canvas, my, data }, event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.clientWidth / box.width;
  const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  let best = null;
  let least = REACH * REACH;
  data.points.forEach(([x, y], i) => {
    const far = (my.map.X(x) - px) ** 2 + (my.map.Y(y) - py) ** 2;
    if (far < least) [least, best] = [far, i];
  });
  return best;
}

function click(plane, event) {
  const { my } = plane;
  const at = nearest(plane, event);
  my.keys = false;
  if (at === null) return;
  my.at = at;
  if (my.mode === "choose") toggle(plane, at);
  else my.look = at;
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
}

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".rk-field");
  const my = remember(root, data);
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
  plane.refresh();
  tick(plane);
}
