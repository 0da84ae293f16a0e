// JSON Schema for people: rows of fields, and an example of a value.

import { h } from "../lib/dom.js";
import { text, tabs } from "./parts.js";
import { t } from "./texts.js";

const DEPTH = 6;

/** The schema itself, or the component it refers to. */
export function resolve(schema, api) {
  const name = schema?.$ref?.split("/");
  return name ? name.slice(1).reduce((found, part) => found[part], api) : schema || {};
}

const nameOf = (schema) => schema?.$ref?.split("/").at(-1);

/** The choices without null; whether null is one. */
function choicesOf(schema) {
  const all = schema.oneOf || schema.anyOf || [schema];
  const choices = all.filter((one) => one.type !== "null");
  return { choices, hasNull: choices.length < all.length || (Array.isArray(schema.type) && schema.type.includes("null")) };
}

/** An element that shows what a value looks like: of a request what it must have is marked, of a reply what it may lack. */
export function showSchema(schema, api, isAsked, depth = 0) {
  const { choices } = choicesOf(resolve(schema, api));
  if (choices.length > 1) return tabs(choices.map((one) => [titleOf(one, api), () => showSchema(one, api, isAsked, depth)]));
  const found = resolve(choices[0], api);
  const fields = Object.entries(found.properties || {});
  const about = depth ? null : text(found.description);
  if (!fields.length) return h("div", { class: "schema" }, about, h("p", { class: "type" }, typeOf(found, api)));
  const rows = fields.map(([name, one]) => row(name, one, mark((found.required || []).includes(name), isAsked), api, isAsked, depth));
  return h("div", { class: "schema" }, about, h("ul", { class: "fields" }, ...rows));
}

function titleOf(schema, api) {
  const found = resolve(schema, api);
  return found.properties?.action?.const || nameOf(schema) || typeOf(found, api);
}

function mark(isRequired, isAsked) {
  if (isRequired !== isAsked) return null;
  return h("span", { class: "mark" }, t(isAsked ? "required" : "optional"));
}

function row(name, schema, marked, api, isAsked, depth) {
  const inner = innerOf(schema, api);
  const found = resolve(schema, api);
  const says = schema.description || (inner ? null : found.description);
  return h(
    "li",
    {},
    h(
      "p",
      { class: "field" },
      h("code", { class: "name" }, name),
      h("span", { class: "type" }, typeOf(schema, api)),
      marked,
    ),
    text(says),
    inner && depth < DEPTH ? showSchema(inner, api, isAsked, depth + 1) : null,
  );
}

/** The object inside, if there is one: of a list, of a choice with null. */
function innerOf(schema, api) {
  const { choices } = choicesOf(resolve(schema, api));
  if (choices.length > 1) return choices.some((one) => innerOf(one, api)) ? schema : null;
  const found = resolve(choices[0], api);
  if (found.type === "array") return innerOf(found.items, api);
  return Object.keys(found.properties || {}).length ? choices[0] : null;
}

/** A few words: `string, 1–128`, `list of User`, `"page" | "official"`. */
export function typeOf(schema, api) {
  const { choices, hasNull } = choicesOf(schema.$ref ? schema : { ...schema });
  const words = choices.map((one) => wordOf(one, api)).join(" | ");
  return hasNull ? `${words} ${t("orNull")}` : words;
}

function wordOf(schema, api) {
  if (schema.$ref) {
    const found = resolve(schema, api);
    return found.properties ? nameOf(schema) : typeOf(found, api);
  }
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.type === "array") return t("listOf") + typeOf(schema.items || {}, api);
  const type = Array.isArray(schema.type) ? schema.type.filter((one) => one !== "null").join(" | ") : schema.type;
  return [type || "any", boundsOf(schema)].filter(Boolean).join(", ");
}

function boundsOf(schema) {
  if (schema.pattern && schema.pattern.length < 32) return schema.pattern;
  const least = schema.minLength ?? schema.minimum;
  const most = schema.maxLength ?? schema.maximum;
  if (least === undefined && most === undefined) return "";
  if (most === undefined) return `≥ ${least}`;
  return least === undefined ? `≤ ${most}` : `${least}–${most}`;
}

/** A value that fits. */
export function exampleOf(schema, api, depth = 0) {
  const found = resolve(schema, api);
  if (found.examples) return found.examples[0];
  if ("const" in found) return found.const;
  if (found.enum) return found.enum[0];
  const all = found.oneOf || found.anyOf;
  if (all) return exampleOf(all[0], api, depth);
  const type = Array.isArray(found.type) ? found.type[0] : found.type;
  if (type === "array") return depth < DEPTH ? [exampleOf(found.items, api, depth + 1)] : [];
  if (type === "object") return exampleObject(found, api, depth);
  return { string: "…", integer: 0, number: 0, boolean: false }[type] ?? null;
}

function exampleObject(schema, api, depth) {
  const required = new Set(schema.required || []);
  const shown = Object.entries(schema.properties || {}).filter(([name]) => required.has(name));
  return Object.fromEntries(shown.map(([name, one]) => [name, exampleOf(one, api, depth + 1)]));
}
