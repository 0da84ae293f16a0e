"""A WeChat of a few lines on a real socket, a clock moved by hand, and an app with canary secrets."""

import asyncio
import gzip
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from core.clock import Clock

SECRET = "c0ffee00c0ffee00c0ffee00c0ffee00"
CODE = "canary-code-0a1b2c3d"
SESSION_KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
LOGIN = {"openid": "oExample0000000000000000001", "session_key": SESSION_KEY}


@dataclass(frozen=True)
class ExampleApp:
    appid: str = "wx0000000000000001"
    secret: str = SECRET


class HandClock(Clock):
    """Stands still until moved; jitter is the lower bound."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def jitter(self, low: float, high: float) -> float:
        return low

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def json(self) -> Any:
        return json.loads(self.body)


Behaviour = Callable[[asyncio.Transport, Seen], None]


def answer(body: Any, status: int = 200, *, length: int | None = None) -> Behaviour:
    """A complete reply; ``length`` promises more than comes, then the connection ends."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def behave(transport: asyncio.Transport, _seen: Seen) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {length or len(raw)}\r\n\r\n"
        transport.write(head.encode() + raw)
        if length:
            transport.close()

    return behave


def reset(transport: asyncio.Transport, _seen: Seen) -> None:
    """The connection breaks after the request was read."""
    transport.abort()


def hang(_transport: asyncio.Transport, _seen: Seen) -> None:
    """Nothing comes back, ever."""


def huge(transport: asyncio.Transport, _seen: Seen) -> None:
    """50 MB in chunks, no Content-Length."""
    transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(50):
        transport.write(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
    transport.write(b"0\r\n\r\n")


def gzip_bomb(transport: asyncio.Transport, _seen: Seen) -> None:
    """A few kilobytes that nobody asked for in this encoding, and that would become 10 MB."""
    body = gzip.compress(b" " * 10_000_000)
    transport.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body))
    transport.write(body)


class Stub:
    """Behaves as ``plan`` says, one entry per request, then as ``default``."""

    def __init__(self) -> None:
        self.plan: deque[Behaviour] = deque()
        self.default: Behaviour = answer(LOGIN)
        self.seen: list[Seen] = []
        self.transports: list[asyncio.Transport] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, **options: Any) -> None:
        options.setdefault("host", None if "sock" in options else "127.0.0.1")
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), **options)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for transport in self.transports:
            transport.abort()
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle(self, transport: asyncio.Transport, seen: Seen) -> None:
        self.seen.append(seen)
        (self.plan.popleft() if self.plan else self.default)(transport, seen)


class _Connection(asyncio.Protocol):
    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._stub.transports.append(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        size = int(headers.get("content-length", "0"))
        if len(rest) < size:
            return
        self._buffer = rest[size:]
        method, target, _version = lines[0].split(" ")
        self._stub.handle(self._transport, Seen(method, target, headers, rest[:size]))
