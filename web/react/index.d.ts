import type { ReactElement } from "react";
import type { Channel, Failure, LoginState, Scanner } from "../kaimen-login.js";
import type { KaimenSession, SignIn, User } from "../kaimen-session.js";

interface Common {
  baseUrl?: string;
  lang?: "zh" | "en";
  theme?: "light" | "dark";
  returnTo?: string;
  id?: string;
  className?: string;
  onSuccess?: (signIn: SignIn) => void;
  onError?: (failure: Failure) => void;
}

export interface KaimenLoginProps extends Common {
  channel?: Channel;
  appid?: string;
  cookie?: "on" | "off";
  avatars?: "own" | "any";
  manual?: boolean;
  onState?: (detail: { state: LoginState; via: string | null }) => void;
  onShown?: (detail: { scanId: string; channel: Channel; qrContent: string; expiresIn: number }) => void;
  onScanned?: (detail: { user: Scanner | null }) => void;
  onCancelled?: (detail: { user: Scanner | null }) => void;
  onExpired?: (detail: { user: Scanner | null }) => void;
}

export interface KaimenPasswordProps extends Common {
  mode?: "login" | "register";
  switch?: "off";
}

export function KaimenLogin(props: KaimenLoginProps): ReactElement;
export function KaimenPassword(props: KaimenPasswordProps): ReactElement;
export function useKaimenUser(session: KaimenSession): User | null | undefined;
