// <kaimen-login>: a person scans the code with WeChat and this page is signed in. See docs/web.md.

import { Api, KaimenError } from "./lib/api.js";
import { face, h, languageOf, tell } from "./lib/dom.js";
import { loginStyles } from "./lib/login-styles.js";
import { goTo, isLocalPath } from "./lib/redirect.js";
import { OPEN_STATES, ScanFlow } from "./lib/scan.js";
import { shared } from "./lib/styles.js";
import { clockTime, errorText, text } from "./lib/texts.js";

export { KaimenError };

// WeChat's own browser reads a code that is pressed for long, where the code is a PNG.
const IN_WECHAT = /MicroMessenger\//.test(navigator.userAgent);
const SHORT_S = 20;
const LOADS_AGAIN = 3; // of the picture
const LOAD_PAUSE_MS = 800;
const OPENING_MS = 700; // the door is seen to open before the page is left
const CHANNELS = new Set(["page", "miniprogram", "official"]);
const STARTS_ANEW = new Set(["base-url", "channel", "appid", "cookie"]);
const EVENTS = { pending: "shown", scanned: "scanned", success: "success", cancelled: "cancelled", expired: "expired", failed: "error" };
const ENDED = new Set(["cancelled", "expired", "failed"]);

export class KaimenLogin extends HTMLElement {
  static observedAttributes = ["base-url", "channel", "appid", "cookie", "lang", "theme", "avatars"];

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [shared, loginStyles];
    this.build(root);
  }

  connectedCallback() {
    window.addEventListener("pagehide", this.rest);
    window.addEventListener("pageshow", this.wake);
    window.addEventListener("online", this.wake);
    document.addEventListener("visibilitychange", this.wake);
    this.timer = setInterval(() => this.tick(), 1000);
    if (this.hasAttribute("manual")) this.make();
    else this.start();
  }

  disconnectedCallback() {
    window.removeEventListener("pagehide", this.rest);
    window.removeEventListener("pageshow", this.wake);
    window.removeEventListener("online", this.wake);
    document.removeEventListener("visibilitychange", this.wake);
    clearInterval(this.timer);
    this.flow?.stop();
  }

  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected || !this.flow) return;
    if (STARTS_ANEW.has(name) && this.flow.state !== "idle") this.start();
    else this.render();
  }

  /** "idle", "loading", "pending", "scanned", "redeeming", "success", "cancelled", "expired" or "failed". */
  get state() {
    return this.flow?.state ?? "idle";
  }

  /** Who scanned or signed in, as far as it is known. */
  get user() {
    return this.flow?.user ?? null;
  }

  /** How the last word came: "socket", "long-poll" or "poll". */
  get via() {
    return this.flow?.via ?? null;
  }

  /** Shows a new code in place of whatever is there. */
  start() {
    this.make();
    return this.flow.start();
  }

  /** Takes the code away; nobody can sign in by it any more from here. */
  stop() {
    this.make();
    this.changed(this.flow);
  }

  make() {
    this.flow?.stop();
    this.shownState = null;
    const channel = this.getAttribute("channel");
    this.api = new Api(this.getAttribute("base-url") ?? "", () => languageOf(this));
    this.flow = new ScanFlow(this.api, {
      channel: CHANNELS.has(channel) ? channel : "page",
      appid: this.getAttribute("appid"),
      cookie: this.getAttribute("cookie") !== "off",
      changed: (flow) => this.changed(flow),
    });
    this.render();
  }

  rest = () => this.flow?.watch?.stop();

  // The computer slept, the network was away, the page came back: ask at once.
  wake = (event) => {
    const isFirst = event?.type === "pageshow" && !event.persisted;
    if (!isFirst && document.visibilityState === "visible" && OPEN_STATES.has(this.state)) this.flow.follow();
  };

  changed(flow) {
    if (flow !== this.flow) return;
    this.render();
    if (flow.state === this.shownState) return;
    this.shownState = flow.state;
    this.announce(flow);
  }

  announce(flow) {
    tell(this, "state", { state: flow.state, via: flow.via });
    const name = EVENTS[flow.state];
    if (name) tell(this, name, this.detail(flow));
    if (flow.state === "success") setTimeout(() => this.leave(), OPENING_MS);
  }

  leave() {
    const path = this.getAttribute("return-to");
    if (this.isConnected && isLocalPath(path)) goTo(path);
  }

  detail({ state, scan, user, result, error }) {
    if (state === "pending") {
      const { scanId, qrContent, expiresIn } = scan;
      return { scanId, channel: this.flow.channel, qrContent, expiresIn };
    }
    if (state === "failed") return { code: error.code, error: error.error, message: errorText(languageOf(this), error) };
    return state === "success" ? result : { user };
  }

  // --- what is seen ---

  build(root) {
    this.parts = {
      title: h("h2", { id: "title", part: "title" }),
      hint: h("p", { class: "hint", part: "hint" }),
      room: h("div", { class: "room" }),
      qr: h("img", { class: "qr", part: "qr", width: 224, height: 224, crossorigin: "anonymous", draggable: "false" }),
      over: h("div", { class: "over" }),
      label: h("b"),
      number: h("strong", { part: "number" }),
      note: h("small"),
      bar: h("i"),
      status: h("div", { class: "status", role: "status", "aria-live": "polite", "aria-atomic": "true" }),
      time: h("p", { class: "time", part: "time" }),
    };
    const { title, hint, room, qr, over, label, number, note, bar, status, time } = this.parts;
    qr.addEventListener("load", () => qr.classList.add("ready"));
    qr.addEventListener("error", () => this.loadAgain(qr.getAttribute("src")));
    const leaf = h("div", { class: "leaf", part: "leaf" },
      h("div", { class: "pane" }, qr, over),
      (this.parts.plate = h("div", { class: "plate", part: "plate" }, label, number, note)));
    this.parts.sill = h("div", { class: "sill", "aria-hidden": "true" }, bar);
    this.parts.door = h("div", { class: "door" }, h("div", { class: "frame" }, room, leaf), this.parts.sill);
    root.append(h("section", { class: "card", part: "card", "aria-labelledby": "title" }, title, hint, this.parts.door, h("div", { class: "words" }, status, time)));
  }

  render() {
    const { parts, flow } = this;
    const say = (name, ...values) => text(languageOf(this), name, ...values);
    parts.door.dataset.state = flow.state;
    parts.title.textContent = say("title");
    parts.hint.textContent = say(IN_WECHAT ? "hold" : "hint");
    parts.label.textContent = say("number");
    parts.note.textContent = say("numberHint");
    parts.number.textContent = flow.scan?.matchCode ?? "";
    parts.plate.hidden = !flow.scan?.matchCode;
    this.renderImage(say);
    this.renderOver(say);
    this.renderRoom(say);
    this.renderStatus(...this.words(say));
    this.tick();
  }

  renderImage(say) {
    const { qr } = this.parts;
    const url = this.flow.scan ? this.imageUrl(this.flow.scan) : "";
    qr.alt = OPEN_STATES.has(this.flow.state) ? say("qr") : "";
    if (qr.getAttribute("src") === url || (!url && !qr.hasAttribute("src"))) return;
    qr.classList.remove("ready");
    this.loads = 0;
    if (url) qr.src = url;
    else qr.removeAttribute("src");
  }

  imageUrl(scan) {
    const { href } = new URL(scan.imageUrl, this.api.url("/"));
    return IN_WECHAT ? href.replace(/svg$/, "png") : href;
  }

  loadAgain(url) {
    const { qr } = this.parts;
    const isShown = () => url && OPEN_STATES.has(this.state) && qr.getAttribute("src") === url;
    if (!isShown()) return;
    if (this.loads++ >= LOADS_AGAIN) this.flow.fail(new KaimenError({}));
    else setTimeout(() => isShown() && (qr.src = url), LOAD_PAUSE_MS);
  }

  // Over the code: who scanned it, or the button for a new one. The button keeps the focus that was inside.
  renderOver(say) {
    const { state } = this.flow;
    const { over } = this.parts;
    if (over.dataset.shows === `${state} ${languageOf(this)}`) return;
    const hadFocus = this.shadowRoot.activeElement !== null;
    over.dataset.shows = `${state} ${languageOf(this)}`;
    if (ENDED.has(state)) over.replaceChildren(this.makeButton(say(state === "failed" ? "retry" : "renew")));
    else if (state === "loading" || state === "redeeming") over.replaceChildren(h("span", { class: "spinner", "aria-hidden": "true" }));
    else if (state === "scanned") over.replaceChildren(this.makeFace(), h("strong", { "aria-hidden": "true" }, this.user?.nickname ?? ""));
    else over.replaceChildren();
    if (hadFocus) over.querySelector("button")?.focus();
  }

  makeButton(label) {
    const click = () => {
      this.parts.title.tabIndex = -1;
      this.parts.title.focus({ preventScroll: true });
      this.start();
    };
    return h("button", { class: "primary", part: "button", type: "button", onclick: click }, label);
  }

  makeFace() {
    return face(this.user, this.api.url("/"), this.getAttribute("avatars") === "any");
  }

  renderRoom(say) {
    const { room } = this.parts;
    if (this.flow.state !== "success") return room.replaceChildren();
    if (room.children.length) return undefined;
    const name = this.user?.nickname;
    const welcome = name ? say("welcome", name) : say("welcomeAll");
    return room.replaceChildren(this.makeFace(), h("strong", { "aria-hidden": "true" }, welcome), h("span", { "aria-hidden": "true" }, say("opened")));
  }

  // [what happened, what to do about it] of the present state.
  words(say) {
    const { state, error, isLost } = this.flow;
    const name = this.user?.nickname;
    if (isLost && OPEN_STATES.has(state)) return ["", say("lost")];
    if (state === "loading") return ["", say("loading")];
    if (state === "scanned") return [name ? say("scannedBy", name) : say("scanned"), say("confirm")];
    if (state === "redeeming") return [say("redeeming"), ""];
    if (state === "success") return [name ? say("welcome", name) : say("welcomeAll"), ""];
    if (state === "cancelled") return [say("cancelled"), say("cancelledHint")];
    if (state === "expired") return [say("expired"), say("expiredHint")];
    if (state === "failed") return [say("failed"), errorText(languageOf(this), error)];
    return ["", ""];
  }

  // Only a change is written: a screen reader would say it all again.
  renderStatus(what, hint) {
    const { status } = this.parts;
    const both = `${what}\n${hint}`;
    if (status.dataset.says === both) return;
    status.dataset.says = both;
    status.replaceChildren(what ? h("strong", {}, what) : "", hint ? h("span", {}, hint) : "");
  }

  tick() {
    const { sill, bar, time } = this.parts;
    const leftS = this.flow?.leftS ?? null;
    const wholeS = this.flow?.scan?.expiresIn ?? 1;
    bar.style.setProperty("--left", leftS === null ? 0 : Math.min(1, leftS / wholeS));
    sill.classList.toggle("short", leftS !== null && leftS < SHORT_S);
    time.textContent = leftS === null ? "" : text(languageOf(this), "lasts", clockTime(leftS));
  }
}

if (!customElements.get("kaimen-login")) customElements.define("kaimen-login", KaimenLogin);
