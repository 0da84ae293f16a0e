// The demo: one of the elements while nobody is signed in, the person where somebody is.

import "../kaimen-login.js";
import { KaimenSession } from "../kaimen-session.js";
import { face, h } from "../lib/dom.js";
import { Phone } from "./phone.js";
import { language, setLanguage, t } from "./texts.js";

const THEMES = ["auto", "light", "dark"];
const EVENTS_KEPT = 40;
const OPENING_MS = 1500; // how long the open door is shown
const HEARD = ["shown", "scanned", "success", "cancelled", "expired", "error"];
const ELSEWHERE = new Set(["ended", "replaced", "reused", "too_many", "logout", "disabled", "password"]);
const $ = (id) => document.getElementById(id);
const meta = (name) => document.querySelector(`meta[name="kaimen-${name}"]`).content;

const prefix = meta("prefix");
const simulator = meta("simulator");
const session = new KaimenSession({ baseUrl: prefix, lang: language() });
let way = new URLSearchParams(location.search).get("way") ?? "page";
let code = null;
let isMine = false; // the sign-out was asked for here
let notice = null;

function note(name, detail) {
  const time = h("time", {}, new Date().toTimeString().slice(0, 8));
  const more = Object.values(detail ?? {}).filter((value) => value !== undefined && value !== "");
  $("events").prepend(h("li", {}, time, h("b", {}, name), h("span", {}, more.join(" · "))));
  while ($("events").children.length > EVENTS_KEPT) $("events").lastChild.remove();
}

for (const name of HEARD) {
  document.addEventListener(`kaimen-${name}`, ({ detail, target }) => {
    const via = target.via ? { via: target.via } : {};
    note(`kaimen-${name}`, brief(name, { ...detail, ...via }));
    code = name === "shown" ? detail : name === "scanned" ? code : null;
    if (name !== "success") return;
    session.adopt(detail);
    $("stage").scrollIntoView({ block: "nearest" });
  });
}

// What fits into a line.
function brief(name, { user, code: number, error, channel, via, expiresIn }) {
  if (name === "shown") return { channel, life: `${expiresIn} s` };
  if (name === "error") return { number, error };
  return { user: user?.nickname || user?.username, via };
}

session.addEventListener("login", ({ detail }) => note("session login", { user: detail.user.nickname || detail.user.username }));
session.addEventListener("update", () => note("session update"));
session.addEventListener("logout", ({ detail }) => note("session logout", detail));
session.addEventListener("change", ({ detail }) => {
  notice = !detail.user && !isMine && ELSEWHERE.has(detail.reason) ? "ended" : null;
  isMine = false;
  const isOpening = detail.user && $("stage").querySelector("kaimen-login")?.state === "success";
  setTimeout(renderStage, isOpening ? OPENING_MS : 0);
});

function renderStage() {
  const warning = notice ? h("p", { class: "notice", role: "alert" }, t(notice)) : null;
  $("stage").replaceChildren(...[warning, session.user ? drawMe(session.user) : drawLogin()].filter(Boolean));
  $("ways").toggleAttribute("data-off", Boolean(session.user));
  for (const button of $("ways").children) {
    button.setAttribute("aria-pressed", String(button.dataset.way === way && !session.user));
    button.disabled = Boolean(session.user);
  }
}

function drawLogin() {
  const shared = { "base-url": prefix, lang: language(), theme: theme() === "auto" ? null : theme() };
  if (way === "password") return h("kaimen-password", shared);
  return h("kaimen-login", { ...shared, channel: way, avatars: "any" });
}

function drawMe(user) {
  const rows = { userId: user.id, username: user.username, mobile: user.phone, since: user.createdAt.slice(0, 10) };
  const facts = Object.entries(rows).filter(([, value]) => value);
  const leave = (all) => () => {
    isMine = true;
    session.logout({ all }).catch((error) => note("error", { code: error.code }));
  };
  return h("div", { class: "me" },
    face({ ...user, nickname: user.nickname || user.username }, simulator || location.origin, true),
    h("h2", {}, user.nickname || user.username || t("nameless")),
    h("dl", {}, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, value)))),
    h("div", { class: "row" },
      h("button", { class: "primary", id: "logout", type: "button", onclick: leave(false) }, t("logout")),
      h("button", { class: "plain", id: "logout-all", type: "button", onclick: leave(true) }, t("logoutAll"))),
    h("small", {}, t("otherTab")));
}

// --- language and theme ---

const theme = () => localStorage.getItem("theme") ?? "auto";

const line = (words, _index, { length }) => (length > 1 ? h("span", {}, words) : words);

function renderTexts() {
  document.documentElement.lang = language() === "en" ? "en" : "zh-CN";
  if (theme() === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme();
  for (const node of document.querySelectorAll("[data-t]")) node.replaceChildren(...t(node.dataset.t).split("\n").map(line));
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
  $("lang").textContent = t("lang");
  $("theme").textContent = t(theme());
}

// The element on the stage goes on: its scan is not lost.
function restyle() {
  renderTexts();
  phone?.render();
  const element = $("stage").querySelector("kaimen-login, kaimen-password");
  if (!element) return renderStage();
  element.setAttribute("lang", language());
  if (theme() === "auto") element.removeAttribute("theme");
  else element.setAttribute("theme", theme());
}

$("lang").addEventListener("click", () => {
  setLanguage(language() === "en" ? "zh" : "en");
  localStorage.setItem("language", language());
  restyle();
});
$("theme").addEventListener("click", () => {
  localStorage.setItem("theme", THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  restyle();
});
$("ways").addEventListener("click", ({ target }) => {
  if (!target.dataset.way || target.dataset.way === way) return;
  way = target.dataset.way;
  code = null;
  notice = null;
  renderStage();
});

setLanguage(localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en"));
const phone = simulator ? new Phone($("phone"), simulator, () => code) : null;
renderTexts();
$("aside").hidden = !phone;
phone?.start().catch((error) => note("simulator", { error: error.message }));
session.start().catch((error) => {
  note("error", { code: error.code, error: error.error });
  renderStage();
});
