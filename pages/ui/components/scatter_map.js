// Where the things of a map are on the screen. All panels share one view: its scale and its centre.
import { points } from "./points.js";

export const SPLITS = ["retain", "test", "forget"];
export const TEST = 1;
export const FORGET = 2;
/** Samples to forget from which on their marks shrink and let through what lies under them. */
export const MANY = 60;

/** What a visitor chose on a map. */
const CHOSEN = ["on", "by", "names", "tool", "shown", "k", "cx", "cy"];
/** Where that was last; the page makes the element anew when samples were drawn around. */
let last = {
  on: { retain: true, test: true, forget: true, copies: true, next: false },
  by: "layer",
  names: true,
  tool: "move",
};

/** A map as it is now: its data, and what was done with it in the browser (`my`). */
export class ScatterMap {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    root.my ||= Object.fromEntries(CHOSEN.map((name) => [name, last[name]]));
    this.my = last = root.my;
    this.back = this.part("gl");
    this.over = this.part("over");
    this.stage = this.part("stage");
    this.card = this.part("card");
    this.spanX = Math.min(1, data.aspect);
    this.spanY = Math.min(1, 1 / data.aspect);
    const [left, low, right, high] = data.view;
    this.viewX = this.spanX * (right - left);
    this.viewY = this.spanY * (high - low);
    if (this.my.shown !== data.version) {
      // another map: the view starts again; new data on the same map keep it
      Object.assign(this.my, { shown: data.version, ready: false, hover: null });
      this.start();
    }
  }

  part(name) {
    return this.root.querySelector(`.rk-${name}`);
  }

  /** What points.js keeps; undefined until it has come. */
  get points() {
    return points[this.data.version];
  }

  layerOf(i) {
    return SPLITS.findIndex((_, at) => i < this.points.starts[at + 1]);
  }

  get style() {
    return getComputedStyle(this.root);
  }

  get ground() {
    return getComputedStyle(this.part("ground")).color;
  }

  ink(name) {
    return this.data.layers[name].colour || this.style.color;
  }

  /** Call `work(name, layer, first, end)` for every layer that is shown, with its rows. */
  eachLayer(work) {
    const { starts } = this.points;
    SPLITS.forEach((name, layer) => {
      if (this.my.on[name]) work(name, layer, starts[layer], starts[layer + 1]);
    });
  }

  layout() {
    const { my, stage, data } = this;
    const M = data.panels.length;
    const wide = stage.clientWidth;
    const across = wide < 560 ? 1 : Math.min(M, 3);
    const pw = wide / across;
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    const inner = Math.min(pw - 2.4 * rem, 620);
    // as high as the data are, so that a panel is filled
    const filled = (inner * this.viewY) / this.viewX;
    const ph = Math.max(240, Math.min(M === 1 ? 560 : inner * 1.25, filled)) + 3.6 * rem;
    stage.style.height = `${Math.ceil(M / across) * ph}px`;
    my.rem = rem;
    my.boxes = data.panels.map((_, m) => ({
      x: (m % across) * pw + 1.9 * rem,
      y: Math.floor(m / across) * ph + 1.6 * rem,
      w: pw - 2.4 * rem,
      h: ph - 3.6 * rem,
    }));
  }

  // data run from 0 to 1 on both axes; one unit takes the same length on both
  fit(box) {
    return Math.min(box.w / this.viewX, box.h / this.viewY) * 0.94 * this.my.k;
  }

  x(box, x) {
    return box.x + box.w / 2 + (x - this.my.cx) * this.spanX * this.fit(box);
  }

  y(box, y) {
    return box.y + box.h / 2 - (y - this.my.cy) * this.spanY * this.fit(box);
  }

  /** Row i in panel m, in data. */
  at(m, i) {
    const j = 2 * (m * this.data.count + i);
    return [this.points.xy[j] / 65535, this.points.xy[j + 1] / 65535];
  }

  size(name) {
    const least = Math.max(3.4, Math.min(9, 190 / Math.sqrt(this.data.count / 2)));
    const base = least * Math.min(2.2, this.my.k ** 0.35);
    if (name !== "forget") return base;
    const crowd = Math.sqrt(Math.max(1, this.data.counts[FORGET] / MANY)); // many stay apart by being small
    return Math.max(base * 1.2, Math.max(9, base * 1.9) / crowd);
  }

  /** The panel at a spot of the stage, or -1.
   * @param {number[]} spot
   */
  panelAt([x, y]) {
    const inside = (b) => x >= b.x && x <= b.x + b.w && y >= b.y && y <= b.y + b.h;
    return this.my.boxes ? this.my.boxes.findIndex(inside) : -1;
  }

  /** Fit a canvas to the stage.
   * @returns {[number, number, number]} pixels per CSS pixel, width and height of the stage
   */
  fill(canvas) {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: w, clientHeight: h } = this.stage;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
    }
    return [ratio, w, h];
  }

  /** The middle of the points fills the panels; the few beyond it are a zoom away. */
  start() {
    const [left, low, right, high] = this.data.view;
    Object.assign(this.my, { k: 1, cx: (left + right) / 2, cy: (low + high) / 2 });
  }

  /** Every point is in view. */
  whole() {
    Object.assign(this.my, { k: 1, cx: 0.5, cy: 0.5 });
    const { w, h } = this.my.boxes[0];
    const all = Math.min(w / this.spanX, h / this.spanY) / Math.min(w / this.viewX, h / this.viewY);
    this.my.k = all;
  }

  /** @param {number} by @param {number[]} [spot] what stays where it is; else the middle of the first panel */
  zoom(by, spot) {
    const { my } = this;
    const m = spot ? this.panelAt(spot) : 0;
    const box = my.boxes[Math.max(0, m)];
    const [x, y] = spot && m >= 0 ? spot : [box.x + box.w / 2, box.y + box.h / 2];
    const dx = (x - box.x - box.w / 2) / this.spanX;
    const dy = (box.y + box.h / 2 - y) / this.spanY;
    const before = this.fit(box);
    my.k = Math.min(400, Math.max(0.5 * Math.min(this.viewX, this.viewY), my.k * by));
    my.cx += dx / before - dx / this.fit(box);
    my.cy += dy / before - dy / this.fit(box);
    this.refresh();
  }

  pan(dx, dy, box) {
    this.my.cx -= dx / this.spanX / this.fit(box);
    this.my.cy += dy / this.spanY / this.fit(box);
    this.refresh();
  }

  /** Draw soon, once, whatever has asked for it by then. */
  refresh() {
    this.my.asked ||= requestAnimationFrame(() => this.my.render());
  }
}
