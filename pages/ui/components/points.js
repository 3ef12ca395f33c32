export default function ({ data }) {
  const all = (window.rkPoints ||= {});
  if (!all[data.version]) {
    const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
    all[data.version] = { xy: new Uint16Array(bytes(data.xy)), ids: new Int32Array(bytes(data.ids)),
      labels: new Uint16Array(bytes(data.labels)), starts: data.starts };
    for (const old of Object.keys(all).slice(0, -4)) delete all[old];
  }
  window.dispatchEvent(new CustomEvent('rk-points'));
}
