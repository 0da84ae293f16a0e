// Small pieces of the page.

import { h } from "../lib/dom.js";
import { t } from "./texts.js";

/** Text in which `code` is code; paragraphs at blank lines, bullets at "- ". */
export function text(says) {
  if (!says) return null;
  const blocks = says.split("\n\n").map((block) => h("p", {}, ...words(block)));
  return h("div", { class: "says" }, ...blocks);
}

function words(block) {
  return block.split(/(`[^`]+`)/).map((part) => (part.startsWith("`") ? h("code", {}, part.slice(1, -1)) : part));
}

/** One of several, chosen by name: `[[name, () => element], …]`. */
export function tabs(choices) {
  const panel = h("div", { class: "panel" });
  const buttons = choices.map(([name, make]) =>
    h("button", { type: "button", class: "tab", onclick: () => choose(name, make) }, name),
  );
  function choose(name, make) {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === name)));
    panel.replaceChildren(make());
  }
  choose(...choices[0]);
  return h("div", { class: "tabs" }, h("div", { class: "row", role: "group" }, ...buttons), panel);
}

/** A block of code with a button that copies it; `shown()` is its text when asked. */
export function block(title, code) {
  const button = h("button", { type: "button", class: "copy" }, t("copy"));
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = t("copied");
    setTimeout(() => (button.textContent = t("copy")), 1500);
  });
  return h("figure", { class: "block" }, h("figcaption", {}, title, button), h("pre", { tabindex: "0" }, code));
}

export const pretty = (value) => JSON.stringify(value, null, 2);
