"""The one door to Tornado's HTTP client: bytes out, bytes or a named failure back, within a time limit.

libcurl keeps connections alive (110 µs a request). It raises nothing from here: its errors and Tornado's
hold the URL, and the URL holds the secret and the code.
"""

import asyncio
import logging
import ssl
from dataclasses import dataclass
from functools import partial

import pycurl
from tornado.curl_httpclient import CurlAsyncHTTPClient, CurlError
from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

from core.errors import Code

# Tornado's debug log of this client shows URLs and headers, whatever the level is set to later.
logging.getLogger("tornado.curl_httpclient").addFilter(lambda record: record.levelno > logging.DEBUG)

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
    pycurl.E_WRITE_ERROR: Failure("too_large", Code.WX_BAD_REPLY),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Failure("not_http", Code.WX_BAD_REPLY),
    pycurl.E_UNSUPPORTED_PROTOCOL: Failure("not_http", Code.WX_BAD_REPLY),
}
_RESET = Failure("reset", Code.WX_UNAVAILABLE)


class Transport:
    """Calls one origin, such as ``https://api.weixin.qq.com``, at most ``max_in_flight`` at once."""

    def __init__(
        self, origin: str, *, ca_file: str | None = None, max_in_flight: int, authorization: str | None = None
    ) -> None:
        self._origin = origin.rstrip("/")
        # libcurl's wheel has its own idea of where certificates are, and ignores SSL_CERT_FILE
        self._ca_file = ca_file or ssl.get_default_verify_paths().cafile
        self._http = CurlAsyncHTTPClient(force_instance=True, max_clients=max_in_flight, max_body_size=MAX_BODY)
        self._free = max_in_flight
        # empty: libcurl sends none of them; being there spares Tornado from adding them each time
        self._get = HTTPHeaders({"Expect": "", "Pragma": "", "Accept": "*/*"})
        self._post = HTTPHeaders({"Expect": "", "Pragma": "", "Content-Type": "application/json"})
        if authorization:
            self._post["Authorization"] = authorization

    def close(self) -> None:
        """Closes the connections; calls under way never answer."""
        self._http.close()

    async def fetch(self, method: str, target: str, body: bytes | None, timeout_s: float) -> bytes | Failure:
        """The body of a 200, or a Failure. Raises nothing but CancelledError.

        A caller's cancellation does not stop a request that was sent; its slot stays taken until it ends.
        """
        if timeout_s < 0.001:
            return NO_TIME
        if not self._free:
            return TOO_MANY
        self._free -= 1
        future: asyncio.Future[HTTPResponse] = asyncio.get_running_loop().create_future()
        self._http.fetch_impl(self._request(method, target, body, timeout_s), partial(self._done, future))
        return _read(await future)

    def _request(self, method: str, target: str, body: bytes | None, timeout_s: float) -> HTTPRequest:
        return HTTPRequest(
            self._origin + target,
            method,
            self._get if body is None else self._post,
            body,
            connect_timeout=timeout_s,
            request_timeout=timeout_s,
            follow_redirects=False,
            max_redirects=0,
            user_agent="kaimen",
            decompress_response=False,
            allow_nonstandard_methods=False,
            validate_cert=True,
            ca_certs=self._ca_file,
            prepare_curl_callback=_prepare,
        )

    def _done(self, future: "asyncio.Future[HTTPResponse]", response: HTTPResponse) -> None:
        self._free += 1
        if not future.done():
            future.set_result(response)


def _prepare(curl: "pycurl.Curl") -> None:
    """Tornado's last word before the transfer."""
    curl.unsetopt(pycurl.HEADERFUNCTION)  # nobody reads reply headers: a fifth of a call's CPU
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.MAXAGE_CONN, IDLE_S)
    curl.setopt(pycurl.PREREQFUNCTION, _SendOnce())


class _SendOnce:
    """Lets a request out once.

    libcurl silently sends it again when a kept-alive connection breaks before the first byte of the reply,
    whether or not the server had read it: a code would be spent twice.
    """

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent = False

    def __call__(self, *_addresses: object) -> int:
        if self.sent:
            return int(pycurl.PREREQFUNC_ABORT)
        self.sent = True
        return int(pycurl.PREREQFUNC_OK)


def _read(response: HTTPResponse) -> bytes | Failure:
    error = response.error
    if isinstance(error, CurlError):
        known = _CURL_FAILURES.get(error.errno, _RESET)
        return Failure(known.outcome, known.code, known.sent, cause=f"curl {error.errno}: {known.outcome}")
    if response.code == 200:
        return response.body
    if error is not None and response.code == 599:
        return Failure("setup", Code.WX_BAD_REPLY, cause=type(error).__name__)
    return Failure(f"http_{response.code}", Code.WX_BAD_REPLY, cause=f"HTTP status {response.code}")
