// Everything at once: the elements, the session, the helpers.

export { KaimenLogin } from "./kaimen-login.js";
export { goTo, isLocalPath, KaimenError, KaimenPassword, KaimenSession, loginPath, returnPath } from "./kaimen-session.js";
