"""A whole backend for tests: real services, a real socket, and the simulator as WeChat."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from tornado.curl_httpclient import CurlAsyncHTTPClient
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from app.kaimen import Kaimen
from cli.compose import open_kaimen
from core.clock import Clock
from core.settings import Settings, load_settings
from handlers.routes import make_application, make_server
from simulator import DEFAULT_APPS, Simulator

APPID = "wx0000000000000001"
OTHER_APPID = "wx0000000000000002"
PASSWORD = "Open-Sesame-1"


class MovableClock(Clock):
    """Real time plus what the test adds."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms

    def advance(self, seconds: float) -> None:
        self.ahead_ms += int(seconds * 1000)


@dataclass(frozen=True)
class Store:
    """The URLs of a database with all tables and of a Redis, both empty."""

    database_url: str
    redis_url: str


@dataclass
class Reply:
    """An HTTP reply; ``data`` and ``error`` are those of the envelope."""

    status: int
    headers: Any
    text: str
    body: Any = field(init=False)

    def __post_init__(self) -> None:
        is_json = "json" in self.headers.get("Content-Type", "")
        self.body = json.loads(self.text) if is_json and self.text else None

    @property
    def data(self) -> Any:
        return self.body["data"]

    @property
    def error(self) -> str | None:
        return self.body.get("error") if self.body else None


class Backend:
    """One instance of Kaimen and the client that calls it."""

    def __init__(self, kaimen: Kaimen, simulator: Simulator, clock: MovableClock, server: HTTPServer, url: str) -> None:
        self.kaimen = kaimen
        self.simulator = simulator
        self.clock = clock
        self.server = server
        self.url = url
        self.http = CurlAsyncHTTPClient(force_instance=True, max_clients=400)

    async def call(self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str) -> Reply:
        """``body``: an object becomes JSON, bytes and str go as they are; header names with _ for -."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict | list):
            body = json.dumps(body)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        if token:
            sent["Authorization"] = f"Bearer {token}"
        request = HTTPRequest(
            self.url + path, method=method, body=body, headers=sent, allow_nonstandard_methods=True, request_timeout=30
        )
        response = await self.http.fetch(request, raise_error=False)
        return Reply(response.code, response.headers, response.body.decode() if response.body else "")

    async def auth(self, action: str, **body: Any) -> Reply:
        return await self.call("POST", "/api/auth", {"action": action, **body})

    async def get(self, path: str, token: str | None = None, **headers: str) -> Reply:
        return await self.call("GET", path, None, token, **headers)

    def wx_login(self, user: str = "alice", appid: str = APPID) -> str:
        """What ``wx.login`` gives: a code."""
        return self.simulator.wechat.login(appid, user)

    async def login(self, user: str = "alice", **body: Any) -> dict[str, Any]:
        """The data of a login by code, which must succeed."""
        reply = await self.auth("login", code=self.wx_login(user, body.get("appid", APPID)), **body)
        assert reply.status == 200, reply.text
        return reply.data  # type: ignore[no-any-return]

    def count_calls(self, api: str) -> int:
        return self.simulator.calls.count(api)

    async def close(self) -> None:
        self.http.close()
        self.server.stop()
        await self.server.close_all_connections()


class StartBackend(Protocol):
    """Starts another instance over a store; settings as keyword arguments."""

    async def __call__(self, store: Store, **settings: Any) -> Backend: ...


def make_settings(store: Store, wechat_url: str, **overrides: Any) -> Settings:
    """Settings of a development instance over the store."""
    keys = "k1:" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    given = {
        "env": "development",
        "public_url": "http://kaimen.test",
        "database_url": store.database_url,
        "redis_url": store.redis_url,
        "master_keys": keys,
        "wechat_api_url": wechat_url,
        "apps": DEFAULT_APPS,
    }
    return load_settings(**{**given, **overrides})


@asynccontextmanager
async def running_backend(store: Store, simulator: Simulator, **overrides: Any) -> AsyncIterator[Backend]:
    """An instance on a free port; several may share a store of servers."""
    clock = MovableClock()
    settings = make_settings(store, overrides.pop("wechat_api_url", simulator.url), **overrides)
    async with open_kaimen(settings, clock) as kaimen:
        server, (listener, port) = make_server(make_application(kaimen)), bind_unused_port()
        server.add_socket(listener)
        backend = Backend(kaimen, simulator, clock, server, f"http://127.0.0.1:{port}")
        try:
            yield backend
        finally:
            await backend.close()
