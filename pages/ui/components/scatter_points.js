// The points of all panels on one canvas: WebGL, or plain drawing where there is none.

import { FORGET, MANY, SPLITS } from "./scatter_map.js";
import { hex } from "./shapes.js";

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

const rgb = (text) => (text[0] === "#" ? hex(text) : (text.match(/[\d.]+/g) || [0, 0, 0]).slice(0, 3).map(Number));

function setup(map) {
  const { my, back } = map;
  my.gl = back.getContext("webgl", { antialias: false, premultipliedAlpha: true, preserveDrawingBuffer: true });
  if (!my.gl) {
    my.plain = back.getContext("2d");
    return;
  }
  const gl = my.gl;
  const program = gl.createProgram();
  for (const [kind, text] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  my.loc = Object.fromEntries(["view", "size", "shape"].map((name) => [name, gl.getUniformLocation(program, name)]));
  my.attr = Object.fromEntries(["xy", "ink"].map((name) => [name, gl.getAttribLocation(program, name)]));
  my.xy = gl.createBuffer();
  my.ink = gl.createBuffer();
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  back.addEventListener("webglcontextlost", (event) => event.preventDefault());
  back.addEventListener("webglcontextrestored", () => {
    Object.assign(my, { gl: null, plain: null, ready: false });
    map.refresh();
  });
}

/** Red, green, blue and opacity of every row, by its layer or by its class. */
function inks(map) {
  const { labels, starts } = map.points;
  const colours = new Uint8Array(4 * map.data.count);
  const shades = map.data.colours.map(hex);
  SPLITS.forEach((name, layer) => {
    const plain = rgb(map.ink(name));
    for (let i = starts[layer]; i < starts[layer + 1]; i++) {
      const colour = map.my.by === "class" ? shades[labels[i] % shades.length] : plain;
      for (let k = 0; k < 3; k++) colours[4 * i + k] = colour[k];
      colours[4 * i + 3] = layer === FORGET && map.data.counts[FORGET] <= MANY ? 255 : 175;
    }
  });
  return colours;
}

function drawPlain(map, [ratio, w, h]) {
  const { plain: pen, boxes, colours: c } = map.my;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, w, h);
  boxes.forEach((box, m) => {
    map.eachLayer((name, _, first, end) => {
      const s = map.size(name);
      for (let i = first; i < end; i++) {
        const [x, y] = map.at(m, i);
        const [px, py] = [map.x(box, x), map.y(box, y)];
        if (px < box.x || px > box.x + box.w || py < box.y || py > box.y + box.h) continue;
        pen.fillStyle = `rgba(${c[4 * i]},${c[4 * i + 1]},${c[4 * i + 2]},${c[4 * i + 3] / 255})`;
        pen.fillRect(px - s / 2, py - s / 2, s, s);
      }
    });
  });
}

/** Send what is new to the graphics card: points once a map, colours when they change. */
function send({ my, points }) {
  const { gl } = my;
  if (!my.ready) {
    gl.bindBuffer(gl.ARRAY_BUFFER, my.xy);
    gl.bufferData(gl.ARRAY_BUFFER, points.xy, gl.STATIC_DRAW);
  }
  if (my.fresh) {
    gl.bindBuffer(gl.ARRAY_BUFFER, my.ink);
    gl.bufferData(gl.ARRAY_BUFFER, my.colours, gl.STATIC_DRAW);
    my.fresh = false;
  }
}

function drawGl(map, ratio) {
  const { my, back, data } = map;
  const { gl } = my;
  send(map);
  gl.disable(gl.SCISSOR_TEST);
  gl.viewport(0, 0, back.width, back.height);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT);
  gl.enable(gl.SCISSOR_TEST);
  gl.enableVertexAttribArray(my.attr.xy);
  gl.enableVertexAttribArray(my.attr.ink);
  gl.bindBuffer(gl.ARRAY_BUFFER, my.ink);
  gl.vertexAttribPointer(my.attr.ink, 4, gl.UNSIGNED_BYTE, true, 0, 0);
  my.boxes.forEach((box, m) => {
    const low = back.height - Math.round((box.y + box.h) * ratio);
    const area = [Math.round(box.x * ratio), low, Math.round(box.w * ratio), Math.round(box.h * ratio)];
    gl.viewport(...area);
    gl.scissor(...area);
    const sx = (2 * map.spanX * map.fit(box)) / box.w;
    const sy = (2 * map.spanY * map.fit(box)) / box.h;
    gl.uniform4f(my.loc.view, sx, sy, -my.cx * sx, -my.cy * sy);
    gl.bindBuffer(gl.ARRAY_BUFFER, my.xy);
    gl.vertexAttribPointer(my.attr.xy, 2, gl.UNSIGNED_SHORT, true, 4, 4 * m * data.count);
    map.eachLayer((name, _, first, end) => {
      if (end === first) return;
      gl.uniform1f(my.loc.size, map.size(name) * ratio);
      gl.uniform1f(my.loc.shape, data.layers[name].shape);
      gl.drawArrays(gl.POINTS, first, end - first);
    });
  });
}

/** @param {import("./scatter_map.js").ScatterMap} map */
export function drawPoints(map) {
  const { my } = map;
  if (!my.gl && !my.plain) setup(map);
  const area = map.fill(map.back);
  const ink = my.by + map.style.color;
  if (!my.ready || my.inked !== ink) Object.assign(my, { colours: inks(map), inked: ink, fresh: true });
  if (my.gl) drawGl(map, area[0]);
  else drawPlain(map, area);
  my.ready = true;
}
