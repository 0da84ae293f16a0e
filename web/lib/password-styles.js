// The form: one column, large targets, a rule that is kept turns green.

import { sheet } from "./dom.js";

export const passwordStyles = sheet(`
form { display: grid; gap: 17px; margin-top: 21px; }
.field { display: grid; gap: 6px; }
label { font-size: 13.5px; font-weight: 600; color: var(--soft); }
.box { position: relative; display: grid; }
input {
  width: 100%;
  min-width: 0;
  padding: 12px 14px;
  border: 1.5px solid var(--line);
  border-radius: 12px;
  background: var(--sunk);
  font-size: 16px;
  transition: border-color 0.15s;
}
input:focus { outline: none; border-color: var(--green); box-shadow: 0 0 0 3.5px var(--wash); }
input[aria-invalid="true"] { border-color: var(--red); }
input[aria-invalid="true"]:focus { box-shadow: 0 0 0 3.5px var(--red-wash); }
.secret input { padding-right: 52px; }
.eye { position: absolute; inset: 4px 4px 4px auto; width: 44px; display: grid; place-items: center; border-radius: 9px; color: var(--soft); }
.eye:hover { color: var(--ink); }
.eye:focus-visible { outline-offset: -3px; }
.eye svg { width: 21px; height: 21px; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }
.eye .slash { transition: stroke-dashoffset 0.2s; stroke-dasharray: 26; stroke-dashoffset: 26; }
.eye[aria-pressed="false"] .slash { stroke-dashoffset: 0; }
.fault { color: var(--red); font-size: 13.5px; }
.fault:empty { display: none; }
.rules { display: flex; flex-wrap: wrap; gap: 6px; margin: 2px 0 0; padding: 0; list-style: none; }
.rules li { padding: 2px 10px; border-radius: 99px; background: var(--sunk); color: var(--soft); font-size: 12.5px; transition: background 0.2s, color 0.2s; }
.rules li.kept { background: var(--wash); color: var(--green); }
.trouble { padding: 10px 14px; border-radius: 12px; background: var(--red-wash); color: var(--red); font-size: 14px; font-variant-numeric: tabular-nums; }
.trouble:empty { display: none; }
.submit { position: relative; padding: 13px; font-size: 16px; margin-top: 3px; }
.submit[aria-disabled="true"] { cursor: default; filter: none; opacity: 0.62; transform: none; }
.other { justify-self: center; padding: 4px 10px; border-radius: 8px; color: var(--soft); font-size: 14px; }
.other:hover { color: var(--green); }
`);
