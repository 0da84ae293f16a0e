// <kaimen-password>: signs in, or makes an account, by username and password.

import { Api } from "./api.js";
import { h, languageOf, svg, tell } from "./dom.js";
import { passwordStyles } from "./password-styles.js";
import { goTo, isLocalPath } from "./redirect.js";
import { brokenRules, isUsername, RULE_NAMES } from "./rules.js";
import { shared } from "./styles.js";
import { errorText, text } from "./texts.js";

const WEAK_PASSWORD = 4001;
const FIELD_OF = { 4001: "password", 4002: "username", 4090: "username" };

export class KaimenPassword extends HTMLElement {
  static observedAttributes = ["base-url", "lang", "theme", "mode", "switch"];

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    root.adoptedStyleSheets = [shared, passwordStyles];
    this.faults = { username: null, password: null }; // functions that give a text, in whichever language is asked for
    this.trouble = null;
    this.build(root);
  }

  connectedCallback() {
    this.render();
  }

  disconnectedCallback() {
    clearInterval(this.waitTimer);
    this.sending?.abort();
  }

  attributeChangedCallback(name, before, after) {
    if (name === "mode" && before !== after) this.clear();
    if (this.isConnected) this.render();
  }

  /** "login" or "register". */
  get mode() {
    return this.getAttribute("mode") === "register" ? "register" : "login";
  }

  set mode(mode) {
    this.setAttribute("mode", mode);
  }

  get isBusy() {
    return Boolean(this.sending);
  }

  say(name, ...values) {
    return text(languageOf(this), name, ...values);
  }

  // --- what is checked ---

  check(field) {
    const value = this.parts[field].value;
    this.faults[field] = field === "username" ? this.usernameFault(value) : this.passwordFault(value);
    this.render();
    return !this.faults[field];
  }

  usernameFault(value) {
    if (!value) return () => this.say("usernameEmpty");
    return isUsername(value) ? null : () => this.say("usernameForm");
  }

  passwordFault(value) {
    if (!value) return () => this.say("passwordEmpty");
    const broken = this.mode === "register" ? brokenRules(value) : [];
    return broken.length ? () => this.say("weak", broken.map((name) => this.say(name)).join(this.say("comma"))) : null;
  }

  // Leaving an empty field is no mistake yet; sending it is.
  blurred(field) {
    if (this.parts[field].value) this.check(field);
  }

  typed(field) {
    if (this.faults[field]) this.check(field);
    else this.render();
  }

  // --- what is sent ---

  async submit(event) {
    event.preventDefault();
    if (this.isBusy || this.waitS > 0) return;
    const isGood = [this.check("username"), this.check("password")].every(Boolean);
    if (!isGood) return this.focusFault();
    this.sending = new AbortController();
    this.trouble = null;
    this.render();
    const { signal } = this.sending;
    try {
      this.succeed(await this.send(signal));
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    } finally {
      this.sending = null;
      this.render();
    }
  }

  send(signal) {
    const { username, password } = this.parts;
    const body = { action: this.mode, username: username.value, password: password.value, cookie: true };
    const api = new Api(this.getAttribute("base-url") ?? "", () => languageOf(this));
    return api.call("POST", "/api/auth", { body, signal });
  }

  succeed(result) {
    this.parts.password.value = "";
    tell(this, "success", result);
    const path = this.getAttribute("return-to");
    if (isLocalPath(path)) goTo(path);
  }

  fail(error) {
    const field = FIELD_OF[error.code];
    const words = () => this.wordsOf(error);
    if (field) this.faults[field] = words;
    else this.trouble = words;
    if (error.status === 429) this.wait(error.retryAfterS ?? 30);
    this.render();
    this.focusFault();
    tell(this, "error", { code: error.code, error: error.error, message: words() });
  }

  // The form keeps the server's rules, so a password it finds weak all the same is one of the commonest.
  wordsOf(error) {
    return error.code === WEAK_PASSWORD ? this.say("common") : errorText(languageOf(this), error);
  }

  focusFault() {
    const field = ["username", "password"].find((name) => this.faults[name]) ?? "password";
    this.parts[field].focus();
  }

  wait(seconds) {
    clearInterval(this.waitTimer);
    this.waitS = seconds;
    this.waitTimer = setInterval(() => {
      this.waitS -= 1;
      if (this.waitS <= 0) {
        clearInterval(this.waitTimer);
        this.trouble = null;
      }
      this.render();
    }, 1000);
  }

  clear() {
    this.faults = { username: null, password: null };
    this.trouble = null;
  }

  // --- what is seen ---

  build(root) {
    this.parts = {
      title: h("h2", { id: "title", part: "title" }),
      username: this.input("username", { autocapitalize: "none", spellcheck: "false", maxlength: "20" }),
      password: this.input("password", { type: "password" }),
      eye: h("button", { class: "eye", type: "button", onclick: () => this.toggle() }, eyeIcon()),
      rules: h("ul", { class: "rules" }),
      trouble: h("p", { class: "trouble", role: "alert", part: "trouble" }),
      submit: h("button", { class: "primary submit", part: "button", type: "submit" }),
      other: h("button", { class: "other", type: "button", onclick: () => this.change() }),
    };
    const { title, username, password, eye, rules, trouble, submit, other } = this.parts;
    const form = h("form", { novalidate: true, method: "post", "aria-labelledby": "title", onsubmit: (event) => this.submit(event) },
      this.field("username", username), this.field("password", password, eye, rules), trouble, submit, other);
    root.append(h("section", { class: "card", part: "card" }, title, form));
  }

  input(name, attributes) {
    const listeners = { onblur: () => this.blurred(name), oninput: () => this.typed(name) };
    return h("input", { id: name, name, required: true, "aria-describedby": `${name}-fault`, ...attributes, ...listeners });
  }

  field(name, input, eye, below) {
    const label = (this.parts[`${name}Label`] = h("label", { for: name }));
    const fault = (this.parts[`${name}Fault`] = h("span", { class: "fault", id: `${name}-fault`, "aria-live": "polite" }));
    return h("div", { class: eye ? "field secret" : "field" }, label, h("div", { class: "box" }, input, eye), fault, below);
  }

  toggle() {
    const { password } = this.parts;
    password.type = password.type === "password" ? "text" : "password";
    this.render();
  }

  change() {
    this.mode = this.mode === "login" ? "register" : "login";
    this.parts.username.focus();
  }

  render() {
    const { parts, mode } = this;
    const isLogin = mode === "login";
    parts.title.textContent = this.say(isLogin ? "passwordTitle" : "registerTitle");
    parts.username.autocomplete = "username";
    parts.password.autocomplete = isLogin ? "current-password" : "new-password";
    for (const field of ["username", "password"]) this.renderField(field);
    const isShown = parts.password.type === "text";
    parts.eye.setAttribute("aria-pressed", String(isShown));
    parts.eye.setAttribute("aria-label", this.say(isShown ? "hide" : "show"));
    this.renderRules(!isLogin);
    write(parts.trouble, this.trouble?.() ?? "");
    this.renderButtons(isLogin);
  }

  renderField(field) {
    const { parts } = this;
    const fault = this.faults[field]?.() ?? "";
    parts[`${field}Label`].textContent = this.say(field);
    parts[field].setAttribute("aria-invalid", String(Boolean(fault)));
    write(parts[`${field}Fault`], fault);
  }

  renderRules(isShown) {
    const { rules, password } = this.parts;
    rules.hidden = !isShown;
    const broken = new Set(brokenRules(password.value));
    rules.replaceChildren(...RULE_NAMES.map((name) => h("li", { class: broken.has(name) ? "" : "kept" }, this.say(name))));
  }

  // aria-disabled, not disabled: a button that vanishes from under the focus takes it along.
  renderButtons(isLogin) {
    const { submit, other } = this.parts;
    const isWaiting = this.waitS > 0;
    submit.setAttribute("aria-disabled", String(this.isBusy || isWaiting));
    submit.setAttribute("aria-busy", String(this.isBusy));
    const name = isLogin ? "login" : "register";
    submit.textContent = this.isBusy ? this.say("busy") : isWaiting ? this.say("waiting", this.waitS) : this.say(name);
    other.hidden = this.getAttribute("switch") === "off";
    other.textContent = this.say(isLogin ? "toRegister" : "toLogin");
  }
}

// Only a change is written: what is live for a screen reader would be read again.
function write(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function eyeIcon() {
  const eye = svg("path", { d: "M2.5 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12z" });
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, eye, svg("circle", { cx: "12", cy: "12", r: "3" }),
    svg("path", { class: "slash", d: "M3.500 20.500 20.500 3.500" }));
}

if (!customElements.get("kaimen-password")) customElements.define("kaimen-password", KaimenPassword);
