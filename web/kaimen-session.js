// Who is signed in, safe ways back after a sign-in, and <kaimen-password>. See docs/web.md.

export { KaimenError } from "./lib/api.js";
export { goTo, isLocalPath, loginPath, returnPath } from "./lib/redirect.js";
export { KaimenSession } from "./lib/session.js";
export { KaimenPassword } from "./lib/password.js";
