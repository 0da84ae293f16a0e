// What the phone shows. Every screen is drawn anew from the phone's state; the focused button keeps its focus.

import { avatar, h, icon, svg } from "./dom.js";
import { t } from "./i18n.js";
import { countdown } from "./phone.js";

export function drawScreen(phone) {
  const focused = phone.root.contains(document.activeElement) ? document.activeElement.id : "";
  const scroll = phone.root.querySelector(".body")?.scrollTop ?? 0;
  phone.root.replaceChildren(...(phone.open ? program(phone) : home(phone)));
  phone.root.querySelector(".body").scrollTop = scroll;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function home(phone) {
  return [
    h("div", { class: "navbar" }, h("strong", {}, t("wechat"))),
    h(
      "div",
      { class: "body home" },
      h("h3", { id: "who" }, t("whoAmI")),
      h("div", { class: "people", role: "group", "aria-labelledby": "who" }, ...phone.users.map((user) => personButton(phone, user)), addButton(phone)),
      h("h3", {}, t("programs")),
      h("div", { class: "programs" }, ...phone.apps.map((app, index) => appButton(phone, app, index))),
      hint(phone),
    ),
  ];
}

function personButton(phone, user) {
  const chosen = user.name === phone.user;
  return h(
    "button",
    { type: "button", id: `person-${user.name}`, class: "person", "aria-pressed": String(chosen), onclick: () => phone.pick(user.name) },
    avatar(user.avatarUrl, user.nickname, "face"),
    h("span", { class: "name" }, user.nickname),
    user.blocked ? h("span", { class: "blocked" }, t("blocked")) : null,
  );
}

function addButton(phone) {
  return h(
    "button",
    { type: "button", id: "person-add", class: "person add", onclick: () => phone.addDialog.open() },
    h("span", { class: "face" }, icon("plus")),
    h("span", { class: "name" }, t("add")),
  );
}

function appButton(phone, app, index) {
  return h(
    "button",
    { type: "button", id: `open-${app.appid}`, class: `program tint-${index % 4}`, onclick: () => phone.openApp(app.appid) },
    door("closed"),
    h("span", { class: "about" }, h("strong", {}, t("sampleName")), h("code", {}, app.appid)),
    h("span", { class: "go" }, t("open")),
  );
}

function hint(phone) {
  if (phone.backendUp !== "no" && phone.backendUp !== "none") return null;
  const text = phone.backendUp === "no" ? "downText" : "noneText";
  return h("div", { class: "startup", role: "status" }, h("strong", {}, t("downTitle")), h("p", {}, t(text, phone.backendUrl)), h("code", {}, "kaimen dev"));
}

function program(phone) {
  const busy = Boolean(phone.busy);
  const capsule = h("button", { type: "button", id: "close", class: "capsule", "aria-disabled": String(busy), "aria-label": t("close"), onclick: () => phone.close() }, h("i"), h("b"));
  return [
    h("div", { class: "navbar" }, h("strong", {}, t("sampleName")), capsule),
    h("div", { class: phone.session ? "body" : "body doorstep", "aria-busy": String(busy) }, ...(phone.session ? member(phone) : welcome(phone)), hint(phone)),
    h("div", { class: "result", "aria-live": "polite" }, phone.result ? resultCard(phone.result) : null),
  ];
}

function welcome(phone) {
  const busy = phone.busy === "login";
  const failed = phone.result && !phone.result.ok ? " shake" : "";
  return [
    h("div", { class: `hello${failed}` }, door(phone.door), h("h3", {}, t("welcome")), h("p", {}, t("welcomeText"))),
    h(
      "button",
      { type: "button", id: "login", class: "primary wide", "aria-disabled": String(busy), onclick: () => phone.run("login", phone.login) },
      t(busy ? "loggingIn" : "login"),
    ),
    h("p", { class: "as" }, avatar(phone.person?.avatarUrl, phone.person?.nickname, "tiny"), phone.person?.nickname ?? phone.user),
  ];
}

// A door in its frame, with light behind it: closed, ajar or open.
function door(position) {
  return h("span", { class: `door ${position}`, "aria-hidden": "true" }, h("span", { class: "leaf" }));
}

function member(phone) {
  const { user, isNewUser } = phone.session;
  return [
    h(
      "div",
      { class: phone.door === "open" ? "card arriving" : "card" },
      avatar(user.avatarUrl, user.nickname, "portrait"),
      h(
        "div",
        { class: "facts" },
        h("strong", { class: "nickname" }, user.nickname || t("noName")),
        h("code", { title: user.id }, user.id),
        h("span", { class: "phone-number" }, user.phone || t("noPhone")),
      ),
      h("span", { class: `badge ${isNewUser ? "fresh" : ""}` }, t(isNewUser ? "newUser" : "knownUser")),
    ),
    lifetimes(phone.session),
    h("div", { class: "actions" }, ...ACTIONS.map((action) => actionButton(phone, action))),
  ];
}

function lifetimes({ at, expiresIn, refreshExpiresIn }) {
  return h("dl", { class: "lifetimes" }, ...life("accessToken", at, expiresIn), ...life("refreshToken", at, refreshExpiresIn));
}

function life(name, at, seconds) {
  const until = at + seconds * 1000;
  const ring = svg(
    "svg",
    { viewBox: "0 0 36 36", class: "ring", "aria-hidden": "true" },
    svg("circle", { cx: 18, cy: 18, r: 15, class: "track" }),
    svg("circle", { cx: 18, cy: 18, r: 15, class: "left", pathLength: 100, "stroke-dasharray": `${share(until, seconds)} 100` }),
  );
  return [h("div", {}, ring, h("dt", {}, t(name)), h("dd", { "data-until": String(until), "data-total": String(seconds) }, countdown(until - Date.now())))];
}

export function share(until, seconds) {
  return Math.max(0, ((until - Date.now()) / (seconds * 10))).toFixed(1);
}

const ACTIONS = [
  { name: "bindPhone", icon: "phone", run: "bindPhone" },
  { name: "fillProfile", icon: "person", run: "fillProfile" },
  { name: "refresh", icon: "refresh", run: "rotate" },
  { name: "fetchInfo", icon: "card", run: "fetchInfo" },
  { name: "replay", icon: "replay", run: "replay" },
  { name: "logout", icon: "leave", run: "logout" },
];

function actionButton(phone, action) {
  const attributes = {
    type: "button",
    id: `do-${action.name}`,
    class: "action",
    "aria-disabled": String(Boolean(phone.busy)),
    "data-busy": phone.busy === action.name,
    onclick: () => phone.run(action.name, phone[action.run]),
  };
  return h("button", attributes, icon(action.icon), h("span", {}, t(action.name)));
}

function resultCard({ ok, text, code }) {
  return h("p", { class: `toast ${ok ? "good" : "bad"}` }, h("span", {}, text), code ? h("code", {}, code) : null);
}
