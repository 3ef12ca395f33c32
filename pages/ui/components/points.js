// The points of maps, kept for the page: the message that brings them does not change, so it comes once.
import { bytes } from "./shapes.js";

const KEPT = 4;

/**
 * What has come, by version: places (two numbers of 16 bits a row, panel after panel), ids, classes, and where each
 * layer starts.
 * @type {Record<string, {xy: Uint16Array, ids: Int32Array, labels: Uint16Array, starts: number[]}>}
 */
export const points = {};
/** Tells "points" whenever some have come. */
export const arrivals = new EventTarget();

export default function ({ data }) {
  points[data.version] ||= {
    xy: new Uint16Array(bytes(data.xy).buffer),
    ids: new Int32Array(bytes(data.ids).buffer),
    labels: new Uint16Array(bytes(data.labels).buffer),
    starts: data.starts,
  };
  for (const old of Object.keys(points).slice(0, -KEPT)) delete points[old];
  arrivals.dispatchEvent(new Event("points"));
}
