"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** Returns an element; strings become text, never HTML. */
function element(name, properties, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function sizeText(bytes) {
  let amount = bytes;
  for (const unit of ["B", "KiB", "MiB"]) {
    if (amount < 1024) return unit === "B" ? `${amount} B` : `${amount.toFixed(1)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toFixed(1)} GiB`;
}

const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

function shareText(part, whole) {
  if (!whole) return "";
  const share = (100 * part) / whole;
  return share >= 9.95 ? `${share.toFixed(0)} %` : share >= 0.05 ? `${share.toFixed(1)} %` : "< 0.1 %";
}

/* Light and dark: the system's choice, until the button or the key D chooses. */
const system = window.matchMedia("(prefers-color-scheme: dark)");

function toggleTheme() {
  const now = document.documentElement.dataset.theme || (system.matches ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
}

/** Drawings take colours from the style sheet, so they follow the theme and the printer. */
const colour = (name) => `var(--${name})`;

/* Drawing: Vega with its own interpreter of expressions, because the page's policy allows no `eval`. */
const views = new Map();
const fontOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const sans = () => fontOf("sans");

function showTip(_handler, event, _item, value) {
  const tip = byId("tip");
  tip.hidden = !value;
  if (!value) return;
  tip.textContent = value;
  const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const top = event.clientY + 18 + tip.offsetHeight > window.innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${top}px`;
}

async function drawIn(id, specification, onClick) {
  if (!window.vegaEmbed) return;
  const place = byId(id);
  const old = views.get(id);
  views.set(id, null);
  if (old) old.finalize();
  showTip();
  const made = await window.vegaEmbed(place, specification, {
    mode: "vega", ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: showTip,
  });
  if (onClick) made.view.addEventListener("click", (_event, item) => item && item.datum && onClick(item.datum));
  views.set(id, made);
}
