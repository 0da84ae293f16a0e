"""One POST to a webhook: to hosts we know nothing of.

The address is checked when libcurl is about to connect to it, after its one resolution of the name: whatever a name
resolves to, and however often that changes, no connection is made that is not allowed. Redirects are answers like
any other, and not the right one. No proxy of the environment stands in between.
"""

import socket
import ssl
from dataclasses import dataclass
from typing import Any

import pycurl

from app.events.addresses import Allowed
from app.wechat.curl import Curl, Reply

TIMEOUT_S = 10.0
CONNECT_S = 5.0
REPLY_MAX = 16 * 1024  # nobody reads it
IDLE_S = 30
AT_ONCE = 8  # to one webhook
_OUTCOMES: dict[int, str] = {
    pycurl.E_COULDNT_RESOLVE_HOST: "resolve",
    pycurl.E_COULDNT_CONNECT: "connect",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_PEER_FAILED_VERIFICATION: "certificate",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_FILESIZE_EXCEEDED: "too_large",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """``word`` is ``ok``, ``http_<status>``, or why there was no answer: ``refused_address``, ``timeout`` …"""

    word: str

    @property
    def ok(self) -> bool:
        """Whether the webhook took it."""
        return self.word == "ok"


class Courier:
    """Posts to one webhook over connections of its own; what it waits for holds up no other one."""

    def __init__(self, allowed: Allowed, *, timeout_s: float = TIMEOUT_S) -> None:
        self._allowed = allowed
        self._timeout_s = timeout_s
        self._ca_file = ssl.get_default_verify_paths().cafile  # libcurl's wheel ignores SSL_CERT_FILE
        self._curl = Curl(self._set_up, max_connections=AT_ONCE)
        self._refused = False
        self._opened: list[socket.socket] = []

    def close(self) -> None:
        """Closes the connections; posts under way fail."""
        self._curl.close()

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """Raises nothing but CancelledError."""
        lines = [f"{name}: {value}" for name, value in headers.items()]
        lines += ["Content-Type: application/json", "Expect:", "Accept: */*"]
        try:
            reply = await self._curl.perform("POST", url, body, self._timeout_s, lines)
        finally:
            self._close_originals()
        return Outcome(self._word(reply))

    def _set_up(self, curl: Any, _method: str) -> None:
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        curl.setopt(pycurl.NOPROXY, "*")
        curl.setopt(pycurl.USERAGENT, "kaimen")
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(CONNECT_S * 1000))
        curl.setopt(pycurl.MAXFILESIZE, REPLY_MAX)
        curl.setopt(pycurl.MAXAGE_CONN, IDLE_S)
        curl.setopt(pycurl.SSL_VERIFYPEER, 1)
        curl.setopt(pycurl.SSL_VERIFYHOST, 2)
        if self._ca_file:
            curl.setopt(pycurl.CAINFO, self._ca_file)

    def _open(self, _purpose: int, address: Any) -> Any:
        """libcurl's wish for a socket to that address."""
        host = address.addr[0]
        self._refused = not self._allowed.takes(host.decode() if isinstance(host, bytes) else host)
        if self._refused:
            return pycurl.SOCKET_BAD
        opened = socket.socket(address.family, address.socktype, address.protocol)
        self._opened.append(opened)
        return opened

    def _close_originals(self) -> None:
        """pycurl works with copies of the sockets it is given."""
        while self._opened:
            self._opened.pop().close()

    def _word(self, reply: Reply) -> str:
        if reply.errno == pycurl.E_COULDNT_CONNECT and self._refused:
            return "refused_address"
        if reply.errno:
            return _OUTCOMES.get(reply.errno, "reset")
        return "ok" if 200 <= reply.status < 300 else f"http_{reply.status}"
