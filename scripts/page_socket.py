"""The WebSocket of a page that shows a QR code: a bare protocol on asyncio, cheap enough to have thousands of them.

It masks with zeros and reads frames of the few sizes that come.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

HANDSHAKE = (
    "GET /api/scan/{id}/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {origin}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n"
)
TEXT = 0x81


class Browser(asyncio.Protocol):
    """One socket of a page: counts what it is told."""

    def __init__(
        self, scan: dict[str, Any], origin: str, told: Callable[["Browser", bytes], None], headers: str = ""
    ) -> None:
        self.scan = scan
        self._origin = origin
        self._told = told
        self._headers = headers  # lines that end with CRLF
        self._rest = b""
        self._is_open = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the WebSocket."""
        self.transport = transport
        self.transport.write(
            HANDSHAKE.format(id=self.scan["scanId"], origin=self._origin, headers=self._headers).encode()
        )

    def data_received(self, data: bytes) -> None:
        """The answer to the handshake, then frames."""
        self._rest += data
        if not self._is_open:
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head[:20]:
                self._fail(head)
                return
            self._is_open, self._rest = True, rest
            said = json.dumps({"type": "AUTH", "pollSecret": self.scan["pollSecret"]}).encode()
            self.transport.write(bytes([0x81, 0x80 | len(said)]) + bytes(4) + said)
        self._read()

    def _read(self) -> None:
        while len(self._rest) >= 4:
            kind, length, start = self._rest[0], self._rest[1], 2
            if length == 126:
                length, start = int.from_bytes(self._rest[2:4]), 4
            if len(self._rest) < start + length:
                return
            frame, self._rest = self._rest[start : start + length], self._rest[start + length :]
            if kind != TEXT:
                self._fail(b"closed: " + frame[2:])
            elif self.ready.done():
                self._told(self, frame)
            else:
                self.ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Too early, unless it was ready."""
        self._fail(b"connection lost")

    def _fail(self, why: bytes) -> None:
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(why.decode(errors="replace")))
