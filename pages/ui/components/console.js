// The desk of a reviewer. What is done is done here at once; the server hears of it until it says that it has.
import { curve } from "./console_curve.js";

const REST = 160; // milliseconds without a key before the server hears where the reviewer is
const PAUSE = 500; // after the last letter of a note
const SMALL = 34;
const LARGE = 150;

/** A picture of the sheet, scaled by a whole factor where it is small. */
function face(element, sheet, i, side) {
  const raw = side / Math.max(sheet.width, sheet.height);
  const factor = raw >= 1 ? Math.max(1, Math.round(raw)) : raw;
  const [wide, high] = [Math.round(factor * sheet.width), Math.round(factor * sheet.height)];
  const [column, row] = [i % sheet.columns, Math.floor(i / sheet.columns)];
  element.classList.add("rk-picture", sheet.name);
  element.style.cssText =
    `width:${wide}px;height:${high}px;background-size:${sheet.columns * wide}px ${sheet.rows * high}px;` +
    `background-position:-${column * wide}px -${row * high}px`;
}

function make(tag, className, text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

/** What was done here and is not known to be kept yet, each with the desk it was done at: a model of a run. */
function remember(root, data) {
  root.my ||= { decisions: [], notes: {}, sent: 0 };
  const { my } = root;
  const heard = data.heard >= my.sent;
  // an answer to an earlier message must not take the reviewer back to where they were then
  if (my.of !== data.version || (heard && my.given !== data.at)) my.at = my.given = data.at;
  my.of = data.version;
  if (heard) {
    my.decisions = my.decisions.filter((one) => one.n > data.heard);
    for (const [key, note] of Object.entries(my.notes)) if (note.n <= data.heard) delete my.notes[key];
  }
  if (!data.cards.some((card) => card.id === my.at)) my.at = data.at;
  return my;
}

const noted = (my, id) => my.notes[`${my.of} ${id}`];
const open = (my) => my.decisions.length + Object.keys(my.notes).length;

/** Tell the server all that it is not known to have, and where the reviewer is. */
function tell(desk) {
  const { my, say } = desk;
  clearTimeout(my.later);
  my.sent = Date.now();
  my.given = my.at;
  say("done", { turn: my.sent, of: my.of, at: my.at, decisions: my.decisions, notes: Object.values(my.notes) });
}

function soon(desk, wait) {
  clearTimeout(desk.my.later);
  desk.my.later = setTimeout(() => tell(desk), wait);
}

const place = ({ my, data }) => data.cards.findIndex((card) => card.id === my.at);

/** The decision on a card: what was decided here counts more than what the server knew. */
function decided({ my }, card) {
  const own = my.decisions.findLast((one) => one.of === my.of && one.sample === card.id);
  return own ? own.verdict : card.verdict;
}

function go(desk, at) {
  const { cards } = desk.data;
  desk.my.at = cards[(at + cards.length) % cards.length].id;
  show(desk);
  soon(desk, REST);
}

/** Keep a decision and go on to the next sample that has none. */
function decide(desk, verdict) {
  const { my, data } = desk;
  const here = place(desk);
  my.decisions.push({ n: Date.now(), of: my.of, sample: my.at, verdict });
  const after = [...data.cards.slice(here + 1), ...data.cards.slice(0, here)];
  const next = after.find((card) => !decided(desk, card)) || after[0];
  if (verdict && next) my.at = next.id;
  show(desk);
  tell(desk);
}

/** The queue: its samples in groups by finding, each with how many are decided. */
function queue(desk) {
  const { data, part, my } = desk;
  const line = part("line");
  if (line.version !== `${data.version}-${data.cards.map((card) => card.id)}`) {
    line.version = `${data.version}-${data.cards.map((card) => card.id)}`;
    line.replaceChildren(
      ...data.groups.flatMap((group) => {
        const cards = data.cards.filter((card) => card.finding === group.name);
        if (!cards.length) return [];
        const box = make("div", "rk-group");
        const head = make("div", "rk-group-head");
        head.style.setProperty("--hue", group.colour);
        const tiles = make("div", "rk-group-tiles");
        for (const card of cards) {
          const button = make("button", "rk-one");
          button.type = "button";
          button.dataset.id = card.id;
          const inside = make("span", "", data.sheet ? "" : card.id);
          if (data.sheet) face(inside, data.sheet, data.cards.indexOf(card), SMALL);
          button.append(inside);
          tiles.append(button);
        }
        box.append(head, tiles);
        box.group = group;
        return [box];
      }),
    );
  }
  for (const box of line.children) {
    const cards = data.cards.filter((card) => card.finding === box.group.name);
    const done = cards.filter((card) => decided(desk, card)).length;
    box.firstChild.textContent = `${box.group.title}: ${done} of ${cards.length} decided`;
  }
  for (const button of line.querySelectorAll("button")) {
    const card = data.cards.find((each) => each.id === +button.dataset.id);
    const verdict = decided(desk, card);
    const here = card.id === my.at;
    button.classList.toggle("on", here);
    button.classList.toggle("decided", Boolean(verdict));
    button.setAttribute("aria-pressed", here);
    button.setAttribute("aria-label", `sample ${card.id}, ${card.class}, ${verdict || "undecided"}`);
    if (here && my.seen !== card.id) {
      my.seen = card.id;
      line.scrollLeft = Math.max(0, button.offsetLeft - line.offsetLeft - line.clientWidth / 2);
    }
  }
}

/** The four decisions with their keys, and a way to take one back. */
function buttons(desk, card) {
  const { data, part } = desk;
  const verdict = decided(desk, card);
  const all = data.decisions.map(({ name, title, help }, i) => {
    const button = make("button", verdict === name ? "on" : "", title);
    button.prepend(make("kbd", "", `${i + 1}`));
    return Object.assign(button, { type: "button", title: help, value: name });
  });
  if (verdict) all.push(Object.assign(make("button", "back", "Take back"), { type: "button", value: "" }));
  for (const button of all) button.setAttribute("aria-pressed", String(button.className === "on"));
  const step = (text, name, by) => {
    const button = Object.assign(make("button", "", text), { type: "button", title: name });
    button.setAttribute("aria-label", name);
    button.dataset.by = by;
    return button;
  };
  const steps = [step("←", "Previous sample", "-1"), step("→", "Next sample", "1")];
  part("decide").replaceChildren(...steps, ...all);
}

function show(desk) {
  const { data, my, part } = desk;
  const at = place(desk);
  const card = data.cards[at];
  queue(desk);
  buttons(desk, card);
  if (data.sheet) face(part("face"), data.sheet, at, LARGE);
  part("face").setAttribute("aria-label", `sample ${card.id}, class ${card.class}`);
  part("who").textContent = `Sample ${card.id}, “${card.class}”, ${at + 1} of ${data.cards.length} in the queue`;
  const [first, ...rest] = card.words.split(": ");
  part("say").replaceChildren(make("b", "", `${first}: `), rest.join(": "));
  const text = part("write").querySelector("textarea");
  if (text.card !== card.id || text.of !== my.of || (document.activeElement !== text && !noted(my, card.id))) {
    Object.assign(text, { card: card.id, of: my.of });
    text.value = noted(my, card.id)?.text ?? card.note;
  }
  part("kept").textContent = open(my) ? "Saving …" : card.by || (card.note ? "Note kept." : "");
  part("right").innerHTML = curve(data.curve, card);
}

/** Keys work wherever nothing is being typed. */
function press(desk, event) {
  if (!desk.root.isConnected || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest?.("input, textarea, select, [contenteditable], [role=combobox], [role=listbox]");
  if (event.key === "Escape" && event.target.matches?.(".rk-write textarea")) return event.target.blur();
  if (typing) return;
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const decision = desk.data.decisions[+event.key - 1];
  if (step) go(desk, place(desk) + step);
  else if (decision && event.key !== " ") decide(desk, decision.name);
  else if (event.key === "n") desk.part("write").querySelector("textarea").focus();
  else return;
  event.preventDefault();
}

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".rk-console");
  const my = remember(root, data);
  const desk = { root, data, my, part: (name) => root.querySelector(`.rk-${name}`), say: setStateValue };
  const text = desk.part("write").querySelector("textarea");
  text.oninput = () => {
    my.notes[`${text.of} ${text.card}`] = { n: Date.now(), of: text.of, sample: text.card, text: text.value };
    desk.part("kept").textContent = "Saving …";
    soon(desk, PAUSE);
  };
  text.onblur = () => {
    if (open(my)) tell(desk);
  };
  desk.part("line").onclick = (event) => {
    const button = event.target.closest("button");
    if (button)
      go(
        desk,
        data.cards.findIndex((card) => card.id === +button.dataset.id),
      );
  };
  desk.part("decide").onclick = (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.by) go(desk, place(desk) + Number(button.dataset.by));
    else if (button) decide(desk, button.value);
  };
  if (my.key) document.removeEventListener("keydown", my.key);
  my.key = (event) => press(desk, event);
  document.addEventListener("keydown", my.key);
  show(desk);
  // what was done while the server was busy is told once more: a message may have been the last one it never saw
  if (my.sent > data.heard) soon(desk, 1500);
  return () => {
    document.removeEventListener("keydown", my.key);
    if (open(my)) tell(desk);
  };
}
