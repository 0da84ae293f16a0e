"""A browser and a phone that go through QR logins."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from backend import Backend, Reply

ORIGIN = "http://kaimen.test"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


async def create(backend: Backend, **body: Any) -> Reply:
    sent = {"channel": "page", **body}
    return await backend.call("POST", "/api/scan", sent, Origin=ORIGIN, User_Agent=CHROME)


@dataclass
class Page:
    """A browser page that shows a code; each call may go to another instance."""

    data: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.data["scanId"])

    @property
    def secret(self) -> str:
        return str(self.data["pollSecret"])

    async def poll(self, backend: Backend, secret: str | None = None, query: str = "") -> Reply:
        headers = {"X-Poll-Secret": self.secret if secret is None else secret}
        return await backend.get(f"/api/scan/{self.id}{query}", **headers)

    async def look(self, backend: Backend) -> Any:
        """The state as it is, whatever the pace: a version that cannot have passed, and no time to wait."""
        reply = await self.poll(backend, query="?wait=0&version=0")
        assert reply.status == 200, reply.text
        return reply.data

    async def redeem(self, backend: Backend, ticket: str, **body: Any) -> Reply:
        sent = {"pollSecret": self.secret, "ticket": ticket, **body}
        return await backend.call("POST", f"/api/scan/{self.id}/redeem", sent, Origin=ORIGIN, User_Agent=CHROME)


async def open_page(backend: Backend, **body: Any) -> Page:
    reply = await create(backend, **body)
    assert reply.status == 201, reply.text
    return Page(reply.data)


async def act(backend: Backend, page: Page, action: str, token: str, **body: Any) -> Reply:
    """What the phone does: scan, confirm, cancel."""
    return await backend.call("POST", f"/api/scan/{page.id}/{action}", body, token)


async def confirmed(backend: Backend, page: Page, token: str) -> str:
    """Scans and confirms; the ticket."""
    assert (await act(backend, page, "scan", token)).status == 200
    assert (await act(backend, page, "confirm", token)).status == 200
    return str((await page.look(backend))["ticket"])


@asynccontextmanager
async def socket(backend: Backend, path: str, **headers: str) -> AsyncIterator[WebSocketClientConnection]:
    """A WebSocket to a path, with the page's Origin unless told otherwise (empty: none)."""
    sent = {name.replace("_", "-"): value for name, value in {"Origin": ORIGIN, **headers}.items() if value}
    connection = await websocket_connect(HTTPRequest(backend.url.replace("http", "ws") + path, headers=sent))
    try:
        yield connection
    finally:
        connection.close()


async def hear(connection: WebSocketClientConnection, within_s: float = 5.0) -> Any:
    """The next message, or None when the other side has closed."""
    text = await asyncio.wait_for(connection.read_message(), within_s)
    return None if text is None else json.loads(text)


@asynccontextmanager
async def watching(backend: Backend, page: Page, version: int = 0) -> AsyncIterator[WebSocketClientConnection]:
    """A socket of the page that has said which scan is its own."""
    async with socket(backend, f"/api/scan/{page.id}/ws") as connection:
        await connection.write_message(json.dumps({"type": "AUTH", "pollSecret": page.secret, "version": version}))
        yield connection
