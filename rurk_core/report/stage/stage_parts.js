// The parts of stages: reading them, keeping them, and asking for what is missing, the most wanted first.

const AT_ONCE = 2; // requests under way; more would only wait for each other
const KEPT = 48; // samples whose parts are kept
const KINDS = { u1: Uint8Array, i1: Int8Array, u2: Uint16Array, f4: Float32Array };

/** Read a pack: its header, with the arrays by their names, each with its shape. */
export function unpack(buffer) {
  const letters = new Uint8Array(buffer, 0, 4);
  if (String.fromCharCode(...letters) !== "RKS1") throw new Error("no part of a stage");
  const start = 8 + new DataView(buffer).getUint32(4, true);
  const found = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)));
  for (const [name, kind, shape, at] of found.arrays) {
    const length = shape.reduce((a, b) => a * b, 1);
    found[name] = Object.assign(new KINDS[kind](buffer, start + at, length), { shape });
  }
  return found;
}

/** How a part is asked for; the same words name it in a file. */
export const addressOf = {
  base: (sample) => `${sample}/base`,
  field: (sample, cut, model, level, zoom) => `${sample}/field/${cut}/${model}/${level}/${zoom}`,
  copies: (sample, cut, at, models) => `${sample}/copies/${cut}/${at.join("-")}/${models.join("-") || "none"}`,
};

/** What has come of every sample. `bring(address)` gets the bytes of a part; `tell()` hears that one has come. */
export class Parts {
  constructor(bring, tell) {
    this.bring = bring;
    this.tell = tell;
    this.samples = new Map();
    this.wishes = [];
    this.under = new Map();
    this.failed = new Map();
  }

  /** All that has come of a sample: {base, fields: {cut/model: {zoom: the finest}}, answers: {t: {model: …}}, places: {cut/t: …}}. */
  of(sample) {
    const found = this.samples.get(sample) || { fields: {}, answers: {}, places: {} };
    this.samples.delete(sample); // the one asked for last is forgotten last
    this.samples.set(sample, found);
    if (this.samples.size > KEPT) this.samples.delete(this.samples.keys().next().value);
    return found;
  }

  base(sample) {
    return this.samples.get(sample)?.base;
  }

  /** The finest field that has come at a zoom, or undefined. */
  field(sample, cut, model, zoom) {
    return this.samples.get(sample)?.fields[`${cut}/${model}`]?.[zoom];
  }

  /** The field to draw as far as `extent`: the nearest one that covers it, else the largest. */
  covering(sample, cut, model, extent) {
    const all = (this.samples.get(sample)?.fields[`${cut}/${model}`] || []).filter(Boolean);
    return all.findLast((part) => part.extent >= 0.98 * extent) || all[0];
  }

  /** {places, change, step, same, answers by model} at radius number t, or undefined. */
  copies(sample, cut, t) {
    const found = this.samples.get(sample);
    const [at, places] = [found?.answers[t], found?.places[`${cut}/${t}`]];
    return at && places ? { ...at, places } : undefined;
  }

  /** Whether all of these models have answered at radius number t. */
  answered(sample, t, names) {
    const at = this.samples.get(sample)?.answers[t];
    return Boolean(at) && names.every((name) => at.answers[name]);
  }

  /** Ask for these from now on, in this order; what was asked for before and not begun is forgotten. */
  want(wishes) {
    this.wishes = wishes;
    this.next();
  }

  next() {
    const slow = [...this.under.values()].filter((wish) => wish.fine).length;
    while (this.under.size < AT_ONCE) {
      // what is only finer never takes every place: somebody may step on
      const free = ({ address, fine }) => !this.under.has(address) && !this.failed.has(address) && !(fine && slow);
      const wish = this.wishes.find(free);
      if (!wish) return;
      this.wishes = this.wishes.filter((other) => other !== wish);
      this.under.set(wish.address, wish);
      this.get(wish);
      if (wish.fine) return;
    }
  }

  async get({ address }) {
    try {
      this.keep(unpack(await this.bring(address)));
    } catch (error) {
      this.failed.set(address, error.message);
    }
    this.under.delete(address);
    this.tell();
    this.next();
  }

  keep(part) {
    const found = this.of(part.sample);
    if (part.kind === "base") found.base = part;
    if (part.kind === "field") {
      summed(part.shades);
      const key = `${part.cut}/${part.model}`;
      found.fields[key] ||= [];
      const zooms = found.fields[key];
      if (!zooms[part.zoom] || zooms[part.zoom].level < part.level) zooms[part.zoom] = part;
    }
    if (part.kind !== "copies") return;
    part.at.forEach((t, r) => {
      found.places[`${part.cut}/${t}`] = row(part.places, r);
      if (!part.models.length) return;
      found.answers[t] ||= { answers: {} };
      const at = found.answers[t];
      at.same = part.same[r];
      if (part.change) Object.assign(at, { change: row(part.change, r), step: part.steps[r] });
      part.models.forEach((model, m) => {
        const answer = { odds: part.odds };
        for (const name of ["own", "top", "share", "margin"]) answer[name] = row(row(part[name], r), m);
        at.answers[model] = answer;
      });
    });
  }
}

/** Undo the differences of a field along its last two axes; bytes wrap round by themselves. */
function summed(shades) {
  const side = shades.shape[2];
  for (let at = 0; at < shades.length; at++) if (at % side) shades[at] += shades[at - 1];
  for (let at = 0; at < shades.length; at++) if (at % (side * side) >= side) shades[at] += shades[at - side];
}

/** Row i of an array along its first axis. */
function row(array, i) {
  const shape = array.shape.slice(1);
  const length = shape.reduce((a, b) => a * b, 1);
  return Object.assign(array.subarray(i * length, (i + 1) * length), { shape });
}

/** Which zoom shows the ball of radius number t at a good size: the view is two to four times as far. */
export function zoomOf(data, cut, t) {
  const [tau, most] = [data.taus[Math.round(t)], data.taus.at(-1)];
  if (!tau || cut.startsWith("samples")) return 0;
  return Math.max(0, Math.min(data.zooms - 1, Math.floor(Math.log2((data.reach / data.near) * (most / tau)))));
}

/**
 * What a view needs, the most wanted first: the sample itself, then its neighbours, then everything finer.
 * @param {Parts} parts
 */
export function wishesOf(parts, data, my, neighbours) {
  const wishes = [];
  const ask = (kind, ...about) =>
    wishes.push({ address: addressOf[kind](...about), fine: kind === "field" && about[3] > 0 });
  const radiusOf = (sample) => (my.chosen || sample === my.sample ? Math.round(my.t) : parts.base(sample)?.telling);
  const fields = (sample, level) => {
    if (radiusOf(sample) === undefined) return;
    const zoom = zoomOf(data, my.cut, radiusOf(sample));
    for (const model of my.panels) {
      const has = parts.field(sample, my.cut, data.names[model], zoom);
      if ((has?.level ?? -1) < level) ask("field", sample, my.cut, model, level, zoom);
    }
  };
  const judges = my.judges.map((model) => data.names[model]);
  const copies = (sample, which) => {
    const silent = which.filter((t) => !parts.answered(sample, t, judges));
    if (silent.length) ask("copies", sample, my.cut, silent, my.judges);
    // another plane moves the copies; what they are taken for stays
    const unplaced = which.filter((t) => !silent.includes(t) && !parts.copies(sample, my.cut, t));
    if (unplaced.length) ask("copies", sample, my.cut, unplaced, []);
  };
  const first = (sample) => {
    if (!parts.base(sample)) ask("base", sample);
    fields(sample, 0);
    if (radiusOf(sample) !== undefined) copies(sample, [radiusOf(sample)]);
  };
  const all = data.taus.map((_, t) => t);
  const rest = (sample) => {
    if (data.light) copies(sample, all);
    else for (const t of all.toSorted((a, b) => Math.abs(a - my.t) - Math.abs(b - my.t))) copies(sample, [t]);
  };
  first(my.sample);
  for (const sample of neighbours.slice(0, 2)) first(sample);
  rest(my.sample);
  for (let level = 1; level < data.levels; level++) fields(my.sample, level);
  for (const sample of neighbours) first(sample);
  for (const sample of neighbours) rest(sample);
  for (const sample of neighbours.slice(0, 2)) fields(sample, 1);
  return wishes;
}
