// A small figure for every model over the radius, all on the same axes, the others faint behind it.
const [WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM] = [240, 150, 40, 6, 8, 22];

const known = (values) => values.filter((value) => value !== null && value !== undefined);
const text = (value) => `${+value.toPrecision(3)}`;

/** Steps of 1, 2 or 5 that about three of fit between 0 and the highest value. */
function ticks(low, high) {
  const rough = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((by) => by * power).find((by) => by >= rough);
  return Array.from({ length: 8 }, (_, i) => Math.ceil(low / step) * step + i * step).filter((v) => v <= high);
}

function axes(panels, level) {
  const all = panels.flatMap((panel) => [
    ...known(panel.mean),
    ...known(panel.low),
    ...known(panel.high),
    ...(panel.band ? panel.band.flatMap(known) : []),
  ]);
  if (level !== null) all.push(level);
  const [low, high] = [Math.min(0, ...all), Math.max(...all, Number.MIN_VALUE)];
  const taus = panels[0].taus;
  const span = taus.at(-1) - taus[0] || 1;
  return {
    low,
    high,
    x: (tau) => LEFT + ((WIDE - LEFT - RIGHT) * (tau - taus[0])) / span,
    y: (value) => HIGH - BOTTOM - ((HIGH - TOP - BOTTOM) * (value - low)) / (high - low),
  };
}

/** The points of a line that are defined; a gap where they are not. */
function path({ x, y }, taus, values) {
  let pen = "M";
  return taus
    .map((tau, i) => {
      if (values[i] === null) {
        pen = "M";
        return "";
      }
      const step = `${pen}${x(tau).toFixed(1)} ${y(values[i]).toFixed(1)}`;
      pen = "L";
      return step;
    })
    .join("");
}

function area(scale, taus, [low, high], colour) {
  const there = taus.map((_, i) => i).filter((i) => low[i] !== null && high[i] !== null);
  if (there.length < 2) return "";
  const edge = (values, order) => order.map((i) => `${scale.x(taus[i]).toFixed(1)},${scale.y(values[i]).toFixed(1)}`);
  const points = [...edge(high, there), ...edge(low, [...there].reverse())].join(" ");
  return `<polygon points="${points}" fill="${colour}" fill-opacity=".22"/>`;
}

function figure(panel, panels, scale, data) {
  const grid = ticks(scale.low, scale.high).map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDE - RIGHT}" y1="${scale.y(value)}" y2="${scale.y(value)}" class="grid"/>` +
      `<text x="${LEFT - 5}" y="${scale.y(value) + 4}" text-anchor="end">${text(value)}</text>`,
  );
  const ends = [panel.taus[0], panel.taus.at(-1)].map(
    (tau, i) => `<text x="${scale.x(tau)}" y="${HIGH - 6}" text-anchor="${i ? "end" : "start"}">${text(tau)}</text>`,
  );
  if (!known(panel.mean).length)
    return `${grid.join("")}<foreignObject x="${LEFT}" y="${TOP + 20}" width="${WIDE - LEFT - RIGHT}" height="80"><p class="state"></p></foreignObject>`;
  const others = panels
    .filter((other) => other !== panel)
    .map((other) => `<path d="${path(scale, other.taus, other.mean)}" class="faint"/>`);
  const rule =
    data.level === null
      ? ""
      : `<line x1="${LEFT}" x2="${WIDE - RIGHT}" y1="${scale.y(data.level)}" y2="${scale.y(data.level)}" class="level"/>`;
  const band = panel.band ? area(scale, panel.taus, panel.band, "#009E73") : "";
  const seeds = area(scale, panel.taus, [panel.low, panel.high], panel.colour);
  const line = `<path d="${path(scale, panel.taus, panel.mean)}" stroke="${panel.colour}" class="own"/>`;
  return grid.join("") + ends.join("") + band + rule + others.join("") + seeds + line;
}

function panelOf(panel, data, scale, pick) {
  const box = document.createElement("button");
  box.type = "button";
  box.className = panel.name === data.selected ? "on" : "";
  box.setAttribute("aria-pressed", String(panel.name === data.selected));
  const head = document.createElement("span");
  head.className = "head";
  const tag = Object.assign(document.createElement("span"), { className: "rk-tag", textContent: panel.letter });
  tag.style.background = panel.colour;
  tag.style.color = panel.ink;
  head.append(tag, ` ${panel.title}`);
  const said = known(panel.mean).length
    ? `${panel.title}: ${panel.taus.map((tau, i) => `${text(tau)}: ${panel.mean[i] === null ? "undefined" : text(panel.mean[i])}`).join(", ")}`
    : `${panel.title}: ${panel.nothing}`;
  box.setAttribute("aria-label", said);
  box.title = said;
  const drawn = document.createElement("span");
  drawn.innerHTML = `<svg viewBox="0 0 ${WIDE} ${HIGH}" aria-hidden="true">${figure(panel, data.panels, scale, data)}</svg>`;
  const state = drawn.querySelector(".state");
  if (state) state.textContent = panel.nothing;
  box.append(head, drawn);
  box.onclick = () => pick(panel.name);
  return box;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".rk-multiples");
  const scale = axes(data.panels, data.level);
  const about = Object.assign(document.createElement("p"), { textContent: `Up: ${data.up}. Across: ${data.across}.` });
  root.replaceChildren(
    about,
    ...data.panels.map((panel) => panelOf(panel, data, scale, (name) => setTriggerValue("pick", name))),
  );
}
