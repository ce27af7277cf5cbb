/* The search, the keys, and the order in which the page comes up: words first, drawings after. */
const subjects = [
  ...data.names.map((name, module) => ({ name, low: name.toLowerCase(), kind: module < modules ? "" : "installed", chosen: { module } })),
  ...data.distributions.map((each, distribution) => ({ name: each.name, low: each.name.toLowerCase(), kind: `distribution ${each.version}`, chosen: { distribution } })),
];

function matches(words) {
  const wanted = words.trim().toLowerCase();
  if (!wanted) return [];
  const rank = (each) => (each.low === wanted ? 0 : each.low.endsWith(`.${wanted}`) ? 1 : each.low.startsWith(wanted) ? 2 : each.low.includes(`.${wanted}`) ? 3 : 4);
  return subjects.filter((each) => each.low.includes(wanted)).map((each) => [rank(each), each])
    .sort((one, other) => one[0] - other[0] || one[1].name.length - other[1].name.length || (one[1].name < other[1].name ? -1 : 1)).map((each) => each[1]);
}

const MOST = 50;
let options = [];
let selected = -1;

function showMatches() {
  const words = byId("search").value;
  const all = matches(words);
  options = all.slice(0, MOST);
  const items = options.map((each, index) => element("li", { role: "option", id: `found-${index}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); take(index); } },
    element("span", {}, each.name), element("span", {}, each.kind)));
  if (words.trim() && !all.length) items.push(element("li", { class: "none" }, element("span", {}, "Nothing in the bundle has such a name."), element("span", {}, "")));
  if (all.length > MOST) items.push(element("li", { class: "none" }, element("span", {}, `and ${(all.length - MOST).toLocaleString("en")} more: type more of the name`), element("span", {}, "")));
  byId("found").replaceChildren(...items);
  byId("found").hidden = !items.length;
  byId("search").setAttribute("aria-expanded", String(items.length > 0));
  select(options.length ? 0 : -1);
}

function select(index) {
  selected = index;
  [...byId("found").children].forEach((each, number) => each.setAttribute("aria-selected", String(number === index)));
  if (index < 0) byId("search").removeAttribute("aria-activedescendant");
  else {
    byId("search").setAttribute("aria-activedescendant", `found-${index}`);
    byId(`found-${index}`).scrollIntoView({ block: "nearest" });
  }
}

function hideMatches() {
  byId("found").hidden = true;
  byId("search").setAttribute("aria-expanded", "false");
}

function take(index) {
  if (!options[index]) return;
  hideMatches();
  byId("search").value = options[index].name;
  choose(options[index].chosen);
}

byId("search").addEventListener("input", showMatches);
byId("search").addEventListener("focus", (event) => event.target.select());
byId("search").addEventListener("blur", hideMatches);
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (byId("found").hidden) showMatches();
    else if (options.length) select((selected + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length);
    event.preventDefault();
  } else if (event.key === "Enter") take(selected);
  else if (event.key === "Escape") {
    if (byId("found").hidden) event.target.blur();
    hideMatches();
    event.stopPropagation();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
  if (event.key === "/") {
    event.preventDefault();
    byId("why").scrollIntoView();
    byId("search").focus({ preventScroll: true });
  } else if (event.key === "d" || event.key === "D") toggleTheme();
  else if (event.key === "Escape" && focus.parent) zoom(focus.parent, focus);
});

byId("theme").addEventListener("click", toggleTheme);
showCrumbs();
showList();
if (data.driver >= 0) choose({ module: data.driver });
else byId("why-answer").textContent = "The store has no import graph of this bundle.";

function loadDrawing() {
  byId("drawing").replaceWith(element("script", {}, byId("drawing").textContent));
  const draw = () => [drawTreemap, drawGraph, drawWaterfall].forEach((each) => each());
  draw();
  let waiting = 0;
  window.addEventListener("resize", () => {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(draw, 150);
  });
}

requestAnimationFrame(() => setTimeout(loadDrawing));
