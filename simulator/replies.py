"""How replies look on the wire, the broken ones included."""

import contextlib
import gzip
import http.client
import secrets
import socket
import struct
from functools import lru_cache
from typing import Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.web import RequestHandler

from simulator.errors import WechatError
from simulator.wechat import dump_json

HUGE_BYTES = 50 * 1024 * 1024
BLOCK = b"a" * 65_536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"


def error_body(error: WechatError, now: float) -> dict[str, Any]:
    """``{errcode, errmsg}``; the rid is three groups of eight hex digits, the first of them the time."""
    rid = f"{int(now) & 0xFFFFFFFF:08x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
    return {"errcode": error.errcode, "errmsg": f"{error.errmsg}, rid: {rid}"}


def send_json(handler: RequestHandler, body: dict[str, Any], content_type: str, status: int = 200) -> None:
    """A whole, honest reply."""
    handler.set_status(status, reason(status))
    handler.set_header("Content-Type", content_type)
    handler.finish(dump_json(body))


def send_html(handler: RequestHandler, status: int) -> str:
    """A page such as a proxy in between would answer; returns its text."""
    text = HTML.format(f"{status} {reason(status)}")
    handler.set_status(status, reason(status))
    handler.set_header("Content-Type", "text/html")
    handler.finish(None if status in (204, 304) else text)
    return text


async def send_truncated(handler: RequestHandler, data: bytes, content_type: str) -> str:
    """Announce the whole body, send half of it, close; returns the half."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n\r\n"
    half = data[: len(data) // 2]
    stream = take_stream(handler)
    with contextlib.suppress(StreamClosedError):
        await stream.write(head.encode() + half)
    stream.close()
    return half.decode(errors="replace")


async def send_huge(handler: RequestHandler) -> None:
    """Fifty megabytes of one JSON string, in blocks, until the other side has had enough."""
    handler.set_header("Content-Type", "application/json")
    handler.write('{"session_key":"')
    with contextlib.suppress(StreamClosedError):
        for _ in range(HUGE_BYTES // len(BLOCK)):
            handler.write(BLOCK)
            await handler.flush()
        handler.finish('"}')


def send_gzip_bomb(handler: RequestHandler) -> None:
    """A small body that unpacks to fifty megabytes."""
    handler.set_header("Content-Type", "application/json")
    handler.set_header("Content-Encoding", "gzip")
    handler.finish(gzip_bomb())


@lru_cache(maxsize=1)
def gzip_bomb() -> bytes:
    """Made once, when first asked for."""
    return gzip.compress(b'{"session_key":"' + b"a" * HUGE_BYTES + b'"}', compresslevel=1)


def drop(handler: RequestHandler, reset: bool = False) -> None:
    """End the connection without an answer: with FIN, or with RST."""
    stream = take_stream(handler)
    if reset and not stream.closed():
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    stream.close()


def take_stream(handler: RequestHandler) -> IOStream:
    """The bare connection; Tornado considers the request finished."""
    return handler.detach()


def reason(status: int) -> str:
    """The words beside a status, also of unknown ones."""
    return http.client.responses.get(status, "Unknown")
