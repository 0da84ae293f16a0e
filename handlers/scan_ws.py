"""``WS /api/scan/{scanId}/ws``: the page that shows a code hears what becomes of it.

The first message is ``{"type": "AUTH", "pollSecret": "…", "version": N}``. Whether there is such a scan shows only
after it.
"""

from contextlib import suppress
from typing import Any, ClassVar

from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError

from app.scan.transitions import OPEN
from core.errors import AppError, Code
from handlers.base import encode_json
from handlers.websocket import NOT_FOUND, Socket, read_auth

TEXT = 0x81  # a whole message of text
NORMAL = 1000


class ScanSocket(Socket):
    """One socket. ``told`` is the newest version it was sent."""

    scan_id = ""
    network = ""
    told = 0
    is_in = False
    close_codes: ClassVar[dict[Code, int]] = {**Socket.close_codes, Code.NOT_FOUND: NOT_FOUND}

    def prepare(self) -> None:
        """Refuses, before the handshake: no WebSocket, anything in the query, an Origin not ours, too many."""
        self.check_handshake()
        self.browsers.check_origin(self.request.headers)
        self.network = self.client.network
        self.kaimen.scan_hub.check_room(self.network)

    def open(self, *args: str, **kwargs: str) -> None:
        """Waits for ``AUTH``."""
        self.scan_id = args[0]
        self.is_in = True
        self._headers = self.request.headers = HTTPHeaders()  # of the handshake: a fifth of what a socket costs
        self.kaimen.scan_hub.enter(self, self.network)
        self.wait_for_auth()

    async def on_message(self, message: str | bytes) -> None:
        """``AUTH``, once; anything else is passed over after it, and refused before."""
        if self.patience is None:
            return
        self.stop_waiting()
        try:
            await self._join(_secret_of(message))
        except AppError as error:
            self.close_for(error)

    def on_close(self) -> None:
        """Leaves everything it was part of."""
        self.stop_waiting()
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


def as_text_frame(payload: bytes) -> bytes:
    """One unmasked text frame (RFC 6455 §5.2): Tornado's ``write_message`` makes a task of each, at twice the cost."""
    length = len(payload)
    if length < 126:
        return bytes((TEXT, length)) + payload
    return bytes((TEXT, 126)) + length.to_bytes(2) + payload


def _secret_of(message: str | bytes) -> str:
    secret, said = read_auth(message, "pollSecret")
    if type(said.get("version", 0)) is not int:
        raise AppError(Code.UNAUTHENTICATED, cause="the version is no number")
    return secret
