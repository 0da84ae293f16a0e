"""What both WebSockets share: the handshake, the wait for the first message, how errors close.

The first message is ``{"type": "AUTH", …}``, within 5 s. Secrets never go into the URL: URLs are logged.
"""

import asyncio
from typing import Any, ClassVar

from tornado.websocket import WebSocketHandler

from core.errors import AppError, Code
from handlers.base import Envelope
from handlers.strict_json import parse_json_object

AUTH_WITHIN_S = 5.0
FRAME_MAX = 4096
UNAVAILABLE = 1013  # "try again later"
UNAUTHENTICATED = 4401
NOT_FOUND = 4404
TOO_MANY = 4429


class Socket(Envelope, WebSocketHandler):
    """One socket."""

    patience: asyncio.TimerHandle | None = None
    close_codes: ClassVar[dict[Code, int]] = {Code.RATE_LIMITED: TOO_MANY}

    @property
    def max_message_size(self) -> int:
        """A larger message closes with 1009."""
        return FRAME_MAX

    def check_origin(self, origin: str) -> bool:
        """``prepare`` has looked."""
        return True

    def check_handshake(self) -> None:
        """Refuses what is no WebSocket, and anything in the query."""
        if self.request.method != "GET":
            raise AppError(Code.METHOD_NOT_ALLOWED)
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise AppError(Code.INVALID_REQUEST, cause="no WebSocket handshake", field="Upgrade")
        if self.request.query:
            raise AppError(Code.INVALID_REQUEST, cause="a query", field="query")

    def wait_for_auth(self) -> None:
        """Closes the socket unless ``stop_waiting`` is called in time."""
        loop = asyncio.get_running_loop()
        self.patience = loop.call_later(AUTH_WITHIN_S, self.close, UNAUTHENTICATED, "no AUTH")

    def stop_waiting(self) -> None:
        """Whoever it is has spoken, or is gone."""
        if self.patience:
            self.patience.cancel()
            self.patience = None

    def close_for(self, error: AppError) -> None:
        """Closes with the code that tells a client what to do next."""
        otherwise = UNAVAILABLE if error.code.value.status >= 500 else UNAUTHENTICATED
        self.close(self.close_codes.get(error.code, otherwise), error.code.error)


def read_auth(message: str | bytes, secret: str) -> tuple[str, dict[str, Any]]:
    """The field ``secret`` of an ``AUTH``, and the whole message; raises 4000 and 4010."""
    said = parse_json_object(message.encode() if isinstance(message, str) else message)
    found = said.get(secret)
    if said.get("type") != "AUTH" or not isinstance(found, str):
        raise AppError(Code.UNAUTHENTICATED, cause="the first message is no AUTH")
    return found, said
