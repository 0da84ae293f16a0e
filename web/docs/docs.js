// The documentation: reads openapi.json and shows it.

import { h } from "../lib/dom.js";
import { block, pretty, text } from "./parts.js";
import { exampleOf, resolve, showSchema, typeOf } from "./schema.js";
import { isChinese, switchLanguage, t } from "./texts.js";
import { caller, credentialFields } from "./try.js";

const meta = (name) => document.querySelector(`meta[name="kaimen-${name}"]`).content;
const prefix = meta("prefix");
const mayTry = meta("tries") === "yes";
const baseUrl = location.origin + prefix;
const main = document.getElementById("main");
const nav = document.getElementById("nav");

/** `{method, path, id, operation}` for each tag. */
function callsOf(api, tag) {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.tags.includes(tag))
      .map(([method, operation]) => ({ method: method.toUpperCase(), path, id: operation.operationId, operation })),
  );
}

function badge(call) {
  const word = call.operation.responses["101"] ? "WS" : call.method;
  return h("span", { class: "badge", "data-method": word }, word);
}

/** A path with what stands in braces set apart, and places to break it. */
function pathOf(path) {
  const parts = path.split(/(\{\w+\}|(?<=.)(?=\/))/).filter(Boolean);
  const nodes = parts.flatMap((part) => (part.startsWith("{") ? [h("i", {}, part)] : [document.createElement("wbr"), part]));
  return h("code", { class: "path" }, ...nodes);
}

// --- the list at the side ---

function showNav(groups) {
  const filter = h("input", { type: "search", id: "filter", placeholder: t("filter"), "aria-label": t("filter"), autocomplete: "off" });
  filter.addEventListener("input", () => narrow(filter.value.trim().toLowerCase()));
  const lists = groups.map(({ tag, calls }) =>
    h("section", {}, h("h2", {}, tag.name), h("ul", {}, ...calls.map((call) => h("li", { "data-id": call.id }, link(call))))),
  );
  nav.replaceChildren(filter, ...(mayTry ? [credentialFields()] : []), h("div", { class: "list" }, ...lists));
}

function link(call) {
  return h("a", { href: `#${call.id}` }, badge(call), h("span", {}, call.operation.summary));
}

function narrow(word) {
  let found = 0;
  for (const card of main.querySelectorAll(".call")) {
    const fits = card.dataset.words.includes(word);
    card.hidden = !fits;
    nav.querySelector(`[data-id="${card.id}"]`).hidden = !fits;
    found += Number(fits);
  }
  for (const group of [...main.querySelectorAll(".group"), ...nav.querySelectorAll("section")])
    group.hidden = ![...group.querySelectorAll(".call, li[data-id]")].some((one) => !one.hidden);
  document.getElementById("nothing").hidden = found > 0;
}

// --- the calls ---

function showGroup({ tag, calls }, api) {
  return h(
    "section",
    { class: "group" },
    h("h2", {}, tag.name),
    h("p", { class: "lead" }, tag.description),
    ...calls.map((call) => card(call, api)),
  );
}

/** Closed at first; filled when it is opened. */
function card(call, api) {
  const inside = h("div", { class: "inside" });
  const head = h("summary", {}, badge(call), pathOf(call.path), h("span", { class: "title" }, call.operation.summary));
  const words = `${call.method} ${call.path} ${call.operation.summary} ${call.id}`.toLowerCase();
  const made = h("details", { class: "call", id: call.id, "data-words": words }, head, inside);
  made.addEventListener("toggle", () => {
    if (made.open && !inside.firstChild) inside.append(...details(call, api));
  });
  return made;
}

function details(call, api) {
  const { operation } = call;
  const asked = [access(operation), text(operation.description), parameters(operation, api), body(operation, api)];
  const shown = [caller(call, api, baseUrl, mayTry), example(operation, api)];
  return [
    h("div", { class: "told" }, ...asked.filter(Boolean)),
    h("div", { class: "shown" }, ...shown.filter(Boolean)),
    h("div", { class: "told" }, replies(operation, api)),
  ];
}

function access(operation) {
  const schemes = (operation.security || []).flatMap(Object.entries);
  if (!schemes.length) return null;
  const [name, scopes] = schemes[0];
  const scope = scopes.length ? [` · ${t("scope")} `, h("code", {}, scopes[0])] : [];
  return h("p", { class: "access" }, t(name === "token" ? "user" : "service"), ...scope);
}

function parameters(operation, api) {
  if (!operation.parameters.length) return null;
  const rows = operation.parameters.map((one) =>
    h(
      "li",
      {},
      h(
        "p",
        { class: "field" },
        h("code", { class: "name" }, one.name),
        h("span", { class: "type" }, `${one.in}, ${typeOf(one.schema, api)}`),
        one.required ? h("span", { class: "mark" }, t("required")) : null,
      ),
      text(one.description),
    ),
  );
  return h("section", {}, h("h3", {}, t("parameters")), h("ul", { class: "fields" }, ...rows));
}

function body(operation, api) {
  if (!operation.requestBody) return null;
  const [media, { schema }] = Object.entries(operation.requestBody.content)[0];
  return h("section", {}, h("h3", {}, t("body"), h("small", {}, media)), showSchema(schema, api, true));
}

function replies(operation, api) {
  const all = Object.entries(operation.responses).map(([status, reply]) => [status, resolve(reply, api)]);
  const successes = all.filter(([status, reply]) => status < 400 || !failuresOf(reply).length);
  const failures = all.filter(([status]) => status >= 400).flatMap(([, reply]) => failuresOf(reply));
  return h(
    "section",
    {},
    h("h3", {}, t("replies")),
    ...successes.map(([status, reply]) => success(status, reply, api)),
    failures.length ? h("h3", {}, t("failures")) : null,
    failures.length ? h("table", { class: "errors" }, h("tbody", {}, ...failures.map((one) => failure(one, api)))) : null,
  );
}

function success(status, reply, api) {
  const [media, content] = Object.entries(reply.content || {})[0] || [];
  const schema = content && media.includes("json") ? shapeOf(content.schema) : null;
  const headers = Object.entries(reply.headers || {}).filter(([name]) => name !== "X-Request-Id");
  return h(
    "div",
    { class: "success" },
    h("p", { class: "field" }, h("span", { class: "status" }, status), h("span", { class: "type" }, Object.keys(reply.content || {}).join(", ") || t("empty"))),
    text(reply.description),
    headers.length ? h("ul", { class: "fields" }, ...headers.map(([name, { description }]) => h("li", {}, h("p", { class: "field" }, h("code", { class: "name" }, name)), text(description)))) : null,
    schema ? showSchema(schema, api, false) : null,
  );
}

/** Of the envelope only what is inside. */
const shapeOf = (schema) => schema.properties?.data || schema;

function failuresOf(reply) {
  const schema = Object.values(reply.content || {})[0]?.schema || {};
  return schema.properties?.code?.enum || (schema.enum ?? []);
}

function failure(name, api) {
  const found = api["x-errors"].find(({ code, error }) => code === name || error === name);
  const message = isChinese() ? found.zh : found.en;
  return h(
    "tr",
    {},
    h("td", {}, h("b", {}, String(found.code)), h("small", {}, String(found.status))),
    h("td", {}, h("code", {}, found.error), h("span", {}, message)),
  );
}

function example(operation, api) {
  const first = Object.entries(operation.responses)[0];
  const content = resolve(first[1], api).content?.["application/json"];
  if (!content) return null;
  const value = { ...exampleOf(content.schema, api) };
  return block(`${t("reply")} · ${first[0]}`, h("code", {}, pretty(value)));
}

// --- the page ---

function show(api) {
  document.documentElement.lang = isChinese() ? "zh-CN" : "en";
  document.getElementById("version").textContent = `API ${api.info.version}`;
  const groups = api.tags.map((tag) => ({ tag, calls: callsOf(api, tag.name) })).filter(({ calls }) => calls.length);
  const open = [...main.querySelectorAll(".call[open]")].map((one) => one.id);
  showNav(groups);
  const nothing = h("p", { class: "lone", id: "nothing", hidden: true }, t("none"));
  main.replaceChildren(h("div", { class: "intro" }, text(api.info.description)), ...groups.map((one) => showGroup(one, api)), nothing);
  open.forEach((id) => (document.getElementById(id).open = true));
  main.removeAttribute("aria-busy");
}

function follow() {
  const card = document.getElementById(location.hash.slice(1));
  if (!card?.classList.contains("call")) return;
  card.open = true;
  card.scrollIntoView();
}

function isDark() {
  return (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
}

function name() {
  document.getElementById("lang").textContent = t("other");
  document.getElementById("theme").textContent = t(isDark() ? "light" : "dark");
}

async function start() {
  const stored = localStorage.getItem("theme");
  if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
  name();
  const reply = await fetch(`${prefix}/openapi.json`);
  const api = await reply.json();
  show(api);
  follow();
  addEventListener("hashchange", follow);
  document.getElementById("lang").addEventListener("click", () => {
    switchLanguage();
    name();
    show(api);
  });
  document.getElementById("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem("theme", document.documentElement.dataset.theme);
    name();
  });
}

start().catch(() => main.replaceChildren(h("p", { class: "lone" }, t("broken"))));
