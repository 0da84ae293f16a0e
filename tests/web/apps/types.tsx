// Compiled, never run: what the types allow, and what they must not.

import { createApp, h } from "vue";
import { KaimenError, KaimenSession, isLocalPath, loginPath, returnPath } from "kaimen-web";
import type { SignIn, User } from "kaimen-web";
import { KaimenLogin as ReactLogin, KaimenPassword as ReactPassword, useKaimenUser as useReactUser } from "kaimen-web/react";
import { KaimenLogin as VueLogin, useKaimenUser as useVueUser } from "kaimen-web/vue";

const session = new KaimenSession({ baseUrl: "https://login.example.com", lang: "en" });
session.addEventListener("logout", ({ detail }) => detail.reason.toUpperCase());
session.addEventListener("change", ({ detail }) => detail.user?.nickname);
const known: User | null | undefined = session.user;
export const entered: Promise<User> = session.login({ username: "alice", password: "x" });
entered.catch((error) => error instanceof KaimenError && error.retryAfterS);

const element = document.createElement("kaimen-login");
element.addEventListener("kaimen-success", ({ detail }) => session.adopt(detail));
element.addEventListener("kaimen-error", ({ detail }) => detail.message.length);
document.querySelector("kaimen-password")!.mode = "register";
// @ts-expect-error: there is no such mode
document.querySelector("kaimen-password")!.mode = "other";

const path: unknown = known;
if (isLocalPath(path)) path.startsWith("/");
export const paths: string[] = [returnPath({ otherwise: "/home" }), loginPath("/login")];

export function App() {
  const user = useReactUser(session);
  const finish = (signIn: SignIn) => session.adopt(signIn);
  return [
    <ReactLogin key="1" channel="official" appid="wx0000000000000001" onSuccess={finish} onScanned={({ user }) => user?.nickname} />,
    <ReactPassword key="2" mode="register" onError={({ code }) => code.toFixed()} />,
    // @ts-expect-error: there is no such channel
    <ReactLogin key="3" channel="telepathy" />,
    user?.nickname,
  ];
}

createApp({
  setup() {
    const user = useVueUser(session);
    return () => h(VueLogin, { onSuccess: (signIn: SignIn) => session.adopt(signIn) }, () => user.value?.nickname);
  },
});
