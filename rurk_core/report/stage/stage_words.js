// What a stage says: the sentences on top, the numbers over the panels, and what is read out.
import { wordsOf } from "./stage_copies.js";
import { write } from "./stage_side.js";

const rounded = (number) => (Number.isInteger(number) ? `${number}` : number.toFixed(1));

/** Counts of the re-trained models: {mean, low, high}, or null while unknown. */
export function retrainedOf(copies) {
  const each = copies.data.references.map((name) => copies.total(name));
  if (!each.length || each.includes(null)) return null;
  return { mean: each.reduce((a, b) => a + b, 0) / each.length, low: Math.min(...each), high: Math.max(...each) };
}

/** The number over a panel, and for a re-trained model that of all of them. */
export function count(panel, { data }, copies, name) {
  const total = copies.total(name);
  const words = total === null ? "…" : `${total}`;
  write(panel.number, words);
  const all = data.references.includes(name) && data.references.length > 1 ? retrainedOf(copies) : null;
  const more = all
    ? `of ${copies.of}; all ${data.references.length}: ${rounded(all.mean)} (${all.low}–${all.high})`
    : `of ${copies.of} recognised`;
  write(panel.more, more);
  panel.canvas.setAttribute(
    "aria-label",
    `What ${data.looks[name].title} believes around sample ${copies.base.sample}: it recognises ` +
      `${total ?? "an unknown number"} of ${copies.of} copies at τ = ${data.tauWords[copies.k]}`,
  );
}

/** The sentence on the radius in view. */
export function radiusWords({ data }, copies) {
  const own = data.classes[copies.base.label];
  const mine = copies.total(data.method);
  const all = retrainedOf(copies);
  if (mine === null) return "";
  const many = data.references.length;
  const others = all
    ? `; ${many > 1 ? `the ${many} re-trained models` : "the re-trained model"} ${rounded(all.mean)}` +
      (many > 1 ? ` on average (${all.low}–${all.high})` : "")
    : "";
  return (
    `At τ = ${data.tauWords[copies.k]} ${data.looks[data.method].title} recognises ${mine} of ${copies.of} copies as ` +
    `“${own}”${others}.`
  );
}

/** What a screen reader hears once the view is at rest. */
export function told(stage) {
  const { copies, my, data } = stage;
  if (!copies || copies.base.sample !== my.sample) return "";
  const blocks = copies.groups().map((block) => `${block.copies.length} ${wordsOf(block, data.references.length)}`);
  const at = stage.sequence.findIndex((place) => data.samples[place][0] === my.sample);
  return (
    `Sample ${my.sample}, ${at + 1} of ${stage.sequence.length}. ${copies.base.said[0]} ${radiusWords(stage, copies)} ` +
    (blocks.length ? `Copies: ${blocks.join("; ")}.` : "")
  );
}
