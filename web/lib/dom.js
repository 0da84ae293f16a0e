// Nodes. Texts only ever become text nodes, so that a hostile nickname stays text.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** One style sheet for all elements of a kind: allowed under any content security policy. */
export function sheet(css) {
  const made = new CSSStyleSheet();
  made.replaceSync(css);
  return made;
}

export function tell(element, name, detail = {}) {
  element.dispatchEvent(new CustomEvent(`kaimen-${name}`, { detail, bubbles: true, composed: true }));
}

/** "zh" or "en": of the attribute, else of the page, else of the browser. */
export function languageOf(element) {
  const named = element.closest("[lang]")?.getAttribute("lang") || document.documentElement.lang || navigator.language;
  return (named || "zh").toLowerCase().startsWith("zh") ? "zh" : "en";
}

/**
 * The person's picture, or the first letter of the name where there is none or it may not be shown: without `anywhere`
 * only pictures of Kaimen itself are, so that no other host learns who is about to sign in.
 */
export function face(user, baseUrl, anywhere) {
  const letter = h("span", { class: "face letter", "aria-hidden": "true" }, [...(user?.nickname || "·")][0]);
  const url = pictureUrl(user?.avatarUrl, baseUrl, anywhere);
  if (!url) return letter;
  const image = h("img", { class: "face", src: url, alt: "", referrerpolicy: "no-referrer" });
  image.addEventListener("error", () => image.replaceWith(letter), { once: true });
  return image;
}

function pictureUrl(text, baseUrl, anywhere) {
  if (!text) return null;
  try {
    const url = new URL(text, baseUrl);
    const isKnown = url.origin === new URL(baseUrl).origin || (anywhere && /^https?:$/.test(url.protocol));
    return isKnown ? url.href : null;
  } catch {
    return null;
  }
}
