import type { SignIn, User } from "./types.js";
import type { Failure } from "./kaimen-login.js";

export type { SignIn, User };

/** What went wrong: `code` and `error` are the server's, 0 and "network" where it was not reached. */
export class KaimenError extends Error {
  constructor(reply: { code?: number; error?: string; message?: string; data?: unknown; status?: number; retryAfterS?: number | null });
  readonly code: number;
  readonly error: string;
  readonly status: number;
  readonly data: unknown;
  readonly retryAfterS: number | null;
}

export interface KaimenSessionEvents {
  login: CustomEvent<{ user: User }>;
  update: CustomEvent<{ user: User }>;
  logout: CustomEvent<{ reason: string }>;
  change: CustomEvent<{ user: User | null; reason: string }>;
}

/** Who is signed in, in all tabs. */
export class KaimenSession extends EventTarget {
  constructor(options?: { baseUrl?: string; lang?: "zh" | "en" });
  /** undefined until it is known, null where nobody is signed in. */
  readonly user: User | null | undefined;
  /** Finds out who is signed in and goes on listening. Throws KaimenError. */
  start(): Promise<User | null>;
  stop(): void;
  refresh(): Promise<User | null>;
  login(credentials: { username: string; password: string }): Promise<User>;
  register(credentials: { username: string; password: string }): Promise<User>;
  /** Takes over what a `kaimen-success` event tells. */
  adopt(signIn: Pick<SignIn, "user">): User;
  logout(options?: { all?: boolean }): Promise<void>;
  /** `fetch` with cookie and XSRF token. */
  fetch(input: string | URL, init?: RequestInit): Promise<Response>;
  addEventListener<K extends keyof KaimenSessionEvents>(
    type: K, listener: (this: KaimenSession, event: KaimenSessionEvents[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}

/** Whether it is exactly a path of this site. */
export function isLocalPath(path: unknown, origin?: string): path is string;
/** The path that the query names, or `otherwise`. */
export function returnPath(options?: { search?: string; name?: string; otherwise?: string }): string;
/** `page` with the way back in its query. */
export function loginPath(page: string, options?: { back?: string; name?: string }): string;
/** Goes to a path of this site; throws TypeError for anything else. */
export function goTo(path: string): void;

/** Events of `<kaimen-password>`. */
export interface KaimenPasswordEvents {
  "kaimen-success": CustomEvent<SignIn>;
  "kaimen-error": CustomEvent<Failure>;
}

export class KaimenPassword extends HTMLElement {
  mode: "login" | "register";
  addEventListener<K extends keyof KaimenPasswordEvents>(
    type: K, listener: (this: KaimenPassword, event: KaimenPasswordEvents[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "kaimen-password": KaimenPassword;
  }
}
