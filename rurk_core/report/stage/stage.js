// The stage on a page: parts come from the server, which hears where the view has come to rest.
import { Stage } from "./stage_app.js";
import { unpack } from "./stage_parts.js";

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".rks");
  const bring = async (address) => {
    const found = await fetch(new URL(`${data.place}/${address}`, document.baseURI));
    if (!found.ok) throw new Error(await found.text());
    return found.arrayBuffer();
  };
  const host = {
    bring,
    picture: async (sample) => new URL(`${data.pictures}/${sample}`, document.baseURI).href,
    hand: async (sample, cut, body) => {
      const place = new URL(`${data.place}/${sample}/hand/${cut}`, document.baseURI);
      const found = await fetch(place, { method: "POST", body: JSON.stringify(body) });
      if (!found.ok) throw new Error(await found.text());
      return unpack(await found.arrayBuffer());
    },
    rest: (at) => setStateValue("rest", { turn: Date.now(), ...at }),
  };
  if (!root.stage) root.stage = new Stage(root, data, host);
  else if (root.stage.data.version !== data.version) {
    root.stage.host = host;
    root.stage.begin(data);
  }
  return () => {
    if (!root.isConnected) root.stage?.end();
  };
}
