// The browser's side of one QR login after the other: create, follow, redeem. It draws nothing.

import { KaimenError } from "./api.js";
import { Watch } from "./channels.js";

const UNAVAILABLE = 5002; // Redis is away: a scan that lived there may be gone
const PATIENCE_MS = 6000;
const LATE_MS = 3000; // how long after its end a scan may still be told of
const PAUSES_MS = [700, 1500, 3000]; // between tries to create or to redeem

/** States of `ScanFlow`; those of the scan itself, and what this side adds: loading, redeeming, success, failed. */
export const OPEN_STATES = new Set(["pending", "scanned"]);

/**
 * One QR login at a time. Tells `changed(flow)` of every change of `state`, `user`, `expiresAt` or `isLost`.
 *
 * States: idle → loading → pending → scanned → redeeming → success, or cancelled, expired, failed (see `error`).
 */
export class ScanFlow {
  constructor(api, { channel = "page", appid = null, cookie = true, changed, ways, now = () => performance.now() }) {
    Object.assign(this, { api, channel, appid, cookie, changed, ways, now });
    this.reset("idle");
  }

  reset(state) {
    Object.assign(this, { state, scan: null, user: null, error: null, result: null, expiresAt: null, via: null });
    Object.assign(this, { isLost: false, lostAt: undefined });
  }

  /** A new code; whatever was under way before is dropped. */
  async start() {
    this.stop();
    this.reset("loading");
    const mine = (this.abort = new AbortController());
    this.changed(this);
    try {
      const body = this.appid ? { channel: this.channel, appid: this.appid } : { channel: this.channel };
      const scan = await this.post("/api/scan", body, mine.signal);
      if (!mine.signal.aborted) this.show(scan);
    } catch (error) {
      if (!mine.signal.aborted) this.fail(error);
    }
  }

  /** Leaves the scan to itself: it expires. */
  stop() {
    this.abort?.abort();
    this.watch?.stop();
    clearTimeout(this.late);
  }

  /** Seconds until the code ends, never below 0; null where there is none. */
  get leftS() {
    return this.expiresAt === null ? null : Math.max(0, (this.expiresAt - this.now()) / 1000);
  }

  show(scan) {
    this.scan = scan;
    this.follow();
    this.set("pending", { expiresIn: scan.expiresIn });
  }

  /** Asks anew, say after the computer slept. */
  follow() {
    const version = this.watch?.scan === this.scan ? this.watch.version : 0;
    this.watch?.stop();
    this.watch = new Watch(this.api, this.scan, {
      hear: (message) => this.hear(message),
      lost: (error) => this.lose(error),
      found: () => this.find(),
      gone: () => this.set("expired"),
      ways: this.ways,
    });
    this.watch.version = version;
  }

  hear(message) {
    this.find();
    this.via = message.via;
    if (message.state === "confirmed") this.redeem(message);
    else if (message.state === "redeemed") this.fail(new KaimenError({ code: 4101, error: "scan_redeemed" }));
    else if (message.state) this.set(message.state, message);
  }

  set(state, { expiresIn, user } = {}) {
    this.state = state;
    if (user) this.user = user;
    clearTimeout(this.late);
    this.expiresAt = OPEN_STATES.has(state) && expiresIn !== undefined ? this.now() + expiresIn * 1000 : null;
    if (this.expiresAt !== null) this.late = setTimeout(() => this.expire(), expiresIn * 1000 + LATE_MS);
    this.changed(this);
  }

  // The server says so itself, unless it cannot be heard.
  expire() {
    this.stop();
    this.set("expired");
  }

  lose(error) {
    this.lostAt ??= this.now();
    this.isLost = true;
    if (error.code === UNAVAILABLE && this.now() - this.lostAt > PATIENCE_MS) this.fail(error);
    else this.changed(this);
  }

  find() {
    this.lostAt = undefined;
    if (!this.isLost) return;
    this.isLost = false;
    this.changed(this);
  }

  fail(error) {
    this.stop();
    this.error = error;
    this.set("failed");
  }

  async redeem({ ticket, user }) {
    if (this.state === "redeeming") return;
    this.watch.stop();
    this.set("redeeming", { user });
    const mine = this.abort.signal;
    try {
      const body = { pollSecret: this.scan.pollSecret, ticket, cookie: this.cookie };
      const result = await this.post(`/api/scan/${this.scan.scanId}/redeem`, body, mine);
      if (mine.aborted) return;
      this.result = result;
      this.user = result.user;
      this.set("success");
    } catch (error) {
      if (!mine.aborted) this.fail(error);
    }
  }

  // What did not reach the server, or found it in trouble, is tried again: a ticket works once all the same.
  async post(path, body, signal, tried = 0) {
    try {
      return await this.api.call("POST", path, { body, signal });
    } catch (error) {
      const isHopeful = error.code === 0 || error.status >= 500;
      if (signal.aborted || !isHopeful || tried === PAUSES_MS.length) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[tried]));
      if (signal.aborted) throw error;
      return this.post(path, body, signal, tried + 1);
    }
  }
}
