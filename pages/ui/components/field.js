const INK = '#14171D', TAGS = (look) => `<span class="rk-tag" style="background:${look.colour};color:#fff">` +
  `${look.letter}</span>`;
const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

// 80 fixed places in the unit disc, the same for every point, radius and model
const DRAWS = (() => {
  let seed = 7;
  const random = () => {
    seed = (seed + 0x6D2B79F5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return Array.from({ length: 80 }, () => {
    const r = Math.sqrt(random()), a = 2 * Math.PI * random();
    return [r * Math.cos(a), r * Math.sin(a)];
  });
})();

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector('.rk-field'), canvas = root.querySelector('canvas');
  const part = (name) => root.querySelector('.rk-' + name);
  const my = root.my || (root.my = { on: { original: true, references: true, unlearned: true }, mode: 'look' });
  const n = data.steps_grid, C = data.classes.length, T = data.steps.length, cell = n * n;

  if (my.version !== data.version) {
    my.version = data.version;
    my.fields = Object.fromEntries(Object.entries(data.fields).map(([name, text]) => [name, decode(text)]));
    my.frame = data.play ? 0 : T - 1;
    my.playing = data.play && !matchMedia('(prefers-reduced-motion: reduce)').matches;
    my.hold = performance.now() + 900;
    my.look = data.look;
    if (!my.playing) my.frame = T - 1;
    my.tau = my.tau ?? data.tau;
    my.shade = null;
  }
  if (!my.turn || data.seen >= my.turn) my.chosen = new Set(data.chosen);

  // --- reading a field ---
  const value = (field, m, c, i) => field[(m * C + c) * cell + i];
  const log = (field, m, c, x, y) => {
    const u = Math.min(n - 1.001, Math.max(0, x * (n - 1))), v = Math.min(n - 1.001, Math.max(0, y * (n - 1)));
    const i = Math.floor(u), j = Math.floor(v), a = u - i, b = v - j, at = j * n + i;
    return (1 - b) * ((1 - a) * value(field, m, c, at) + a * value(field, m, c, at + 1)) +
      b * ((1 - a) * value(field, m, c, at + n) + a * value(field, m, c, at + n + 1));
  };
  const says = (name, m, x, y) => {
    let best = 0, top = -1;
    for (let c = 0; c < C; c++) { const l = log(my.fields[name], m, c, x, y); if (l > top) { top = l; best = c; } }
    return best;
  };

  // --- lines between classes, by marching squares on own log-probability minus the best other ---
  const border = (name, m) => {
    const field = my.fields[name], segments = [];
    for (let c = 0; c < (C === 2 ? 1 : C); c++) {
      const g = new Float32Array(cell);
      for (let i = 0; i < cell; i++) {
        let other = -1;
        for (let k = 0; k < C; k++) if (k !== c) other = Math.max(other, value(field, m, k, i));
        g[i] = value(field, m, c, i) - other + 0.01;
      }
      for (let j = 0; j < n - 1; j++) for (let i = 0; i < n - 1; i++) {
        const at = j * n + i, p = [g[at], g[at + 1], g[at + n + 1], g[at + n]], cuts = [];
        const corner = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
        for (let e = 0; e < 4; e++) {
          const a = p[e], b = p[(e + 1) % 4];
          if ((a > 0) === (b > 0)) continue;
          const s = a / (a - b), [x0, y0] = corner[e], [x1, y1] = corner[(e + 1) % 4];
          cuts.push([(x0 + s * (x1 - x0)) / (n - 1), (y0 + s * (y1 - y0)) / (n - 1)]);
        }
        for (let k = 0; k + 1 < cuts.length; k += 2) segments.push([cuts[k], cuts[k + 1]]);
      }
    }
    return segments;
  };
  const fixed = (name) => (my['line-' + name + my.version] ||= Array.from(
    { length: my.fields[name].length / (C * cell) }, (_, m) => border(name, m)));

  // --- drawing ---
  const fills = data.fills.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const shade = document.createElement('canvas');
  shade.width = shade.height = n;
  const paintShade = () => {
    const picture = new ImageData(n, n), field = my.fields.unlearned;
    for (let j = 0; j < n; j++) for (let i = 0; i < n; i++) {
      const at = j * n + i, to = 4 * ((n - 1 - j) * n + i);
      let sum = 0; const p = [];
      for (let c = 0; c < C; c++) {
        p[c] = Math.exp((1 - value(field, my.frame, c, at) / 255) * data.floor);
        sum += p[c];
      }
      for (let k = 0; k < 3; k++) {
        let mix = 0;
        for (let c = 0; c < C; c++) mix += p[c] / sum * fills[c][k];
        picture.data[to + k] = mix;
      }
      picture.data[to + 3] = 255;
    }
    shade.getContext('2d').putImageData(picture, 0, 0);
  };

  const draw = () => {
    const style = getComputedStyle(root), rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const wide = canvas.clientWidth, ratio = devicePixelRatio || 1;
    if (!wide) return;
    if (canvas.width !== Math.round(wide * ratio)) canvas.width = canvas.height = Math.round(wide * ratio);
    const pen = canvas.getContext('2d'), pad = 2.1 * rem, side = wide - pad - 4;
    const X = (x) => pad + x * side, Y = (y) => 2 + (1 - y) * side;
    my.map = { X, Y, pad, side };
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, wide, wide);
    pen.save();
    pen.beginPath(); pen.roundRect(pad, 2, side, side, 6); pen.clip();
    paintShade();
    pen.imageSmoothingEnabled = true; pen.imageSmoothingQuality = 'high';
    // nodes of the grid lie on the edges of the picture, so it reaches half a cell beyond them
    const over = side / (n - 1) / 2;
    pen.drawImage(shade, pad - over, 2 - over, side + 2 * over, side + 2 * over);
    const stroke = (segments, colour, width, dash) => {
      pen.lineCap = 'round'; pen.setLineDash(dash);
      for (const [c, w] of [['rgba(255,255,255,.85)', width + 2.4], [colour, width]]) {
        if (dash.length && c[0] === 'r') continue;
        pen.strokeStyle = c; pen.lineWidth = w; pen.beginPath();
        for (const [[a, b], [p, q]] of segments) { pen.moveTo(X(a), Y(b)); pen.lineTo(X(p), Y(q)); }
        pen.stroke();
      }
      pen.setLineDash([]);
    };
    if (my.on.original) for (const line of fixed('original')) stroke(line, data.looks.original.colour, 2.6, []);
    if (my.on.references) for (const line of fixed('references')) stroke(line, data.looks.references.colour, 2.2, []);
    if (my.on.unlearned) stroke(border('unlearned', my.frame), data.looks.unlearned.colour, 3.6, []);

    // the copies around one point
    if (my.look !== null) {
      const [x, y] = data.points[my.look], own = data.labels[my.look];
      pen.beginPath(); pen.arc(X(x), Y(y), my.tau * side, 0, 7);
      pen.fillStyle = 'rgba(255,255,255,.5)'; pen.fill();
      pen.strokeStyle = INK; pen.lineWidth = 1.6; pen.stroke();
      for (const [dx, dy] of DRAWS) {
        const [a, b] = [Math.min(1, Math.max(0, x + my.tau * dx)), Math.min(1, Math.max(0, y + my.tau * dy))];
        pen.beginPath(); pen.arc(X(a), Y(b), 3.1, 0, 7);
        if (says('unlearned', my.frame, a, b) === own) { pen.fillStyle = data.looks.unlearned.colour; pen.fill(); }
        else { pen.strokeStyle = data.looks.unlearned.colour; pen.lineWidth = 1.3; pen.stroke(); }
      }
    }
    // the samples: a shape and a shade per class; a thick ring is to be forgotten
    const gone = my.mode === 'choose' ? my.chosen : new Set(data.forget);
    const big = Math.max(3.4, wide / 130);
    data.points.forEach(([x, y], i) => {
      const out = gone.has(i), r = out ? big * 1.45 : big;
      pen.beginPath();
      shape(pen, data.labels[i], X(x), Y(y), r);
      pen.fillStyle = out ? '#fff' : dark[data.labels[i]];
      pen.fill();
      pen.strokeStyle = out ? INK : 'rgba(255,255,255,.9)'; pen.lineWidth = out ? 2.2 : 1; pen.stroke();
      if (out) {
        pen.beginPath(); shape(pen, data.labels[i], X(x), Y(y), r * 0.42);
        pen.fillStyle = dark[data.labels[i]]; pen.fill();
      }
    });
    if (my.at !== undefined && my.keys) {
      const [x, y] = data.points[my.at];
      pen.beginPath(); pen.arc(X(x), Y(y), big * 2.6, 0, 7);
      pen.strokeStyle = '#4A4AC8'; pen.lineWidth = 3; pen.stroke();
    }
    pen.restore();
    pen.fillStyle = style.color; pen.globalAlpha = .78;
    pen.font = `${0.86 * rem}px ${style.fontFamily}`; pen.textAlign = 'center';
    pen.fillText(data.axes[0], pad + side / 2, side + 2 + 1.35 * rem);
    pen.save(); pen.translate(1.05 * rem, 2 + side / 2); pen.rotate(-Math.PI / 2); pen.fillText(data.axes[1], 0, 0);
    pen.restore(); pen.globalAlpha = 1;
  };
  const dark = ['#6b5b00', '#0b5a86', '#8a2140', '#3c5c00'];
  const shape = (pen, kind, x, y, r) => {
    if (kind % 3 === 0) pen.arc(x, y, r, 0, 7);
    else if (kind % 3 === 1) pen.rect(x - r * .88, y - r * .88, 1.76 * r, 1.76 * r);
    else { pen.moveTo(x, y - 1.15 * r); pen.lineTo(x + 1.05 * r, y + .85 * r); pen.lineTo(x - 1.05 * r, y + .85 * r);
      pen.closePath(); }
  };

  // --- words ---
  const percent = (share) => Math.round(100 * share) + '%';
  const tell = () => {
    const [retain, forget] = data.accuracy[my.frame];
    part('moment').innerHTML = `Step <b>${data.steps[my.frame]}</b> of ${data.steps[T - 1]} · right on ` +
      `<b>${percent(retain)}</b> of the points that stay, <b>${percent(forget)}</b> of those to forget`;
    part('scrub').value = my.frame;
    part('scrub').setAttribute('aria-valuetext', `step ${data.steps[my.frame]} of ${data.steps[T - 1]}`);
    part('play').textContent = my.playing ? '❚❚ Pause' : my.frame >= T - 1 ? '↺ Replay' : '▶ Play';
    const box = part('counts'), knob = part('radius');
    knob.style.display = box.style.display = my.mode === 'look' && my.look !== null ? '' : 'none';
    if (my.look === null) return;
    const [x, y] = data.points[my.look], own = data.labels[my.look];
    const count = (name, m) => DRAWS.filter(([dx, dy]) => says(name, m,
      Math.min(1, Math.max(0, x + my.tau * dx)), Math.min(1, Math.max(0, y + my.tau * dy))) === own).length;
    const u = count('unlearned', my.frame), o = count('original', 0);
    const each = fixed('references').map((_, m) => count('references', m));
    const mean = each.reduce((a, b) => a + b, 0) / each.length;
    const row = (look, number) => `<tr><td>${TAGS(look)}</td><td style="width:100%"><div class="rk-meter"><i style=` +
      `"width:${100 * number / DRAWS.length}%;background:${look.colour}"></i></div></td>` +
      `<td><b>${Number.isInteger(number) ? number : number.toFixed(1)}</b> of ${DRAWS.length}</td></tr>`;
    const average = Number.isInteger(mean) ? mean : mean.toFixed(1);
    const times = u / mean >= 100 ? Math.round(u / mean) : (u / mean).toPrecision(3);
    const ratio = mean > 0 ? `r̂ = ${u} / ${average} = <b>${times}</b>` :
      `r̂ = ${u} / 0 is undefined: no re-trained model recognises any copy`;
    box.innerHTML = '<table>' + row(data.looks.original, o) + row(data.looks.references, mean) +
      row(data.looks.unlearned, u) + `</table><p>${ratio}</p>`;
    knob.firstElementChild.innerHTML = `Radius τ of the ball = <b>${my.tau.toFixed(3)}</b>`;
    canvas.setAttribute('aria-label', `${data.label}. Point ${my.look}, ${data.classes[own]}: of ${DRAWS.length} ` +
      `copies within ${my.tau.toFixed(3)} the Original recognises ${o}, re-trained models ${mean.toFixed(1)} on ` +
      `average, the unlearned model ${u}. Arrow keys go to the next point, space plays.`);
  };
  const refresh = () => { draw(); tell(); };

  // --- controls ---
  part('modes').innerHTML = !data.choose ? '' : ['look', 'choose'].map((mode) =>
    `<button type="button" role="radio" data-mode="${mode}" aria-checked="${my.mode === mode}">` +
    `${mode === 'look' ? 'Look around a point' : 'Choose points to forget'}</button>`).join('');
  part('modes').onclick = (event) => {
    const mode = event.target.dataset.mode;
    if (!mode) return;
    my.mode = mode;
    [...part('modes').children].forEach((b) => b.setAttribute('aria-checked', b.dataset.mode === mode));
    refresh();
  };
  part('lines').innerHTML = ['original', 'references', 'unlearned'].map((name) => {
    const look = data.looks[name], w = { original: 2.6, references: 2.2, unlearned: 3.8 }[name];
    return `<label><input type="checkbox" data-line="${name}" ${my.on[name] ? 'checked' : ''}><svg width="34" ` +
      `height="10" aria-hidden="true"><line x1="1" x2="33" y1="5" y2="5" stroke="${look.colour}" stroke-width="${w}"` +
      `/></svg>${TAGS(look)} ${look.title}</label>`;
  }).join('');
  part('lines').onchange = (event) => { my.on[event.target.dataset.line] = event.target.checked; refresh(); };
  const SHAPES = ['<circle cx="7" cy="7" r="5"/>', '<rect x="2.6" y="2.6" width="8.8" height="8.8"/>',
    '<path d="M7 1.5 12.5 12h-11Z"/>'];
  const icon = (inside) => `<svg width="14" height="14" aria-hidden="true">${inside}</svg>`;
  const orange = data.looks.unlearned.colour;
  part('legend').innerHTML = data.classes.map((name, c) => `<span>${icon(`<g fill="${dark[c]}" stroke="#fff">` +
    `${SHAPES[c % 3]}</g>`)}<b></b></span>`).join('') +
    `<span>${icon(`<circle cx="7" cy="7" r="5.4" fill="#fff" stroke="#14171D" stroke-width="2.2"/>` +
    `<circle cx="7" cy="7" r="2.2" fill="${dark[0]}"/>`)}to forget</span>` +
    `<span>${icon(`<circle cx="7" cy="7" r="3.6" fill="${orange}"/>`)}copy it recognises</span>` +
    `<span>${icon(`<circle cx="7" cy="7" r="3.2" fill="none" stroke="${orange}" stroke-width="1.4"/>`)}` +
    'copy it does not</span>';
  data.classes.forEach((name, c) => {
    const word = part('legend').children[c].lastElementChild;
    word.replaceWith(document.createTextNode(name));
  });
  const scrub = part('scrub');
  scrub.max = T - 1;
  scrub.oninput = () => { my.playing = false; my.frame = +scrub.value; refresh(); };
  const play = () => {
    my.playing = !my.playing;
    if (my.playing && my.frame >= T - 1) my.frame = 0;
    my.hold = 0; refresh(); tick();
  };
  part('play').onclick = play;
  const knob = part('radius').lastElementChild;
  knob.value = my.tau;
  knob.oninput = () => { my.tau = +knob.value; refresh(); };
  const toggle = (i) => {
    my.chosen.has(i) ? my.chosen.delete(i) : my.chosen.add(i);
    my.turn = Date.now();
    clearTimeout(my.later);
    my.later = setTimeout(() => setStateValue('chosen', { turn: my.turn, points: [...my.chosen] }), 250);
  };
  const nearest = (event) => {
    const box = canvas.getBoundingClientRect(), scale = canvas.clientWidth / box.width;
    const px = (event.clientX - box.left) * scale, py = (event.clientY - box.top) * scale;
    let best = null, least = 26 * 26;
    data.points.forEach(([x, y], i) => {
      const far = (my.map.X(x) - px) ** 2 + (my.map.Y(y) - py) ** 2;
      if (far < least) { least = far; best = i; }
    });
    return best;
  };
  canvas.onclick = (event) => {
    const at = nearest(event);
    my.keys = false;
    if (at === null) return;
    my.at = at;
    if (my.mode === 'choose') toggle(at); else my.look = at;
    refresh();
  };
  canvas.onkeydown = (event) => {
    const all = my.mode === 'choose' ? data.points.map((_, i) => i) : data.forget;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      my.at = all[(all.indexOf(my.at ?? my.look) + step + all.length) % all.length];
      my.keys = true;
      if (my.mode === 'look') my.look = my.at;
    } else if (event.key === 'Enter' && my.mode === 'choose' && my.at !== undefined) toggle(my.at);
    else if (event.key === ' ') play();
    else return;
    event.preventDefault(); event.stopPropagation();
    refresh();
  };

  const tick = () => {
    cancelAnimationFrame(my.timer);
    if (!my.playing || !root.isConnected) return;
    my.timer = requestAnimationFrame((now) => {
      if (now >= my.hold) {
        my.hold = now + 110;
        if (my.frame < T - 1) my.frame++;
        if (my.frame >= T - 1) my.playing = false;
        refresh();
      }
      tick();
    });
  };
  if (!my.watch) { my.watch = new ResizeObserver(() => my.refresh()); my.watch.observe(canvas); }
  my.refresh = refresh;
  refresh(); tick();
}
