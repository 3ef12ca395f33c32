// The copies of a sample: their pixels at any radius, and who recognises which.

/** Everything a view says of the copies of its sample at the radius in view, or null while that is not there. */
export class Copies {
  /** @param {any} data @param {any} base @param {any} parts @param {any} my */
  constructor(data, base, parts, my) {
    this.data = data;
    this.base = base;
    this.parts = parts;
    this.my = my;
    this.k = Math.round(my.t);
    this.at = parts.copies(my.sample, my.cut, this.k);
    this.count = base.copies;
  }

  answer(name) {
    return this.at?.answers[name];
  }

  /** The class a model takes copy i for; -1 while that is not known. */
  says(name, i) {
    const found = this.answer(name);
    return found ? found.top[i * found.top.shape[1]] : -1;
  }

  knows(name, i) {
    return this.says(name, i) === this.base.label;
  }

  /** How many re-trained models recognise copy i. */
  retrained(i) {
    return this.data.references.filter((name) => this.knows(name, i)).length;
  }

  /** The probability of the sample's class, from 0 to 1. */
  own(name, i) {
    return (this.answer(name)?.own[i] ?? 0) / 255;
  }

  /** How many copies a model recognises: of all the run counted where it did, else of those here; null if unknown. */
  total(name) {
    const counted = this.base.counts[name];
    if (counted) return counted[this.k];
    if (!this.answer(name)) return null;
    let sum = 0;
    for (let i = 0; i < this.count; i++) sum += this.knows(name, i) ? 1 : 0;
    return sum;
  }

  /** How the copies here are not those that the numbers over the panels are of; "" where they are. */
  get apart() {
    if (!Object.keys(this.base.counts).length) return "";
    if (this.count < this.base.draws)
      return ` The first ${this.count} of ${this.base.draws} copies are here; numbers are of all.`;
    if (this.at?.same !== false) return "";
    return " The experiment ran on a machine with other random numbers: these copies are drawn anew, numbers are its own.";
  }

  get of() {
    return Object.keys(this.base.counts).length ? this.base.draws : this.count;
  }

  /** Who is asked whether a copy is known: the Original, the model in question, the re-trained ones by majority. */
  get groupers() {
    const { data } = this;
    const one = (name) => ({ name, look: data.looks[name], knows: (i) => this.knows(name, i) });
    const found = [...new Set(["original", data.method])].filter((name) => data.names.includes(name)).map(one);
    if (data.references.length) {
      const half = data.references.length / 2;
      found.push({ name: "references", look: data.looks.references, knows: (i) => this.retrained(i) > half });
    }
    return found;
  }

  /**
   * The copies in blocks by who recognises them, those that only the unlearned model knows first:
   * [{who, asked, copies, retrained: of the re-trained models, how many recognise each copy, from the fewest to the most}].
   */
  groups() {
    if (!this.at) return [];
    const asked = this.groupers;
    const found = new Map();
    for (let i = 0; i < this.count; i++) {
      const key = asked.map((who) => (who.knows(i) ? 1 : 0)).join("");
      if (!found.has(key))
        found.set(key, { key, who: asked.filter((who) => who.knows(i)), asked, copies: [], retrained: [Infinity, 0] });
      const block = found.get(key);
      const many = this.retrained(i);
      block.retrained = [Math.min(block.retrained[0], many), Math.max(block.retrained[1], many)];
      block.copies.push(i);
    }
    return [...found.values()].sort((a, b) => rank(a, this.data.method) - rank(b, this.data.method));
  }

  /** The copy on which the model in question and the re-trained ones differ most. */
  telling() {
    const { references, method } = this.data;
    let [best, most] = [0, -1];
    for (let i = 0; i < this.count; i++) {
      const others = references.reduce((sum, name) => sum + this.own(name, i), 0) / (references.length || 1);
      const apart = Math.abs(this.own(method, i) - others);
      if (apart > most) [best, most] = [i, apart];
    }
    return best;
  }

  /** How many copies have a picture. */
  get pictured() {
    return (this.base.noise || this.at?.change)?.shape[0] ?? 0;
  }

  /** Where copy i stands on the plane, also between the radii that were measured. */
  place(i) {
    const [low, high] = [Math.floor(this.my.t), Math.ceil(this.my.t)];
    const ends = [low, high].map((t) => this.parts.copies(this.my.sample, this.my.cut, t)?.places);
    if (!ends[0] || !ends[1]) return this.at ? [this.at.places[2 * i], this.at.places[2 * i + 1]] : null;
    const share = this.my.t - low;
    return [0, 1].map((axis) => (1 - share) * ends[0][2 * i + axis] + share * ends[1][2 * i + axis]);
  }

  /** The pixels of copy i into `into` (RGBA), and what was changed into `change` if given, from −1 to 1. */
  pixels(i, into, change) {
    const { picture, noise, step } = this.base;
    const channels = picture.shape[2];
    const cells = picture.length / channels;
    const source = noise || this.at?.change;
    const gain = 255 * (noise ? tauOf(this.data, this.my.t) * step : this.at?.step || 0);
    const from = i * cells * channels;
    for (let at = 0; at < cells; at++) {
      let sum = 0;
      for (let c = 0; c < 3; c++) {
        const o = at * channels + (channels === 3 ? c : 0);
        const value = Math.min(255, Math.max(0, picture[o] + (source ? gain * source[from + o] : 0)));
        into[4 * at + c] = value;
        sum += value - picture[o];
      }
      into[4 * at + 3] = 255;
      if (change) change[at] = sum / 765;
    }
  }
}

/** τ at a place between the radii. */
export function tauOf(data, t) {
  const low = Math.floor(t);
  const high = Math.ceil(t);
  return data.taus[low] + (t - low) * (data.taus[high] - data.taus[low]);
}

/** Whether a block holds what the model in question knows and the re-trained ones do not. */
export function isTelling({ who, asked }, method) {
  const has = (some, name) => some.some((one) => one.name === name);
  return has(who, method) && has(asked, "references") && !has(who, "references");
}

/** What the unlearned model knows and re-trained ones do not comes first, what nobody knows last. */
function rank(block, method) {
  const { who, asked } = block;
  if (!who.length) return 9;
  if (isTelling(block, method)) return who.length > 1 ? 0 : 1;
  if (who.length === asked.length) return 2;
  return who.some((one) => one.name === method) ? 3 : 4;
}

const listed = (names, last) => [names.slice(0, -1).join(", "), names.at(-1)].filter(Boolean).join(` ${last} `);

/** Of k re-trained models, how many recognise a copy of a block: from the fewest to the most of them. */
function retrainedWords([fewest, most], k) {
  if (most === 0) return "any re-trained model";
  if (fewest === k) return k > 2 ? `all ${k} re-trained models` : "both re-trained models";
  const bound = fewest === most ? "" : 2 * fewest > k ? "at least " : "at most ";
  return `${bound}${2 * fewest > k ? fewest : most} of ${k} re-trained models`;
}

/**
 * Who recognises the copies of a block: "known to Original and at least 5 of 8 re-trained models, not to RURK". What is
 * said is true of each of its copies.
 */
export function wordsOf({ who, asked, retrained }, k) {
  const name = (one) => (one.name === "references" && k > 1 ? retrainedWords(retrained, k) : one.look.title);
  const others = asked.filter((one) => !who.includes(one));
  const few = (one) => one.name === "references" && k > 1 && retrained[1] > 0;
  const to = [listed(who.map(name), "and"), ...others.filter(few).map(name)].filter(Boolean).join(", to ");
  const not = listed(others.filter((one) => !few(one)).map(name), "or");
  return to ? `known to ${to}${not && `, not to ${not}`}` : `not known to ${not}`;
}
