// The phone: who holds it, which mini-program is open, and what its buttons do.

import { AddUser } from "./adduser.js";
import { t } from "./i18n.js";
import { drawScreen, share } from "./screens.js";
import { call, post, SimError } from "./sim.js";

const DOOR_MS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 650;

// A reply of the backend that is not a success: `code`, `error` and `message` as it sent them.
class Refused extends Error {}

export class Phone {
  constructor(root, log, refresh) {
    Object.assign(this, { root, log, refresh });
    Object.assign(this, { users: [], apps: [], user: "alice", open: null, result: null });
    Object.assign(this, { busy: null, door: "closed", backendUrl: null, backendUp: "unknown" });
    this.sessions = new Map();
    this.addDialog = new AddUser((name) => this.pick(name));
  }

  get person() {
    return this.users.find((user) => user.name === this.user);
  }

  get session() {
    return this.sessions.get(`${this.open} ${this.user}`);
  }

  set session(value) {
    const key = `${this.open} ${this.user}`;
    if (value) this.sessions.set(key, value);
    else this.sessions.delete(key);
  }

  update(state) {
    const before = JSON.stringify([this.users, this.apps, this.backendUrl]);
    this.users = state.users;
    this.apps = state.apps.filter((app) => app.kind === "miniprogram");
    this.backendUrl = state.backendUrl;
    if (!this.backendUrl) this.backendUp = "none";
    if (before !== JSON.stringify([this.users, this.apps, this.backendUrl])) this.render();
  }

  render() {
    drawScreen(this);
  }

  tick() {
    for (const node of this.root.querySelectorAll("[data-until]")) {
      const { until, total } = node.dataset;
      node.textContent = countdown(Number(until) - Date.now());
      const ring = node.parentElement.querySelector(".left");
      ring.setAttribute("stroke-dasharray", `${share(Number(until), Number(total))} 100`);
    }
  }

  set(changes) {
    Object.assign(this, changes);
    this.render();
  }

  pick(user) {
    this.set({ user });
    this.refresh();
  }

  openApp(appid) {
    this.set({ open: appid, result: null, door: "closed" });
  }

  // Not while a button works: its reply belongs to the mini-program that asked.
  close() {
    if (!this.busy) this.set({ open: null, result: null });
  }

  // Is anybody there? Asked quietly, outside the log.
  async checkBackend() {
    if (!this.backendUrl || !this.person) return;
    const before = this.backendUp;
    try {
      await post("/sim/request", { user: this.user, appid: this.apps[0]?.appid, method: "GET", path: "/healthz" });
      this.backendUp = "yes";
    } catch {
      this.backendUp = "no";
    }
    if (before !== this.backendUp) this.render();
  }

  // Runs one button: busy while it lasts, then its result or its failure for people to read.
  async run(name, action) {
    if (this.busy) return;
    this.set({ busy: name, result: null });
    let result;
    try {
      result = { ok: true, text: await action.call(this) };
    } catch (error) {
      if (!(error instanceof Refused) && !(error instanceof SimError)) throw error;
      result = { ok: false, text: error.message, code: error.code };
      if (error.status === 502) this.backendUp = "no";
      if (this.backendUp !== "yes") result = null; // the hint on the screen says more
    } finally {
      this.busy = null;
    }
    if (!this.session) this.door = "closed";
    this.set({ result });
    this.door = "closed"; // it was seen opening; the next drawing holds still
    this.refresh();
  }

  async login() {
    this.door = "ajar";
    this.render();
    const data = await this.exchange(await this.wx("login", "wx.login"));
    this.set({ door: "open" });
    await new Promise((resolve) => setTimeout(resolve, DOOR_MS));
    this.keep(data);
    return t(data.isNewUser ? "okLoginNew" : "okLogin");
  }

  async bindPhone() {
    const { code } = await this.wx("phone-code", "getPhoneNumber");
    const { phone } = await this.request("POST", "/api/user/phone", { code });
    this.session.user.phone = phone;
    return t("okPhone", phone);
  }

  // Login first, data second: a later wx.login would change the key under the data.
  async fillProfile() {
    const { code } = await this.wx("login", "wx.login");
    const sealed = await this.wx("open-data", "wx.getUserInfo", { kind: "userInfo" });
    this.keep(await this.exchange({ code }, sealed));
    const opened = await this.request("POST", "/api/user/decrypt", sealed);
    this.session.user = { ...this.session.user, ...(await this.request("GET", "/api/user/info")) };
    return t("okProfile", opened.nickName);
  }

  async rotate() {
    const { refreshToken } = this.session;
    this.keep(await this.request("POST", "/api/auth", { action: "autoLogin", refreshToken }));
    return t("okRefresh");
  }

  async fetchInfo() {
    const info = await this.request("GET", "/api/user/info");
    this.session.user = { ...this.session.user, ...info };
    return t("okInfo", info.bindings?.length ?? 0);
  }

  async replay() {
    const { code, sessionId } = this.session;
    const data = await this.exchange({ code });
    this.keep({ ...data, isNewUser: this.session.isNewUser });
    return t(data.sessionId === sessionId ? "okReplaySame" : "okReplayOther");
  }

  async logout() {
    await this.request("POST", "/api/auth/logout", {});
    this.session = null;
    this.door = "closed";
    return t("okLogout");
  }

  async exchange({ code }, profile = {}) {
    const body = { action: "login", code, appid: this.open, ...profile };
    const data = await this.request("POST", "/api/auth", body);
    return { ...data, code };
  }

  keep(data) {
    const code = data.code ?? this.session?.code;
    const isNewUser = data.isNewUser ?? this.session?.isNewUser;
    this.session = { ...this.session, ...data, code, isNewUser, at: Date.now() };
  }

  async wx(path, label, extra = {}) {
    const body = { appid: this.open, user: this.user, ...extra };
    const finish = this.log.note("wx", label, body);
    const started = performance.now();
    const ms = () => performance.now() - started;
    try {
      const reply = await post(`/sim/${path}`, body);
      finish({ reply, chip: "ok", tone: "ok", ms: ms() });
      return reply;
    } catch (error) {
      finish({ reply: error.message, chip: t("failed"), tone: "bad", ms: ms() });
      throw error;
    }
  }

  async request(method, path, body) {
    const bearer = path !== "/api/auth" && this.session ? `Bearer ${this.session.accessToken}` : null;
    const headers = { "Accept-Language": document.documentElement.lang, ...(bearer && { Authorization: bearer }) };
    const finish = this.log.note("req", `${method} ${path}`, { headers, body });
    try {
      const reply = await call("POST", "/sim/request", { user: this.user, appid: this.open, method, path, headers, body });
      this.backendUp = "yes";
      const tone = reply.status < 300 ? "ok" : "bad";
      finish({ reply: reply.body, chip: chipOf(reply), tone, ms: reply.durationMs });
      return dataOf(reply);
    } catch (error) {
      if (error instanceof SimError) finish({ reply: error.message, chip: t("noReply"), tone: "bad" });
      throw error;
    }
  }
}

function chipOf({ status, body }) {
  return String(body?.code ?? status);
}

function dataOf({ status, body }) {
  if (status < 300 && body?.data) return body.data;
  if (status < 300) return {};
  const refused = new Refused(body?.message ?? t("failed"));
  refused.code = body?.code ? `${body.code} ${body.error}` : `HTTP ${status}`;
  throw refused;
}

export function countdown(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds <= 0) return t("expired");
  if (seconds >= 86400) return t("days", (seconds / 86400).toFixed(1).replace(".0", ""));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
