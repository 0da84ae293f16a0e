import { createApp, h, ref } from "vue";
import { KaimenSession } from "kaimen-web/session";
import { KaimenLogin, KaimenPassword, useKaimenUser } from "kaimen-web/vue";

const session = new KaimenSession();

const App = {
  setup() {
    const user = useKaimenUser(session);
    const scanner = ref("nobody");
    const login = () =>
      h(KaimenLogin, {
        channel: "page", lang: "en", class: "mine",
        onScanned: (detail) => (scanner.value = detail.user.nickname),
        onSuccess: (signIn) => session.adopt(signIn),
      });
    const signedIn = () => h("p", { id: "user" }, `${user.value.nickname} scanned: ${scanner.value}`);
    return () => (user.value ? signedIn() : [login(), h(KaimenPassword, { switch: "off" })]);
  },
};

createApp(App).mount("#app");
session.start();
