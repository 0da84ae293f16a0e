// One call to Kaimen: JSON both ways, the envelope taken off, every failure a KaimenError.

const TIMEOUT_MS = 15000;
const SAFE = new Set(["GET", "HEAD"]);
export const OFFLINE = 0; // code of a failure that never reached the server

/** What went wrong: `code` and `error` are the server's, 0 and "network" where it was not reached. */
export class KaimenError extends Error {
  constructor({ code = OFFLINE, error = "network", message = "", data = null, status = 0, retryAfterS = null }) {
    super(message || error);
    Object.assign(this, { name: "KaimenError", code, error, data, status, retryAfterS });
  }
}

/** The calls below one base URL; `language` gives "zh" or "en" for the texts of errors. */
export class Api {
  constructor(baseUrl = "", language = () => "zh") {
    this.base = baseUrl.replace(/\/+$/, "");
    this.language = language;
  }

  url(path) {
    return new URL(this.base + path, document.baseURI).href;
  }

  socketUrl(path) {
    return this.url(path).replace(/^http/, "ws");
  }

  /** `data` of the reply; throws KaimenError, and the AbortError of `signal`. */
  async call(method, path, { body, headers = {}, signal, timeoutMs = TIMEOUT_MS } = {}) {
    const [limit, done] = limited(signal, timeoutMs);
    try {
      const response = await fetch(this.url(path), {
        method,
        body: body === undefined ? undefined : JSON.stringify(body),
        headers: { ...this.headers(method, body), ...headers },
        credentials: "include",
        cache: "no-store",
        referrerPolicy: "no-referrer",
        signal: limit,
      });
      return await this.read(response);
    } catch (error) {
      if (signal?.aborted || error instanceof KaimenError) throw error;
      throw new KaimenError({ message: String(error.message ?? error) });
    } finally {
      done();
    }
  }

  headers(method, body) {
    const headers = { Accept: "application/json", "Accept-Language": this.language() };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const xsrf = SAFE.has(method) ? null : this.xsrfToken;
    if (xsrf) headers["X-XSRFToken"] = xsrf;
    return headers;
  }

  /** The cookie beside the session's, or, for a page of another host, what the last sign-in said. */
  get xsrfToken() {
    return xsrfCookie() ?? storage()?.getItem(this.xsrfKey) ?? null;
  }

  get xsrfKey() {
    return `kaimen-xsrf:${this.url("")}`;
  }

  async read(response) {
    const reply = await response.json().catch(() => null);
    if (response.ok && reply?.code) {
      if (reply.data?.xsrfToken) storage()?.setItem(this.xsrfKey, reply.data.xsrfToken);
      return reply.data;
    }
    const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    const retryAfterS = Number.isNaN(wait) ? null : wait;
    throw new KaimenError({ error: "bad_reply", ...reply, status: response.status, retryAfterS });
  }
}

function limited(signal, timeoutMs) {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const timer = setTimeout(stop, timeoutMs);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  const done = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  };
  return [controller.signal, done];
}

function xsrfCookie() {
  return /(?:^|;\s*)(?:__Host-)?kaimen-xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? null;
}

// Reading localStorage throws where the browser forbids it.
export function storage() {
  try {
    return globalThis.localStorage;
  } catch {
    return null;
  }
}
