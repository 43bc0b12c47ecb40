"use strict";
// A glass that can be turned: shapes sorted by depth and painted on a plain canvas; no library, no WebGL.
function glassViewer(place, scene) {
  const canvas = place.querySelector("canvas");
  const pen = canvas.getContext("2d");
  const start = { zoom: 1, turn: [[0.88, 0, -0.47], [-0.2, 0.9, -0.37], [0.43, 0.42, 0.8]] };
  let turn = start.turn, zoom = start.zoom, waiting = false, printing = false;
  const hidden = new Set();
  const reach = Math.max(...scene.points.map(function (p) { return Math.hypot(p[0], p[1], p[2]); })) + 0.6;
  const rgb = function (hex) { return [1, 3, 5].map(function (i) { return parseInt(hex.slice(i, i + 2), 16); }); };
  const kinds = scene.kinds.map(function (kind) { return rgb(kind[1]); });

  function rotated(p) {
    return turn.map(function (row) { return row[0] * p[0] + row[1] * p[1] + row[2] * p[2]; });
  }

  function spun(rightwards, downwards) {
    const a = Math.cos(rightwards), b = Math.sin(rightwards), c = Math.cos(downwards), d = Math.sin(downwards);
    const by = [[a, 0, b], [d * b, c, -d * a], [-c * b, d, c * a]];
    turn = by.map(function (row) {
      return [0, 1, 2].map(function (j) { return row[0] * turn[0][j] + row[1] * turn[1][j] + row[2] * turn[2][j]; });
    });
  }

  function shapes(at) {
    const list = [];
    scene.frame.forEach(function (edge) {
      const p = at(edge[0]), q = at(edge[1]);
      list.push({ z: (p[2] + q[2]) / 2 - 0.5, kind: "edge", p: p, q: q });
    });
    const placed = scene.points.map(at);
    if (!hidden.has("polyhedra")) {
      scene.faces.forEach(function (face) {
        const p = [placed[face[0]], placed[face[1]], placed[face[2]]];
        list.push({ z: (p[0][2] + p[1][2] + p[2][2]) / 3, kind: "face", p: p, colour: kinds[face[3]] });
      });
      scene.bonds.forEach(function (bond) {
        const p = placed[bond[0]], q = placed[bond[1]];
        list.push({ z: (p[2] + q[2]) / 2, kind: "bond", p: p, q: q });
      });
    }
    placed.forEach(function (p, i) {
      const element = scene.elements[scene.species[i]];
      if (!hidden.has(element[0])) {
        list.push({ z: p[2] + 0.3, kind: "atom", p: p, radius: element[2], colour: element[1], home: i < scene.home });
      }
    });
    return list.sort(function (a, b) { return a.z - b.z; });
  }

  function line(shape, width) {
    pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(shape.p[0], shape.p[1]);
    pen.lineTo(shape.q[0], shape.q[1]);
    pen.stroke();
  }

  function face(shape, unit) {
    const p = shape.p, u = [0, 1, 2].map(function (k) { return p[1][k] - p[0][k]; });
    const v = [0, 1, 2].map(function (k) { return p[2][k] - p[0][k]; });
    u[2] *= unit; v[2] *= unit;
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    const light = 0.55 + 0.45 * Math.abs(n[2] * 0.9 + n[1] * 0.3) / (Math.hypot(n[0], n[1], n[2]) || 1);
    pen.fillStyle = "rgba(" + shape.colour.map(function (c) { return Math.round(c * light); }).join(",") + ",0.62)";
    pen.strokeStyle = "rgba(255,255,255,0.35)";
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(p[0][0], p[0][1]); pen.lineTo(p[1][0], p[1][1]); pen.lineTo(p[2][0], p[2][1]);
    pen.closePath();
    pen.fill();
    pen.stroke();
  }

  function ball(shape, unit) {
    const r = Math.max(1.2, shape.radius * unit), x = shape.p[0], y = shape.p[1];
    pen.globalAlpha = shape.home ? 1 : 0.45;
    pen.fillStyle = shape.colour;
    pen.beginPath(); pen.arc(x, y, r, 0, 2 * Math.PI); pen.fill();
    pen.fillStyle = "rgba(255,255,255,0.45)";
    pen.beginPath(); pen.arc(x - 0.3 * r, y - 0.3 * r, 0.36 * r, 0, 2 * Math.PI); pen.fill();
    pen.globalAlpha = 1;
  }

  function draw() {
    waiting = false;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    const scale = printing ? 3 : window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    const unit = zoom * 0.5 * Math.min(width, height * 1.15) / reach;
    const at = function (p) {
      const r = rotated(p), near = 1 + 0.12 * r[2] / reach;
      return [width / 2 + unit * near * r[0], height / 2 - unit * near * r[1], r[2]];
    };
    const faint = getComputedStyle(place).getPropertyValue("--faint") || "#888";
    shapes(at).forEach(function (shape) {
      if (shape.kind === "face") { face(shape, unit); return; }
      if (shape.kind === "atom") { ball(shape, unit); return; }
      pen.strokeStyle = faint;
      line(shape, shape.kind === "edge" ? 1 : 2);
    });
  }

  function ask() {
    if (!waiting) { waiting = true; requestAnimationFrame(draw); }
  }

  const down = new Map();
  let apart = 0;
  canvas.addEventListener("pointerdown", function (event) {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, [event.clientX, event.clientY]);
    apart = 0;
  });
  canvas.addEventListener("pointermove", function (event) {
    const before = down.get(event.pointerId);
    if (!before) return;
    down.set(event.pointerId, [event.clientX, event.clientY]);
    if (down.size === 1) spun((event.clientX - before[0]) * 0.009, (event.clientY - before[1]) * 0.009);
    if (down.size === 2) {
      const ends = Array.from(down.values()), now = Math.hypot(ends[0][0] - ends[1][0], ends[0][1] - ends[1][1]);
      if (apart) magnify(now / apart);
      apart = now;
    }
    ask();
  });
  ["pointerup", "pointercancel", "lostpointercapture"].forEach(function (name) {
    canvas.addEventListener(name, function (event) { down.delete(event.pointerId); apart = 0; });
  });

  function magnify(by) { zoom = Math.min(6, Math.max(0.4, zoom * by)); }

  // The page must scroll over the picture: the wheel magnifies only with Ctrl, as maps do.
  canvas.addEventListener("wheel", function (event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    magnify(Math.exp(-event.deltaY * 0.002));
    ask();
  }, { passive: false });
  const keys = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
  canvas.addEventListener("keydown", function (event) {
    if (keys[event.key]) spun(keys[event.key][0], keys[event.key][1]);
    else if (event.key === "+" || event.key === "=") magnify(1.1);
    else if (event.key === "-") magnify(1 / 1.1);
    else return;
    event.preventDefault();
    ask();
  });
  place.querySelectorAll("input[type=checkbox]").forEach(function (box) {
    const follow = function () { if (box.checked) hidden.delete(box.value); else hidden.add(box.value); ask(); };
    box.addEventListener("change", follow);
    follow();
  });
  place.querySelectorAll("button").forEach(function (button) {
    button.addEventListener("click", function () {
      if (button.value === "reset") { turn = start.turn; zoom = start.zoom; } else magnify(Number(button.value));
      ask();
    });
  });
  new ResizeObserver(ask).observe(canvas);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ask);
  return { draw: function (forPrint) { printing = forPrint; draw(); } };
}
