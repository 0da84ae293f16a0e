// Small helpers. Texts only ever become text nodes, so that hostile nicknames stay text.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function setAttribute(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else node.setAttribute(name, value === true ? "" : value);
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const ICONS = {
  phone: "M7 3h10v18H7zM11 18h2",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c1-5 4-7 8-7s7 2 8 7",
  refresh: "M20 12a8 8 0 1 1-2.5-5.800M20 3v5h-5",
  card: "M3 5h18v14H3zM7 10h4M7 14h7M16 9.5h1",
  replay: "M4 8h13a4 4 0 0 1 0 8H6M7 4 3 8l4 4",
  leave: "M14 4H5v16h9M10 12h11M17 8l4 4-4 4",
  plus: "M12 5v14M5 12h14",
};

export function icon(name) {
  const path = svg("path", { d: ICONS[name] });
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, path);
}

// An image that falls back to the first letter of the name where it cannot be shown.
export function avatar(url, name, className) {
  const letter = h("span", { class: `${className} letter`, "aria-hidden": "true" }, [...(name || "?")][0]);
  if (!url) return letter;
  const image = h("img", { class: className, src: local(url), alt: "", referrerpolicy: "no-referrer" });
  image.addEventListener("error", () => image.replaceWith(letter), { once: true });
  return image;
}

// A backend may store WeChat's avatars as https; those drawn here are only to be had from this origin.
function local(url) {
  const parsed = URL.canParse(url, location.href) ? new URL(url, location.href) : null;
  return parsed?.host === location.host ? parsed.pathname : url;
}
