// The sample changed by hand: paint on it, move its knobs, and hear at once what every model says.
import { answersOf, made, paintPixels } from "./stage_side.js";

const HALF = 128; // grey of the brush at first
/** The knobs: which number of which change, its words, and how far it goes. */
const KNOBS = /** @type {[string, number, string, number, number][]} */ ([
  ["shift", 0, "Shift across", 0.5, -1],
  ["shift", 1, "Shift down", 0.5, -1],
  ["rotation", 0, "Turn", 1, 1],
  ["crop", 0, "Cut away", 0.9, 1],
  ["brightness", 0, "Brighter", 1, 1],
  ["blur", 0, "Blur", 1, 1],
  ["jpeg", 0, "Compress", 1, 1],
  ["occlusion", 2, "Cover", 1, 1],
  ["occlusion", 0, "Cover across", 1, 1],
  ["occlusion", 1, "Cover down", 1, 1],
]);
const BOTH_WAYS = new Set(["shift 0", "shift 1", "rotation 0", "brightness 0", "occlusion 0", "occlusion 1"]);

/** What was done to a sample by hand, and what was answered. */
export class Hand {
  constructor(stage, root) {
    this.stage = stage;
    this.root = root;
    this.sample = -1;
    this.changes = {};
    this.build();
  }

  build() {
    const { root } = this;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "The sample changed by hand; drag to paint on it");
    this.rows = made("div", "rks-rows");
    this.line = made("p", "rks-said");
    this.line.setAttribute("aria-live", "polite");
    const top = made("div", "rks-hand-top");
    top.append(this.canvas, this.rows, this.line);
    const buttons = made("div", "rks-hand-buttons");
    const press = (words, act) => {
      const button = made("button", "", words);
      button.type = "button";
      button.onclick = act;
      buttons.append(button);
      return button;
    };
    const brush = made("label", "", "Brush ");
    this.shade = Object.assign(document.createElement("input"), {
      type: "range",
      min: "0",
      max: "255",
      value: `${HALF}`,
    });
    this.shade.setAttribute("aria-label", "Brush, from black to white");
    brush.append(this.shade);
    buttons.append(brush);
    press("Undo all", () => this.begin(this.sample, true));
    this.find = press("Find the strongest", () => this.ask({ find: true }));
    const knobs = made("div", "rks-knobs");
    this.knobs = KNOBS.map(([name, at, words, far, sign]) => {
      const label = made("label", "", words);
      const least = BOTH_WAYS.has(`${name} ${at}`) ? -far : 0;
      const input = Object.assign(document.createElement("input"), {
        type: "range",
        min: `${least}`,
        max: `${far}`,
        step: "0.01",
      });
      input.value = "0";
      input.oninput = () => this.turn(name, at, sign * Number(input.value));
      label.append(input);
      knobs.append(label);
      return { name, at, sign, input };
    });
    const tools = made("div", "");
    tools.append(buttons, knobs);
    root.replaceChildren(top, tools);
    this.brush();
  }

  /** Begin anew with a sample; what was done to the one before is forgotten. */
  begin(sample, again = false) {
    if (sample === this.sample && !again) return;
    Object.assign(this, { sample, changes: {}, paint: null, answer: null });
    for (const { input } of this.knobs) input.value = "0";
    this.ask({});
  }

  turn(name, at, value) {
    this.changes[name] ||= [0, 0, 0];
    this.changes[name][at] = value;
    this.ask({});
  }

  /** A brush of about a tenth of the picture. */
  brush() {
    const { canvas } = this;
    const put = (event) => {
      if (!this.answer || !event.buttons) return;
      const [height, width] = this.answer.picture.shape;
      const box = canvas.getBoundingClientRect();
      const [x, y] = [
        ((event.clientX - box.left) / box.width) * width,
        ((event.clientY - box.top) / box.height) * height,
      ];
      this.paint ||= new Uint8Array(4 * height * width);
      const r = Math.max(0.8, Math.max(height, width) / 18);
      for (let j = Math.max(0, Math.floor(y - r)); j <= Math.min(height - 1, Math.ceil(y + r)); j++) {
        for (let i = Math.max(0, Math.floor(x - r)); i <= Math.min(width - 1, Math.ceil(x + r)); i++) {
          if ((i + 0.5 - x) ** 2 + (j + 0.5 - y) ** 2 > r * r) continue;
          this.paint.set([+this.shade.value, +this.shade.value, +this.shade.value, 255], 4 * (j * width + i));
        }
      }
      event.preventDefault();
      this.ask({});
    };
    canvas.onpointerdown = (event) => {
      canvas.setPointerCapture(event.pointerId);
      put(event);
    };
    canvas.onpointermove = put;
  }

  /** Ask what models say; while an answer is awaited only the latest question waits. */
  async ask(more) {
    const paint = this.paint && btoa(String.fromCharCode(...this.paint));
    const wish = { sample: this.sample, cut: this.stage.my.cut, body: { changes: this.changes, paint, ...more } };
    if (this.asking) {
      this.later = wish;
      return;
    }
    this.asking = true;
    this.find.disabled = Boolean(more.find);
    if (more.find) this.line.textContent = "Trying many changes …";
    try {
      const found = await this.stage.host.hand(wish.sample, wish.cut, wish.body);
      if (wish.sample === this.sample) this.show(found, Boolean(more.find));
    } catch (error) {
      this.line.textContent = error.message;
    }
    this.asking = false;
    this.find.disabled = false;
    const { later } = this;
    this.later = null;
    if (later && later.sample === this.sample) this.ask(later.body.find ? { find: true } : {});
  }

  show(found, searched) {
    this.answer = found;
    if (searched) {
      this.changes = found.changes;
      this.paint = null;
      for (const { name, at, sign, input } of this.knobs) input.value = String(sign * (this.changes[name]?.[at] ?? 0));
    }
    const { stage } = this;
    const { base, data } = stage.copies;
    const [height, width] = found.picture.shape;
    paintPixels(this.canvas, found.picture, height, width);
    const asked = new stage.copies.constructor(data, { ...base, copies: 1 }, stage.parts, stage.my);
    asked.at = { answers: answersIn(found) };
    this.rows.replaceChildren(...answersOf(asked, 0));
    const [mine, theirs] = [asked.knows(data.method, 0), asked.retrained(0)];
    const own = data.classes[base.label];
    const others = data.references.length
      ? `; re-trained models that say it: ${theirs} of ${data.references.length}`
      : "";
    const lead = searched ? "The strongest change that was found. " : "";
    const title = data.looks[data.method].title;
    this.line.textContent = `${lead}${title} ${mine ? "says" : "does not say"} ${own}${others}.`;
    stage.room();
    stage.draw();
  }

  /** Where the changed sample stands on the plane, or null. */
  get place() {
    return this.answer && this.sample === this.stage.my.sample ? this.answer.place : null;
  }
}

/** The answers on the one picture, by model. */
function answersIn(found) {
  const k = found.top.shape.at(-1);
  return Object.fromEntries(
    found.models.map((name, m) => {
      const part = (array, size) => Object.assign(array.slice(m * size, (m + 1) * size), { shape: [1, size] });
      return [name, { own: part(found.own, 1), top: part(found.top, k), share: part(found.share, k) }];
    }),
  );
}
