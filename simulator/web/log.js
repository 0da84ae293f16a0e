// The sequence diagram: phone, backend, WeChat, and every call between them.

import { h } from "./dom.js";
import { t } from "./i18n.js";

const KEPT = 150;
const NEAR_BOTTOM_PX = 80;

export class Log {
  constructor(root) {
    this.root = root;
    this.skewMs = 0;
    this.entries = new Map();
    this.hiddenUntil = 0;
    this.lastNote = 0;
  }

  // A call of the phone: kind "wx" (to WeChat) or "req" (to the backend); finish it with the function returned.
  note(kind, label, request) {
    this.lastNote += 1;
    const entry = { id: `n${this.lastNote}`, kind, label, request, at: Date.now() };
    this.put(entry);
    return (outcome) => {
      this.put({ ...entry, ...outcome, done: true });
    };
  }

  showCalls(calls) {
    for (const call of calls) {
      const at = call.at * 1000 + this.skewMs;
      const known = this.entries.get(`c${call.id}`);
      if (at <= this.hiddenUntil || known?.done) continue;
      this.put(entryOfCall(call, at));
    }
  }

  put(entry) {
    const old = this.entries.get(entry.id);
    const atEnd = this.root.scrollHeight - this.root.scrollTop - this.root.clientHeight < NEAR_BOTTOM_PX;
    entry.at = old?.at ?? entry.at;
    entry.node = row(entry);
    entry.node.open = old?.node.open ?? false;
    this.entries.set(entry.id, entry);
    this.root.querySelector(".empty")?.remove();
    if (old) old.node.replaceWith(entry.node);
    else this.insert(entry);
    if (atEnd) this.root.scrollTop = this.root.scrollHeight;
  }

  insert(entry) {
    const later = [...this.entries.values()].filter((each) => each !== entry && each.at > entry.at);
    later.sort((a, b) => a.at - b.at);
    this.root.insertBefore(entry.node, later[0]?.node ?? null);
    for (const [id, each] of this.entries) {
      if (this.entries.size <= KEPT) return;
      each.node.remove();
      this.entries.delete(id);
    }
  }

  clear() {
    this.entries.clear();
    this.hiddenUntil = Date.now();
    this.root.replaceChildren(h("p", { class: "empty", "data-t": "emptyLog" }, t("emptyLog")));
  }

  render() {
    for (const entry of this.entries.values()) this.put({ ...entry });
  }
}

function entryOfCall(call, at) {
  const request = { method: call.method, path: call.path, query: call.query, body: call.body ?? undefined };
  const done = call.durationMs !== null;
  const errcode = call.reply?.errcode;
  return {
    id: `c${call.id}`,
    kind: "call",
    label: call.api,
    request,
    reply: call.reply,
    at,
    done,
    fault: call.fault,
    chip: errcode ? String(errcode) : String(call.status ?? t("noReply")),
    // A 200 whose body is not an object is as bad as an error.
    tone: call.status === 200 && typeof call.reply === "object" && !errcode ? "ok" : "bad",
    ms: call.durationMs,
  };
}

function row(entry) {
  const chip = entry.done ? entry.chip : t("pending");
  const tone = entry.done ? entry.tone : "wait";
  const ms = entry.done ? duration(entry.ms) : "";
  const label = entry.fault ? `⚡ ${entry.label}` : entry.label;
  return h(
    "details",
    { class: `row ${entry.kind}`, "data-tone": tone, ontoggle: showWhole },
    h(
      "summary",
      {},
      h("time", {}, new Date(entry.at).toTimeString().slice(0, 8), h("small", {}, ms)),
      h(
        "span",
        { class: "lanes" },
        h("span", { class: "arrow" }, h("span", { class: "label" }, label), h("span", { class: "chip" }, chip, h("small", {}, ` ${ms}`))),
      ),
    ),
    h(
      "div",
      { class: "io" },
      entry.fault ? h("p", { class: "fault" }, `⚡ ${t("injected")}: ${JSON.stringify(entry.fault)}`) : null,
      block("request", entry.request),
      block("reply", entry.reply),
    ),
  );
}

function duration(ms) {
  if (ms === undefined || ms === null) return "";
  if (ms >= 10000) return `${Math.round(ms / 1000)} s`;
  return ms < 1 ? "<1 ms" : `${Math.round(ms)} ms`;
}

function showWhole(event) {
  if (event.target.open) event.target.scrollIntoView({ block: "nearest" });
}

function block(title, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value ?? null, null, 2);
  return h("section", {}, h("h3", {}, t(title)), h("pre", {}, text));
}
