// Who is signed in on this page; the same in every tab, and told by the server when it ends elsewhere.

import { Api, KaimenError, storage } from "./api.js";

const NOT_SIGNED_IN = new Set([4010, 4011, 4015]);
const DISABLED = 4034;
const CLOSED_ENDED = 4401;
const CLOSED_TOO_MANY = 4429;
const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 15000, 30000];
const AWAY_MS = 60000; // a page that was hidden for longer asks anew
const SAFE = /^(?:GET|HEAD|OPTIONS)$/i;

/**
 * One for each page: `session.addEventListener("change", …)`, then `await session.start()`.
 *
 * Events, each with `detail`: "login" {user}, "update" {user}, "logout" {reason}, and "change" {user, reason} after any
 * of them. `user` is undefined until it is known, null where nobody is signed in.
 */
export class KaimenSession extends EventTarget {
  constructor({ baseUrl = "", lang = "zh" } = {}) {
    super();
    this.api = new Api(baseUrl, () => lang);
    this.user = undefined;
    this.failures = 0;
    this.tab = String(Math.random());
    this.noteKey = `kaimen-session:${this.api.url("")}`;
  }

  /** Finds out who is signed in and goes on listening; gives the user or null. */
  async start() {
    if (!this.listening) this.listen();
    return this.refresh();
  }

  /** Hears nothing any more. */
  stop() {
    this.listening?.abort();
    this.listening = null;
    this.channel?.close();
    this.hangUp();
  }

  /** Asks the server; throws KaimenError where it cannot tell, and `user` stays as it was. */
  async refresh(reason = "ended") {
    const asked = (this.asked = (this.asked ?? 0) + 1);
    const user = await this.ask();
    if (asked === this.asked) this.set(user, reason);
    return this.user;
  }

  async ask() {
    try {
      return await this.api.call("GET", "/api/user/info");
    } catch (error) {
      if (NOT_SIGNED_IN.has(error.code) || error.code === DISABLED) return null;
      throw error;
    }
  }

  /** Signs in by `{username, password}`; gives the user. Throws KaimenError. */
  login(credentials) {
    return this.enter("login", credentials);
  }

  /** A new account by `{username, password}`, signed in; gives the user. Throws KaimenError. */
  register(credentials) {
    return this.enter("register", credentials);
  }

  async enter(action, { username, password }) {
    const body = { action, username, password, cookie: true };
    return this.adopt(await this.api.call("POST", "/api/auth", { body }));
  }

  /** Takes over what a `kaimen-success` event tells; gives the user. */
  adopt({ user }) {
    this.asked = (this.asked ?? 0) + 1; // an answer still on its way is older than this
    this.set(user, "login");
    this.note("login");
    return this.user;
  }

  /** Ends this session, or with `all` every session of the user. */
  async logout({ all = false } = {}) {
    this.leaving = true;
    try {
      await this.api.call("POST", "/api/auth/logout", { body: all ? { all } : {} });
    } catch (error) {
      if (!NOT_SIGNED_IN.has(error.code)) throw error;
    } finally {
      this.leaving = false;
    }
    this.asked = (this.asked ?? 0) + 1;
    this.set(null, "logout");
    this.note("logout");
  }

  /** `fetch` with the cookie and, where the method changes something at Kaimen, its XSRF token; gives the Response. */
  fetch(input, init = {}) {
    const url = new URL(input, document.baseURI);
    const headers = new Headers(init.headers);
    const isOurs = url.origin === new URL(this.api.url("/")).origin;
    if (isOurs && !SAFE.test(init.method ?? "GET") && this.api.xsrfToken) headers.set("X-XSRFToken", this.api.xsrfToken);
    return fetch(url, { ...init, headers, credentials: isOurs ? "include" : (init.credentials ?? "same-origin") });
  }

  set(user, reason) {
    const before = this.user;
    this.user = user;
    if (user) this.connect();
    else this.hangUp();
    if (user && before?.id !== user.id) this.say("login", { user }, reason);
    else if (user && JSON.stringify(before) !== JSON.stringify(user)) this.say("update", { user }, "update");
    else if (!user && before) this.say("logout", { reason }, reason);
    else if (before === undefined) this.say(null, null, "start");
  }

  say(name, detail, reason) {
    if (name) this.dispatchEvent(new CustomEvent(name, { detail }));
    this.dispatchEvent(new CustomEvent("change", { detail: { user: this.user, reason } }));
  }

  // --- the other tabs: a channel, and a note in the storage for browsers without one ---

  listen() {
    this.listening = new AbortController();
    const { signal } = this.listening;
    const hear = (news) => news && news.tab !== this.tab && this.quietly(news.reason);
    if (globalThis.BroadcastChannel) {
      this.channel = new BroadcastChannel(this.noteKey);
      this.channel.addEventListener("message", ({ data }) => hear(data));
    }
    addEventListener("storage", ({ key, newValue }) => key === this.noteKey && hear(parse(newValue)), { signal });
    document.addEventListener("visibilitychange", () => this.returned(), { signal });
    addEventListener("online", () => this.user && this.quietly("ended"), { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && this.quietly("ended"), { signal });
  }

  note(reason) {
    const news = { tab: this.tab, reason, at: Date.now() };
    this.channel?.postMessage(news);
    storage()?.setItem(this.noteKey, JSON.stringify(news));
  }

  returned() {
    if (document.visibilityState === "hidden") this.hiddenAt = performance.now();
    else if (performance.now() - this.hiddenAt > AWAY_MS) this.quietly("ended");
  }

  // The server may be away: what is not known now is known at the next word.
  quietly(reason) {
    return this.refresh(reason).catch(() => undefined);
  }

  // --- the server's word, to one tab of the browser: the others hear of it by the channel ---

  connect() {
    if (this.socketWanted || !this.listening) return;
    const wanted = (this.socketWanted = new AbortController());
    const hold = () => new Promise((release) => this.hold(wanted.signal, release));
    if (!navigator.locks) hold();
    else navigator.locks.request(`kaimen-socket:${this.noteKey}`, { signal: wanted.signal }, hold).catch(() => undefined);
  }

  hangUp() {
    this.socketWanted?.abort();
    this.socketWanted = null;
  }

  hold(signal, release) {
    if (signal.aborted) return release();
    let timer;
    const open = () => (this.socket = this.open(signal, (pauseMs) => (timer = setTimeout(open, pauseMs))));
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      this.socket.close();
      release();
    });
    return open();
  }

  open(signal, openAgain) {
    const socket = new WebSocket(this.api.socketUrl("/api/session/ws"));
    socket.onmessage = ({ data }) => {
      const message = parse(data);
      socket.saidWhy = message?.type === "LOGGED_OUT";
      if (!signal.aborted) this.hear(message);
    };
    socket.onclose = ({ code }) => {
      if (signal.aborted) return;
      if (code === CLOSED_ENDED && !socket.saidWhy) this.quietly("ended");
      const pauseMs = PAUSES_MS[Math.min(this.failures++, PAUSES_MS.length - 1)];
      openAgain(code === CLOSED_TOO_MANY ? PAUSES_MS.at(-1) : pauseMs * (0.75 + Math.random() / 2));
    };
    return socket;
  }

  hear(message) {
    if (message?.type === "READY") this.ready();
    if (message?.type === "USER_UPDATED") this.quietly("update").then(() => this.note("update"));
    if (message?.type === "LOGGED_OUT" && this.user && !this.leaving) this.quietly(message.reason).then(() => this.note(message.reason));
  }

  // After an outage: what happened meanwhile was not told.
  ready() {
    if (this.failures > 0) this.quietly("ended");
    this.failures = 0;
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export { KaimenError };
