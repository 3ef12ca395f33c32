// What the networks of a lesson believe, on a grid over the plane: reading it between nodes, and borders on it.
import { bytes, within } from "./shapes.js";

/** The grids of a lesson: one for every kind of model, model, class and node, a byte each. */
export class Lesson {
  constructor(data) {
    this.data = data;
    this.n = data.steps_grid;
    this.classes = data.classes.length;
    this.cells = this.n * this.n;
    this.fields = Object.fromEntries(Object.entries(data.fields).map(([name, text]) => [name, bytes(text)]));
    this.fixed = {};
  }

  /** Model m of a kind gives class c this log-probability at node i, as a byte. */
  value(name, m, c, i) {
    return this.fields[name][(m * this.classes + c) * this.cells + i];
  }

  /** The same at a place (x, y) from 0 to 1, between four nodes. */
  log(name, m, c, x, y) {
    const { n } = this;
    const u = within(x * (n - 1), 0, n - 1.001);
    const v = within(y * (n - 1), 0, n - 1.001);
    const [i, j] = [Math.floor(u), Math.floor(v)];
    const [a, b, at] = [u - i, v - j, j * n + i];
    const row = (start) => (1 - a) * this.value(name, m, c, start) + a * this.value(name, m, c, start + 1);
    return (1 - b) * row(at) + b * row(at + n);
  }

  /** The class a model gives a place. */
  says(name, m, x, y) {
    let best = 0;
    let top = -1;
    for (let c = 0; c < this.classes; c++) {
      const l = this.log(name, m, c, x, y);
      if (l > top) [top, best] = [l, c];
    }
    return best;
  }

  /** Copies around a point within a radius, kept inside the plane. */
  copies([x, y], tau) {
    return this.data.draws.map(([dx, dy]) => [within(x + tau * dx, 0, 1), within(y + tau * dy, 0, 1)]);
  }

  /** How many copies of a point a model takes for the point's own class. */
  count(name, m, point, tau) {
    const own = this.data.labels[point];
    return this.copies(this.data.points[point], tau).filter(([x, y]) => this.says(name, m, x, y) === own).length;
  }

  /** Lines between classes, by marching squares on own log-probability minus the best other. */
  border(name, m) {
    const segments = [];
    for (let c = 0; c < (this.classes === 2 ? 1 : this.classes); c++) segments.push(...this.edge(name, m, c));
    return segments;
  }

  edge(name, m, c) {
    const { n } = this;
    const segments = [];
    const g = this.lead(name, m, c);
    for (let j = 0; j < n - 1; j++) {
      for (let i = 0; i < n - 1; i++) {
        const at = j * n + i;
        const heights = [g[at], g[at + 1], g[at + n + 1], g[at + n]];
        const corners = [
          [i, j],
          [i + 1, j],
          [i + 1, j + 1],
          [i, j + 1],
        ];
        const cuts = [];
        for (let e = 0; e < 4; e++) {
          const [a, b] = [heights[e], heights[(e + 1) % 4]];
          if (a > 0 === b > 0) continue;
          const s = a / (a - b);
          const [[x0, y0], [x1, y1]] = [corners[e], corners[(e + 1) % 4]];
          cuts.push([(x0 + s * (x1 - x0)) / (n - 1), (y0 + s * (y1 - y0)) / (n - 1)]);
        }
        for (let k = 0; k + 1 < cuts.length; k += 2) segments.push([cuts[k], cuts[k + 1]]);
      }
    }
    return segments;
  }

  /** By how much class c leads the best other one at every node. */
  lead(name, m, c) {
    return Float32Array.from({ length: this.cells }, (_, i) => {
      let other = -1;
      for (let k = 0; k < this.classes; k++) if (k !== c) other = Math.max(other, this.value(name, m, k, i));
      return this.value(name, m, c, i) - other + 0.01;
    });
  }

  /** Borders of all models of a kind that does not change during the film. */
  borders(name) {
    const models = this.fields[name].length / (this.classes * this.cells);
    this.fixed[name] ||= Array.from({ length: models }, (_, m) => this.border(name, m));
    return this.fixed[name];
  }
}
