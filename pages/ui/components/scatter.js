const VERTEX = `attribute vec2 xy; attribute vec4 ink; uniform vec4 view;
uniform mediump float size; varying vec4 colour;
void main() { gl_Position = vec4(xy * view.xy + view.zw, 0., 1.); gl_PointSize = size; colour = ink; }`;
const FRAGMENT = `precision mediump float; uniform float shape; uniform mediump float size; varying vec4 colour;
void main() {
  vec2 p = gl_PointCoord * 2. - 1.;
  float d = shape < .5 ? length(p) : shape < 1.5 ? max(p.y * 1.28, abs(p.x) * 1.94 - p.y) * .96
    : (abs(p.x) + abs(p.y)) * .98;
  float a = clamp((.96 - d) * size * .5, 0., 1.);
  if (a <= 0.) discard;
  float rim = clamp((d - .62) * size * .4, 0., 1.);
  vec3 c = mix(colour.rgb, colour.rgb * .72, shape < 1.5 ? rim * .5 : 0.);
  gl_FragColor = vec4(c, 1.) * a * colour.a;
}`;
const SHAPES = {
  circle: '<circle cx="6" cy="6" r="5"/>', square: '<rect x="1.4" y="1.4" width="9.2" height="9.2"/>',
  diamond: '<path d="M6 .6 11.4 6 6 11.4.6 6Z"/>', triangle: '<path d="M6 1 11.4 11H.6Z"/>',
};
const icon = (shape, fill, stroke) => `<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><g fill="` +
  `${fill}" stroke="${stroke || 'none'}" stroke-width="1.4">${SHAPES[shape]}</g></svg>`;
const hex = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector('.rk-map'), part = (name) => root.querySelector('.rk-' + name);
  const back = part('gl'), over = part('over'), stage = part('stage'), card = part('card');
  const my = root.my || (root.my = { on: { retain: true, test: true, forget: true, copies: true }, by: 'layer',
    names: true, tool: 'move', k: 1, cx: 0.5, cy: 0.5 });
  const ground = () => getComputedStyle(part('ground')).color;
  const M = data.panels.length, style = () => getComputedStyle(root);
  if (my.map !== data.version) {  // another map: the view starts again; new data on the same map keep it
    my.map = data.version; my.k = 1; my.cx = my.cy = 0.5; my.ready = false; my.hover = null;
  }
  const points = () => (window.rkPoints || {})[data.version];
  const N = data.count, splits = ['retain', 'test', 'forget'];
  const layerOf = (i) => splits.findIndex((_, at) => i < points().starts[at + 1]);
  const inkOf = (name) => data.layers[name].colour || style().color;
  const rgb = (text) => text[0] === '#' ? hex(text) : (text.match(/[\d.]+/g) || [0, 0, 0]).slice(0, 3).map(Number);

  // --- where things are ---
  const layout = () => {
    const wide = stage.clientWidth, across = wide < 560 ? 1 : Math.min(M, 3), rows = Math.ceil(M / across);
    const pw = wide / across, rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const inner = Math.min(pw - 2.4 * rem, 620);
    const ph = Math.max(260, M === 1 ? Math.min(560, pw * 0.62) : inner) + 3.6 * rem;
    stage.style.height = rows * ph + 'px';
    my.rem = rem;
    my.boxes = data.panels.map((_, m) => ({
      x: (m % across) * pw + 1.9 * rem, y: Math.floor(m / across) * ph + 1.6 * rem,
      w: pw - 2.4 * rem, h: ph - 3.6 * rem }));
  };
  // data run from 0 to 1 on both axes; one unit takes the same length on both
  const side = (box) => Math.min(box.w, box.h) * 0.94 * my.k;
  const spanX = data.aspect > 1 ? 1 : data.aspect, spanY = data.aspect > 1 ? 1 / data.aspect : 1;
  const fit = (box) => Math.min(box.w / spanX, box.h / spanY) * 0.94 * my.k;
  const X = (box, x) => box.x + box.w / 2 + (x - my.cx) * spanX * fit(box);
  const Y = (box, y) => box.y + box.h / 2 - (y - my.cy) * spanY * fit(box);
  const at = (m, i) => { const xy = points().xy, j = 2 * (m * N + i); return [xy[j] / 65535, xy[j + 1] / 65535]; };
  const sizeOf = (name) => {
    const base = Math.max(3.4, Math.min(9, 190 / Math.sqrt(N / 2))) * Math.min(2.2, Math.pow(my.k, 0.35));
    return name === 'forget' ? Math.max(9, base * 1.9) : base;
  };

  // --- WebGL, or plain drawing where there is none ---
  const setup = () => {
    my.gl = back.getContext('webgl', { antialias: false, premultipliedAlpha: true, preserveDrawingBuffer: true });
    if (!my.gl) { my.plain = back.getContext('2d'); return; }
    const gl = my.gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text); gl.compileShader(shader); gl.attachShader(program, shader);
    }
    gl.linkProgram(program); gl.useProgram(program);
    my.loc = Object.fromEntries(['view', 'size', 'shape'].map((n) => [n, gl.getUniformLocation(program, n)]));
    my.attr = Object.fromEntries(['xy', 'ink'].map((n) => [n, gl.getAttribLocation(program, n)]));
    my.xy = gl.createBuffer(); my.ink = gl.createBuffer();
    gl.enable(gl.BLEND); gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    back.addEventListener('webglcontextlost', (event) => event.preventDefault());
    back.addEventListener('webglcontextrestored', () => { my.gl = my.plain = null; my.ready = false; refresh(); });
  };
  const inks = () => {
    const p = points(), colours = new Uint8Array(4 * N);
    const shades = data.colours.map(hex), plain = splits.map((name) => rgb(inkOf(name)));
    for (let layer = 0; layer < 3; layer++) for (let i = p.starts[layer]; i < p.starts[layer + 1]; i++) {
      const c = my.by === 'class' ? shades[p.labels[i] % shades.length] : plain[layer];
      colours[4 * i] = c[0]; colours[4 * i + 1] = c[1]; colours[4 * i + 2] = c[2];
      colours[4 * i + 3] = layer === 2 ? 255 : 175;
    }
    return colours;
  };
  const drawPoints = () => {
    if (!my.gl && !my.plain) setup();
    const p = points(), ratio = devicePixelRatio || 1, w = stage.clientWidth, h = stage.clientHeight;
    if (back.width !== Math.round(w * ratio) || back.height !== Math.round(h * ratio)) {
      back.width = Math.round(w * ratio); back.height = Math.round(h * ratio);
    }
    const ink = my.by + style().color;
    if (!my.ready || my.inked !== ink) { my.colours = inks(); my.inked = ink; my.fresh = true; }
    const gl = my.gl;
    if (!gl) {
      const pen = my.plain;
      pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, w, h);
      my.boxes.forEach((box, m) => splits.forEach((name, layer) => {
        if (!my.on[name]) return;
        const s = sizeOf(name);
        for (let i = p.starts[layer]; i < p.starts[layer + 1]; i++) {
          const [x, y] = at(m, i), c = my.colours, px = X(box, x), py = Y(box, y);
          if (px < box.x || px > box.x + box.w || py < box.y || py > box.y + box.h) continue;
          pen.fillStyle = `rgba(${c[4 * i]},${c[4 * i + 1]},${c[4 * i + 2]},${c[4 * i + 3] / 255})`;
          pen.fillRect(px - s / 2, py - s / 2, s, s);
        }
      }));
      my.ready = true;
      return;
    }
    if (!my.ready) {
      gl.bindBuffer(gl.ARRAY_BUFFER, my.xy); gl.bufferData(gl.ARRAY_BUFFER, p.xy, gl.STATIC_DRAW);
      my.ready = true;
    }
    if (my.fresh) {
      gl.bindBuffer(gl.ARRAY_BUFFER, my.ink); gl.bufferData(gl.ARRAY_BUFFER, my.colours, gl.STATIC_DRAW);
      my.fresh = false;
    }
    gl.disable(gl.SCISSOR_TEST); gl.viewport(0, 0, back.width, back.height);
    gl.clearColor(0, 0, 0, 0); gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    gl.enableVertexAttribArray(my.attr.xy); gl.enableVertexAttribArray(my.attr.ink);
    gl.bindBuffer(gl.ARRAY_BUFFER, my.ink);
    gl.vertexAttribPointer(my.attr.ink, 4, gl.UNSIGNED_BYTE, true, 0, 0);
    my.boxes.forEach((box, m) => {
      const low = back.height - Math.round((box.y + box.h) * ratio);
      const area = [Math.round(box.x * ratio), low, Math.round(box.w * ratio), Math.round(box.h * ratio)];
      gl.viewport(...area); gl.scissor(...area);
      const sx = 2 * spanX * fit(box) / box.w, sy = 2 * spanY * fit(box) / box.h;
      gl.uniform4f(my.loc.view, sx, sy, -my.cx * sx, -my.cy * sy);
      gl.bindBuffer(gl.ARRAY_BUFFER, my.xy);
      gl.vertexAttribPointer(my.attr.xy, 2, gl.UNSIGNED_SHORT, true, 4, 4 * m * N);
      splits.forEach((name, layer) => {
        const count = p.starts[layer + 1] - p.starts[layer];
        if (!my.on[name] || !count) return;
        gl.uniform1f(my.loc.size, sizeOf(name) * ratio);
        gl.uniform1f(my.loc.shape, data.layers[name].shape);
        gl.drawArrays(gl.POINTS, p.starts[layer], count);
      });
    });
  };

  // --- everything else ---
  const mark = (pen, symbol, x, y, r) => {
    pen.beginPath();
    if (symbol === 'square') pen.rect(x - r * .88, y - r * .88, 1.76 * r, 1.76 * r);
    else if (symbol === 'diamond') { pen.moveTo(x, y - r * 1.2); pen.lineTo(x + r * 1.2, y); pen.lineTo(x, y + r * 1.2);
      pen.lineTo(x - r * 1.2, y); pen.closePath(); }
    else if (symbol === 'triangle-up') { pen.moveTo(x, y - 1.15 * r); pen.lineTo(x + 1.05 * r, y + .85 * r);
      pen.lineTo(x - 1.05 * r, y + .85 * r); pen.closePath(); }
    else pen.arc(x, y, r, 0, 7);
  };
  const halo = (pen, text, x, y) => {
    pen.lineJoin = 'round'; pen.lineWidth = 3.5; pen.strokeStyle = ground();
    pen.strokeText(text, x, y); pen.fillStyle = style().color; pen.fillText(text, x, y);
  };
  const drawOver = (pen, w, h) => {
    const now = style(), rem = my.rem, family = now.fontFamily;
    my.boxes.forEach((box, m) => {
      const panel = data.panels[m];
      pen.strokeStyle = now.color; pen.globalAlpha = .22; pen.lineWidth = 1;
      pen.strokeRect(box.x + .5, box.y + .5, box.w - 1, box.h - 1); pen.globalAlpha = 1;
      pen.font = `600 ${0.92 * rem}px ${family}`; pen.textAlign = 'left'; pen.textBaseline = 'alphabetic';
      pen.fillStyle = panel.colour;
      mark(pen, panel.symbol, box.x + .5 * rem, box.y - .72 * rem, .36 * rem); pen.fill();
      pen.fillStyle = now.color;
      pen.fillText(`${panel.letter} · ${panel.title}`, box.x + 1.25 * rem, box.y - .42 * rem, box.w - 1.3 * rem);
      pen.font = `${0.82 * rem}px ${family}`; pen.textAlign = 'center'; pen.globalAlpha = .8;
      pen.fillText(data.axes[0], box.x + box.w / 2, box.y + box.h + 1.25 * rem, box.w);
      pen.save(); pen.translate(box.x - .55 * rem, box.y + box.h / 2); pen.rotate(-Math.PI / 2);
      pen.fillText(data.axes[1], 0, 0, box.h); pen.restore(); pen.globalAlpha = 1;
      pen.save(); pen.beginPath(); pen.rect(box.x, box.y, box.w, box.h); pen.clip();
      const chosen = new Set(data.chosen), p = points();
      pen.strokeStyle = data.primary; pen.lineWidth = 1.5;
      if (chosen.size) for (let i = 0; i < N; i++) {
        if (layerOf(i) === 1 || !chosen.has(p.ids[i])) continue;
        const [x, y] = at(m, i);
        pen.beginPath(); pen.arc(X(box, x), Y(box, y), sizeOf('retain') * .5 + 1.8, 0, 7); pen.stroke();
      }
      if (my.on.copies && data.cloud) {
        const cloud = data.cloud[m], r = 4;
        cloud.xy.forEach(([x, y], j) => {
          mark(pen, panel.symbol, X(box, x), Y(box, y), r);
          pen.lineWidth = 1.5; pen.strokeStyle = panel.colour; pen.fillStyle = panel.colour;
          if (cloud.right[j]) pen.fill(); else { pen.globalAlpha = .9; pen.stroke(); pen.globalAlpha = 1; }
        });
      }
      if (my.names) {
        pen.font = `600 ${0.86 * rem}px ${family}`; pen.textAlign = 'center'; pen.textBaseline = 'middle';
        const placed = [];  // names that would lie on each other move down
        data.centres[m].forEach((centre, c) => {
          if (!centre) return;
          const x = X(box, centre[0]), w = pen.measureText(data.classes[c]).width / 2 + 2;
          let y = Y(box, centre[1]);
          while (placed.some(([a, b, v]) => Math.abs(x - a) < w + v && Math.abs(y - b) < rem) && y < box.y + box.h)
            y += rem * .5;
          placed.push([x, y, w]);
          halo(pen, data.classes[c], x, y);
        });
      }
      for (const [i, r, wide] of [[data.selected, 11, 3], [my.hover, 8, 2]]) {
        if (i === null || i === undefined || i < 0) continue;
        const [x, y] = at(m, i);
        pen.beginPath(); pen.arc(X(box, x), Y(box, y), r, 0, 7);
        pen.strokeStyle = ground(); pen.lineWidth = wide + 2.5; pen.stroke();
        pen.strokeStyle = wide === 3 ? data.primary : now.color; pen.lineWidth = wide; pen.stroke();
      }
      pen.restore();
    });
    if (my.path && my.path.length > 1) {
      pen.beginPath();
      my.path.forEach(([x, y], i) => i ? pen.lineTo(x, y) : pen.moveTo(x, y));
      pen.closePath(); pen.fillStyle = data.primary; pen.globalAlpha = .14; pen.fill(); pen.globalAlpha = 1;
      pen.strokeStyle = data.primary; pen.lineWidth = 2; pen.setLineDash([5, 4]); pen.stroke(); pen.setLineDash([]);
    }
  };
  const render = () => {
    my.asked = 0;
    if (!root.isConnected) return;
    layout();
    if (!points() || !stage.clientWidth) return;
    drawPoints();
    const ratio = devicePixelRatio || 1, w = stage.clientWidth, h = stage.clientHeight;
    if (over.width !== Math.round(w * ratio) || over.height !== Math.round(h * ratio)) {
      over.width = Math.round(w * ratio); over.height = Math.round(h * ratio);
    }
    const pen = over.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, w, h);
    drawOver(pen, w, h);
    root.dataset.drawn = data.version;
  };
  const refresh = () => { my.asked ||= requestAnimationFrame(() => my.render()); };
  my.render = render;

  // --- pointing ---
  const where = (event) => {
    const box = over.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const panelAt = ([x, y]) => my.boxes ? my.boxes.findIndex((b) => x >= b.x && x <= b.x + b.w && y >= b.y &&
    y <= b.y + b.h) : -1;
  const nearest = (spot, reach) => {
    const m = panelAt(spot);
    if (m < 0 || !points()) return null;
    const p = points(), box = my.boxes[m], f = fit(box);
    let best = null, least = reach * reach;
    splits.forEach((name, layer) => {
      if (!my.on[name]) return;
      for (let i = p.starts[layer]; i < p.starts[layer + 1]; i++) {
        const j = 2 * (m * N + i);
        const dx = box.x + box.w / 2 + (p.xy[j] / 65535 - my.cx) * spanX * f - spot[0];
        const dy = box.y + box.h / 2 - (p.xy[j + 1] / 65535 - my.cy) * spanY * f - spot[1];
        const d = dx * dx + dy * dy - (layer === 2 ? 12 : 0);
        if (d < least) { least = d; best = i; }
      }
    });
    return best;
  };
  const nameOf = (i) => {
    const p = points(), layer = layerOf(i);
    return `${layer === 1 ? 'test sample' : 'sample'} ${p.ids[i]}\nclass ${data.classes[p.labels[i]]}\n` +
      data.layers[splits[layer]].title;
  };
  const show = (i, spot) => {
    if (i === my.hover) { if (i !== null) move(spot); return; }
    my.hover = i; refresh();
    card.hidden = i === null;
    over.classList.toggle('pick', i !== null && my.tool === 'move');
    if (i === null) return;
    const image = card.querySelector('img');
    card.querySelector('span').textContent = nameOf(i);
    image.style.display = data.images ? '' : 'none';
    image.onerror = () => { image.style.display = 'none'; };
    if (data.images) {
      image.removeAttribute('src');
      image.src = new URL(`${data.images}/${layerOf(i) === 1 ? 'test' : 'train'}/${points().ids[i]}`, document.baseURI);
    }
    move(spot);
  };
  const move = (spot) => {
    const frame = over.getBoundingClientRect(), mine = card.getBoundingClientRect();
    let x = frame.left + spot[0] + 18, y = frame.top + spot[1] + 14;
    if (x + mine.width > innerWidth - 8) x = frame.left + spot[0] - mine.width - 18;
    if (y + mine.height > innerHeight - 8) y = frame.top + spot[1] - mine.height - 14;
    card.style.left = Math.max(4, x) + 'px'; card.style.top = Math.max(4, y) + 'px';
  };
  const zoom = (by, spot) => {
    const m = spot ? panelAt(spot) : 0, box = my.boxes[Math.max(0, m)];
    const [x, y] = spot && m >= 0 ? spot : [box.x + box.w / 2, box.y + box.h / 2];
    const dx = (x - box.x - box.w / 2) / spanX, dy = (box.y + box.h / 2 - y) / spanY, before = fit(box);
    my.k = Math.min(400, Math.max(0.5, my.k * by));
    my.cx += dx / before - dx / fit(box); my.cy += dy / before - dy / fit(box);
    refresh();
  };
  const pan = (dx, dy, box) => { my.cx -= dx / spanX / fit(box); my.cy += dy / spanY / fit(box); refresh(); };
  over.onwheel = (event) => {
    if (panelAt(where(event)) < 0) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.0016), where(event));
  };
  over.onpointerdown = (event) => {
    if (event.button) return;
    const spot = where(event), m = panelAt(spot);
    if (m < 0) return;
    my.down = { spot, last: spot, m, moved: false };
    over.setPointerCapture(event.pointerId);
    if (my.tool !== 'move' || event.shiftKey) { my.path = [spot]; my.box = my.tool === 'box'; }
  };
  over.onpointermove = (event) => {
    const spot = where(event), down = my.down;
    if (!down) { if (event.pointerType !== 'touch') show(nearest(spot, 9), spot); return; }
    if (Math.hypot(spot[0] - down.spot[0], spot[1] - down.spot[1]) > 4) down.moved = true;
    if (my.path) {
      if (my.box) my.path = [down.spot, [spot[0], down.spot[1]], spot, [down.spot[0], spot[1]]];
      else my.path.push(spot);
      refresh();
    } else if (down.moved) {
      pan(spot[0] - down.last[0], spot[1] - down.last[1], my.boxes[down.m]);
      show(null);
    }
    down.last = spot;
  };
  over.onpointerup = (event) => {
    const down = my.down, path = my.path;
    my.down = my.path = null;
    if (!down) return;
    if (path && down.moved && path.length > 2) { take(path, down.m); refresh(); return; }
    if (!down.moved) {
      const i = nearest(down.spot, event.pointerType === 'touch' ? 20 : 10);
      if (i !== null) setTriggerValue('pick', { index: i, at: Date.now() });
    }
    refresh();
  };
  over.onpointerleave = () => { if (!my.down) show(null); };
  const take = (path, m) => {
    const p = points(), box = my.boxes[m], found = [];
    splits.forEach((name, layer) => {
      if (!my.on[name] || layer === 1) return;
      for (let i = p.starts[layer]; i < p.starts[layer + 1]; i++) {
        const [a, b] = at(m, i), x = X(box, a), y = Y(box, b);
        let inside = false;
        for (let j = 0, k = path.length - 1; j < path.length; k = j++) {
          const [xj, yj] = path[j], [xk, yk] = path[k];
          if ((yj > y) !== (yk > y) && x < (xk - xj) * (y - yj) / (yk - yj) + xj) inside = !inside;
        }
        if (inside) found.push(p.ids[i]);
      }
    });
    setTriggerValue('taken', { ids: found, at: Date.now() });
  };
  over.onkeydown = (event) => {
    const box = my.boxes[0], step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (step[event.key]) pan(...step[event.key], box);
    else if (event.key === '+' || event.key === '=') zoom(1.4);
    else if (event.key === '-') zoom(1 / 1.4);
    else if (event.key === '0') { my.k = 1; my.cx = my.cy = 0.5; refresh(); }
    else return;
    event.preventDefault(); event.stopPropagation();
  };

  // --- tools and legend ---
  const save = () => {
    const out = document.createElement('canvas');
    out.width = over.width; out.height = over.height;
    const pen = out.getContext('2d');
    pen.fillStyle = ground(); pen.fillRect(0, 0, out.width, out.height);
    pen.drawImage(back, 0, 0); pen.drawImage(over, 0, 0);
    const link = document.createElement('a');
    link.download = data.file + '.png'; link.href = out.toDataURL('image/png'); link.click();
  };
  const tools = part('tools');
  tools.innerHTML = [['move', 'Move', 'Drag to move, wheel to zoom'],
    ['lasso', 'Lasso', 'Draw around samples to forget'],
    ['box', 'Box', 'Draw a box around samples to forget']].map(([name, word, help]) =>
    `<button type="button" data-tool="${name}" title="${help}" aria-pressed="${my.tool === name}">${word}` +
    '</button>').join('') +
    '<i></i><button type="button" data-do="in" aria-label="Zoom in">+</button><button type="button" data-do="out" ' +
    'aria-label="Zoom out">−</button><button type="button" data-do="all">Whole map</button>' +
    '<button type="button" data-do="save">PNG</button>';
  tools.onclick = (event) => {
    const { tool, do: act } = event.target.dataset;
    if (tool) {
      my.tool = tool;
      tools.querySelectorAll('[data-tool]').forEach((b) => b.setAttribute('aria-pressed', b.dataset.tool === tool));
      over.classList.toggle('draw', tool !== 'move');
    } else if (act === 'in') zoom(1.5); else if (act === 'out') zoom(1 / 1.5);
    else if (act === 'all') { my.k = 1; my.cx = my.cy = 0.5; refresh(); } else if (act === 'save') save();
  };
  const key = part('mapkey'), shapes = ['circle', 'triangle', 'diamond'];
  const counts = points() ? splits.map((_, at) => points().starts[at + 1] - points().starts[at]) : data.counts;
  const legend = () => {
    key.innerHTML = splits.map((name, layer) => `<label><input type="checkbox" data-layer="${name}" ` +
      `${my.on[name] ? 'checked' : ''}>${icon(shapes[layer], my.by === 'class' ? 'none' : inkOf(name),
        my.by === 'class' ? 'currentColor' : '')}${data.layers[name].title} (${counts[layer].toLocaleString('en')})` +
      '</label>').join('') + (data.cloud ? `<label><input type="checkbox" data-layer="copies" ${my.on.copies ?
      'checked' : ''}>${icon('circle', data.panels[0].colour)}copies it recognises ${icon('circle', 'none',
      data.panels[0].colour)}or not</label>` : '') + `<label><input type="checkbox" data-names ${my.names ? 'checked' :
      ''}>class names</label><label><input type="checkbox" data-by ${my.by === 'class' ? 'checked' : ''}>` +
      'colour by class</label>';
  };
  legend();
  key.onchange = (event) => {
    const box = event.target;
    if (box.dataset.layer) my.on[box.dataset.layer] = box.checked;
    else if ('names' in box.dataset) my.names = box.checked;
    else my.by = box.checked ? 'class' : 'layer';
    legend(); refresh();
  };
  over.setAttribute('aria-label', data.label + '. Arrow keys move the map, plus and minus zoom, 0 shows all of it; a ' +
    'sample can be chosen in the box below it.');
  if (!my.watch) {
    my.watch = new ResizeObserver(() => refresh()); my.watch.observe(stage);
    my.listen = () => { my.ready = false; refresh(); };
    window.addEventListener('rk-points', my.listen);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { my.inked = ''; refresh(); });
  }
  refresh();
  return () => { my.watch.disconnect(); window.removeEventListener('rk-points', my.listen); my.watch = null; };
}
