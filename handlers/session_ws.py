"""``WS /api/session/ws``: a signed-in page or mini-program hears that it was logged out, or that its user changed.

A page comes with its cookie, for which its Origin must be ours. Who has no cookie sends
``{"type": "AUTH", "token": "<access token>"}`` first, within 5 s. A mini-program sends no Origin: it has no cookie
either, so nothing of it can be borrowed by another page. The token never goes into the URL: URLs are logged.
"""

import asyncio
from typing import Any

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from app.auth.tokens import Claims
from core.errors import AppError, Code
from handlers.base import Envelope, encode_json
from handlers.strict_json import parse_json_object

AUTH_WITHIN_S = 5.0
FRAME_MAX = 4096
PING_S = 30.0
UNAUTHENTICATED = 4401
TOO_MANY = 4429
UNAVAILABLE = 1013  # "try again later"


class SessionSocket(Envelope, WebSocketHandler):
    """One socket. Until it has said who it is, it counts as waiting."""

    waits = False
    patience: asyncio.TimerHandle | None = None

    @property
    def max_message_size(self) -> int:
        """A larger message closes with 1009."""
        return FRAME_MAX

    @property
    def ping_interval(self) -> float | None:
        """Finds out about peers that are gone."""
        return PING_S

    async def prepare(self) -> None:
        """Refuses, before the handshake: no WebSocket, a token in the URL, a foreign Origin, too many."""
        headers = self.request.headers
        if self.request.method != "GET":
            raise AppError(Code.METHOD_NOT_ALLOWED)
        if headers.get("Upgrade", "").lower() != "websocket":
            raise AppError(Code.INVALID_REQUEST, cause="no WebSocket handshake", field="Upgrade")
        if self.request.query:
            raise AppError(Code.INVALID_REQUEST, cause="a query", field="query")
        if "Origin" in headers:
            self.browsers.check_origin(headers)
            if self.cookie:
                await self.authenticate_by_cookie(self.cookie)
        if self.claims is None:
            self.kaimen.session_hub.check_room(self.client.network)

    def check_origin(self, origin: str) -> bool:
        """``prepare`` has looked."""
        return True

    async def open(self, *args: str, **kwargs: str) -> None:
        """Joins at once with a cookie, else waits for ``AUTH``."""
        self.kaimen.session_hub.enter(self, self.client.network)
        self.waits = True
        claims, self.claims = self.claims, None
        if claims:
            await self._try(self._join(claims))
        else:
            loop = asyncio.get_running_loop()
            self.patience = loop.call_later(AUTH_WITHIN_S, self.close, UNAUTHENTICATED, "no AUTH")

    async def on_message(self, message: str | bytes) -> None:
        """``AUTH``, once; anything else is passed over when signed in, and refused before."""
        if self.claims is None:
            await self._try(self._sign_in(message))

    def on_close(self) -> None:
        """Leaves everything it was part of."""
        self._end_waiting()
        self.kaimen.session_hub.part(self, self.claims)

    def push(self, message: dict[str, Any]) -> None:
        """See ``Listener``."""
        try:
            future = self.write_message(encode_json(message))
        except WebSocketClosedError:
            return
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _sign_in(self, message: str | bytes) -> None:
        said = parse_json_object(message.encode() if isinstance(message, str) else message)
        token = said.get("token")
        if said.get("type") != "AUTH" or not isinstance(token, str):
            raise AppError(Code.UNAUTHENTICATED, cause="the first message is no AUTH")
        await self._join(await self.kaimen.guard.authenticate(token))

    async def _join(self, claims: Claims) -> None:
        """Joins, then looks whether the session ended meanwhile: nothing falls between the two."""
        if self.claims is not None or not self.waits:  # signed in by a message before, or gone
            return
        self.kaimen.session_hub.join(self, claims)
        self.claims = claims
        self._end_waiting()
        await self.kaimen.guard.check_session(claims)
        self.push({"type": "READY"})

    async def _try(self, joining: Any) -> None:
        try:
            await joining
        except AppError as error:
            self.close(_close_code(error), error.code.error)

    def _end_waiting(self) -> None:
        if self.patience:
            self.patience.cancel()
        if self.waits:
            self.waits = False
            self.kaimen.session_hub.leave(self.client.network)


def _close_code(error: AppError) -> int:
    if error.code is Code.RATE_LIMITED:
        return TOO_MANY
    return UNAVAILABLE if error.code.value.status >= 500 else UNAUTHENTICATED
