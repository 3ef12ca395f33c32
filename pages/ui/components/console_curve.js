// How far from a sample the models still recognise it: a small figure drawn in the browser.
const [WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM] = [330, 236, 40, 20, 8, 40];
const DASHES = { dash: "7 5", dot: "2 4", dashdot: "8 4 2 4", longdash: "12 5", longdashdot: "12 4 2 4" };
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/** The figure as SVG with its key; every line is said in words too. */
export function curve({ taus, across, draws, looks }, card) {
  const span = taus.at(-1) - taus[0] || 1;
  const x = (tau) => LEFT + ((WIDE - LEFT - RIGHT) * (tau - taus[0])) / span;
  const y = (count) => HIGH - BOTTOM - ((HIGH - TOP - BOTTOM) * count) / draws;
  const rows = [0, 0.5, 1].map(
    (share) =>
      `<line x1="${LEFT}" x2="${WIDE - RIGHT}" y1="${y(share * draws)}" y2="${y(share * draws)}" class="grid"/>` +
      `<text x="${LEFT - 6}" y="${y(share * draws) + 4}" text-anchor="end">${100 * share}</text>`,
  );
  const every = Math.ceil(taus.length / 6);
  const ticks = taus
    .filter((_, i) => i % every === 0)
    .map((tau) => `<text x="${x(tau)}" y="${HIGH - BOTTOM + 15}" text-anchor="middle">${+tau.toPrecision(3)}</text>`);
  const { low, high } = card.counts;
  const corners = low ? [...taus.map((t, i) => [t, high[i]]), ...taus.map((t, i) => [t, low[i]]).reverse()] : [];
  const area = corners.map(([t, c]) => `${x(t)},${y(c)}`).join(" ");
  const band = low ? `<polygon points="${area}" fill="#009E73" fill-opacity=".22"/>` : "";
  const lines = Object.entries(looks).map(([name, look]) => {
    const points = card.counts[name].map((count, i) => `${x(taus[i])},${y(count)}`);
    const dots = points
      .map((point) => `<circle cx="${point.split(",")[0]}" cy="${point.split(",")[1]}" r="3"/>`)
      .join("");
    return (
      `<g stroke="${look.colour}" fill="${look.colour}"><polyline points="${points.join(" ")}" fill="none" ` +
      `stroke-width="2.2" stroke-dasharray="${DASHES[look.dash] || ""}"/>${dots}</g>`
    );
  });
  const said = Object.entries(looks).map(
    ([name, look]) => `${look.title} ${card.counts[name].map(Math.round).join(", ")}`,
  );
  const key = Object.values(looks).map(
    (look) =>
      `<span><span class="rk-tag" style="background:${look.colour};color:${look.ink}">${plain(look.letter)}</span> ` +
      `${plain(look.title)}</span>`,
  );
  return (
    `<svg viewBox="0 0 ${WIDE} ${HIGH}" role="img" aria-label="${plain(`Of ${draws} copies recognised at each radius: ${said.join("; ")}`)}">` +
    `${rows.join("")}${ticks.join("")}${band}${lines.join("")}` +
    `<text x="${(LEFT + WIDE - RIGHT) / 2}" y="${HIGH - 6}" text-anchor="middle">${plain(across)}</text>` +
    `<text transform="translate(10 ${(TOP + HIGH - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">copies recognised (%)</text>` +
    `</svg><div class="rk-key">${key.join("")}${low ? "<span class='rk-quiet'>green: from the lowest to the highest re-trained</span>" : ""}</div>`
  );
}
