"""Calls to api.weixin.qq.com: one deadline, few retries, a circuit breaker for each API.

What may be sent again is decided by what is known about the request: a connection that never came about
sent nothing; ``-1`` says nothing was done; anything else may have spent the code.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn, Protocol, TypeVar

from app.wechat import errcodes, image_wire, oauth_wire, observing, wire
from app.wechat.breaker import Breaker
from app.wechat.errcodes import Refusal
from app.wechat.image_wire import IMAGE_MAX, Image, QrTicket
from app.wechat.oauth_wire import OAuthToken, UserInfo
from app.wechat.transport import Failure, Transport
from app.wechat.wire import AccessToken, App, Code2Session, PhoneInfo, Request
from core.clock import Clock, Deadline
from core.errors import AppError, Code

API_URL = "https://api.weixin.qq.com"
MP_URL = "https://mp.weixin.qq.com"
MAX_IN_FLIGHT = 512
PICTURES_IN_FLIGHT = 64
ENDPOINTS = (*wire.ENDPOINTS, *image_wire.ENDPOINTS, *oauth_wire.ENDPOINTS)
BACK_OFF_S = (0.05, 0.15)  # doubled with each retry

T = TypeVar("T")


class Observer(Protocol):
    """Told about each attempt; ``outcome`` is ``ok``, ``refused`` or the name of a failure."""

    def __call__(
        self, api: str, appid: str, outcome: str, errcode: int | None, rid: str | None, duration_s: float
    ) -> None:
        """Counts and logs; must not raise."""


class TokenRefused(AppError):
    """WeChat does not take this access_token (40001, 40014, 42001); 5020 if nobody renews it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(Code.WX_BAD_REPLY, cause=refusal.cause)


class WeChatClient:
    """Every method raises AppError, and only the codes of ``errcodes``, 5020, 5030 or 5040."""

    def __init__(
        self,
        clock: Clock,
        *,
        api_url: str = API_URL,
        mp_url: str = MP_URL,
        ca_file: str | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
        observer: Observer | None = None,
    ) -> None:
        self._clock = clock
        self._observer = observer
        self._transport = Transport(api_url, ca_file=ca_file, max_in_flight=max_in_flight)
        self._others = {
            name: Transport(url, ca_file=ca_file, max_in_flight=PICTURES_IN_FLIGHT, max_body=IMAGE_MAX)
            for name, url in ((image_wire.WXACODE.name, api_url), (image_wire.SHOW_QRCODE.name, mp_url))
        }
        self._breakers = {endpoint.name: Breaker(clock) for endpoint in ENDPOINTS}

    def close(self) -> None:
        """Closes the connections."""
        for transport in (self._transport, *self._others.values()):
            transport.close()

    def breaker_states(self) -> dict[tuple[str, ...], float]:
        """For ``metrics.WECHAT_BREAKER``: 0 closed, 1 half-open, 2 open, by API."""
        return {(api,): breaker.state for api, breaker in self._breakers.items()}

    async def code2session(self, app: App, code: str, deadline: Deadline) -> Code2Session:
        """Exchanges a code of ``wx.login``: 4004, 4005, 4031, 4292 when WeChat refuses it."""
        request = wire.code2session_request(app, code)
        return await self._call(request, app.appid, deadline, wire.parse_code2session)

    async def check_session(
        self, app: App, access_token: str, openid: str, session_key: str, deadline: Deadline
    ) -> bool:
        """Whether this very session_key is the user's current one. Raises TokenRefused."""
        request = wire.check_session_request(access_token, openid, session_key)
        return await self._call(request, app.appid, deadline, _is_current, errcodes.SESSION_NOT_CURRENT)

    async def reset_user_session_key(
        self, app: App, access_token: str, openid: str, session_key: str, deadline: Deadline
    ) -> str:
        """The new session_key; the old one is dead. Raises TokenRefused, 4004 if the old one was not current."""
        request = wire.reset_session_key_request(access_token, openid, session_key)
        return await self._call(request, app.appid, deadline, wire.parse_session_key)

    async def get_user_phone_number(
        self, app: App, access_token: str, code: str, deadline: Deadline, openid: str | None = None
    ) -> PhoneInfo:
        """The phone behind a code of ``bindgetphonenumber``; with ``openid``, only if it is that user's.

        Raises TokenRefused, and 4004 for a code that is expired, used or of another kind.
        """
        request = wire.phone_number_request(access_token, code, openid)
        return await self._call(request, app.appid, deadline, wire.parse_phone_info)

    async def msg_sec_check(self, app: App, access_token: str, openid: str, text: str, deadline: Deadline) -> str:
        """What WeChat says of a text in a profile: ``pass``, ``review`` or ``risky``.

        Raises TokenRefused, and 4035 for a user who was not in the mini-program within two hours.
        """
        request = wire.msg_sec_check_request(access_token, openid, text)
        return await self._call(request, app.appid, deadline, wire.parse_suggestion)

    async def token(self, app: App, deadline: Deadline) -> AccessToken:
        """A new access_token of the older family; it ends every earlier one after 5 minutes."""
        return await self._call(wire.token_request(app), app.appid, deadline, wire.parse_access_token)

    async def stable_token(self, app: App, deadline: Deadline, force_refresh: bool = False) -> AccessToken:
        """The token everybody is given; forced, a new one that ends it at once (20 a day)."""
        request = wire.stable_token_request(app, force_refresh)
        return await self._call(request, app.appid, deadline, wire.parse_access_token)

    async def jsapi_ticket(self, app: App, access_token: str, deadline: Deadline) -> AccessToken:
        """The ticket that signatures of the JS-SDK are made with. Raises TokenRefused."""
        return await self._call(
            oauth_wire.jsapi_ticket_request(access_token), app.appid, deadline, oauth_wire.parse_jsapi_ticket
        )

    async def exchange_oauth_code(self, app: App, code: str, deadline: Deadline) -> OAuthToken:
        """Who came back from the consent page: 4004, 4005, 4292 when WeChat refuses the code."""
        return await self._call(oauth_wire.exchange_request(app, code), app.appid, deadline, oauth_wire.parse_token)

    async def refresh_oauth(self, app: App, refresh_token: str, deadline: Deadline) -> OAuthToken:
        """Fresh tokens of a user; 4004 when the user has to agree again."""
        request = oauth_wire.refresh_request(app, refresh_token)
        return await self._call(request, app.appid, deadline, oauth_wire.parse_token)

    async def check_oauth(self, app: App, access_token: str, openid: str, deadline: Deadline) -> bool:
        """Whether the user's access_token still works."""
        request = oauth_wire.check_request(access_token, openid)
        return await self._call(request, app.appid, deadline, _is_current, errcodes.OAUTH_NOT_CURRENT)

    async def get_userinfo(self, app: App, access_token: str, openid: str, deadline: Deadline) -> UserInfo:
        """Nickname, avatar and unionid, with a token of scope snsapi_userinfo or snsapi_login."""
        request = oauth_wire.userinfo_request(access_token, openid)
        return await self._call(request, app.appid, deadline, oauth_wire.parse_userinfo)

    async def get_wxacode(
        self, app: App, access_token: str, scene: str, page: str, env_version: str, deadline: Deadline
    ) -> Image:
        """A mini-program code as (media type, picture). Raises TokenRefused."""
        request = image_wire.wxacode_request(access_token, scene, page, env_version)
        return await self._call(request, app.appid, deadline, image_wire.parse_image)

    async def create_qrcode(
        self, app: App, access_token: str, scene: str, expires_in_s: int, deadline: Deadline
    ) -> QrTicket:
        """A temporary QR code of an official account. Raises TokenRefused."""
        request = image_wire.create_qrcode_request(access_token, scene, expires_in_s)
        return await self._call(request, app.appid, deadline, image_wire.parse_qr_ticket)

    async def show_qrcode(self, app: App, ticket: str, deadline: Deadline) -> Image:
        """The picture of such a code as (media type, picture)."""
        return await self._call(image_wire.show_qrcode_request(ticket), app.appid, deadline, image_wire.parse_image)

    async def _call(
        self,
        request: Request,
        appid: str,
        deadline: Deadline,
        parse: Callable[[dict[str, Any]], T],
        expected: frozenset[int] = frozenset(),
    ) -> T:
        retries = 0
        while True:
            result = await self._attempt(request, appid, deadline, parse, expected)
            if not isinstance(result, Failure | Refusal):
                return result
            if retries >= _retries_allowed(request, result):
                _fail(request, result)
            delay_s = self._clock.jitter(*BACK_OFF_S) * 2**retries
            if delay_s >= deadline.remaining_s():
                _fail(request, result)
            retries += 1
            await asyncio.sleep(delay_s)

    async def _attempt(
        self,
        request: Request,
        appid: str,
        deadline: Deadline,
        parse: Callable[[dict[str, Any]], T],
        expected: frozenset[int],
    ) -> T | Failure | Refusal:
        breaker = self._breakers[request.endpoint.name]
        ticket = breaker.enter()
        if ticket is None:
            raise AppError(
                Code.WX_UNAVAILABLE,
                cause=f"{request.endpoint.name}: circuit open",
                retry_after_s=breaker.retry_after_s(),
            )
        started = self._clock.monotonic()
        ok: bool | None = None
        try:
            with observing.span_of(request.endpoint, appid) as span:
                result = await self._exchange(request, deadline, parse, expected)
                observing.note_result(span, result)
            ok = _tells(result)
        finally:
            breaker.leave(ticket, ok)
        if self._observer is not None:
            self._observe(self._observer, request, appid, result, self._clock.monotonic() - started)
        return result

    async def _exchange(
        self,
        request: Request,
        deadline: Deadline,
        parse: Callable[[dict[str, Any]], T],
        expected: frozenset[int],
    ) -> T | Failure | Refusal:
        endpoint = request.endpoint
        target = f"{endpoint.path}?{request.query}" if request.query else endpoint.path
        transport = self._others.get(endpoint.name, self._transport)
        body = await transport.fetch(endpoint.method, target, request.body, deadline.remaining_s())
        if isinstance(body, Failure):
            return body
        try:
            is_picture = endpoint.name in image_wire.PICTURES
            payload = image_wire.parse_picture_reply(body) if is_picture else wire.parse_object(body)
            refusal = errcodes.find_refusal(payload)
            return refusal if refusal and refusal.errcode not in expected else parse(payload)
        except AppError as error:
            return Failure("bad_body", Code.WX_BAD_REPLY, cause=error.cause)

    @staticmethod
    def _observe(observer: Observer, request: Request, appid: str, result: Any, duration_s: float) -> None:
        name = request.endpoint.name
        if isinstance(result, Refusal):
            observer(name, appid, "refused", result.errcode, result.rid, duration_s)
        else:
            outcome = result.outcome if isinstance(result, Failure) else "ok"
            observer(name, appid, outcome, None, None, duration_s)


def _is_current(payload: dict[str, Any]) -> bool:
    return not payload.get("errcode")


def _tells(result: Any) -> bool | None:
    """What the breaker learns: True if WeChat works, None if nothing was asked."""
    if isinstance(result, Failure):
        return False if result.counts else None
    return not (isinstance(result, Refusal) and result.errcode == errcodes.BUSY)


def _retries_allowed(request: Request, result: Failure | Refusal) -> int:
    endpoint = request.endpoint
    if isinstance(result, Refusal):
        if result.errcode != errcodes.BUSY:
            return 0
        return 1 if endpoint.spends_code else 2
    if not result.counts:
        return 0
    if not result.sent:
        return 2
    return 1 if endpoint.repeatable and result.outcome != "certificate" else 0


def _fail(request: Request, result: Failure | Refusal) -> NoReturn:
    if isinstance(result, Refusal):
        if request.endpoint.needs_token and result.errcode in errcodes.TOKEN_REFUSED:
            raise TokenRefused(result)
        raise AppError(result.code, cause=f"{request.endpoint.name}: {result.cause}")
    raise AppError(result.code, cause=f"{request.endpoint.name}: {result.cause}")
