import type { KaimenError } from "./kaimen-session.js";
import type { SignIn } from "./types.js";

export { KaimenError };
export type Channel = "page" | "miniprogram" | "official";
export type LoginState =
  | "idle" | "loading" | "pending" | "scanned" | "redeeming" | "success" | "cancelled" | "expired" | "failed";
export interface Scanner {
  nickname: string;
  avatarUrl: string;
}
export interface Failure {
  /** The server's number, 0 where it was not reached. */
  code: number;
  error: string;
  /** For people, in the language of the element. */
  message: string;
}

/** Events of `<kaimen-login>`; they bubble and leave the shadow tree. */
export interface KaimenLoginEvents {
  "kaimen-state": CustomEvent<{ state: LoginState; via: "socket" | "long-poll" | "poll" | null }>;
  "kaimen-shown": CustomEvent<{ scanId: string; channel: Channel; qrContent: string; expiresIn: number }>;
  "kaimen-scanned": CustomEvent<{ user: Scanner | null }>;
  "kaimen-success": CustomEvent<SignIn>;
  "kaimen-cancelled": CustomEvent<{ user: Scanner | null }>;
  "kaimen-expired": CustomEvent<{ user: Scanner | null }>;
  "kaimen-error": CustomEvent<Failure>;
}

export class KaimenLogin extends HTMLElement {
  readonly state: LoginState;
  readonly user: Scanner | null;
  readonly via: "socket" | "long-poll" | "poll" | null;
  /** Shows a new code in place of whatever is there. */
  start(): Promise<void>;
  /** Takes the code away. */
  stop(): void;
  addEventListener<K extends keyof KaimenLoginEvents>(
    type: K, listener: (this: KaimenLogin, event: KaimenLoginEvents[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "kaimen-login": KaimenLogin;
  }
}
