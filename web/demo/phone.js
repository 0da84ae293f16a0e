// The simulated phone: WeChat's side of a QR login, through the control API of the simulator.

import { face, h, svg } from "../lib/dom.js";
import { t } from "./texts.js";

const PEOPLE = 3;
const NUMBERS = 3; // to choose from
const TICK = "M7 26 20 39 43 12";
const CROSS = "M12 12 38 38M38 12 12 38";

// The right one among others, sorted: their order tells nothing.
function numbersAround(right) {
  const found = new Set([right]);
  while (found.size < NUMBERS) found.add(String(crypto.getRandomValues(new Uint8Array(1))[0] % 100).padStart(2, "0"));
  return [...found].sort();
}

/** Draws itself into `place`; `code()` gives `{scanId, channel}` of the code on the page, or null. */
export class Phone {
  constructor(place, simulatorUrl, code) {
    Object.assign(this, { place, simulatorUrl, code, person: null, screen: "people", hint: "" });
    this.tokens = new Map();
  }

  async start() {
    const state = await this.control("GET", "/sim/state");
    this.appid = state.apps.find((app) => app.kind === "miniprogram").appid;
    this.official = state.apps.find((app) => app.kind === "official")?.appid;
    this.below = new URL(state.backendUrl).pathname.replace(/\/$/, "");
    this.people = state.users.slice(0, PEOPLE);
    this.person = this.people[0];
    this.render();
  }

  async control(method, path, body) {
    const response = await fetch(this.simulatorUrl + path, {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
    });
    const reply = await response.json();
    if (!response.ok) throw new Error(reply.error);
    return reply;
  }

  /** `wx.request` as that person, signed in: the data of Kaimen's reply. */
  async ask(path, body = {}) {
    const token = this.tokens.get(this.person.name) ?? (await this.login());
    return this.request(path, body, { Authorization: `Bearer ${token}` });
  }

  async request(path, body, headers = {}) {
    const sent = { user: this.person.name, appid: this.appid, method: "POST", path, headers, body };
    const { body: reply } = await this.control("POST", "/sim/request", sent);
    if (reply.code !== 200) throw Object.assign(new Error(reply.message), { code: reply.code, data: reply.data });
    return reply.data;
  }

  // With nickname and picture, as WeChat would give them.
  async login() {
    const who = { user: this.person.name, appid: this.appid };
    const { code } = await this.control("POST", "/sim/login", who);
    const profile = await this.control("POST", "/sim/open-data", { ...who, kind: "userInfo" });
    const { accessToken } = await this.request("/api/auth", { action: "login", code, appid: this.appid, ...profile });
    this.tokens.set(this.person.name, accessToken);
    if (this.official) await this.follow();
    return accessToken;
  }

  // An official account knows the person by another openid: a login through it tells the backend who that is.
  async follow() {
    const get = (path, headers = {}) =>
      this.control("POST", "/sim/request", { user: this.person.name, appid: this.appid, method: "GET", path, headers });
    const away = await get(`/oauth/${this.official}/login?scope=userinfo&return=%2Fhealthz`);
    if (away.status !== 302) return;
    const consent = { url: away.headers.Location, user: this.person.name };
    const { pathname, search } = new URL((await this.control("POST", "/sim/authorize", consent)).location);
    await get(pathname.slice(this.below.length) + search, { Cookie: away.headers["Set-Cookie"].split(";")[0] });
  }

  async scan() {
    const code = this.code();
    if (!code) return this.show("people", t("noCode"));
    this.show("people", t("scanning"));
    return this.attempt(async () => {
      this.scanId = code.scanId;
      await this.look(code);
      this.asked = await this.ask(`/api/scan/${code.scanId}/scan`);
      this.chosen = null;
      this.numbers = numbersAround(this.asked.matchCode);
      this.show("confirm");
    });
  }

  // The camera: an official account's code makes WeChat push to the backend, a mini-program's names a scene.
  async look({ channel, scanId, qrContent }) {
    if (!this.tokens.has(this.person.name)) await this.login();
    const seen = channel === "miniprogram" ? { appid: this.appid, scene: scanId } : { content: qrContent };
    await this.control("POST", "/sim/scan", { user: this.person.name, ...seen });
  }

  async decide(what, screen, body = {}) {
    try {
      await this.ask(`/api/scan/${this.scanId}/${what}`, body);
      this.show(screen);
    } catch (error) {
      const isAgain = error.data?.attemptsLeft > 0;
      this.show(isAgain ? "confirm" : "people", isAgain ? t("wrongNumber") : t("failed", error.message));
    }
  }

  choose(number) {
    this.chosen = number;
    this.show("confirm");
  }

  async attempt(work) {
    try {
      await work();
    } catch (error) {
      this.tokens.delete(this.person.name);
      this.show("people", t("failed", error.message));
    }
  }

  show(screen, hint = "") {
    this.screen = screen;
    this.hint = hint;
    this.render();
  }

  render() {
    if (!this.people) return;
    const screens = { people: () => this.drawPeople(), confirm: () => this.drawConfirm(), confirmed: () => this.drawDone("confirmed", TICK), cancelled: () => this.drawDone("cancelled", CROSS) };
    this.place.replaceChildren(h("div", { class: "island" }), ...screens[this.screen]());
  }

  drawPeople() {
    const people = this.people.map((person) => {
      const click = () => {
        this.person = person;
        this.show("people");
      };
      const picture = face(person, this.simulatorUrl);
      return h("button", { class: "person", type: "button", "aria-pressed": String(person === this.person), onclick: click }, picture, h("span", {}, person.nickname));
    });
    const scan = h("button", { class: "primary", id: "scan", type: "button", onclick: () => this.scan() }, t("scan"));
    return [h("h2", {}, t("who")), h("div", { class: "people" }, ...people), h("div", { class: "bottom" }, h("p", { class: "hint", role: "status" }, this.hint), scan)];
  }

  drawConfirm() {
    const { browser, site, requestedAt } = this.asked;
    const confirm = () => this.decide("confirm", "confirmed", { matchCode: this.chosen });
    const rows = { site: site.replace(/^https?:\/\//, ""), browser: `${browser.name} · ${browser.os}`, address: browser.region ?? browser.address, at: new Date(requestedAt).toLocaleTimeString() };
    const facts = Object.entries(rows).map(([name, value]) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, value)));
    return [
      h("h2", {}, t("asks")),
      h("p", {}, t("asksHint")),
      h("dl", { class: "asks" }, ...facts),
      h("fieldset", { class: "numbers" }, h("legend", {}, t("number")), ...this.numbers.map((number) => this.drawNumber(number))),
      h("div", { class: "bottom" },
        h("p", { class: "hint", role: "status" }, this.hint),
        h("button", { class: "primary", id: "confirm", type: "button", disabled: !this.chosen, onclick: confirm }, t("confirm")),
        h("button", { class: "plain", id: "cancel", type: "button", onclick: () => this.decide("cancel", "cancelled") }, t("cancel"))),
    ];
  }

  drawNumber(number) {
    const isChosen = String(number === this.chosen);
    return h("button", { type: "button", "aria-pressed": isChosen, onclick: () => this.choose(number) }, number);
  }

  drawDone(what, path) {
    const mark = svg("svg", { viewBox: "0 0 50 50", "aria-hidden": "true" }, svg("path", { d: path }));
    return [
      h("div", { class: what === "cancelled" ? "done no" : "done" }, mark, h("strong", {}, t(what)), h("span", {}, t(`${what}Hint`))),
      h("div", { class: "bottom" }, h("button", { class: "plain", type: "button", onclick: () => this.show("people") }, t("again"))),
    ];
  }
}
