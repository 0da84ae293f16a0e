"""Bytes out, bytes or a named failure back, within a time limit.

Nothing is raised from here: an error of libcurl may hold the URL, and the URL holds the secret and the code.
"""

import ssl
from dataclasses import dataclass
from typing import Any

import pycurl

from app.wechat.curl import Curl, Reply
from core.errors import Code

MAX_BODY = 64 * 1024
IDLE_S = 30  # an idle connection is not used again after this: nginx in front of WeChat drops it at 60 s


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply. ``sent``: the request may have reached WeChat, so the code may be spent."""

    outcome: str
    code: Code
    sent: bool = True
    counts: bool = True
    cause: str = ""


NO_TIME = Failure("timeout", Code.WX_TIMEOUT, sent=False, counts=False, cause="no time left to call WeChat")
TOO_MANY = Failure(
    "too_many", Code.WX_UNAVAILABLE, sent=False, counts=False, cause="too many calls to WeChat under way"
)

_CURL_FAILURES: dict[int, Failure] = {
    pycurl.E_COULDNT_RESOLVE_HOST: Failure("resolve", Code.WX_UNAVAILABLE, sent=False),
    pycurl.E_COULDNT_RESOLVE_PROXY: Failure("resolve", Code.WX_UNAVAILABLE, sent=False),
    pycurl.E_COULDNT_CONNECT: Failure("connect", Code.WX_UNAVAILABLE, sent=False),
    pycurl.E_SSL_CONNECT_ERROR: Failure("tls", Code.WX_UNAVAILABLE, sent=False),
    pycurl.E_PEER_FAILED_VERIFICATION: Failure("certificate", Code.WX_UNAVAILABLE),
    pycurl.E_SSL_CACERT_BADFILE: Failure("certificate", Code.WX_UNAVAILABLE),
    pycurl.E_OPERATION_TIMEDOUT: Failure("timeout", Code.WX_TIMEOUT),
    pycurl.E_PARTIAL_FILE: Failure("truncated", Code.WX_BAD_REPLY),
    pycurl.E_FILESIZE_EXCEEDED: Failure("too_large", Code.WX_BAD_REPLY),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Failure("not_http", Code.WX_BAD_REPLY),
    pycurl.E_UNSUPPORTED_PROTOCOL: Failure("not_http", Code.WX_BAD_REPLY),
}
_RESET = Failure("reset", Code.WX_UNAVAILABLE)


class Transport:
    """Calls one origin, such as ``https://api.weixin.qq.com``, at most ``max_in_flight`` at once."""

    def __init__(
        self,
        origin: str,
        *,
        ca_file: str | None = None,
        max_in_flight: int,
        authorization: str | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self._origin = origin.rstrip("/")
        # libcurl's wheel has its own idea of where certificates are, and ignores SSL_CERT_FILE
        self._ca_file = ca_file or ssl.get_default_verify_paths().cafile
        self._headers = ["Expect:", "Accept: */*"]  # an empty one is not sent
        self._post_headers = [*self._headers, "Content-Type: application/json"]
        if authorization:
            self._post_headers.append(f"Authorization: {authorization}")
        self._curl = Curl(self._set_up, max_connections=max_in_flight)
        self._max_in_flight = max_in_flight
        self._max_body = max_body

    def close(self) -> None:
        """Closes the connections; calls under way fail."""
        self._curl.close()

    async def fetch(
        self, method: str, target: str, body: bytes | None, timeout_s: float, traceparent: str | None = None
    ) -> bytes | Failure:
        """The body of a 200, or a Failure. ``method``: GET, or POST with a body. Raises nothing but CancelledError.

        ``traceparent``, perhaps empty, goes with each POST to one of our own kind; WeChat is told of no trace.
        A caller's cancellation does not stop a request that was sent; its slot stays taken until it ends.
        """
        if timeout_s < 0.001:
            return NO_TIME
        if self._curl.under_way >= self._max_in_flight:
            return TOO_MANY
        headers = None if traceparent is None else self._with_trace(traceparent)
        return _read(await self._curl.perform(method, self._origin + target, body, timeout_s, headers))

    def _with_trace(self, traceparent: str) -> list[str]:
        return [*self._post_headers, *([f"traceparent: {traceparent}"] if traceparent else [])]

    def _set_up(self, curl: Any, method: str) -> None:
        curl.setopt(pycurl.HTTPHEADER, self._post_headers if method == "POST" else self._headers)
        curl.setopt(pycurl.USERAGENT, "kaimen")
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.MAXFILESIZE, self._max_body)
        curl.setopt(pycurl.MAXAGE_CONN, IDLE_S)
        curl.setopt(pycurl.SSL_VERIFYPEER, 1)
        curl.setopt(pycurl.SSL_VERIFYHOST, 2)
        if self._ca_file:
            curl.setopt(pycurl.CAINFO, self._ca_file)


def _read(reply: Reply) -> bytes | Failure:
    if reply.errno:
        known = _CURL_FAILURES.get(reply.errno, _RESET)
        return Failure(known.outcome, known.code, known.sent, cause=f"curl {reply.errno}: {known.outcome}")
    if reply.status == 200:
        return reply.body
    return Failure(f"http_{reply.status}", Code.WX_BAD_REPLY, cause=f"HTTP status {reply.status}")
