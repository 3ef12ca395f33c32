// The stage of a sample: what is in view, what moves it, and drawing it again when something changed.
import { beside, drawBlocks, tileAt } from "./stage_blocks.js";
import { Copies, tauOf } from "./stage_copies.js";
import { drawPanel } from "./stage_field.js";
import { build, controlsOf, namesIn, panelsOf, tabsOf } from "./stage_frame.js";
import { Hand } from "./stage_hand.js";
import { Parts, wishesOf, zoomOf } from "./stage_parts.js";
import { drawn, saidAt } from "./stage_shades.js";
import { percentOf, showCopy, write } from "./stage_side.js";
import { drawStrip } from "./stage_strip.js";
import { count, told } from "./stage_words.js";

const REST = 320; // milliseconds without a change after which the address is written and the sentence read out
const MOST_LACKED = 120; // pixels that the planes give up, at most, for what is said of a copy

/** A stage in an element. `host` brings parts and pictures, and hears where the view has come to rest. */
export class Stage {
  constructor(root, data, host) {
    this.root = root;
    this.host = host;
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.pointed = {};
    this.byHand = false;
    this.frame = build(root);
    this.begin(data);
    this.listen();
  }

  /** Show another run, method or perturbation; where the view can stay as it is, it does. */
  begin(data) {
    const was = this.my;
    this.data = data;
    this.colours = [...data.fills.slice(0, data.filled), data.rest]; // a class's is that of its place in the order
    const has = (sample) => data.samples.some(([index]) => index === sample);
    const { start } = data;
    const first = ["original", ...data.references.slice(0, 1), data.method].filter((name) => data.names.includes(name));
    this.my = {
      sample: was && has(was.sample) ? was.sample : start.sample,
      t: was?.chosen && was.t < data.taus.length ? was.t : start.t,
      chosen: was?.chosen ?? start.chosen,
      copy: was ? null : start.copy,
      cut: was?.cut ?? start.cut,
      order: was?.order ?? "evidence",
      panels: [...new Set(first)].map((name) => data.names.indexOf(name)),
      judges: data.judges.map((name) => data.names.indexOf(name)),
    };
    this.parts?.want([]);
    this.parts = new Parts(this.host.bring, () => this.touch());
    this.frame.blocks.places = [];
    this.frame.strip.version = "";
    this.close = "";
    this.room(true);
    this.sort();
    panelsOf(this);
    controlsOf(this);
    tabsOf(this);
    this.hand = data.hand ? new Hand(this, this.frame.hand) : null;
    this.touch();
  }

  sort() {
    const all = this.data.samples.map((_, at) => at);
    const { samples } = this.data;
    this.sequence = this.my.order === "index" ? all.toSorted((a, b) => samples[a][0] - samples[b][0]) : all;
  }

  // --- what a visitor does ---------------------------------------------------------------------------------

  /** Go to a sample; its radius is the telling one, unless a radius was chosen. */
  go(sample) {
    if (sample === this.my.sample) return;
    Object.assign(this.my, { sample, copy: null, own: null });
    this.pointed = {};
    const base = this.parts.base(sample);
    if (base && !this.my.chosen) this.my.t = base.telling;
    else if (!base) this.my.untold = !this.my.chosen;
    this.change();
  }

  step(by) {
    const { samples } = this.data;
    const here = this.sequence.findIndex((at) => samples[at][0] === this.my.sample);
    const n = this.sequence.length;
    this.go(samples[this.sequence[(here + by + n) % n]][0]);
  }

  radius(t, done) {
    this.dragging = !done;
    this.my.t = done ? Math.round(t) : t;
    this.my.chosen = true;
    this.change();
  }

  choose(copy) {
    this.my.copy = copy;
    this.change();
  }

  point(pointed) {
    this.pointed = pointed;
    this.draw();
  }

  /** Something in view changed: draw it, ask for what it needs, and once at rest say where it is. */
  change() {
    this.moved = performance.now();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.rest(), REST);
    this.touch();
  }

  rest() {
    const { sample, t, copy, cut, chosen } = this.my;
    this.frame.live.textContent = told(this);
    this.host.rest({ sample, tau: this.data.taus[Math.round(t)], chosen, copy: copy === null ? null : copy + 1, cut });
  }

  listen() {
    this.keys = (event) => this.press(event);
    document.addEventListener("keydown", this.keys);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.root);
    this.watch.observe(this.frame.blocks.root);
    const { blocks, strip } = this.frame;
    const at = (event) => {
      const box = blocks.canvas.getBoundingClientRect();
      return tileAt(blocks, event.clientX - box.left, event.clientY - box.top);
    };
    blocks.canvas.onpointermove = (event) => {
      if (event.pointerType !== "touch") this.point({ copy: at(event) });
    };
    blocks.canvas.onpointerleave = () => this.point({});
    blocks.canvas.onclick = (event) => {
      const copy = at(event);
      if (copy !== null) this.choose(copy);
    };
    blocks.canvas.onkeydown = (event) => {
      if (!event.key.startsWith("Arrow")) return;
      event.preventDefault();
      event.stopPropagation();
      this.choose(beside(blocks, this.shown, event.key));
    };
    strip.root.onclick = (event) => {
      const item = event.target.closest("[data-sample]");
      if (item) this.go(+item.dataset.sample);
    };
  }

  /** Arrow keys go from sample to sample, wherever on the page, but where they mean something else. */
  press(event) {
    if (!this.root.isConnected) {
      this.end(); // another page is shown
      return;
    }
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const vertical = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const inStrip = this.frame.strip.root.contains(event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (!by && !(inStrip && vertical)) return;
    const busy =
      "input, textarea, select, [contenteditable], [role=slider], [role=radiogroup], [role=listbox], [role=tab]";
    if (!inStrip && event.target.closest?.(busy)) return;
    event.preventDefault();
    this.step(by || vertical);
    if (!inStrip) return;
    this.draw(true);
    this.frame.strip.chosen?.focus({ preventScroll: true });
  }

  /** Nothing is heard any more. */
  end() {
    document.removeEventListener("keydown", this.keys);
    this.parts.want([]);
    this.watch.disconnect();
    clearTimeout(this.timer);
  }

  // --- drawing -----------------------------------------------------------------------------------------------

  /** Something came or changed: ask for what is needed now, and draw. */
  touch() {
    const base = this.parts.base(this.my.sample);
    if (base && this.my.untold) {
      if (!this.my.chosen) this.my.t = base.telling;
      this.my.untold = false;
    }
    const { samples } = this.data;
    const here = this.sequence.findIndex((at) => samples[at][0] === this.my.sample);
    const n = this.sequence.length;
    const near = [1, -1, 2, 3, -2].map((by) => samples[this.sequence[(here + by + 2 * n) % n]][0]);
    const neighbours = [...new Set(near)].filter((sample) => sample !== this.my.sample);
    this.parts.want(wishesOf(this.parts, this.data, this.my, neighbours));
    this.draw();
    this.prepare(neighbours);
  }

  /** Make the pictures of the neighbours' fields while nothing else is to do, one at a time. */
  prepare(neighbours) {
    const parts = neighbours.flatMap((sample) => Object.values(this.parts.of(sample).fields).flat());
    const next = parts.find((part) => part && !part.drawn);
    if (!next || this.preparing) return;
    this.preparing = true;
    const idle = globalThis.requestIdleCallback || ((act) => setTimeout(act, 30));
    idle(() => {
      this.preparing = false;
      drawn(next, this.colours);
      this.prepare(neighbours);
    });
  }

  draw(now = false) {
    if (now) return this.paint();
    this.waiting ||= requestAnimationFrame(() => this.paint());
  }

  paint() {
    cancelAnimationFrame(this.waiting);
    this.waiting = 0;
    const { my, data, frame, parts } = this;
    const base = parts.base(my.sample);
    drawStrip(frame.strip, data, this.host, my, this.sequence);
    frame.radius.show();
    this.root.classList.toggle("rks-waiting", !base);
    if (!base) return;
    const copies = new Copies(data, base, parts, my);
    this.copies = copies;
    frame.say(this);
    this.shown = this.pointed.copy ?? my.copy ?? (copies.at ? copies.telling() : null);
    const tau = tauOf(data, my.t);
    const zooming = this.zoom();
    for (const panel of frame.panels) this.panel(panel, copies, tau);
    const moving = drawBlocks(frame.blocks, copies, {
      chosen: my.copy ?? this.shown,
      pointed: this.pointed.copy,
      still: this.still || this.lastSample !== my.sample,
    });
    this.lastSample = my.sample;
    const close = `${my.sample} ${this.shown} ${my.t} ${my.panels} ${Object.keys(copies.at?.answers ?? {}).length}`;
    if (this.shown !== null && copies.at && close !== this.close) {
      this.close = close;
      showCopy(frame.side, copies, this.shown, data.tauWords[copies.k]);
      this.root.style.setProperty("--rks-rows", `${frame.side.rows.childElementCount}`);
      this.room();
    }
    if (this.byHand) this.hand.begin(my.sample);
    frame.side.root.hidden = !copies.at;
    this.root.dataset.sample = my.sample;
    this.root.dataset.drawn = [frame.panels.every((panel) => panel.part), !!copies.at].join(" ");
    if (moving || zooming) this.draw();
  }

  /** Give the copy close up what it lacks in height, at the cost of the planes, until another tab or run begins. */
  room(anew = false) {
    const { root } = this.frame.side;
    const give = (pixels) => {
      this.lacked = Math.min(MOST_LACKED, pixels);
      this.root.style.setProperty("--rks-lacked", `${this.lacked}px`);
    };
    if (anew) give(0);
    // planes that the width holds small give nothing at first
    while (root.scrollHeight > root.clientHeight && this.lacked < MOST_LACKED)
      give(this.lacked + root.scrollHeight - root.clientHeight);
  }

  /** How far the panels show: what suits the radius, reached smoothly; while it is dragged only as far as it needs. */
  zoom() {
    const { my, data, parts, frame } = this;
    const parted = frame.panels.map(({ model }) =>
      parts.covering(my.sample, my.cut, data.names[model], Number.MAX_VALUE),
    );
    const whole = parted.find(Boolean);
    if (!whole) return false;
    const full = whole.extent * 2 ** whole.zoom;
    const fresh = this.lastSample !== my.sample || this.lastCut !== my.cut;
    this.lastCut = my.cut;
    const radius = ((tauOf(data, my.t) / data.taus.at(-1)) * full) / data.reach;
    const fits = this.extent > 1.08 * radius && this.extent <= full;
    const goal = this.dragging && fits && !fresh ? this.extent : full / 2 ** zoomOf(data, my.cut, my.t);
    if (fresh || this.still || !this.extent) this.extent = goal;
    this.extent += 0.22 * (goal - this.extent);
    if (Math.abs(this.extent - goal) < 0.004 * goal) this.extent = goal;
    return this.extent !== goal;
  }

  /** One panel: its field, the copies in it, and what is pointed at. */
  panel(panel, copies, tau) {
    const { my, data, pointed } = this;
    const name = data.names[panel.model];
    const part = this.parts.covering(my.sample, my.cut, name, this.extent);
    panel.part = part;
    const dots = [];
    const rings = [];
    if (part && copies.at) {
      for (let i = 0; i < copies.count; i++) {
        const place = copies.place(i);
        if (!place) continue;
        dots.push({ i, x: place[0], y: place[1], on: copies.knows(name, i) });
        if (i === this.shown) rings.push({ x: place[0], y: place[1], colour: "#4A4AC8" });
      }
    }
    const own = this.byHand ? this.hand.place : null;
    if (own) rings.push({ x: own[0], y: own[1], colour: "#14171D" });
    panel.dots = dots;
    drawPanel(panel.canvas, {
      part,
      extent: this.extent,
      colours: this.colours,
      names: namesIn(data, copies.base),
      tau,
      dots,
      look: data.looks[name],
      rings,
      cross: pointed.place,
    });
    const said = pointed.place && part ? saidAt(part, pointed.place.x, pointed.place.y) : null;
    write(panel.says, said ? `${namesIn(data, copies.base)[said.c]}, ${percentOf(said.p)}` : "");
    count(panel, this, copies, name);
  }
}
