"""A client's connection, kept alive, for one request at a time: a whole HTTP client would cost too much."""

import asyncio
import json
from typing import Any, NamedTuple

import orjson

NO_ANSWER = 0  # instead of a status


class Reply(NamedTuple):
    """What came back; ``retry_after_s`` where the server says when to try again."""

    status: int
    body: bytes = b""
    retry_after_s: int | None = None

    @property
    def data(self) -> dict[str, Any]:
        """Of a success."""
        found: dict[str, Any] = orjson.loads(self.body)["data"]
        return found


class Wire(asyncio.Protocol):
    """One connection; ``send`` raises ``ConnectionError`` when it ends before the reply."""

    def __init__(self) -> None:
        self.is_open = False
        self._received = b""
        self._transport: Any = None
        self._reply: asyncio.Future[Reply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to send."""
        self._transport, self.is_open = transport, True

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        self.is_open = False
        if self._reply and not self._reply.done():
            self._reply.set_exception(ConnectionResetError("the connection ended before the reply"))

    def data_received(self, data: bytes) -> None:
        """Gives the reply to who waits for it, once it is whole."""
        self._received += data
        reply = parse(self._received)
        if reply and self._reply and not self._reply.done():
            self._received = b""
            self._reply.set_result(reply)

    def send(self, request: bytes) -> "asyncio.Future[Reply]":
        """The reply, when it comes."""
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._reply

    def close(self) -> None:
        """At once."""
        self.is_open = False
        if self._transport:
            self._transport.abort()


def parse(received: bytes) -> Reply | None:
    """The reply in these bytes; None until all of it is there."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = number(received, b"Content-Length: ", end) or 0
    if len(received) < end + 4 + length:
        return None
    return Reply(int(received[9:12]), received[end + 4 :], number(received, b"Retry-After: ", end))


def number(received: bytes, name: bytes, end: int) -> int | None:
    """The value of a header that is a number."""
    start = received.find(name, 0, end)
    return None if start < 0 else int(received[start + len(name) : received.index(b"\r\n", start)])


def request(method: str, path: str, headers: str, body: dict[str, Any] | None = None) -> bytes:
    """The bytes of one; ``headers`` are lines that end with CRLF."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}"
    if body is None:
        return f"{head}\r\n".encode()
    sent = json.dumps(body, ensure_ascii=False).encode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n".encode() + sent
