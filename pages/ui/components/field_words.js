// What is said beside the plane of a lesson: the moment of the film, who recognises the copies, the legend.
import { DARK, INK } from "./field_draw.js";

// shapes of the classes in a box of 14 by 14, as on the plane
const SHAPES = [
  '<circle cx="7" cy="7" r="5"/>',
  '<rect x="2.6" y="2.6" width="8.8" height="8.8"/>',
  '<path d="M7 1.5 12.5 12h-11Z"/>',
];
const WIDTHS = { original: 2.6, references: 2.2, unlearned: 3.8 };

const tag = (look) => `<span class="rk-tag" style="background:${look.colour};color:${look.ink}">${look.letter}</span>`;
const icon = (inside) => `<svg width="14" height="14" aria-hidden="true">${inside}</svg>`;
const percent = (share) => `${Math.round(100 * share)}%`;
const rounded = (number) => (Number.isInteger(number) ? number : number.toFixed(1));

function moment({ part, my, data }) {
  const last = data.steps.length - 1;
  const [retain, forget] = data.accuracy[my.frame];
  part("moment").innerHTML =
    `Step <b>${data.steps[my.frame]}</b> of ${data.steps[last]} · right on <b>${percent(retain)}</b> of the points ` +
    `that stay, <b>${percent(forget)}</b> of those to forget`;
  part("scrub").value = my.frame;
  part("scrub").setAttribute("aria-valuetext", `step ${data.steps[my.frame]} of ${data.steps[last]}`);
  part("play").textContent = my.playing ? "❚❚ Pause" : my.frame >= last ? "↺ Replay" : "▶ Play";
}

/** What the evidence says of the point in view at this moment; words where it was not asked. */
function finding({ my, data }) {
  const found = data.told[my.look];
  if (!found) return "This point was not to be forgotten: the re-trained models saw it too.";
  if (Math.abs(my.tau - data.at) > 1e-9)
    return `The evidence is told at τ = ${data.at.toFixed(3)}; here are counts alone.`;
  return `What the evidence says: <b>${data.said[found[my.frame]]}</b>.`;
}

/** A sentence true of this very moment, point and radius. */
function caption({ my, data }, own, left, each) {
  const of = data.draws.length;
  const [low, high] = [Math.min(...each), Math.max(...each)];
  const others = low === high ? `${low}` : `${low} to ${high}`;
  const who =
    my.frame === 0
      ? `Before the first step the unlearned model still is the Original: it recognises <b>${left}</b> of ${of} copies`
      : `After ${data.steps[my.frame]} steps ${data.looks.unlearned.title} recognises <b>${left}</b> of ${of} copies, ` +
        `the Original ${own}`;
  return `${who}; models that never saw the point ${others}.`;
}

/** The moment of the film, and how many copies of the point in view are recognised by whom. */
export function tell(plane) {
  const { part, canvas, lesson, my, data } = plane;
  moment(plane);
  const box = part("counts");
  const knob = part("radius");
  knob.style.display = box.style.display = my.mode === "look" && my.look !== null ? "" : "none";
  if (my.look === null || my.mode !== "look") return;
  const count = (name, m) => lesson.count(name, m, my.look, my.tau);
  const own = count("original", 0);
  const left = count("unlearned", my.frame);
  const each = lesson.borders("references").map((_, m) => count("references", m));
  const mean = each.reduce((a, b) => a + b, 0) / each.length;
  const row = (look, number) =>
    `<tr><td>${tag(look)}</td><td style="width:100%"><div class="rk-meter"><i style="width:` +
    `${(100 * number) / data.draws.length}%;background:${look.colour}"></i></div></td>` +
    `<td><b>${rounded(number)}</b> of ${data.draws.length}</td></tr>`;
  const times = left / mean >= 100 ? Math.round(left / mean) : (left / mean).toPrecision(3);
  const ratio =
    mean > 0
      ? `r̂ = ${left} / ${rounded(mean)} = <b>${times}</b>`
      : `r̂ = ${left} / 0 is undefined: no re-trained model recognises any copy`;
  const { original, references, unlearned } = data.looks;
  const said = `<p class="rk-caption">${caption(plane, own, left, each)} ${finding(plane)}</p>`;
  const rows = row(original, own) + row(references, mean) + row(unlearned, left);
  box.innerHTML = `${said}<table>${rows}</table><p class="rk-ratio">${ratio}</p>`;
  knob.firstElementChild.innerHTML = `Radius τ of the ball = <b>${my.tau.toFixed(3)}</b>`;
  canvas.setAttribute(
    "aria-label",
    `${data.label}. Point ${my.look}, ${data.classes[data.labels[my.look]]}: of ${data.draws.length} copies within ` +
      `${my.tau.toFixed(3)} the Original recognises ${own}, re-trained models ${mean.toFixed(1)} on average, the ` +
      `unlearned model ${left}. Arrow keys go to the next point, space plays.`,
  );
}

/** A line of each kind of model, with a box that shows or hides it. */
export function lines({ part, my, data, refresh }) {
  const line = (name) => {
    const look = data.looks[name];
    return (
      `<label><input type="checkbox" data-line="${name}" ${my.on[name] ? "checked" : ""}><svg width="34" height="10" ` +
      `aria-hidden="true"><line x1="1" x2="33" y1="5" y2="5" stroke="${look.colour}" stroke-width="${WIDTHS[name]}"/>` +
      `</svg>${tag(look)} ${look.title}</label>`
    );
  };
  part("lines").innerHTML = Object.keys(WIDTHS).map(line).join("");
  part("lines").onchange = (event) => {
    my.on[event.target.dataset.line] = event.target.checked;
    refresh();
  };
}

/** What the marks on the plane mean; names of classes go in as text. */
export function legend({ part, data }) {
  const { colour } = data.looks.unlearned;
  const forgotten =
    `<circle cx="7" cy="7" r="5.4" fill="#fff" stroke="${INK}" stroke-width="2.2"/>` +
    `<circle cx="7" cy="7" r="2.2" fill="${DARK[0]}"/>`;
  const marks = [
    ...data.classes.map((name, c) => [`<g fill="${DARK[c]}" stroke="#fff">${SHAPES[c % 3]}</g>`, name]),
    [forgotten, "to forget"],
    [`<circle cx="7" cy="7" r="3.6" fill="${colour}"/>`, "copy it recognises"],
    [`<circle cx="7" cy="7" r="3.2" fill="none" stroke="${colour}" stroke-width="1.4"/>`, "copy it does not"],
  ];
  part("legend").replaceChildren(
    ...marks.map(([inside, words]) => {
      const span = document.createElement("span");
      span.innerHTML = icon(inside);
      span.append(words);
      return span;
    }),
  );
}
