// Calls tried from the page: what is asked for, the same as a command line, and the reply.

import { h } from "../lib/dom.js";
import { block, pretty } from "./parts.js";
import { exampleOf } from "./schema.js";
import { t } from "./texts.js";

const FORM = "application/x-www-form-urlencoded";

/** What the calls prove themselves with; kept in the page and nowhere else. */
export const credentials = { accessToken: "", serviceName: "", serviceSecret: "" };

/** The inputs for credentials. */
export function credentialFields() {
  const fields = Object.keys(credentials).map((name) => {
    const input = h("input", {
      id: `credential-${name}`,
      type: name === "serviceSecret" ? "password" : "text",
      autocomplete: "off",
      spellcheck: "false",
      oninput: (event) => (credentials[name] = event.target.value.trim()),
    });
    input.value = credentials[name];
    return h("label", { class: "input" }, h("span", {}, t(name)), input);
  });
  return h("details", { class: "credentials" }, h("summary", {}, t("credentials")), h("p", {}, t("credentialsHint")), h("form", { onsubmit: (event) => event.preventDefault() }, ...fields));
}

/** The request as a command line, and where calls may be tried, the form for it. */
export function caller(call, api, baseUrl, mayTry) {
  const asked = { values: {}, body: bodyOf(call, api) };
  const code = h("code", {}, asCurl(call, asked, baseUrl));
  const shown = block(t("request"), code);
  if (!mayTry || call.operation.responses["101"]) return h("div", { class: "caller" }, shown);
  const refresh = () => (code.textContent = asCurl(call, asked, baseUrl));
  return h("div", { class: "caller" }, shown, form(call, asked, baseUrl, refresh));
}

function bodyOf(call, api) {
  const content = call.operation.requestBody?.content;
  if (!content) return null;
  const [media, { example, schema }] = Object.entries(content)[0];
  const value = example ?? exampleOf(schema, api);
  if (media.startsWith("image/")) return { media, text: "", file: null };
  if (media === FORM) return { media, text: String(new URLSearchParams(value)) };
  return { media, text: typeof value === "string" ? value : pretty(value) };
}

function form(call, asked, baseUrl, refresh) {
  const result = h("div", { class: "result", "aria-live": "polite" });
  const send = h("button", { type: "submit", class: "primary" }, t("send"));
  const inputs = call.operation.parameters.map((one) => input(one, asked, refresh));
  const body = asked.body ? bodyInput(call, asked, refresh) : null;
  const made = h("form", { class: "try" }, h("h4", {}, t("tryIt")), ...inputs, body, send, result);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    result.replaceChildren(h("p", {}, t("sending")));
    result.replaceChildren(...(await answer(call, asked, baseUrl)));
    send.disabled = false;
  });
  return made;
}

function input(parameter, asked, refresh) {
  const field = h("input", {
    type: "text",
    name: parameter.name,
    autocomplete: "off",
    spellcheck: "false",
    oninput: (event) => {
      asked.values[parameter.name] = event.target.value;
      refresh();
    },
  });
  return h("label", { class: "input" }, h("span", {}, h("code", {}, parameter.name), ` ${parameter.in}`), field);
}

function bodyInput(call, asked, refresh) {
  if ("file" in asked.body) return fileInput(call, asked, refresh);
  const rows = Math.min(14, asked.body.text.split("\n").length + 1);
  const area = h("textarea", { rows, spellcheck: "false", "aria-label": t("body"), name: "body" });
  area.value = asked.body.text;
  area.addEventListener("input", () => {
    asked.body.text = area.value;
    refresh();
  });
  return h("label", { class: "input" }, h("span", {}, t("body")), area);
}

function fileInput(call, asked, refresh) {
  const accept = Object.keys(call.operation.requestBody.content).join(",");
  const field = h("input", { type: "file", accept, name: "body" });
  field.addEventListener("change", () => {
    asked.body.file = field.files[0] || null;
    asked.body.media = asked.body.file?.type || asked.body.media;
    refresh();
  });
  return h("label", { class: "input" }, h("span", {}, t("body")), field);
}

async function answer(call, asked, baseUrl) {
  const began = performance.now();
  try {
    const reply = await fetch(urlOf(call, asked, baseUrl), {
      method: call.method,
      headers: { ...headersOf(call, asked), ...proof(call) },
      body: asked.body?.file || asked.body?.text || undefined,
      redirect: "manual",
    });
    return await shown(reply, Math.round(performance.now() - began));
  } catch (error) {
    return [h("p", { class: "bad" }, `${t("lost")}: ${error.message}`)];
  }
}

async function shown(reply, ms) {
  const media = reply.headers.get("Content-Type") || "";
  const line = h("p", { class: reply.ok ? "good" : "bad" }, `${reply.status || "302"} · ${ms} ms · ${media || t("empty")}`);
  if (media.startsWith("image/") || !media) return [line];
  const text = await reply.text();
  const value = media.includes("json") ? parse(text) : null;
  keep(value?.data);
  return [line, block(t("replies"), h("code", {}, value ? pretty(value) : text.slice(0, 20000)))];
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function keep(data) {
  if (!data?.accessToken || !data.refreshToken) return;
  credentials.accessToken = data.accessToken;
  const field = document.getElementById("credential-accessToken");
  if (field) field.value = data.accessToken;
}

function urlOf(call, asked, baseUrl) {
  const path = call.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(asked.values[name] || `{${name}}`));
  const named = call.operation.parameters.filter((one) => one.in === "query" && asked.values[one.name]);
  const query = new URLSearchParams(named.map((one) => [one.name, asked.values[one.name]]));
  return baseUrl + path + (named.length ? `?${query}` : "");
}

function headersOf(call, asked) {
  const named = call.operation.parameters.filter((one) => one.in === "header" && asked.values[one.name]);
  const headers = Object.fromEntries(named.map((one) => [one.name, asked.values[one.name]]));
  return asked.body ? { ...headers, "Content-Type": asked.body.media } : headers;
}

/** The header that says who calls; under a cookie the token that shows the page could read it. */
function proof(call) {
  const schemes = (call.operation.security || []).flatMap(Object.keys);
  if (schemes.includes("basic")) return { Authorization: `Basic ${base64(`${credentials.serviceName}:${credentials.serviceSecret}`)}` };
  if (!schemes.includes("token")) return {};
  if (credentials.accessToken) return { Authorization: `Bearer ${credentials.accessToken}` };
  const xsrf = document.cookie.match(/(?:^|; )(?:__Host-)?kaimen-xsrf=([^;]*)/)?.[1];
  return xsrf ? { "X-XSRFToken": decodeURIComponent(xsrf) } : {};
}

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

function asCurl(call, asked, baseUrl) {
  const method = call.method === "GET" ? "" : `-X ${call.method} `;
  const parts = [`curl ${method}${quote(urlOf(call, asked, baseUrl))}`];
  const schemes = (call.operation.security || []).flatMap(Object.keys);
  if (schemes.includes("token")) parts.push('-H "Authorization: Bearer $ACCESS_TOKEN"');
  if (schemes.includes("basic")) parts.push('-u "$SERVICE:$SECRET"');
  for (const [name, value] of Object.entries(headersOf(call, asked))) parts.push(`-H ${quote(`${name}: ${value}`)}`);
  if (asked.body && "file" in asked.body) parts.push(`--data-binary ${quote(`@${asked.body.file?.name || "avatar.png"}`)}`);
  if (asked.body?.text) parts.push(`-d ${quote(asked.body.text)}`);
  return parts.join(" \\\n  ");
}

const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
