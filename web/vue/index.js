// Vue 3: <KaimenLogin @success="…"/>, <KaimenPassword …/>, useKaimenUser(session).

import { defineComponent, h, onScopeDispose, shallowRef } from "vue";
import "../kaimen-login.js";
import "../kaimen-session.js";

const EVENTS = ["shown", "scanned", "success", "cancelled", "expired", "error", "state"];
const listenerOf = (name) => `onKaimen${name[0].toUpperCase()}${name.slice(1)}`;

function wrap(tag, name) {
  return defineComponent({
    name,
    emits: EVENTS,
    // Attributes fall through to the element as they are: base-url, channel, lang, theme …
    setup(_props, { emit }) {
      const listeners = EVENTS.map((event) => [listenerOf(event), ({ detail }) => emit(event, detail)]);
      return () => h(tag, Object.fromEntries(listeners));
    },
  });
}

export const KaimenLogin = wrap("kaimen-login", "KaimenLogin");
export const KaimenPassword = wrap("kaimen-password", "KaimenPassword");

/** The user of a KaimenSession as a ref: undefined until it is known, null where nobody is signed in. */
export function useKaimenUser(session) {
  const user = shallowRef(session.user);
  const changed = () => (user.value = session.user);
  session.addEventListener("change", changed);
  onScopeDispose(() => session.removeEventListener("change", changed));
  return user;
}
