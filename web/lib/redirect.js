// Where to go after a sign-in: paths of this site only, so that no link can send a person somewhere else.

const HIDDEN = /[\u0000-\u0020\u007f-\u00a0\u2028\u2029\ufeff\\]/;
const DISGUISED = /^\/(?:\/|%2f|%5c)|%(?:[01][0-9a-f]|7f)/i; // a second slash, control characters

/** Whether it is exactly a path of this site, such as "/orders?id=7#top": nothing a browser could read otherwise. */
export function isLocalPath(path, origin = location.origin) {
  if (typeof path !== "string" || !path.startsWith("/") || HIDDEN.test(path) || DISGUISED.test(path)) return false;
  try {
    const url = new URL(path, origin);
    return url.origin === origin && url.pathname + url.search + url.hash === path;
  } catch {
    return false;
  }
}

/** The path that the query names (`?return=/orders`), or `otherwise`. */
export function returnPath({ search = location.search, name = "return", otherwise = "/" } = {}) {
  const path = new URLSearchParams(search).get(name);
  return isLocalPath(path) ? path : otherwise;
}

/** `page` with the way back in its query: `loginPath("/login")` is "/login?return=%2Forders". */
export function loginPath(page, { back = location.pathname + location.search + location.hash, name = "return" } = {}) {
  const url = new URL(page, location.origin);
  if (isLocalPath(back)) url.searchParams.set(name, back);
  return url.pathname + url.search + url.hash;
}

/** Goes there, leaving no way back to the login page; throws TypeError unless it is a path of this site. */
export function goTo(path) {
  if (!isLocalPath(path)) throw new TypeError("not a path of this site");
  location.replace(path);
}
