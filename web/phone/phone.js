// The confirm screen: what is asked, by which browser, and the two answers. Everything it shows becomes text nodes.

import { Api } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { language, texts } from "./texts.js";

const meta = (name) => document.querySelector(`meta[name="kaimen-${name}"]`).content;
const scan = meta("scan");
const api = new Api(meta("prefix"), () => language);
const screen = document.getElementById("screen");
const OVER = new Set([4040, 4100, 4101]);
const CHOICES = 3;

function show(...children) {
  screen.replaceChildren(h("section", { class: "card" }, ...children));
}

function showEnd(sign, title, more, ...rest) {
  const heading = h("h1", { tabindex: "-1" }, title);
  show(h("div", { class: `sign ${sign}`, "aria-hidden": "true" }), heading, h("p", {}, more), ...rest);
  heading.focus();
}

function showError(error) {
  if (OVER.has(error.code)) showEnd("clock", texts.over, texts.overMore);
  else if (error.code === 4102) showEnd("cross", texts.cancelled, texts.cancelledMore);
  else if (error.code === 4030) showEnd("cross", texts.other, texts.otherMore);
  else if (error.status === 401) location.reload();
  else {
    const again = h("button", { class: "plain", type: "button", onclick: () => start() }, texts.again);
    showEnd("cross", texts.trouble, texts.troubleMore, h("div", { class: "answers" }, again));
  }
}

function call(action, body = {}) {
  return api.call("POST", `/api/scan/${scan}/${action}`, { body });
}

function row(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value || texts.unknown));
}

function age(requestedAt) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(requestedAt)) / 1000));
  return seconds < 60 ? texts.seconds(seconds) : texts.minutes(Math.floor(seconds / 60));
}

// The number of the screen among others, in no order that tells which it is.
function numbers(right) {
  const found = new Set([right]);
  while (found.size < CHOICES) found.add(String(crypto.getRandomValues(new Uint8Array(1))[0] % 100).padStart(2, "0"));
  return [...found].sort();
}

class ConfirmScreen {
  constructor(asked, user) {
    this.chosen = null;
    this.note = h("p", { class: "note", role: "status" }, texts.careful);
    this.yes = h("button", { class: "primary", type: "button", disabled: true, onclick: () => this.confirm() }, texts.confirm);
    this.no = h("button", { class: "plain", type: "button", onclick: () => this.cancel() }, texts.cancel);
    this.buttons = numbers(asked.matchCode).map((number) => this.button(number));
    const { name, os, address, region } = asked.browser;
    const facts = [row(texts.browser, name), row(texts.system, os), row(texts.address, address)];
    if (region) facts.push(row(texts.region, region));
    facts.push(row(texts.age, age(asked.requestedAt)));
    show(
      h("h1", {}, texts.ask),
      h("p", { class: "site" }, asked.site.replace(/^https?:\/\//, "")),
      h("p", {}, user?.nickname ? texts.who(user.nickname) : texts.me),
      h("dl", { class: "facts" }, ...facts),
      h("fieldset", { class: "match" }, h("legend", {}, texts.match), h("div", { class: "numbers" }, ...this.buttons)),
      h("div", { class: "answers" }, this.no, this.yes),
      this.note,
    );
  }

  button(number) {
    return h("button", { type: "button", "aria-pressed": "false", onclick: () => this.choose(number) }, number);
  }

  choose(number) {
    this.chosen = number;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.textContent === number));
    this.yes.disabled = false;
  }

  async confirm() {
    this.lock(true);
    try {
      await call("confirm", { matchCode: this.chosen });
      showEnd("tick", texts.done, texts.doneMore);
    } catch (error) {
      this.failed(error);
    }
  }

  async cancel() {
    this.lock(true);
    try {
      await call("cancel");
      showEnd("cross", texts.cancelled, texts.cancelledMore);
    } catch (error) {
      showError(error);
    }
  }

  failed(error) {
    const left = error.data?.attemptsLeft;
    if (error.code !== 4036) showError(error);
    else if (!left) showEnd("cross", texts.cancelled, texts.cancelledMore);
    else {
      this.lock(false);
      this.note.textContent = texts.wrong(left);
      this.note.classList.add("bad");
    }
  }

  lock(is) {
    for (const button of [this.yes, this.no, ...this.buttons]) button.disabled = is;
  }
}

async function start() {
  try {
    const [asked, user] = await Promise.all([call("scan"), api.call("GET", "/api/user/info")]);
    if (asked.state === "confirmed") showEnd("tick", texts.done, texts.doneMore);
    else new ConfirmScreen(asked, user);
  } catch (error) {
    showError(error);
  }
}

if (document.body.dataset.mode === "confirm") start();
if (document.body.dataset.mode === "miniprogram") {
  const src = `${meta("prefix")}/s/${scan}/miniprogram`;
  document.getElementById("code").append(h("img", { src, alt: texts.picture, width: 260, height: 260 }));
}
