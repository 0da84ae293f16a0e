"""``WS /api/scan/{scanId}/ws``: the page that shows a code hears what becomes of it.

The first message is ``{"type": "AUTH", "pollSecret": "…", "version": N}``, within 5 s. The secret never goes into the
URL: URLs are logged. Whether there is such a scan shows only after it.
"""

import asyncio
from contextlib import suppress
from typing import Any

from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketHandler

from app.scan.transitions import OPEN
from core.errors import AppError, Code
from handlers.base import Envelope, encode_json
from handlers.strict_json import parse_json_object

AUTH_WITHIN_S = 5.0
FRAME_MAX = 4096
TEXT = 0x81  # a whole message of text
NORMAL = 1000
UNAVAILABLE = 1013  # "try again later"
UNAUTHENTICATED = 4401
NOT_FOUND = 4404
TOO_MANY = 4429
CLOSE_CODES = {Code.NOT_FOUND: NOT_FOUND, Code.RATE_LIMITED: TOO_MANY}


class ScanSocket(Envelope, WebSocketHandler):
    """One socket. ``told`` is the newest version it was sent."""

    scan_id = ""
    network = ""
    told = 0
    is_in = False
    patience: asyncio.TimerHandle | None = None

    @property
    def max_message_size(self) -> int:
        """A larger message closes with 1009."""
        return FRAME_MAX

    def prepare(self) -> None:
        """Refuses, before the handshake: no WebSocket, anything in the query, an Origin not ours, too many."""
        headers = self.request.headers
        if self.request.method != "GET":
            raise AppError(Code.METHOD_NOT_ALLOWED)
        if headers.get("Upgrade", "").lower() != "websocket":
            raise AppError(Code.INVALID_REQUEST, cause="no WebSocket handshake", field="Upgrade")
        if self.request.query:
            raise AppError(Code.INVALID_REQUEST, cause="a query", field="query")
        self.browsers.check_origin(headers)
        self.network = self.client.network
        self.kaimen.scan_hub.check_room(self.network)

    def check_origin(self, origin: str) -> bool:
        """``prepare`` has looked."""
        return True

    def open(self, *args: str, **kwargs: str) -> None:
        """Waits for ``AUTH``."""
        self.scan_id = args[0]
        self.is_in = True
        self._headers = self.request.headers = HTTPHeaders()  # of the handshake: a fifth of what a socket costs
        self.kaimen.scan_hub.enter(self, self.network)
        loop = asyncio.get_running_loop()
        self.patience = loop.call_later(AUTH_WITHIN_S, self.close, UNAUTHENTICATED, "no AUTH")

    async def on_message(self, message: str | bytes) -> None:
        """``AUTH``, once; anything else is passed over after it, and refused before."""
        if self.patience is None:
            return
        self._stop_waiting()
        try:
            await self._join(_secret_of(message))
        except AppError as error:
            self.close(_close_code(error), error.code.error)

    def on_close(self) -> None:
        """Leaves everything it was part of."""
        self._stop_waiting()
        if self.is_in:
            self.is_in = False
            self.kaimen.scan_hub.part(self.scan_id, self)
            self.kaimen.scan_hub.leave(self, self.network)

    def tell(self, version: int, state: str, frame: bytes) -> None:
        """See ``Listener``."""
        if version <= self.told:
            return
        self.told = version
        connection: Any = self.ws_connection
        if connection is None or connection.is_closing():
            return
        with suppress(StreamClosedError):
            connection.stream.write(as_text_frame(frame))
        if state not in OPEN:
            self.close(NORMAL, state)

    async def _join(self, secret: str) -> None:
        """Between the reading and the joining nothing else runs, so no step falls between them."""
        scan = await self.kaimen.scans.watch(self.scan_id, secret)
        if not self.is_in:  # gone meanwhile
            return
        if scan.state in OPEN:
            self.kaimen.scan_hub.join(self.scan_id, self)
        self.tell(scan.version, scan.state, encode_json(self.kaimen.scans.frame(scan)))

    def _stop_waiting(self) -> None:
        if self.patience:
            self.patience.cancel()
            self.patience = None


def as_text_frame(payload: bytes) -> bytes:
    """One unmasked text frame (RFC 6455 §5.2): Tornado's ``write_message`` makes a task of each, at twice the cost."""
    length = len(payload)
    if length < 126:
        return bytes((TEXT, length)) + payload
    return bytes((TEXT, 126)) + length.to_bytes(2) + payload


def _secret_of(message: str | bytes) -> str:
    said = parse_json_object(message.encode() if isinstance(message, str) else message)
    secret, version = said.get("pollSecret"), said.get("version", 0)
    if said.get("type") != "AUTH" or not isinstance(secret, str) or type(version) is not int:
        raise AppError(Code.UNAUTHENTICATED, cause="the first message is no AUTH")
    return secret


def _close_code(error: AppError) -> int:
    return CLOSE_CODES.get(error.code, UNAVAILABLE if error.code.value.status >= 500 else UNAUTHENTICATED)
