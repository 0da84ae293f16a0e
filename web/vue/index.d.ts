import type { DefineComponent, ShallowRef } from "vue";
import type { Channel, Failure, LoginState, Scanner } from "../kaimen-login.js";
import type { KaimenSession, SignIn, User } from "../kaimen-session.js";

type Emits = {
  success: (signIn: SignIn) => void;
  error: (failure: Failure) => void;
  state: (detail: { state: LoginState; via: string | null }) => void;
  shown: (detail: { scanId: string; channel: Channel; qrContent: string; expiresIn: number }) => void;
  scanned: (detail: { user: Scanner | null }) => void;
  cancelled: (detail: { user: Scanner | null }) => void;
  expired: (detail: { user: Scanner | null }) => void;
};

export const KaimenLogin: DefineComponent<{}, {}, {}, {}, {}, {}, {}, Emits>;
export const KaimenPassword: DefineComponent<{}, {}, {}, {}, {}, {}, {}, Pick<Emits, "success" | "error">>;
export function useKaimenUser(session: KaimenSession): Readonly<ShallowRef<User | null | undefined>>;
