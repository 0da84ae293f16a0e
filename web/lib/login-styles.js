// The door: a frame with light behind it, a leaf with the code, a number plate, a sill that burns down with the time.

import { sheet } from "./dom.js";

export const loginStyles = sheet(`
.card { text-align: center; }
.hint { margin-top: 3px; color: var(--soft); }

.door { position: relative; width: 276px; margin: 20px auto 0; }
.frame {
  position: relative;
  height: 350px;
  perspective: 900px;
  padding: 11px 11px 0;
  border-radius: 22px 22px 0 0;
  background: var(--frame);
  box-shadow: inset 0 0 0 1px var(--frame-edge);
}
.room {
  position: absolute;
  inset: 11px 11px 0;
  display: grid;
  align-content: center;
  justify-items: center;
  gap: 5px;
  padding: 0 16px 0 38px;
  border-radius: 12px 12px 0 0;
  background: linear-gradient(#fff6d6, #ffdf8c 70%, #f6c75f);
  color: #3a2c06;
  overflow: hidden;
}
.room > * { opacity: 0; transform: translateY(8px); transition: opacity 0.4s 0.25s, transform 0.5s 0.25s; }
.room .face { width: 92px; height: 92px; font-size: 38px; box-shadow: 0 0 0 5px #fffdf3, 0 12px 30px #8a61003d; }
.room .letter { background: #fffdf3; color: #8a5a00; }
.room strong { margin-top: 14px; max-width: 100%; font-size: 20px; line-height: 1.3; overflow-wrap: anywhere; }
.room span:not(.face) { color: #755a14; }

.leaf {
  position: relative;
  height: 100%;
  display: flex;
  flex-direction: column;
  align-items: center;
  padding: 15px 15px 0;
  border-radius: 12px 12px 0 0;
  background: var(--leaf);
  color: #1c2420;
  transform-origin: left;
  transition: transform 0.7s cubic-bezier(0.3, 0.9, 0.3, 1);
  backface-visibility: visible;
  box-shadow: inset -1px 0 #0000000d;
}
.leaf::before { content: ""; position: absolute; inset: 0; border-radius: inherit; background: linear-gradient(90deg, #3a2c0600 40%, #3a2c0618); opacity: 0; transition: opacity 0.7s; pointer-events: none; }
.door[data-state="scanned"] .leaf::before, .door[data-state="redeeming"] .leaf::before, .door[data-state="success"] .leaf::before { opacity: 1; }
.leaf::after { content: ""; position: absolute; right: 4px; top: 248px; width: 8px; height: 8px; border-radius: 50%; background: radial-gradient(circle at 35% 30%, #f7dd9a, #b98a2c); box-shadow: 0 1px 2px #00000040; }
.pane { position: relative; width: 224px; height: 224px; flex: none; border-radius: 8px; }
.qr { display: block; width: 100%; height: 100%; opacity: 0; transition: opacity 0.3s, filter 0.3s; mix-blend-mode: multiply; }
.qr.ready { opacity: 1; }
.over {
  position: absolute;
  inset: 0;
  display: grid;
  align-content: center;
  justify-items: center;
  gap: 12px;
  padding: 0 10px;
}
.over .face { width: 84px; height: 84px; font-size: 34px; box-shadow: 0 0 0 4px var(--leaf), 0 0 0 7px #067a3d; animation: arrive 0.45s cubic-bezier(0.3, 1.4, 0.5, 1); }
.over .letter { background: #dff3e5; color: #067a3d; }
.over strong { max-width: 100%; font-size: 18px; line-height: 1.3; overflow-wrap: anywhere; }
.over .primary { background: #067a3d; color: #fff; box-shadow: 0 8px 22px #00000026; }
.over .primary:focus-visible { outline-color: #067a3d; }
.spinner { width: 34px; height: 34px; border: 3.5px solid #00000014; border-top-color: #067a3d; border-radius: 50%; animation: turn 0.9s linear infinite; }

.plate {
  display: grid;
  grid-template-columns: 1fr auto;
  grid-template-rows: auto auto;
  align-items: center;
  column-gap: 12px;
  width: 224px;
  margin-top: 15px;
  padding: 11px 14px 11px 16px;
  border-radius: 13px;
  background: #067a3d;
  box-shadow: inset 0 0 0 2px #067a3d, inset 0 0 0 3.5px #ffffff4d;
  color: #fff;
  text-align: left;
  line-height: 1.3;
  transition: opacity 0.3s;
}
.plate b { font-size: 14.5px; font-weight: 650; }
.plate small { font-size: 11.5px; color: #d8f2e2; }
.plate strong { grid-column: 2; grid-row: 1 / 3; font-size: 36px; line-height: 1; font-weight: 750; font-variant-numeric: tabular-nums; letter-spacing: 0.04em; }

.sill { position: relative; height: 9px; margin: 0 -16px; border-radius: 5px; background: var(--frame-edge); overflow: hidden; }
.sill i { position: absolute; inset: 0; border-radius: 5px; background: #f2b93a; transform: scaleX(var(--left, 0)); transform-origin: left; transition: transform 1s linear; }
.sill.short i { background: var(--red); }

.words { display: grid; align-content: center; gap: 2px; min-height: 76px; margin: 14px 0 -10px; }
.status strong { display: block; font-weight: 650; overflow-wrap: anywhere; }
.status span { display: block; color: var(--soft); font-size: 14px; font-variant-numeric: tabular-nums; }
.time { color: var(--soft); font-size: 14px; font-variant-numeric: tabular-nums; }

.door[data-state="loading"] .plate, .door[data-state="failed"] .plate { opacity: 0; }
.door[data-state="scanned"] .qr, .door[data-state="redeeming"] .qr, .door[data-state="success"] .qr { opacity: 0; }
.door[data-state="scanned"] .leaf { transform: rotateY(24deg); animation: knock 1.6s 0.7s ease-in-out infinite alternate; }
.door[data-state="redeeming"] .leaf { transform: rotateY(42deg); }
.door[data-state="success"] .leaf { transform: rotateY(88deg); }
.door[data-state="success"] .plate { opacity: 0; }
.door[data-state="success"] .frame { box-shadow: inset 0 0 0 1px var(--frame-edge), 0 0 80px 10px #ffd87366; transition: box-shadow 0.7s; }
.door[data-state="success"] .room > * { opacity: 1; transform: none; }
.door[data-state="cancelled"] .qr, .door[data-state="expired"] .qr, .door[data-state="failed"] .qr { opacity: 0.09; filter: blur(2.5px); }
.door[data-state="cancelled"] .plate, .door[data-state="expired"] .plate { opacity: 0.22; }
@media (max-width: 350px) { .door { zoom: 0.84; } .card { padding-inline: 8px; } }
@keyframes knock { to { transform: rotateY(30deg); } }
@keyframes turn { to { transform: rotate(1turn); } }
@keyframes arrive { from { opacity: 0; transform: scale(0.7); } }
@media (prefers-reduced-motion: reduce) {
  .spinner { border-style: dotted; border-top-color: #00000014; }
  .door[data-state="success"] .leaf { opacity: 0; }
}
`);
