// The elements of a stage, made once, and the controls on them.
import { made, tagOf, write } from "./stage_side.js";
import { radiusWords } from "./stage_words.js";

/** Names of the classes in the order of a field; the last stands for all further ones, where there are several. */
export function namesIn(data, base) {
  const names = base.order.slice(0, data.filled).map((c) => data.classes[c]);
  if (base.order.length === data.filled + 1) names.push(data.classes[base.order.at(-1)]);
  else if (base.order.length > data.filled) names.push("another class");
  return names;
}

const MARKUP = `
<div class="rks-top"><p class="rks-finding"></p>
<div class="rks-more"><details class="rks-rests"><summary>What this rests on</summary><p></p></details>
<details><summary>How to read this</summary><p>Each panel is one model on the same flat cut through the space of images,
the sample in the middle: a colour is the class it gives the images there, mixed where it is unsure, and the thick line is
the edge of the sample’s own class. The dashed line is the ball of radius τ. Dots are the copies, each at its own distance
from the sample and in the direction of its projection; one is filled where the panel’s model recognises it, whatever the
colour under it, for few copies lie in the cut. ▲ residual, ▼ over-forgotten, ✓ clear, · nothing to see, ? cannot be told.
</p></details></div></div>
<div class="rks-main">
<div class="rks-side"><button type="button" class="rks-order"></button>
<div class="rks-strip" role="listbox" aria-label="Samples to forget"></div></div>
<div class="rks-centre"><div class="rks-panels"></div>
<div class="rks-bar-of-controls">
<label class="rks-tau"><span></span><input type="range" min="0" step="0.01" aria-label="Radius τ"></label>
<label class="rks-cut">Plane <select></select></label>
<button type="button" class="rks-turn">Another direction</button>
<details class="rks-menu"><summary>Models</summary><div role="group" aria-label="Models shown"></div></details>
</div>
<div class="rks-lower"><div class="rks-blocks"><canvas tabindex="0" role="application"
 aria-label="Copies, in blocks by who recognises them; arrow keys go from copy to copy"></canvas></div>
<section class="rks-copy" aria-label="One copy close up"><div class="rks-tabs" role="tablist">
<button type="button" role="tab" aria-selected="true">Copy</button>
<button type="button" role="tab" aria-selected="false">Change it yourself</button></div>
<div class="rks-one"><p class="rks-title"></p><div class="rks-pictures"></div>
<div class="rks-rows"></div><p class="rks-key"></p></div><div class="rks-hand" hidden></div></section></div></div></div>
<div class="rks-live" aria-live="polite"></div>`;

/** Put the elements of a stage into `root`; returns them by what they are for. */
export function build(root) {
  root.innerHTML = MARKUP;
  const part = (name) => root.querySelector(`.rks-${name}`);
  const pictures = ["sample", "copy", "change"].map((words) => {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", words);
    const caption = document.createElement("figcaption");
    figure.append(canvas, caption);
    part("pictures").append(figure);
    return { canvas, caption };
  });
  const blocks = { root: part("blocks"), canvas: part("blocks").querySelector("canvas") };
  const copy = part("copy");
  return {
    part,
    blocks,
    panels: [],
    strip: { root: part("strip"), version: "" },
    live: part("live"),
    side: {
      root: copy,
      title: part("title"),
      pictures: pictures.map((one) => one.canvas),
      captions: pictures.map((one) => one.caption),
      rows: part("rows"),
      key: part("key"),
    },
    hand: part("hand"),
    radius: { show: () => {} },
    say: (stage) => sentence(part, stage),
  };
}

/** The finding in one sentence, what it rests on folded away, and the counts at the radius. */
function sentence(part, stage) {
  const { said } = stage.copies.base;
  const line = part("finding");
  const text = `${said[0]} ${radiusWords(stage, stage.copies)}`;
  if (line.dataset.text === text) return;
  line.dataset.text = text;
  const [head, ...tail] = said[0].split(": ");
  line.replaceChildren(...(tail.length ? [made("b", "", head), `: ${tail.join(": ")} `] : [`${said[0]} `]));
  line.append(made("span", "", radiusWords(stage, stage.copies)));
  part("rests").hidden = said.length < 2;
  part("rests").lastElementChild.textContent = said.slice(1).join(" ");
}

/** The copy close up, or the sample changed by hand. */
export function tabsOf(stage) {
  const { part } = stage.frame;
  const [one, own] = part("tabs").children;
  part("tabs").hidden = !stage.data.hand;
  const show = (byHand) => {
    stage.byHand = byHand;
    one.setAttribute("aria-selected", String(!byHand));
    own.setAttribute("aria-selected", String(byHand));
    part("one").hidden = byHand;
    part("hand").hidden = !byHand;
    part("lower").classList.toggle("rks-by-hand", byHand);
    stage.room(true);
    stage.close = "";
    stage.draw();
  };
  one.onclick = () => show(false);
  own.onclick = () => show(true);
  show(Boolean(stage.data.hand && stage.byHand));
}

/** A panel a model in view. */
export function panelsOf(stage) {
  const { data, my, frame } = stage;
  const box = frame.part("panels");
  box.style.setProperty("--rks-n", my.panels.length);
  frame.panels = my.panels.map((model) => {
    const look = data.looks[data.names[model]];
    const figure = document.createElement("figure");
    const head = made("figcaption", "");
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `What ${look.title} believes around a sample still to come`);
    const panel = { model, canvas, number: made("b", ""), more: made("small", ""), says: made("em", "") };
    const title = made("span", "rks-name", look.title);
    title.prepend(tagOf(look));
    head.append(title, panel.number, panel.more);
    if (data.live && data.references.length > 1 && data.references.includes(data.names[model]))
      title.append(otherReference(stage, model));
    const plane = made("div", "rks-plane");
    plane.append(canvas, panel.says);
    figure.append(head, plane);
    point(stage, panel);
    return Object.assign(panel, { figure });
  });
  box.replaceChildren(...frame.panels.map((panel) => panel.figure));
}

/** A button that brings the next re-trained model into the panel. */
function otherReference(stage, model) {
  const { data, my } = stage;
  const button = made("button", "rks-next", "next");
  button.type = "button";
  const at = data.references.indexOf(data.names[model]);
  button.title = `Re-trained model ${at + 1} of ${data.references.length}; the next one`;
  button.onclick = () => {
    const next = data.names.indexOf(data.references[(at + 1) % data.references.length]);
    my.panels = my.panels.map((each) => (each === model ? next : each));
    panelsOf(stage);
    stage.change();
  };
  return button;
}

/** Pointing at a place shows it in every panel; near a copy it is the copy that is meant. */
function point(stage, panel) {
  const { canvas } = panel;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const { extent } = stage;
    const x = ((event.clientX - box.left) / box.width - 0.5) * 2 * extent;
    const y = (0.5 - (event.clientY - box.top) / box.height) * 2 * extent;
    const reach = (12 / box.width) * 2 * extent;
    let [copy, least] = [undefined, reach * reach];
    for (const dot of panel.dots) {
      const far = (dot.x - x) ** 2 + (dot.y - y) ** 2;
      if (far < least) [copy, least] = [dot.i, far];
    }
    return { place: { x, y }, copy };
  };
  canvas.onpointermove = (event) => {
    if (panel.part && event.pointerType !== "touch") stage.point(at(event));
  };
  canvas.onpointerleave = () => stage.point({});
  canvas.onclick = (event) => {
    if (!panel.part) return;
    const { copy, place } = at(event);
    if (copy !== undefined) stage.choose(copy);
    else stage.point({ place });
  };
}

/** The radius, the plane, the order of the strip, and the models shown. */
export function controlsOf(stage) {
  radiusOf(stage);
  const { data, my, frame } = stage;
  const cut = frame.part("cut").querySelector("select");
  cut.replaceChildren(...Object.entries(data.cuts).map(([key, title]) => new Option(title, key)));
  const turn = frame.part("turn");
  const show = () => {
    cut.value = my.cut.split(":")[0];
    turn.hidden = cut.value !== "adversarial" || !data.live;
  };
  cut.onchange = () => {
    my.cut = cut.value;
    show();
    stage.change();
  };
  turn.onclick = () => {
    my.cut = `adversarial:${(+(my.cut.split(":")[1] || 0) + 1) % 10000}`;
    stage.change();
  };
  show();
  const order = frame.part("order");
  order.hidden = !data.samples.some(([, , finding]) => finding); // there is nothing to order by
  const words = () => {
    order.textContent = my.order === "index" ? "By index" : "By evidence";
    order.title = my.order === "index" ? "Ordered by index" : "What is most beyond a re-training comes first";
  };
  order.onclick = () => {
    my.order = my.order === "index" ? "evidence" : "index";
    stage.sort();
    words();
    stage.touch();
  };
  words();
  modelsOf(stage);
}

function radiusOf(stage) {
  const { data, my, frame } = stage;
  const label = frame.part("tau");
  const knob = label.querySelector("input");
  label.hidden = data.taus.length < 2;
  knob.max = data.taus.length - 1;
  knob.oninput = () => stage.radius(+knob.value, false);
  knob.onchange = () => stage.radius(+knob.value, true);
  knob.onpointerup = () => knob.blur(); // after a drag the arrow keys step through the samples again
  knob.onkeydown = (event) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, Home: -1e3, End: 1e3 }[event.key];
    if (!by) return;
    event.preventDefault();
    stage.radius(Math.max(0, Math.min(data.taus.length - 1, Math.round(my.t) + by)), true);
  };
  frame.radius.show = () => {
    const at = Math.round(stage.my.t);
    if (+knob.value !== stage.my.t) knob.value = stage.my.t;
    write(label.firstElementChild, `τ = ${data.tauWords[at]}`);
    knob.setAttribute("aria-valuetext", `τ = ${data.tauWords[at]}`);
  };
}

/** Which models have a panel. */
function modelsOf(stage) {
  const { data, my, frame } = stage;
  const box = frame.part("menu").querySelector("div");
  const menu = /** @type {HTMLDetailsElement} */ (frame.part("menu"));
  stage.root.onpointerdown = (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  };
  menu.hidden = !data.live || data.names.length < 4;
  const several = data.names.filter((name) => !data.references.includes(name));
  box.replaceChildren(
    ...several.map((name) => {
      const model = data.names.indexOf(name);
      const label = made("label", "", data.looks[name].title);
      const check = Object.assign(document.createElement("input"), {
        type: "checkbox",
        checked: my.panels.includes(model),
      });
      check.onchange = () => {
        if (check.checked) my.panels.push(model);
        else if (my.panels.length > 1) my.panels = my.panels.filter((each) => each !== model);
        my.judges = [...new Set([...my.judges, ...my.panels])];
        panelsOf(stage);
        stage.change();
      };
      label.prepend(check, tagOf(data.looks[name]));
      return label;
    }),
  );
}
