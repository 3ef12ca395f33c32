// All that the message of a component holds of its script; the server puts the addresses in: the script, then styles.
const [script, ...styles] = ["ADDRESSES"].map((place) => new URL(place, document.baseURI).href);
const worn = (href) =>
  new Promise((done) => {
    if (document.querySelector(`link[href="${href}"]`)) return done();
    const link = Object.assign(document.createElement("link"), {
      rel: "stylesheet",
      href,
      onload: done,
      onerror: done,
    });
    document.head.append(link);
  });
const [{ default: show }] = await Promise.all([import(script), ...styles.map(worn)]);
export default show;
