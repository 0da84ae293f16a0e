// React 18 and newer: <KaimenLogin onSuccess={…}/>, <KaimenPassword …/>, useKaimenUser(session).

import { createElement, useEffect, useRef, useSyncExternalStore } from "react";
import "../kaimen-login.js";
import "../kaimen-session.js";

const EVENTS = ["shown", "scanned", "success", "cancelled", "expired", "error", "state"];
const PROPS = { baseUrl: "base-url", returnTo: "return-to", className: "class" };
const handlerOf = (name) => `on${name[0].toUpperCase()}${name.slice(1)}`;
const HANDLERS = new Set(EVENTS.map(handlerOf));

function wrap(tag) {
  return function Kaimen(props) {
    const element = useRef(null);
    const newest = useRef(props);
    newest.current = props;
    useEffect(() => {
      const listening = new AbortController();
      for (const name of EVENTS) {
        const hear = ({ detail }) => newest.current[handlerOf(name)]?.(detail);
        element.current.addEventListener(`kaimen-${name}`, hear, { signal: listening.signal });
      }
      return () => listening.abort();
    }, []);
    return createElement(tag, { ref: element, ...attributesOf(props) });
  };
}

function attributesOf(props) {
  const given = Object.entries(props).filter(([name, value]) => !HANDLERS.has(name) && value !== false && value != null);
  return Object.fromEntries(given.map(([name, value]) => [PROPS[name] ?? name, value === true ? "" : value]));
}

export const KaimenLogin = wrap("kaimen-login");
export const KaimenPassword = wrap("kaimen-password");

/** The user of a KaimenSession: undefined until it is known, null where nobody is signed in. */
export function useKaimenUser(session) {
  const subscribe = (changed) => {
    session.addEventListener("change", changed);
    return () => session.removeEventListener("change", changed);
  };
  return useSyncExternalStore(subscribe, () => session.user, () => undefined);
}
