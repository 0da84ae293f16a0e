"""``WS /api/session/ws``: a signed-in page or mini-program hears that it was logged out, or that its user changed.

A page comes with its cookie, for which its Origin must be ours. Who has no cookie sends
``{"type": "AUTH", "token": "<access token>"}`` first. A mini-program sends no Origin: it has no cookie
either, so nothing of it can be borrowed by another page.
"""

from typing import Any

from tornado.websocket import WebSocketClosedError

from app.auth.tokens import Claims
from core.errors import AppError
from handlers.base import encode_json
from handlers.websocket import Socket, read_auth

PING_S = 30.0


class SessionSocket(Socket):
    """One socket. Until it has said who it is, it counts as waiting."""

    waits = False

    @property
    def ping_interval(self) -> float | None:
        """Finds out about peers that are gone."""
        return PING_S

    async def prepare(self) -> None:
        """Refuses, before the handshake: no WebSocket, a token in the URL, a foreign Origin, too many."""
        self.check_handshake()
        headers = self.request.headers
        if "Origin" in headers:
            self.browsers.check_origin(headers)
            if self.cookie:
                await self.authenticate_by_cookie(self.cookie)
        if self.claims is None:
            self.kaimen.session_hub.check_room(self.client.network)

    async def open(self, *args: str, **kwargs: str) -> None:
        """Joins at once with a cookie, else waits for ``AUTH``."""
        self.kaimen.session_hub.enter(self, self.client.network)
        self.waits = True
        claims, self.claims = self.claims, None
        if claims:
            await self._try(self._join(claims))
        else:
            self.wait_for_auth()

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
        token, _ = read_auth(message, "token")
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
            self.close_for(error)

    def _end_waiting(self) -> None:
        self.stop_waiting()
        if self.waits:
            self.waits = False
            self.kaimen.session_hub.leave(self.client.network)
