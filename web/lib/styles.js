// Colours and what the elements share. A page changes a colour by its name: `kaimen-login { --kaimen-green: #1a6; }`.

import { sheet } from "./dom.js";

const LIGHT = {
  panel: "#fffdf8", sunk: "#f6f3ec", ink: "#1c2420", soft: "#5d6862", line: "#e2dccf",
  green: "#067a3d", "on-green": "#ffffff", wash: "#dff3e5", red: "#b3372b", "red-wash": "#fbe4df",
  frame: "#ece5d6", "frame-edge": "#d9d0bd", leaf: "#fffefa", shade: "74, 63, 36",
};
const DARK = {
  panel: "#191f1c", sunk: "#131816", ink: "#e9eeea", soft: "#9aa8a0", line: "#2b3530",
  green: "#35cf7d", "on-green": "#04210f", wash: "#163526", red: "#ff8d80", "red-wash": "#3f1f1b",
  frame: "#262f2b", "frame-edge": "#37423d", leaf: "#f7f4ea", shade: "0, 0, 0",
};
const named = (colours) =>
  Object.entries(colours).map(([name, value]) => `--${name}: var(--kaimen-${name}, ${value});`).join(" ");

export const shared = sheet(`
:host { display: block; color-scheme: light; ${named(LIGHT)} }
@media (prefers-color-scheme: dark) { :host(:not([theme="light"])) { color-scheme: dark; ${named(DARK)} } }
:host([theme="dark"]) { color-scheme: dark; ${named(DARK)} }
:host([hidden]) { display: none; }
:host {
  font: 15px/1.5 system-ui, -apple-system, "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif;
  color: var(--ink);
  -webkit-text-size-adjust: 100%;
}
*, *::before, *::after { box-sizing: border-box; }
h2, p { margin: 0; }
h2 { font-size: 21px; line-height: 1.3; font-weight: 700; letter-spacing: 0.01em; }
button, input { font: inherit; color: inherit; }
button { border: 0; padding: 0; background: none; cursor: pointer; }
:focus-visible { outline: 2.5px solid var(--green); outline-offset: 3px; }
[hidden] { display: none !important; }
.card {
  position: relative;
  width: 100%;
  max-width: 380px;
  margin: 0 auto;
  padding: 30px 32px 28px;
  border: 1px solid var(--line);
  border-radius: 22px;
  background: var(--panel);
  box-shadow: 0 1px 2px rgba(var(--shade), 0.08), 0 18px 48px rgba(var(--shade), 0.1);
}
.primary {
  padding: 11px 24px;
  border-radius: 12px;
  background: var(--green);
  color: var(--on-green);
  font-weight: 600;
}
.primary:hover { filter: brightness(1.07); }
.primary:active { transform: translateY(1px); }
.face { display: block; border-radius: 28%; object-fit: cover; background: var(--sunk); }
.letter { display: grid; place-items: center; background: var(--wash); color: var(--green); font-weight: 700; }
@media (max-width: 420px) { .card { padding: 24px 18px 22px; } }
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation: none !important; transition: none !important; }
}
`);
