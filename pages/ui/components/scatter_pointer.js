// What mouse, finger and keyboard do on a map: point, move, zoom, choose, draw around.
import { FORGET, SPLITS, TEST } from "./scatter_map.js";

/**
 * The row within `reach` pixels of a spot that is nearest to it, or null; those to forget are a little nearer.
 * @param {import("./scatter_map.js").ScatterMap} map @param {number[]} spot @param {number} reach
 */
function nearest(map, spot, reach) {
  const m = map.panelAt(spot);
  if (m < 0 || !map.points) return null;
  const { my, data, spanX, spanY } = map;
  const { xy } = map.points;
  const box = my.boxes[m];
  const f = map.fit(box);
  let best = null;
  let least = reach * reach;
  map.eachLayer((_, layer, first, end) => {
    for (let i = first; i < end; i++) {
      const j = 2 * (m * data.count + i);
      const dx = box.x + box.w / 2 + (xy[j] / 65535 - my.cx) * spanX * f - spot[0];
      const dy = box.y + box.h / 2 - (xy[j + 1] / 65535 - my.cy) * spanY * f - spot[1];
      const d = dx * dx + dy * dy - (layer === FORGET ? 12 : 0);
      if (d < least) {
        least = d;
        best = i;
      }
    }
  });
  return best;
}

/** Whether a spot lies inside a closed path: a ray from it crosses the path an odd number of times. */
function inside(path, x, y) {
  let odd = false;
  for (let j = 0, k = path.length - 1; j < path.length; k = j++) {
    const [xj, yj] = path[j];
    const [xk, yk] = path[k];
    if (yj > y !== yk > y && x < ((xk - xj) * (y - yj)) / (yk - yj) + xj) odd = !odd;
  }
  return odd;
}

/** Training ids of the rows shown inside a path in panel m. */
function around(map, path, m) {
  const box = map.my.boxes[m];
  const found = [];
  map.eachLayer((_, layer, first, end) => {
    if (layer === TEST) return;
    for (let i = first; i < end; i++) {
      const [a, b] = map.at(m, i);
      if (inside(path, map.x(box, a), map.y(box, b))) found.push(map.points.ids[i]);
    }
  });
  return found;
}

function move({ over, card }, spot) {
  const frame = over.getBoundingClientRect();
  const mine = card.getBoundingClientRect();
  let x = frame.left + spot[0] + 18;
  let y = frame.top + spot[1] + 14;
  if (x + mine.width > innerWidth - 8) x = frame.left + spot[0] - mine.width - 18;
  if (y + mine.height > innerHeight - 8) y = frame.top + spot[1] - mine.height - 14;
  card.style.left = `${Math.max(4, x)}px`;
  card.style.top = `${Math.max(4, y)}px`;
}

/** The card with the picture and the words of a row; null hides it. */
function show(map, i, spot) {
  const { my, card, data, points } = map;
  if (i === my.hover) {
    if (i !== null) move(map, spot);
    return;
  }
  my.hover = i;
  map.refresh();
  card.hidden = i === null;
  map.over.classList.toggle("pick", i !== null && my.tool === "move");
  if (i === null) return;
  const layer = map.layerOf(i);
  const image = card.querySelector("img");
  card.querySelector("span").textContent =
    `${layer === TEST ? "test sample" : "sample"} ${points.ids[i]}\nclass ${data.classes[points.labels[i]]}\n` +
    data.layers[SPLITS[layer]].title;
  image.style.display = data.images ? "" : "none";
  image.onerror = () => {
    image.style.display = "none";
  };
  if (data.images) {
    image.removeAttribute("src");
    image.src = new URL(`${data.images}/${layer === TEST ? "test" : "train"}/${points.ids[i]}`, document.baseURI);
  }
  move(map, spot);
}

/** Keys: arrows move, plus and minus zoom, 0 shows all. */
function press(map, event) {
  const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  if (steps[event.key]) map.pan(...steps[event.key], map.my.boxes[0]);
  else if (event.key === "+" || event.key === "=") map.zoom(1.4);
  else if (event.key === "-") map.zoom(1 / 1.4);
  else if (event.key === "0") {
    map.whole();
    map.refresh();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

function drag(map, spot) {
  const { my } = map;
  const { down } = my;
  if (Math.hypot(spot[0] - down.spot[0], spot[1] - down.spot[1]) > 4) down.moved = true;
  if (my.path) {
    if (my.box) my.path = [down.spot, [spot[0], down.spot[1]], spot, [down.spot[0], spot[1]]];
    else my.path.push(spot);
    map.refresh();
  } else if (down.moved) {
    map.pan(spot[0] - down.last[0], spot[1] - down.last[1], my.boxes[down.m]);
    show(map, null);
  }
  down.last = spot;
}

/**
 * Listen to what is done on the map.
 * @param {import("./scatter_map.js").ScatterMap} map
 * @param {(name: string, value: object) => void} tell says to the server: "pick" a row, or "taken" training ids
 */
export function listen(map, tell) {
  const { my, over } = map;
  const where = (event) => {
    const box = over.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  over.onwheel = (event) => {
    if (map.panelAt(where(event)) < 0) return;
    event.preventDefault();
    map.zoom(Math.exp(-event.deltaY * 0.0016), where(event));
  };
  over.onpointerdown = (event) => {
    const spot = where(event);
    const m = map.panelAt(spot);
    if (event.button || m < 0) return;
    my.down = { spot, last: spot, m, moved: false };
    over.setPointerCapture(event.pointerId);
    if (my.tool !== "move" || event.shiftKey) Object.assign(my, { path: [spot], box: my.tool === "box" });
  };
  over.onpointermove = (event) => {
    const spot = where(event);
    if (my.down) drag(map, spot);
    else if (event.pointerType !== "touch") show(map, nearest(map, spot, 9), spot);
  };
  over.onpointerup = (event) => {
    const { down, path } = my;
    my.down = my.path = null;
    if (!down) return;
    if (path && down.moved && path.length > 2) {
      map.my.on.next = true; // a ring says what was taken
      tell("taken", { ids: around(map, path, down.m), at: Date.now() });
    } else if (!down.moved) {
      const index = nearest(map, down.spot, event.pointerType === "touch" ? 20 : 10);
      if (index !== null) tell("pick", { index, at: Date.now() });
    }
    map.refresh();
  };
  over.onpointerleave = () => {
    if (!my.down) show(map, null);
  };
  over.onkeydown = (event) => press(map, event);
}
