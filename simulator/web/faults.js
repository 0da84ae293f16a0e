// The switches that make WeChat fail.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { get, post, remove } from "./sim.js";

const KINDS = [
  { key: "busy", tag: "−1", effect: { errcode: -1 } },
  { key: "rate", tag: "45011", effect: { errcode: 45011 } },
  { key: "used", tag: "40163", effect: { errcode: 40163 } },
  { key: "risky", tag: "40226", effect: { errcode: 40226 } },
  { key: "slow", tag: "2 s", effect: { delayS: 2 } },
  { key: "hang", tag: "∞", effect: { hang: true } },
  { key: "gateway", tag: "502", effect: { status: 502 } },
  { key: "page", tag: "HTML", effect: { html: true } },
  { key: "truncated", tag: "{…", effect: { truncate: true } },
  { key: "reset", tag: "RST", effect: { reset: true } },
];
const TIMES = [1, 3, null];

export class Faults {
  constructor() {
    this.apis = [];
    this.faults = [];
    this.times = null;
    this.select = document.getElementById("fault-api");
    this.select.addEventListener("change", () => this.render());
    document.getElementById("clear-faults").addEventListener("click", () => this.change(remove("/sim/faults")));
  }

  update(state) {
    const same = JSON.stringify([this.apis, this.faults]) === JSON.stringify([state.apis, state.faults]);
    this.apis = state.apis;
    this.faults = state.faults;
    if (!same) this.render();
  }

  render() {
    if (this.select.options.length !== this.apis.length) {
      this.select.replaceChildren(...this.apis.map((api) => h("option", {}, api)));
    }
    keepFocus(document.getElementById("fault-times"), TIMES.map((times) => this.timesButton(times)));
    keepFocus(document.getElementById("fault-list"), KINDS.map((kind) => this.switch(kind)));
    this.renderOthers();
  }

  timesButton(times) {
    const pick = () => {
      this.times = times;
      this.render();
    };
    const pressed = String(this.times === times);
    return h("button", { type: "button", "aria-pressed": pressed, onclick: pick }, times ? `${times} ×` : t("always"));
  }

  switch(kind) {
    const fault = this.faults.find((each) => each.api === this.select.value && isKind(each, kind));
    const left = fault?.times ? h("span", { class: "left" }, t("faultLeft", fault.times)) : null;
    return h(
      "button",
      {
        type: "button",
        role: "switch",
        class: "switch",
        "aria-checked": String(Boolean(fault)),
        onclick: () => this.toggle(kind, fault),
      },
      h("span", { class: "tag" }, kind.tag),
      h("span", { class: "words" }, h("span", {}, t(kind.key)), left),
      h("span", { class: "knob" }),
    );
  }

  toggle(kind, fault) {
    const times = this.times ? { times: this.times } : {};
    const body = { api: this.select.value, ...kind.effect, ...times };
    return this.change(fault ? remove(`/sim/faults?id=${fault.id}`) : post("/sim/faults", body));
  }

  async change(action) {
    await action;
    this.update(await get("/sim/state"));
  }

  renderOthers() {
    const others = this.faults.filter((fault) => fault.api !== this.select.value);
    const items = others.map((fault) => h("li", {}, describe(fault)));
    const parts = others.length ? [h("h3", {}, t("otherFaults")), h("ul", {}, ...items)] : [];
    document.getElementById("fault-others").replaceChildren(...parts);
  }
}

function isKind(fault, kind) {
  return Object.entries(kind.effect).every(([name, value]) => fault[name] === value);
}

function describe(fault) {
  const kind = KINDS.find((each) => isKind(fault, each));
  const left = fault.times ? ` · ${t("faultLeft", fault.times)}` : "";
  return `${fault.api} · ${kind ? t(kind.key) : JSON.stringify(fault)}${left}`;
}

function keepFocus(parent, children) {
  const index = [...parent.children].indexOf(document.activeElement);
  parent.replaceChildren(...children);
  if (index >= 0) parent.children[index].focus();
}
