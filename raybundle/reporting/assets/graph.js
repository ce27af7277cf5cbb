/* Why a module is in the bundle: the shortest chain of imports, and the imports around it. */
const modules = data.paths.length;
const outgoing = data.names.map(() => []);
const incoming = data.names.map(() => []);
for (let edge = 0; 4 * edge < data.edges.length; edge += 1) {
  const [importer, imported] = [data.edges[4 * edge], data.edges[4 * edge + 1]];
  outgoing[importer].push(edge);
  incoming[imported].push(edge);
}
const importerOf = (edge) => data.edges[4 * edge];
const importedOf = (edge) => data.edges[4 * edge + 1];
const optional = (edge) => data.edges[4 * edge + 3] % 2;
const surest = (edge) => optional(edge) * 100 + (data.edges[4 * edge + 3] >> 1);
outgoing.forEach((edges) => edges.sort((one, other) => surest(one) - surest(other)));
const driverFile = data.driver >= 0 && data.driver < modules ? data.paths[data.driver].replace(/^.*\//, "") : "";
const labelOf = (module) => (data.names[module] === "__main__" && driverFile ? `${driverFile} (__main__)` : data.names[module]);
const HOW = ["", "named in a text", "matches a pattern", "data of a package", "seen in a traced run", "declared"];

function placeOf(edge) {
  const file = data.places[edge] || data.paths[importerOf(edge)] || data.names[importerOf(edge)];
  const how = [HOW[data.edges[4 * edge + 3] >> 1], optional(edge) ? "optional" : ""].filter(Boolean).join(", ");
  return `${file.replace(/^project\//, "")}:${data.edges[4 * edge + 2]}${how ? ` (${how})` : ""}`;
}

/* For each module the import by which it is reached first, as `raybundle why` finds it. */
const reachedBy = new Map([[data.driver, null]]);
for (const queue = [data.driver]; queue.length;) {
  for (const edge of outgoing[queue.shift()] || []) {
    const next = importedOf(edge);
    if (!reachedBy.has(next)) {
      reachedBy.set(next, edge);
      queue.push(next);
    }
  }
}

function chainTo(module) {
  const chain = [];
  for (let edge = reachedBy.get(module); edge !== null && edge !== undefined; edge = reachedBy.get(importerOf(edge))) chain.unshift(edge);
  return chain;
}

const ownerOf = new Map();
data.distributions.forEach((each, index) => each.modules.forEach((module) => ownerOf.set(module, index)));
const numberOf = new Map(data.distributions.map((each, index) => [each.name, index]));

/** Shows why a module or a distribution is in the bundle. */
function choose(chosen, scroll) {
  const subject = chosen.distribution === undefined ? aboutModule(chosen.module) : aboutDistribution(chosen.distribution);
  byId("why-answer").replaceChildren(...subject.answer);
  byId("why-name").replaceChildren(subject.name, element("small", {}, subject.facts));
  byId("chain").replaceChildren(...chainItems(subject));
  neighbours("importers", subject.before, ...subject.beforeText);
  neighbours("imports", subject.after, ...subject.afterText);
  current = subject;
  drawGraph();
  if (scroll) byId("why").scrollIntoView();
}

let current = null;

function aboutModule(module) {
  const chain = chainTo(module);
  const owner = ownerOf.get(module);
  const importers = incoming[module];
  const name = labelOf(module);
  const answer = [element("code", {}, name)];
  if (module === data.driver) answer.push(" is the driver: the imports begin here.");
  else if (!chain.length) answer.push(" is not reached by an import: a setting or a traced run brings it.");
  else {
    answer.push(" is in because ", element("code", {}, placeOf(chain[chain.length - 1])), " imports it");
    answer.push(importers.length > 1 ? `, and so do ${counted(importers.length - 1, "other import")}.` : ", and nothing else does.");
  }
  const held = data.held[module];
  if (held && held[0] > 1 && module !== data.driver) answer.push(` Without it the bundle would have ${counted(held[0], "module")} and ${sizeText(held[1])} less.`);
  const facts = module < modules ? `${["script", "module", "package", "namespace", "extension"][data.kinds[module]]}, ${sizeText(data.sizes[module])}`
    : owner === undefined ? "installed" : `installed with ${data.distributions[owner].name}`;
  return {
    name, facts, answer, chain, module, steps: [],
    before: moduleItems(importers, importerOf), beforeText: ["Imported by", "module", "Nothing imports it."],
    after: moduleItems(outgoing[module], importedOf), afterText: ["Imports", "module", "It imports nothing of the bundle."],
  };
}

const usedBy = (each) => each.modules.map((module) => chainTo(module)).filter((chain) => chain.length).sort((one, other) => one.length - other.length)[0];
const fullName = (index) => `${data.distributions[index].name} ${data.distributions[index].version}`;

function aboutDistribution(index) {
  const each = data.distributions[index];
  const chain = usedBy(each);
  const answer = [element("b", {}, fullName(index))];
  answer.push(each.by === "bundle" ? " travels" : each.by === "ray" ? " comes with Ray" : " is the cluster's to provide");
  const steps = [index];
  let first = each;
  while (!usedBy(first) && numberOf.has(needing(first)) && !steps.includes(numberOf.get(needing(first)))) {
    steps.unshift(numberOf.get(needing(first)));
    first = data.distributions[steps[0]];
  }
  const from = usedBy(first) || [];
  const last = from[from.length - 1];
  const imported = last === undefined ? [] : [element("code", {}, placeOf(last)), ` imports ${data.names[importedOf(last)]}`];
  if (chain) answer.push(" because ", ...imported, ".");
  else if (each.needs) answer.push(` because ${each.needs} needs it`, ...(imported.length ? ["; ", ...imported] : []), ".");
  else answer.push(" because a setting or a traced run names it.");
  const needs = data.distributions.flatMap((one, number) => (needing(one) === each.name ? [distributionItem(number)] : []));
  const importers = moduleItems(each.modules.flatMap((module) => incoming[module]), importerOf);
  const by = steps.length > 1 ? [distributionItem(steps[steps.length - 2])] : [];
  return {
    name: fullName(index), facts: each.bytes ? sizeText(each.bytes) : "", answer, chain: from, distribution: index, steps,
    before: [...importers, ...by], beforeText: [importers.length ? "Imported by" : "Needed by", importers.length ? "module" : "distribution", "Nothing imports it."],
    after: needs, afterText: ["Brings", "distribution", "It brings no other distribution."],
  };
}

const needing = (each) => each.needs.split("[")[0];

function distributionItem(index) {
  const each = data.distributions[index];
  return { chosen: { distribution: index }, label: fullName(index), detail: each.bytes ? sizeText(each.bytes) : "", third: true, weight: each.bytes, tip: fullName(index) };
}

/** Returns the modules at one end of imports, each once, by name. */
function moduleItems(edges, other) {
  return grouped(edges, other).map(([module, found]) => ({
    module, chosen: { module }, label: labelOf(module), detail: linesText(found), optional: found.every(optional), third: module >= modules,
    weight: data.held[module] ? data.held[module][1] : -1, tip: `${data.names[module]}\n${found.slice(0, 6).map(placeOf).join("\n")}`,
  }));
}

function chainItems(subject) {
  const step = (chosen, label, last) => element("button", { type: "button", onclick: () => choose(chosen), ...(last ? { "aria-current": "true" } : {}) }, label);
  const items = [];
  if (subject.chain.length) items.push(element("li", {}, step({ module: importerOf(subject.chain[0]) }, labelOf(importerOf(subject.chain[0])))));
  subject.chain.forEach((edge, index) => items.push(element("li", { title: placeOf(edge) }, element("small", {}, `line ${data.edges[4 * edge + 2]}`),
    step({ module: importedOf(edge) }, labelOf(importedOf(edge)), !subject.steps.length && index === subject.chain.length - 1))));
  subject.steps.forEach((index, number) => items.push(element("li", {}, step({ distribution: index }, fullName(index), number === subject.steps.length - 1))));
  return items.length > 1 ? items : [];
}

const LISTED = 12;

/** Returns the neighbours with their imports: each module once, by name. */
function grouped(edges, other) {
  const found = new Map();
  for (const edge of edges) found.set(other(edge), [...(found.get(other(edge)) || []), edge]);
  return [...found].sort((one, two) => (data.names[one[0]] < data.names[two[0]] ? -1 : 1));
}

function linesText(edges) {
  const lines = [...new Set(edges.map((edge) => data.edges[4 * edge + 2]))].sort((one, two) => one - two);
  const shown = lines.slice(0, 4).join(", ") + (lines.length > 4 ? ", …" : "");
  return `${lines.length === 1 ? "line" : "lines"} ${shown}${edges.every(optional) ? ", optional" : ""}`;
}

function neighbours(id, items, title, noun, none) {
  const place = byId(id);
  const head = element("h3", {}, items.length ? `${title} ${counted(items.length, noun)}` : title);
  if (!items.length) {
    place.replaceChildren(head, element("p", { class: "empty" }, none));
    return;
  }
  const row = (each) => element("li", {}, element("button", { type: "button", onclick: () => choose(each.chosen) }, each.label), element("span", { title: each.tip }, each.detail));
  const list = element("ul", { class: "neighbours" }, ...items.slice(0, LISTED).map(row));
  place.replaceChildren(head, list);
  if (items.length > LISTED) {
    const more = element("button", { type: "button", class: "more", onclick: () => { list.append(...items.slice(LISTED).map(row)); more.remove(); } }, `show all ${items.length.toLocaleString("en")}`);
    place.append(more);
  }
}

/** Leaves out packages of which a module is there too, and attributes of installed modules that are there. */
function withoutRepeats(items) {
  const names = new Set(items.filter((each) => each.module !== undefined).map((each) => data.names[each.module]));
  const packages = new Set();
  for (const name of names) for (let dot = name.lastIndexOf("."); dot > 0; dot = name.lastIndexOf(".", dot - 1)) packages.add(name.slice(0, dot));
  const isPart = (name) => [...name].some((sign, index) => sign === "." && names.has(name.slice(0, index)));
  return items.filter(({ module }) => module === undefined || (module < modules ? !packages.has(data.names[module]) : !isPart(data.names[module])));
}

const ROW = 30;
const DRAWN = 12;

/** Returns one column of the drawing, what matters most first. */
function column(items, first) {
  const weight = (each) => (first >= 0 && each.module === first ? Infinity : each.weight);
  const all = withoutRepeats(items).sort((one, two) => weight(two) - weight(one));
  const shown = all.slice(0, all.length > DRAWN ? DRAWN - 1 : DRAWN).map((each) => ({ ...each, on: first >= 0 && each.module === first }));
  if (all.length > shown.length) shown.push({ label: `and ${(all.length - shown.length).toLocaleString("en")} more`, rest: true, tip: "listed below" });
  return shown;
}

function drawGraph() {
  const place = byId("graph");
  const width = place.clientWidth;
  if (!current || !width) return;
  const onChain = current.chain.length ? importerOf(current.chain[current.chain.length - 1]) : -1;
  const left = column(current.before, onChain);
  const right = column(current.after, -1);
  const height = Math.max(left.length, right.length, 2) * ROW + 8;
  const cell = Math.min(300, (width - 120) / 3);
  const at = (list, x) => list.forEach((each, index) => Object.assign(each, { x, y: height / 2 + (index - (list.length - 1) / 2) * ROW, w: cell }));
  const middle = { label: current.name, w: cell, self: true, third: current.module === undefined || current.module >= modules, tip: current.name };
  at(left, 1);
  const between = (width - 3 * cell - 2) / 2 + cell;
  const start = left.length ? 1 + between : 1;
  at([middle], start);
  at(right, start + between);
  const edges = [
    ...left.map((each) => ({ x0: each.x + cell, y0: each.y, x1: middle.x, y1: middle.y, optional: each.optional, on: each.on })),
    ...right.map((each) => ({ x0: middle.x + cell, y0: middle.y, x1: each.x, y1: each.y, optional: each.optional, on: false })),
  ];
  drawIn("graph", graphOf([...left, middle, ...right], edges, width, height), (datum) => datum.chosen && choose(datum.chosen));
}

function graphOf(nodes, edges, width, height) {
  const fill = { signal: `datum.rest ? '${colour("paper")}' : datum.third ? '${colour("third")}' : '${colour("code")}'` };
  return {
    width, height, padding: 0, autosize: "none", background: null,
    data: [
      { name: "edges", values: edges, transform: [{ type: "linkpath", sourceX: "x0", sourceY: "y0", targetX: "x1", targetY: "y1", orient: "horizontal", shape: "diagonal" }] },
      { name: "nodes", values: nodes },
    ],
    marks: [
      { type: "path", from: { data: "edges" }, interactive: false, encode: { update: {
        path: { field: "path" }, stroke: { signal: `datum.on ? '${colour("accent")}' : '${colour("strong")}'` },
        strokeWidth: { signal: "datum.on ? 2 : 1" }, strokeDash: { signal: "datum.optional ? [4, 3] : [1, 0]" } } } },
      { type: "rect", from: { data: "nodes" }, encode: {
        update: { x: { field: "x" }, yc: { field: "y" }, width: { field: "w" }, height: { value: 23 }, cornerRadius: { value: 5 }, fill, tooltip: { field: "tip" },
          stroke: { signal: `datum.self ? '${colour("accent")}' : datum.rest ? '${colour("line")}' : '${colour("strong")}'` }, strokeWidth: { signal: "datum.self ? 1.5 : 0.5" },
          cursor: { signal: "datum.self || datum.rest ? 'default' : 'pointer'" } },
        hover: { stroke: { value: colour("accent") } } } },
      { type: "text", from: { data: "nodes" }, interactive: false, encode: { update: {
        x: { signal: "datum.x + 9" }, y: { field: "y" }, baseline: { value: "middle" }, text: { field: "label" }, limit: { signal: "datum.w - 18" },
        font: { value: fontOf("mono") }, fontSize: { value: 12 }, fontWeight: { signal: "datum.self ? 600 : 400" }, fill: { value: colour("on") } } } },
    ],
  };
}
