// Hears of a scan: over a WebSocket, else by long-polling, else by asking now and then.
//
// A way that fails gives its place to the next; when the last fails, the first is tried again after a pause. Every
// attempt says which version it has seen, so nothing is missed and nothing comes twice.

import { KaimenError } from "./api.js";

export const WAYS = ["socket", "long-poll", "poll"];
const OPEN_MS = 4000; // a socket that says nothing for so long is not getting through
const SILENT_MS = 45000; // the server's pings are invisible here: a socket quiet for so long is made anew, it may be dead
const WAIT_S = 25;
const PAUSES_MS = [400, 800, 1600, 3200, 5000];
const TOO_MANY = 429;
const UNKNOWN = 4040;
const CLOSE_UNKNOWN = 4404;
const GOING_AWAY = 1001;
const NO_CODE = 1005; // closed from here
const FINAL = new Set(["redeemed", "cancelled", "expired"]);
const STATES = { PENDING: "pending", SCANNED: "scanned", LOGIN_SUCCESS: "confirmed", CANCELLED: "cancelled", EXPIRED: "expired" };

/**
 * Follows one scan until it ends, is not known any more, or `stop()`.
 *
 * `hear(state)` gets each newer `{state, version, expiresIn, user?, ticket?, via}`. `lost(error)` says that no way gets
 * through, while all are tried again; `found()` that one does again. `gone()` ends it: the server does not know the scan.
 */
export class Watch {
  constructor(api, scan, { hear, gone, lost = () => {}, found = () => {}, ways = WAYS, random = Math.random }) {
    Object.assign(this, { api, scan, hear, gone, lost, found, ways, random });
    this.version = 0;
    this.error = null; // of the last attempt
    this.intervalMs = (scan.pollInterval ?? 1.5) * 1000;
    this.stopped = new AbortController();
    this.running = this.run();
  }

  stop() {
    this.stopped.abort();
  }

  get over() {
    return this.stopped.signal.aborted;
  }

  async run() {
    let way = 0;
    for (let failures = 0; !this.over; ) {
      const goesOn = await this.attempt(this.ways[way]).catch((error) => this.failed(error));
      if (goesOn) {
        failures = 0;
        this.worked();
      } else if (++way === this.ways.length) {
        way = 0;
        this.lost(this.error);
        await this.pause(PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)] * (0.75 + this.random() / 2));
      }
    }
  }

  worked() {
    if (this.error && !this.over) this.found();
    this.error = null;
  }

  attempt(way) {
    if (way === "socket") return this.socket();
    return way === "long-poll" ? this.poll(WAIT_S) : this.poll(0);
  }

  // Whether the same way goes on.
  async failed(error) {
    if (this.over) return false;
    if (error.code === UNKNOWN) return this.end(this.gone);
    this.error = error;
    if (error.status !== TOO_MANY) return false;
    this.intervalMs += 1000;
    await this.pause(error.retryAfterS * 1000 || this.intervalMs);
    return true;
  }

  end(tell) {
    this.stop();
    tell();
    return false;
  }

  tell(message, via) {
    if (this.over || !(message.version > this.version)) return;
    this.version = message.version;
    this.hear({ ...message, via });
    if (FINAL.has(message.state)) this.stop();
  }

  async poll(waitS) {
    const query = waitS ? `?wait=${waitS}&version=${this.version}` : "";
    const headers = { "X-Poll-Secret": this.scan.pollSecret };
    const timeoutMs = (waitS + 8) * 1000;
    const path = `/api/scan/${this.scan.scanId}${query}`;
    const reply = await this.api.call("GET", path, { headers, timeoutMs, signal: this.stopped.signal });
    this.tell(reply, waitS ? "long-poll" : "poll");
    this.worked();
    if (!waitS) await this.pause(this.intervalMs);
    return true;
  }

  // Ends with true where a new socket is due (the server restarts, or this one is silent), else with an error.
  socket() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.api.socketUrl(`/api/scan/${this.scan.scanId}/ws`));
      const signal = this.stopped.signal;
      const close = () => socket.close();
      let heard = false;
      let timer = setTimeout(close, OPEN_MS);
      signal.addEventListener("abort", close);
      socket.onopen = () => {
        const { pollSecret } = this.scan;
        socket.send(JSON.stringify({ type: "AUTH", pollSecret, version: this.version }));
      };
      socket.onmessage = ({ data }) => {
        heard = true;
        this.worked();
        clearTimeout(timer);
        timer = setTimeout(close, SILENT_MS);
        this.tell(read(data), "socket");
      };
      socket.onclose = ({ code }) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", close);
        const isDue = heard && (code === GOING_AWAY || code === NO_CODE);
        if (isDue) this.pause(this.random() * 300).then(() => resolve(true));
        else reject(closed(code));
      };
    });
  }

  pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.stopped.signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}

function closed(code) {
  const isUnknown = code === CLOSE_UNKNOWN;
  return new KaimenError({ code: isUnknown ? UNKNOWN : 0, error: isUnknown ? "not_found" : "socket", data: { close: code } });
}

function read(text) {
  try {
    const { type, ...message } = JSON.parse(text);
    return { ...message, state: message.state ?? STATES[type] };
  } catch {
    return {};
  }
}
