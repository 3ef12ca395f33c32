// The stage on a page: parts come from the server, which hears where the view has come to rest.
import { Stage } from "./stage_app.js";

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
