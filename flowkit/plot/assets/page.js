"use strict";
// Behaviour of the page: places (without the Python layout), pan, zoom, find, details.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const stage = byId("stage");
  const panel = byId("panel");
  const find = byId("find");
  const svg = stage.querySelector("svg.flowkit");
  const drawing = svg.querySelector(".drawing");
  const nodes = new Map(data.nodes.map((node) => [node.id, node]));
  const shapes = new Map();
  const ways = [...drawing.querySelectorAll(".way")];
  const labels = [...drawing.querySelectorAll(".label-text")];
  for (const shape of drawing.querySelectorAll(".node")) shapes.set(shape.dataset.id, shape);

  // --- places -------------------------------------------------------------------
  // A line from a node to itself, at its right side.
  function round(at) {
    const x = at.x + at.width / 2;
    const tip = { x, y: at.y + 9 };
    return {
      d: `M${x} ${at.y - 9}C${x + 27} ${at.y - 20} ${x + 27} ${at.y + 20} ${x} ${tip.y}`,
      head: head([{ x: x + 20, y: tip.y + 7 }, tip]),
    };
  }

  function head(points) {
    const tip = points[points.length - 1];
    const from = points[points.length - 2];
    const length = Math.hypot(tip.x - from.x, tip.y - from.y) || 1;
    const dx = (tip.x - from.x) / length;
    const dy = (tip.y - from.y) / length;
    const left = `${tip.x - 8 * dx - 4 * dy} ${tip.y - 8 * dy + 4 * dx}`;
    const right = `${tip.x - 8 * dx + 4 * dy} ${tip.y - 8 * dy - 4 * dx}`;
    return `M${tip.x} ${tip.y}L${left}L${right}z`;
  }

  // Heights of the rows dagre made, by the middle of each: nodes and labels count.
  function rows(graph) {
    const heights = new Map();
    const add = (y, height) => {
      const key = Math.round(y);
      heights.set(key, Math.max(heights.get(key) || 0, height));
    };
    for (const { id } of data.nodes) add(graph.node(id).y, graph.node(id).height);
    for (const edge of graph.edges()) {
      const label = graph.edge(edge);
      if (label.height) add(label.y, label.height);
    }
    return (y) => (heights.get(Math.round(y)) || 0) / 2;
  }

  // Where lines meet the lower (or upper) side of a node: in the order of their ways.
  function ports(graph, ends, side) {
    const found = new Map();
    for (const id of graph.nodes()) {
      const at = graph.node(id);
      const mine = ends.filter((end) => end[side] === id);
      mine.sort((a, b) => a.ahead[side] - b.ahead[side]);
      const gap = Math.min(20, (at.width - 20) / Math.max(1, mine.length));
      mine.forEach((end, i) => found.set(end.name, at.x + (i - (mine.length - 1) / 2) * gap));
    }
    return found;
  }

  // Straight down through rows, bending only between them: no line crosses a node.
  function route(graph, end, half, out, into) {
    const [upper, lower] = [graph.node(end.upper), graph.node(end.lower)];
    const from = out.get(end.name);
    const to = into.get(end.name);
    const stops = end.inner.map((p) => [p.x, p.y - half(p.y), p.y + half(p.y)]);
    stops.unshift([from, upper.y + upper.height / 2, upper.y + half(upper.y)]);
    stops.push([to, lower.y - half(lower.y), lower.y - lower.height / 2]);
    let [x, , y] = stops[0];
    const down = [`${x} ${stops[0][1]}`, `L${x} ${y}`];
    for (const [nextX, top, bottom] of stops.slice(1)) {
      const middle = (y + top) / 2;
      down.push(`C${x} ${middle} ${nextX} ${middle} ${nextX} ${top}`, `L${nextX} ${bottom}`);
      [x, y] = [nextX, bottom];
    }
    const first = { x: from, y: stops[0][1] };
    const last = { x, y };
    const tip = end.turned ? [{ x: from, y: first.y + 20 }, first] : [{ x, y: y - 20 }, last];
    return { d: `M${down.join("")}`, head: head(tip) };
  }

  function place() {
    const graph = new dagre.graphlib.Graph({ multigraph: true, compound: true });
    graph.setGraph({ rankdir: "TB", nodesep: 30, ranksep: 52, edgesep: 20, marginx: 24, marginy: 24 });
    graph.setDefaultEdgeLabel(() => ({}));
    // Names of boxes, which no step can have.
    const box = (number) => `\u0000${number}`;
    data.around.forEach((_, i) => graph.setNode(box(i), {}));
    data.around.forEach((outer, i) => outer >= 0 && graph.setParent(box(i), box(outer)));
    data.nodes.forEach((node, i) => {
      graph.setNode(node.id, { width: data.boxes[i][0], height: data.boxes[i][1] });
      if (node.id in data.inside) graph.setParent(node.id, box(data.inside[node.id]));
    });
    data.lines.forEach((line, i) => {
      const size = line.size ? { width: line.size[0], height: line.size[1], labelpos: "c" } : {};
      // A loop's closing edge is handed over reversed, so that loops are entered
      // where the flow enters them; the rest has no cycle, so all edges lead down.
      const ends = line.back ? [line.target, line.source] : [line.source, line.target];
      graph.setEdge(ends[0], ends[1], size, String(i));
    });
    dagre.layout(graph);
    for (const [id, shape] of shapes) {
      const at = graph.node(id);
      shape.setAttribute("transform", `translate(${at.x - at.width / 2} ${at.y - at.height / 2})`);
    }
    for (const group of drawing.querySelectorAll("[data-group]")) {
      const at = graph.node(box(group.dataset.group));
      group.setAttribute("transform", `translate(${at.x - at.width / 2} ${at.y - at.height / 2})`);
      const frame = group.querySelector(".frame");
      if (!frame) continue;
      frame.setAttribute("width", at.width);
      frame.setAttribute("height", at.height);
    }
    const half = rows(graph);
    const ends = graph.edges().map((edge) => {
      const points = graph.edge(edge).points;
      const inner = points.slice(1, -1);
      const [first, last] = [inner[0] || points[1], inner[inner.length - 1] || points[0]];
      const turned = data.lines[Number(edge.name)].back;
      return { name: edge.name, upper: edge.v, lower: edge.w, inner, turned, ahead: { upper: first.x, lower: last.x } };
    });
    const plain = ends.filter((end) => end.upper !== end.lower);
    const out = ports(graph, plain, "upper");
    const into = ports(graph, plain, "lower");
    const drawn = new Map(ends.map((end) => [
      end.name,
      end.upper === end.lower
        ? round(graph.node(end.upper))
        : route(graph, end, half, out, into),
    ]));
    for (const way of ways) {
      const { d, head: tip } = drawn.get(way.dataset.line);
      way.querySelector(".edge").setAttribute("d", d);
      way.querySelector(".head").setAttribute("d", tip);
    }
    const found = new Map(graph.edges().map((edge) => [edge.name, graph.edge(edge)]));
    for (const label of labels) {
      const line = data.lines[Number(label.dataset.line)];
      const at = found.get(label.dataset.line);
      const own = line.source === line.target && graph.node(line.source);
      label.setAttribute("x", own ? own.x + own.width / 2 + 22 + line.size[0] / 2 : at.x);
      label.setAttribute("y", (own ? own.y : at.y) + 4);
    }
    data.size = [graph.graph().width, graph.graph().height];
  }
  if (!data.placed) place();

  // --- view ---------------------------------------------------------------------
  const view = { x: 0, y: 0, scale: 1 };
  const LEAST = 0.05;
  const MOST = 4;
  svg.removeAttribute("viewBox");

  function show() {
    drawing.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  }

  function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const scale = Math.min(MOST, Math.max(LEAST, view.scale * factor));
    view.x = x - ((x - view.x) * scale) / view.scale;
    view.y = y - ((y - view.y) * scale) / view.scale;
    view.scale = scale;
    show();
  }

  function fitting() {
    return Math.min(1.25, stage.clientWidth / data.size[0], stage.clientHeight / data.size[1]);
  }

  function fit() {
    view.scale = fitting();
    view.x = (stage.clientWidth - data.size[0] * view.scale) / 2;
    view.y = (stage.clientHeight - data.size[1] * view.scale) / 2;
    show();
  }

  function pan(dx, dy) {
    view.x += dx;
    view.y += dy;
    show();
  }

  function middle(id) {
    const at = shapes.get(id).transform.baseVal.consolidate().matrix;
    const box = data.boxes[data.nodes.indexOf(nodes.get(id))];
    return { x: at.e + box[0] / 2, y: at.f + box[1] / 2 };
  }

  function centre(id) {
    const at = middle(id);
    view.scale = Math.max(view.scale, 0.8);
    view.x = stage.clientWidth / 2 - at.x * view.scale;
    view.y = stage.clientHeight / 2 - at.y * view.scale;
    show();
  }

  function reveal(id) {
    const at = middle(id);
    const x = at.x * view.scale + view.x;
    const y = at.y * view.scale + view.y;
    const inside = x > 40 && y > 30 && x < stage.clientWidth - 40 && y < stage.clientHeight - 30;
    if (!inside) centre(id);
  }

  function open() {
    fit();
    if (view.scale >= 0.5) return;
    // Too large to read as a whole: begin where the flow begins.
    view.scale = 0.75;
    const first = data.nodes.find((node) => node.start) || data.nodes[0];
    const at = middle(first.id);
    view.x = stage.clientWidth / 2 - at.x * view.scale;
    view.y = Math.min(20, stage.clientHeight * 0.4 - at.y * view.scale);
    show();
  }

  // --- details ------------------------------------------------------------------
  let pinned = null;
  const KINDS = {
    start: "start", listen: "listener", router: "router", event: "event from outside",
    outside: "name from outside", join: "join", end: "labels that nobody hears",
    flow: "sub-flow", several: "several steps",
  };

  function what(node) {
    const words = [KINDS[node.kind]];
    if (node.start && node.kind === "router") words.unshift("start");
    if (node.is_async) words.unshift("async");
    const parts = [words.join(" ")];
    if (node.mark) parts.push(`waits for: ${node.mark}`);
    if (node.about) parts.push(node.about);
    if (node.status) parts.push([node.status.state, node.status.note.replaceAll("\n", ", ")].filter(Boolean).join(", "));
    for (const mark of node.marks) parts.push(mark.tip);
    if (node.place) parts.push(node.place);
    return parts.join(" · ");
  }

  function said(edge) {
    const from = nodes.get(edge.source).name;
    const to = nodes.get(edge.target).name;
    const words = [`${from} → ${to}`];
    if (edge.label) words.push(edge.label);
    if (edge.possible) words.push("possible");
    if (edge.back) words.push("closes a loop");
    if (edge.taken.length === 1) words.push(["not taken", "taken once"][edge.taken[0]] || `taken ${edge.taken[0]} times`);
    if (edge.taken.length === 2) words.push(`A: ${edge.taken[0]}, B: ${edge.taken[1]}`);
    return words.join(", ");
  }

  function light(id) {
    const near = new Set([id]);
    for (const way of ways) {
      const touches = way.dataset.source === id || way.dataset.target === id;
      if (touches) near.add(way.dataset.source).add(way.dataset.target);
      way.classList.toggle("faded", Boolean(id) && !touches);
    }
    for (const label of labels) {
      const line = data.lines[Number(label.dataset.line)];
      label.classList.toggle("faded", Boolean(id) && line.source !== id && line.target !== id);
    }
    for (const [other, shape] of shapes) {
      shape.classList.toggle("faded", Boolean(id) && !near.has(other));
      shape.classList.toggle("shown", other === id);
    }
  }

  function detail(id) {
    const node = nodes.get(id);
    light(id);
    panel.querySelector("h2").textContent = node.name;
    panel.querySelector(".what").textContent = what(node);
    panel.querySelector(".doc").textContent = node.doc;
    panel.querySelector("pre").textContent = node.source;
    const story = panel.querySelector(".story");
    story.replaceChildren();
    for (const line of [...(node.status ? node.status.story : []), ...node.members]) {
      const item = document.createElement("li");
      item.textContent = line;
      story.append(item);
    }
    const list = panel.querySelector(".ways");
    list.replaceChildren();
    for (const edge of data.edges) {
      if (edge.source !== id && edge.target !== id) continue;
      const item = document.createElement("li");
      item.textContent = said(edge);
      list.append(item);
    }
    // On the side away from the step, so that the step stays in sight.
    const x = middle(id).x * view.scale + view.x;
    if (panel.hidden || pinned !== id) panel.classList.toggle("left", x > stage.clientWidth / 2);
    panel.hidden = false;
  }

  function unpin() {
    pinned = null;
    panel.hidden = true;
    light(null);
  }

  for (const [id, shape] of shapes) {
    const node = nodes.get(id);
    shape.setAttribute("tabindex", "0");
    shape.setAttribute("role", "button");
    shape.setAttribute("aria-label", `${node.name}, ${what(node)}`);
    shape.addEventListener("pointerenter", () => { if (!pinned && !dragging()) detail(id); });
    shape.addEventListener("pointerleave", () => { if (!pinned) light(null); });
    shape.addEventListener("focus", () => { if (shape.matches(":focus-visible")) { pinned = id; detail(id); reveal(id); } });
    shape.addEventListener("click", () => { pinned = id; detail(id); });
  }
  byId("close").addEventListener("click", unpin);

  // --- pointer ------------------------------------------------------------------
  const pointers = new Map();
  let moved = false;
  const dragging = () => pointers.size > 0 && moved;

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = false;
  });
  window.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const dx = event.clientX - before.x;
    const dy = event.clientY - before.y;
    if (!moved && Math.hypot(dx, dy) < 4) return;
    moved = true;
    stage.classList.add("drag");
    const other = [...pointers].find(([id]) => id !== event.pointerId);
    if (other) {
      const at = other[1];
      const was = Math.hypot(before.x - at.x, before.y - at.y) || 1;
      const box = stage.getBoundingClientRect();
      zoom(Math.hypot(event.clientX - at.x, event.clientY - at.y) / was, at.x - box.left, at.y - box.top);
    } else pan(dx, dy);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  function released(event) {
    pointers.delete(event.pointerId);
    if (!pointers.size) stage.classList.remove("drag");
  }
  window.addEventListener("pointerup", released);
  window.addEventListener("pointercancel", released);
  stage.addEventListener("click", (event) => {
    if (!moved && !event.target.closest(".node")) unpin();
  });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    const step = event.deltaMode === 1 ? event.deltaY * 20 : event.deltaY;
    zoom(Math.exp(-Math.max(-200, Math.min(200, step)) * 0.002), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });

  // --- find ---------------------------------------------------------------------
  let matches = [];
  let match = -1;

  function search() {
    const words = find.value.trim().toLowerCase();
    const hits = (node) => [node.name, node.doc, ...node.labels, ...node.members].some((t) => t.toLowerCase().includes(words));
    matches = words ? data.nodes.filter(hits).map((node) => node.id) : [];
    match = -1;
    for (const [id, shape] of shapes) {
      shape.classList.toggle("found", matches.includes(id));
      shape.classList.toggle("faded", Boolean(words) && !matches.includes(id));
    }
    byId("count").textContent = words ? `${matches.length} found` : "";
  }

  function next(step) {
    if (!matches.length) return;
    match = (match + step + matches.length) % matches.length;
    pinned = matches[match];
    detail(pinned);
    centre(pinned);
    byId("count").textContent = `${match + 1} of ${matches.length}`;
  }
  find.addEventListener("input", search);
  find.addEventListener("keydown", (event) => {
    if (event.key === "Enter") next(event.shiftKey ? -1 : 1);
  });

  // --- keys and buttons ---------------------------------------------------------
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  // The nearest node in a direction; what lies aside counts double.
  function neighbour(id, [dx, dy]) {
    const from = middle(id);
    let best = null;
    let least = Infinity;
    for (const other of nodes.keys()) {
      const at = middle(other);
      const ahead = (at.x - from.x) * dx + (at.y - from.y) * dy;
      const aside = Math.abs((at.x - from.x) * dy) + Math.abs((at.y - from.y) * dx);
      if (other !== id && ahead > 1 && ahead + 2 * aside < least) {
        least = ahead + 2 * aside;
        best = other;
      }
    }
    return best;
  }

  function arrow(direction) {
    const focused = document.activeElement.closest(".node");
    const to = focused && neighbour(focused.dataset.id, direction);
    if (to) shapes.get(to).focus({ preventScroll: true, focusVisible: true });
    else if (!focused) pan(-60 * direction[0], -60 * direction[1]);
  }

  function escape() {
    find.value = "";
    search();
    unpin();
    stage.focus();
  }

  const KEYS = {
    "+": () => zoom(1.2), "=": () => zoom(1.2), "-": () => zoom(1 / 1.2), _: () => zoom(1 / 1.2),
    0: fit, "/": () => find.focus(), Escape: escape,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target === find;
    if (typing && event.key !== "Escape") return;
    if (event.target.closest("pre, aside") && ARROWS[event.key]) return;
    const focused = document.activeElement.closest(".node");
    if (ARROWS[event.key]) arrow(ARROWS[event.key]);
    else if (KEYS[event.key]) KEYS[event.key]();
    else if ((event.key === "Enter" || event.key === " ") && focused) focused.dispatchEvent(new Event("click"));
    else return;
    event.preventDefault();
  });
  byId("in").addEventListener("click", () => zoom(1.2));
  byId("out").addEventListener("click", () => zoom(1 / 1.2));
  byId("fit").addEventListener("click", fit);

  open();
})();
