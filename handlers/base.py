"""What every handler shares: body with its limit, envelope, errors, who is calling, the access log.

Errors surface here and only here: a handler raises ``AppError``; ``write_error`` renders it.
"""

import asyncio
import re
from email.utils import formatdate
from functools import lru_cache
from typing import Any

import orjson
from tornado.httputil import HTTPHeaders
from tornado.web import HTTPError, RequestHandler, stream_request_body

from app.auth.grants import Client
from app.auth.revocation import REPLACED
from app.auth.tokens import Claims
from app.kaimen import Kaimen
from core.errors import CRITICAL, AppError, Code
from core.observe import metrics, traces
from core.observe.logs import begin_request, frames_of, get_logger
from handlers.browser import PREFLIGHT_HEADERS, SAFE, Browsers
from handlers.client import client_of, is_from_proxy
from handlers.strict_json import parse_json_object

BODY_MAX = 64 * 1024
BODY_S = 10.0
CONTENT_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
HEADERS_MAX = 64
HEADER_BYTES_MAX = 16 * 1024
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
PATH_SHOWN = 200
OPAQUE = re.compile(r"[^/]{41,}")  # longer than any segment of ours: an id has 32
JSON = "application/json; charset=utf-8"
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
encode_json = orjson.dumps
BY_STATUS = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}
METHODS = {*VERBS, "HEAD", "OPTIONS"}


class Envelope(RequestHandler):
    """What replies look like, and who is calling; for HTTP and WebSocket alike."""

    request_id: str = ""
    claims: Claims | None = None
    subject: tuple[str, str] | None = None  # ids of user and session, where a request signs in
    failure: AppError | None = None
    span: traces.Span = traces.NO_SPAN
    challenge: str = "Bearer"  # of WWW-Authenticate
    is_routine = False  # asked all the time: a line of the log for failures only, and no trace
    is_traced = True

    @property
    def kaimen(self) -> Kaimen:
        """The services."""
        services: Kaimen = self.application.settings["kaimen"]
        return services

    @property
    def client(self) -> Client:
        """Who calls."""
        return client_of(self.request, self.kaimen.settings.trusted_proxies)

    @property
    def browsers(self) -> Browsers:
        """The rules for browsers."""
        rules: Browsers = self.application.settings["browsers"]
        return rules

    @property
    def cookie(self) -> str | None:
        """The value of the session cookie, if one came."""
        return self.get_cookie(self.browsers.cookie_name) if "Cookie" in self.request.headers else None

    def clear(self) -> None:
        """As Tornado's, but tells no name of a server, and does not format the date anew for each reply."""
        self._headers = HTTPHeaders()
        self.set_default_headers()
        self._write_buffer = []
        self._status_code, self._reason = 200, "OK"

    def set_default_headers(self) -> None:
        """Headers of every reply; tokens are never cached."""
        self._headers["Content-Type"] = JSON
        self._headers["Date"] = _http_date(self.kaimen.clock.now_ms() // 1000)
        for name, value in self.browsers.headers.items():
            self._headers[name] = value
        origin = self.request.headers.get("Origin")
        if origin is not None:
            for name, value in self.browsers.cors_headers(origin).items():
                self._headers[name] = value
        if self.kaimen.health.stopping:
            self._headers["Connection"] = "close"
        self._headers["X-Request-Id"] = self.request_id = self.request_id or self._begin()

    async def authenticate_by_cookie(self, value: str) -> Claims:
        """Whose cookie it is; renews it when it is due, takes it away when it is over. Raises 4010, 4015, 4034.

        The browser has another cookie by now where the session was replaced: this answer may reach it later than that.
        """
        try:
            self.claims, renewed = await self.kaimen.cookies.read(value)
        except AppError as error:
            if error.code.value.status == 401 and error.cause != REPLACED:
                self.browsers.clear_cookies(self)
            raise
        if renewed:
            self.browsers.set_cookies(self, renewed)
        return self.claims

    def reply(self, data: Any, status: int = 200) -> None:
        """200, or what is given, with the envelope of success."""
        if status != 200:
            self.set_status(status)
        self._write_json({"code": 200, "message": "success", "data": data, "requestId": self.request_id})

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The envelope of failure, whatever went wrong."""
        failure = self.fail(status_code, **kwargs)
        code = failure.code
        body = {"code": code.value.number, "error": code.error, "message": code.message(self.language())}
        self._write_json({**body, "data": failure.data, "requestId": self.request_id})

    def fail(self, status_code: int, **kwargs: Any) -> AppError:
        """Sets status and headers of a failure, and returns it."""
        _, error, _ = kwargs.get("exc_info", (None, None, None))
        failure = self.failure = _as_app_error(error, status_code)
        self.set_status(failure.code.value.status)
        self._set_error_headers(failure)
        return failure

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """A bug is logged with its frames; everything else is in the access log."""
        if value is not None and not isinstance(value, AppError | HTTPError):
            get_logger().error(
                "bug", request_id=self.request_id, exception=type(value).__name__, frames=frames_of(value)
            )

    def compute_etag(self) -> None:
        """No ETag: nothing here is cached."""

    def _write_json(self, body: dict[str, Any]) -> None:
        self.finish(encode_json(body))

    def _set_error_headers(self, failure: AppError) -> None:
        if failure.retry_after_s is not None:
            self.set_header("Retry-After", str(failure.retry_after_s))
        if failure.code.value.status == 401:
            self.set_header("WWW-Authenticate", self.challenge)
        if failure.code is Code.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self._allowed()))
        if failure.code is Code.BODY_TOO_LARGE or not self._is_read():
            self.set_header("Connection", "close")

    def _is_read(self) -> bool:
        """Whether the request came to its end: Tornado closes the connection after a reply that did not wait for it."""
        body: asyncio.Future[None] | None = getattr(self.request, "_body_future", None)
        return body is None or body.done()

    def _allowed(self) -> list[str]:
        return [
            verb for verb in VERBS if getattr(type(self), verb.lower()) is not getattr(RequestHandler, verb.lower())
        ]

    def language(self) -> str:
        """``zh`` or ``en``: the first of the two that the client names, else Chinese."""
        for part in self.request.headers.get("Accept-Language", "").lower().split(","):
            if part.strip()[:2] in ("en", "zh"):
                return part.strip()[:2]
        return "zh"

    def _begin(self) -> str:
        """The id of the request: the client's, if it is well-formed. Lines of the log bear it from here on."""
        given = self.request.headers.get("X-Request-Id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else self.kaimen.clock.new_id()
        caller = traces.parse_traceparent(self.request.headers.get("traceparent", ""))
        if traces.is_on() and self._begins_trace():
            self.span = self._begin_span(request_id, caller)
        trace_id = self.span.trace_id or (caller.trace_id if caller else "")
        begin_request(request_id, trace_id, debug=self._is_debugged())
        return request_id

    def _begins_trace(self) -> bool:
        """Not what machines ask for every few seconds, here and on the admin port, which has no routes of the API."""
        return self.is_traced and not self.is_routine and "route_names" in self.application.settings

    def _begin_span(self, request_id: str, caller: traces.Parent | None) -> traces.Span:
        """A part of the caller's trace if a trusted proxy says so; anybody else would decide what is recorded."""
        request, settings = self.request, self.kaimen.settings
        believed = caller is not None and is_from_proxy(request, settings.trusted_proxies)
        about = {
            "http.request.method": _method_of(request.method),
            "http.route": _route_of(self),
            "url.scheme": "https" if settings.is_https else "http",
            "url.path": shown_path(request.path),
            "kaimen.request_id": request_id,
        }
        name = f"{about['http.request.method']} {about['http.route']}"
        parent, link = (caller, None) if believed else (None, caller)
        span = traces.trace(name, "server", about, parent, link)
        span.enter()
        return span

    def _is_debugged(self) -> bool:
        """By chance, or because a trusted proxy asks for it."""
        settings = self.kaimen.settings
        if "X-Kaimen-Debug" in self.request.headers and is_from_proxy(self.request, settings.trusted_proxies):
            return self.request.headers["X-Kaimen-Debug"] == "1"
        return settings.log_debug_rate > 0 and self.kaimen.clock.jitter(0, 1) < settings.log_debug_rate


@stream_request_body
class ApiHandler(Envelope):
    """A handler of the contract: ``json()`` in, ``reply(data)`` out."""

    body_max = BODY_MAX  # bytes
    body_s = BODY_S  # a body takes no longer

    def initialize(self) -> None:
        """Counted as under way until it is finished or its client is gone."""
        self._body = bytearray()
        self._too_large = False
        self._slow_body: asyncio.TimerHandle | None = None
        self.kaimen.health.begin(self)

    def on_finish(self) -> None:
        """No longer under way."""
        self._body_is_here()
        self.kaimen.health.end(self)

    def on_connection_close(self) -> None:
        """Nobody waits for the reply any more."""
        super().on_connection_close()  # which ends the wait for the rest of the body
        self._body.clear()
        self._body_is_here()
        self.kaimen.health.end(self)

    def prepare(self) -> None:
        """Refuses a body that says it is far too large before reading it, and what another site's page sends."""
        length = self.request.headers.get("Content-Length", "0")
        sizes = [len(value) for _, value in self.request.headers.get_all()]
        if not CONTENT_LENGTH.fullmatch(length) or len(sizes) > HEADERS_MAX or sum(sizes) > HEADER_BYTES_MAX:
            raise AppError(Code.INVALID_REQUEST, cause="headers", field="headers")
        if int(length) > 2 * self.body_max:  # less is read to its end: a proxy that still sends may miss an early reply
            raise AppError(Code.BODY_TOO_LARGE)
        if length != "0" or "Transfer-Encoding" in self.request.headers:
            connection: Any = self.request.connection
            self._slow_body = asyncio.get_running_loop().call_later(self.body_s, connection.stream.close)
        self.browsers.check_not_cross_site(self.request.method, self.request.headers)

    def options(self, *_path: str) -> None:
        """The preflight of CORS (Fetch standard); raises 4032 for an origin not ours, 4050 for anything else."""
        if "Access-Control-Request-Method" not in self.request.headers:
            raise AppError(Code.METHOD_NOT_ALLOWED)
        self.browsers.check_origin(self.request.headers)
        for name, value in PREFLIGHT_HEADERS.items():
            self.set_header(name, value)
        self.set_status(204)
        self.clear_header("Content-Type")
        self.finish()

    def data_received(self, chunk: bytes) -> None:
        """Collects the body, and forgets it when it grows too large."""
        self._too_large = self._too_large or len(self._body) + len(chunk) > self.body_max
        if not self._too_large:
            self._body += chunk

    def json(self) -> dict[str, Any]:
        """The request's JSON object; nothing at all counts as ``{}``. Raises 4000, 4130, 4150."""
        body = self.raw_body()
        return parse_json_object(body) if body and self.must_be("application/json") else {}

    def raw_body(self) -> bytes:
        """The body as it came; raises 4130."""
        self._body_is_here()
        if self._too_large:
            raise AppError(Code.BODY_TOO_LARGE)
        return bytes(self._body)

    def _body_is_here(self) -> None:
        if self._slow_body:
            self._slow_body.cancel()

    def must_be(self, media_type: str) -> bool:
        """True, or raises 4150."""
        given = self.request.headers.get("Content-Type", "").split(";", 1)[0].strip().lower()
        if given != media_type:
            raise AppError(Code.UNSUPPORTED_MEDIA_TYPE, expected=media_type)
        return True

    async def authenticate(self) -> Claims:
        """Who calls, by bearer token or cookie; raises 4010, 4011, 4015, and under a cookie 4032, 4033."""
        if "Authorization" not in self.request.headers and self.cookie:
            return await self._authenticate_page(self.cookie)
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AppError(Code.UNAUTHENTICATED, cause="no bearer token")
        self.claims = await self.kaimen.guard.authenticate(token)
        return self.claims

    async def _authenticate_page(self, cookie: str) -> Claims:
        """What changes something must come from a page of ours, and show that the page could read its cookies."""
        is_unsafe = self.request.method not in SAFE
        if is_unsafe:
            self.browsers.check_page(self.request.headers)
        claims = await self.authenticate_by_cookie(cookie)
        if is_unsafe:
            self.check_xsrf(claims)
        return claims

    def check_xsrf(self, claims: Claims) -> None:
        """Raises 4033 unless ``X-XSRFToken`` is that of the session."""
        self.kaimen.cookies.check_xsrf(claims.sid, self.request.headers.get("X-XSRFToken", ""))

    async def sign_in_browser(self, data: dict[str, Any]) -> dict[str, Any]:
        """Turns the tokens of a sign-in into cookies; the session of a cookie that was there before ends."""
        cookie, kept = self.kaimen.cookies.instead_of_tokens(data)
        previous = self.kaimen.cookies.session_of(self.cookie or "")
        if previous and previous != data["sessionId"]:
            await self.kaimen.guard.replace(previous)
        self.browsers.set_cookies(self, cookie)
        return kept

    def forget_browser(self) -> None:
        """Takes the cookies away, if one came."""
        if self.cookie:
            self.browsers.clear_cookies(self)


class NotFoundHandler(ApiHandler):
    """Whatever the table of routes does not name."""

    def prepare(self) -> None:
        """4040, for any method."""
        raise AppError(Code.NOT_FOUND)


def count_request(handler: RequestHandler) -> None:
    """By the route as the table of routes has it: the path itself is the client's."""
    failure: AppError | None = getattr(handler, "failure", None)
    span: traces.Span = getattr(handler, "span", traces.NO_SPAN)
    route, method = _route_of(handler), _method_of(handler.request.method)
    metrics.REQUESTS.inc(route, method, str(failure.code.value.number if failure else handler.get_status()))
    metrics.REQUEST_S.observe(handler.request.request_time(), route, trace_id=span.trace_id if span.is_recorded else "")


def end_span(handler: RequestHandler) -> None:
    """How the request ended, in its span. Refusals are no failures of ours."""
    span: traces.Span = getattr(handler, "span", traces.NO_SPAN)
    if not span.is_recorded:
        return
    failure: AppError | None = getattr(handler, "failure", None)
    subject = _subject_of(handler)
    if subject:
        span.set({"user.id": subject[0], "session.id": subject[1]})
    if failure:
        span.set({"kaimen.code": failure.code.value.number, "error.type": failure.code.error})
        if handler.get_status() >= 500:
            span.fail(failure.code.error)
    span.set({"http.response.status_code": handler.get_status()})
    span.end()


def log_request(handler: RequestHandler) -> None:
    """One line for each request: the path without its query, the outcome, never a body."""
    count_request(handler)
    end_span(handler)
    failure: AppError | None = getattr(handler, "failure", None)
    if failure is None and not _is_sampled(handler):
        return
    values: dict[str, Any] = {
        "method": handler.request.method,
        "path": shown_path(handler.request.path),
        "status": handler.get_status(),
        "ms": round(handler.request.request_time() * 1000, 1),
        "request_id": getattr(handler, "request_id", ""),
    }
    subject = _subject_of(handler)
    if subject:
        values["user"], values["session"] = subject
    if failure is None:
        get_logger().info("request", **values)
    else:
        values |= {"code": failure.code.value.number, "cause": failure.cause}
        log = get_logger()
        (log.error if failure.code.value.severity == CRITICAL else log.info)("request", **values)


def _route_of(handler: RequestHandler) -> str:
    route: str = handler.application.settings["route_names"].get(type(handler), metrics.OTHER)
    return route


def _method_of(given: str | None) -> str:
    return given if given and given in METHODS else metrics.OTHER


def _subject_of(handler: RequestHandler) -> tuple[str, str] | None:
    claims: Claims | None = getattr(handler, "claims", None)
    return (claims.sub, claims.sid) if claims else getattr(handler, "subject", None)


def _is_sampled(handler: RequestHandler) -> bool:
    services: Kaimen = handler.application.settings["kaimen"]
    rate = services.settings.log_access_rate
    if getattr(handler, "is_routine", False):
        return False
    return rate >= 1 or services.clock.jitter(0, 1) < rate


def shown_path(path: str) -> str:
    """A path as it may be logged: a client that puts a token into it does not put it into the log."""
    return path if len(path) <= 41 else OPAQUE.sub("…", path[:PATH_SHOWN])


@lru_cache(maxsize=2)
def _http_date(at_s: int) -> str:
    """RFC 9110 §5.6.7."""
    return formatdate(at_s, usegmt=True)


def _as_app_error(error: BaseException | None, status: int) -> AppError:
    if isinstance(error, AppError):
        return error
    return AppError(BY_STATUS.get(status, Code.INVALID_REQUEST if 400 <= status < 500 else Code.INTERNAL))
