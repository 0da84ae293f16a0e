"""A stand-in for WeChat that costs next to nothing: jscode2session, and nothing else. ``python stand_in.py PORT``."""

import asyncio
import base64
import hashlib
import sys
from typing import Any

import uvloop

DELAY_S = 0.005


class StandIn(asyncio.Protocol):
    """The code `c-<n>-…` is user n's."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport: Any = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answer a whole request after the delay."""
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            code = self._received.partition(b"js_code=")[2].partition(b"&")[0].decode()
            self._received = b""
            asyncio.get_running_loop().call_later(DELAY_S, self._transport.write, session_of(code))


def session_of(code: str) -> bytes:
    """WeChat's reply to a code."""
    openid = f"o{code.split('-')[1]:0>27}"
    key = base64.b64encode(hashlib.md5(code.encode(), usedforsecurity=False).digest()).decode()
    body = f'{{"session_key":"{key}","openid":"{openid}"}}'
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def serve(port: int) -> None:
    """Until killed."""
    await asyncio.get_running_loop().create_server(StandIn, "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
