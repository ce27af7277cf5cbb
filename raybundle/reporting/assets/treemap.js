/* What takes the space: the bundle as a tree of folders, drawn from the one in focus. */
const SMALLEST = 900; // square pixels of a cell; what is smaller is added up
const DEEPEST = 3;

function folder(name, parent) {
  return { name, parent, size: 0, children: [], index: new Map(), kind: "folder" };
}

function grow(top, path, size, leaf) {
  const parts = path.split("/");
  const last = parts.pop();
  let place = top;
  for (const part of parts) {
    let next = place.index.get(part);
    if (!next) {
      next = folder(part, place);
      place.index.set(part, next);
      place.children.push(next);
    }
    place = next;
  }
  place.children.push({ name: last, parent: place, size, children: [], ...leaf });
}

function weigh(node) {
  if (node.kind === "folder") {
    while (node.parent && node.children.length === 1 && node.children[0].kind === "folder") {
      const only = node.children[0];
      node.name += `/${only.name}`;
      node.children = only.children;
      node.children.forEach((each) => { each.parent = node; });
    }
    node.size = node.children.reduce((sum, each) => sum + weigh(each), 0);
    node.children.sort((one, other) => other.size - one.size || (one.name < other.name ? -1 : 1));
    const kinds = new Map();
    for (const each of node.children) kinds.set(each.hue || each.kind, (kinds.get(each.hue || each.kind) || 0) + each.size);
    node.hue = [...kinds].sort((one, other) => other[1] - one[1]).map((each) => each[0])[0] || "code";
  }
  return node.size;
}

function wholeTree() {
  const top = folder("bundle", null);
  data.paths.forEach((path, module) => path && grow(top, path, data.sizes[module], { kind: "code", module }));
  data.data.forEach(([path, size]) => grow(top, path, size, { kind: "data" }));
  const brought = data.distributions.filter((each) => each.by === "bundle");
  if (brought.length) {
    const layers = folder("distributions", top);
    top.children.push(layers);
    brought.forEach((each) => layers.children.push({
      name: `${each.name} ${each.version}`, parent: layers, size: each.bytes, children: [], kind: "third",
      distribution: data.distributions.indexOf(each),
    }));
  }
  weigh(top);
  return top.children.length === 1 && top.children[0].kind === "folder" ? Object.assign(top.children[0], { parent: null }) : top;
}

const bundle = wholeTree();
let focus = bundle;

/** Returns the rows of the drawing: the focus, what is in it, and what is in that, as far as it can be seen. */
function visibleRows(width, height) {
  const rows = [{ id: 0, parent: null, name: "", size: 0 }];
  const least = (focus.size * SMALLEST) / (width * height);
  const nodes = [focus];
  const isSeen = (each) => each.size > 0 && each.size >= least;
  /* A folder is opened if most of it can be seen. */
  const opens = (each, depth) => depth < DEEPEST && each.size >= 6 * least
    && each.children.reduce((sum, one) => sum + (isSeen(one) ? one.size : 0), 0) > 0.6 * each.size;
  function add(node, parent, values) {
    rows.push({ id: rows.length, parent, whole: node.size, name: node.name, hue: node.hue || node.kind, node: nodes.push(node) - 1, ...values });
    return rows.length - 1;
  }
  function walk(node, parent, depth) {
    const small = node.children.filter((each) => !isSeen(each));
    for (const each of node.children.filter(isSeen)) {
      if (opens(each, depth)) walk(each, add(each, parent, { size: 0 }), depth + 1);
      else add(each, parent, { size: each.size });
    }
    const size = small.reduce((sum, each) => sum + each.size, 0);
    if (size) add(node, parent, { name: `${small.length.toLocaleString("en")} smaller`, size, whole: size, hue: "rest" });
  }
  walk(focus, 0, 1);
  return { rows, nodes };
}

function treemapOf(rows, width, height) {
  const hues = ["code", "data", "third", "rest"];
  const fill = { domain: hues, range: [...hues.slice(0, 3).map(colour), colour("group")] };
  const edge = { domain: hues, range: [...hues.slice(0, 3).map((each) => colour(`${each}-edge`)), colour("strong")] };
  const box = { x: { signal: "datum.x0 - 2" }, y: { signal: "datum.y0 - 19" }, x2: { signal: "datum.x1 - 2" }, y2: { signal: "datum.y1 - 19" } };
  const tip = { signal: "datum.tip" };
  const label = (dy, weight, opacity, text, fits) => ({
    type: "text", from: { data: "leaves" }, interactive: false,
    encode: { update: {
      x: { signal: "datum.x0 + 5" }, y: { signal: `datum.y0 - 19 + ${dy}` }, text: { field: text },
      limit: { signal: "datum.x1 - datum.x0 - 12" }, font: { value: sans() }, fontSize: { value: 11.5 }, fontWeight: { value: weight },
      fill: { value: colour("on") }, opacity: { signal: `${fits} ? ${opacity} : 0` },
    } },
  });
  return {
    width, height, padding: 0, autosize: "none", background: null,
    data: [
      { name: "tree", values: rows, transform: [
        { type: "stratify", key: "id", parentKey: "parent" },
        { type: "treemap", field: "size", sort: { field: "value", order: "descending" }, method: "squarify", ratio: 1.5,
          paddingInner: 2, paddingLeft: 2, paddingRight: 2, paddingBottom: 2, paddingTop: 19, size: [width + 4, height + 21] },
      ] },
      { name: "groups", source: "tree", transform: [{ type: "filter", expr: "datum.children && datum.depth > 0" }] },
      { name: "leaves", source: "tree", transform: [{ type: "filter", expr: "!datum.children && datum.depth > 0" }] },
    ],
    scales: [{ name: "fill", type: "ordinal", ...fill }, { name: "edge", type: "ordinal", ...edge }],
    marks: [
      { type: "rect", from: { data: "groups" }, encode: {
        update: { ...box, fill: { value: colour("group") }, stroke: { value: colour("line") }, cornerRadius: { value: 3 }, cursor: { value: "pointer" }, tooltip: tip },
        hover: { stroke: { value: colour("accent") } } } },
      { type: "rect", from: { data: "leaves" }, encode: {
        update: { ...box, fill: { scale: "fill", field: "hue" }, stroke: { scale: "edge", field: "hue" }, strokeOpacity: { value: 0.35 }, cornerRadius: { value: 2 }, cursor: { value: "pointer" }, tooltip: tip },
        hover: { strokeOpacity: { value: 1 } } } },
      { type: "text", from: { data: "groups" }, interactive: false, encode: { update: {
        x: { signal: "datum.x0 + 5" }, y: { signal: "datum.y0 - 5.5" }, text: { field: "name" }, limit: { signal: "datum.x1 - datum.x0 - 12" },
        font: { value: sans() }, fontSize: { value: 11 }, fontWeight: { value: 600 }, fill: { value: colour("soft") },
        opacity: { signal: "datum.x1 - datum.x0 > 34 ? 1 : 0" } } } },
      label(15, 500, 1, "name", "(datum.x1 - datum.x0 > 38 && datum.y1 - datum.y0 > 18)"),
      label(30, 400, 0.7, "amount", "(datum.x1 - datum.x0 > 56 && datum.y1 - datum.y0 > 36)"),
    ],
  };
}

function wholeName(node) {
  const names = [];
  for (let each = node; each && each.parent; each = each.parent) names.unshift(each.name);
  return names.join("/");
}

function drawTreemap() {
  const place = byId("treemap");
  const { clientWidth: width, clientHeight: height } = place;
  if (!width || !bundle.size) return;
  const { rows, nodes } = visibleRows(width, height);
  for (const each of rows) {
    each.amount = sizeText(each.whole || 0);
    if (each.node) each.tip = `${each.hue === "rest" ? `${wholeName(nodes[each.node])}: ${each.name}` : wholeName(nodes[each.node])}\n${each.amount}, ${shareText(each.whole, bundle.size)} of the bundle`;
  }
  drawIn("treemap", treemapOf(rows, width, height), (datum) => datum.node && openEntry(nodes[datum.node]));
}

/** Zooms by one folder towards an entry; a file or a distribution in focus shows why it is there. */
function openEntry(node) {
  let below = node;
  while (below.parent && below.parent !== focus && below !== focus) below = below.parent;
  if (below !== focus && below.kind === "folder") zoom(below);
  else explain(node);
}

function explain(node) {
  if (node.module !== undefined) choose({ module: node.module }, true);
  else if (node.distribution !== undefined) choose({ distribution: node.distribution }, true);
}

function zoom(node, returnTo) {
  focus = node;
  showCrumbs();
  showList(returnTo);
  drawTreemap();
}

function showCrumbs() {
  const trail = [];
  for (let each = focus; each; each = each.parent) trail.unshift(each);
  byId("size-crumbs").replaceChildren(...trail.flatMap((each, index) => {
    const last = each === focus;
    const named = last ? element("b", {}, each.name) : element("button", { type: "button", onclick: () => zoom(each) }, each.name);
    return index ? [element("span", { "aria-hidden": "true" }, "›"), named] : [named];
  }), element("span", {}, ` ${sizeText(focus.size)}`));
}

const LONGEST = 200;
const BESIDE = 12; // rows that are shown of folders with few entries

function listRow(each, inner) {
  const cells = [
    element("span", { class: "name", title: each.name }, each.kind === "folder" ? `${each.name}/` : each.name),
    element("span", { class: "size" }, sizeText(each.size)),
    element("span", { class: "share" }, shareText(each.size, focus.size)),
  ];
  const css = `row ${each.hue || each.kind}${inner ? " inner" : ""}`;
  if (each.kind === "data") return element("li", {}, element("div", { class: css }, ...cells));
  return element("li", {}, element("button", { type: "button", class: css, onclick: () => openEntry(each) }, ...cells));
}

const andMore = (number, inner) => element("li", { class: inner ? "rest inner" : "rest" }, `and ${number.toLocaleString("en")} smaller`);

/** Lists what is in the focus; if that is little, also the largest of what is in each folder of it. */
function showList(returnTo) {
  const shown = focus.children.slice(0, LONGEST);
  const beside = shown.length <= BESIDE / 2 ? Math.floor(BESIDE / shown.length) : 0;
  const rows = shown.flatMap((each) => {
    const inner = each.children.slice(0, beside);
    const more = each.children.length - inner.length;
    return [listRow(each), ...inner.map((one) => listRow(one, true)), ...(inner.length && more ? [andMore(more, true)] : [])];
  });
  if (focus.children.length > shown.length) rows.push(andMore(focus.children.length - shown.length));
  const held = byId("size-list").contains(document.activeElement) || returnTo;
  byId("size-list").replaceChildren(element("ul", { class: "rows" }, ...rows));
  byId("size-list").scrollTop = 0;
  if (!held) return;
  const buttons = [...byId("size-list").querySelectorAll("button")];
  const wanted = returnTo && buttons.find((each) => each.querySelector(".name").title === returnTo.name);
  if (wanted || buttons[0]) (wanted || buttons[0]).focus();
}
