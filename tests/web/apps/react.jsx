import { useState } from "react";
import { createRoot } from "react-dom/client";
import { KaimenSession } from "kaimen-web/session";
import { KaimenLogin, KaimenPassword, useKaimenUser } from "kaimen-web/react";

const session = new KaimenSession();

function App() {
  const user = useKaimenUser(session);
  const [scanner, setScanner] = useState("nobody");
  if (user) return <p id="user">{user.nickname} scanned: {scanner}</p>;
  return (
    <>
      <KaimenLogin
        channel="page" lang="en" className="mine" manual={false}
        onScanned={(detail) => setScanner(detail.user.nickname)}
        onSuccess={(signIn) => session.adopt(signIn)} />
      <KaimenPassword baseUrl="" switch="off" />
    </>
  );
}

createRoot(document.getElementById("app")).render(<App />);
session.start();
