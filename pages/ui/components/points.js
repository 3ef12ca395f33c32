// The points of a map, kept for the page: the message that brings them does not change, so it comes once.
import { bytes } from "./shapes.js";

const KEPT = 4;

export default function ({ data }) {
  window.rkPoints ||= {};
  const all = window.rkPoints;
  if (!all[data.version]) {
    all[data.version] = {
      xy: new Uint16Array(bytes(data.xy).buffer),
      ids: new Int32Array(bytes(data.ids).buffer),
      labels: new Uint16Array(bytes(data.labels).buffer),
      starts: data.starts,
    };
    for (const old of Object.keys(all).slice(0, -KEPT)) delete all[old];
  }
  window.dispatchEvent(new CustomEvent("rk-points"));
}
