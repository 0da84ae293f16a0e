// Wires the page together: language, theme, polling, and who hears of what.

import { language, setLanguage, t } from "./i18n.js";
import { Faults } from "./faults.js";
import { Log } from "./log.js";
import { Phone } from "./phone.js";
import { get } from "./sim.js";

const POLL_MS = 1000;
const HEALTHY_MS = 15000;
const AWAY_MS = 3000;
const SAME_CLOCK_MS = 500;
const THEMES = ["auto", "light", "dark"];
const $ = (id) => document.getElementById(id);

const log = new Log($("log"));
const faults = new Faults();
const phone = new Phone($("screen"), log, poll);

function applyLanguage(next) {
  setLanguage(next);
  localStorage.setItem("language", next);
  $("lang").textContent = next === "en" ? "中文" : "English";
  showTheme();
  for (const part of [log, faults, phone]) part.render();
  showBackend();
}

function showTheme() {
  const theme = localStorage.getItem("theme") ?? "auto";
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = t(theme);
  $("theme").setAttribute("aria-label", `${t("theme")}: ${t(theme)}`);
}

function nextTheme() {
  const theme = localStorage.getItem("theme") ?? "auto";
  localStorage.setItem("theme", THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
  showTheme();
}

function showBackend() {
  const words = { yes: ["backendUp", phone.backendUrl], no: ["backendDown"], none: ["backendNone"] };
  const known = words[phone.backendUp];
  $("backend").dataset.up = phone.backendUp;
  $("backend-text").textContent = known ? t(...known) : "";
}

async function poll() {
  const [state, calls] = await Promise.all([get("/sim/state"), get("/sim/calls?limit=80")]);
  const skewMs = Date.now() - state.now * 1000;
  log.skewMs = Math.abs(skewMs) < SAME_CLOCK_MS ? 0 : skewMs;
  phone.update(state);
  faults.update(state);
  log.showCalls(calls.last);
  if (phone.backendUp === "unknown") await phone.checkBackend();
  showBackend();
}

async function every(waitMs, action) {
  for (;;) {
    // A stopped simulator is no reason to stop asking: it may come back.
    await action().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, waitMs()));
  }
}

function tick() {
  $("phone-clock").textContent = new Date().toTimeString().slice(0, 5);
  phone.tick();
}

$("lang").addEventListener("click", () => applyLanguage(language() === "en" ? "zh" : "en"));
$("theme").addEventListener("click", nextTheme);
$("clear-log").addEventListener("click", () => log.clear());

applyLanguage(localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en"));
tick();
setInterval(tick, 1000);
every(() => POLL_MS, poll);
every(() => (phone.backendUp === "yes" ? HEALTHY_MS : AWAY_MS), () => phone.checkBackend().then(showBackend));
