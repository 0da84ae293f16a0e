"""A whole backend for tests: real services, a real socket, and the simulator as WeChat."""

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tornado.curl_httpclient import CurlAsyncHTTPClient
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from app.kaimen import Kaimen
from cli.compose import open_kaimen
from contract import check_reply
from core.clock import Clock
from core.settings import Settings, load_settings
from handlers.routes import make_application, make_server
from simulator import DEFAULT_APPS, Simulator

APPID = "wx0000000000000001"
OTHER_APPID = "wx0000000000000002"
OFFICIAL = "wx00000000000000a1"
WEBSITE = "wx00000000000000b1"
PASSWORD = "Open-Sesame-1"
MASTER_KEYS = "k1:" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


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

    own_url = ""  # what is called elsewhere is not held to the contract

    def __init__(self, kaimen: Kaimen, simulator: Simulator, clock: MovableClock, server: HTTPServer, url: str) -> None:
        self.kaimen = kaimen
        self.simulator = simulator
        self.clock = clock
        self.server = server
        self.url = self.own_url = url
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
            self.url + path,
            method=method,
            body=body,
            headers=sent,
            allow_nonstandard_methods=True,
            request_timeout=30,
            follow_redirects=False,
        )
        response = await self.http.fetch(request, raise_error=False)
        reply = Reply(response.code, response.headers, response.body.decode() if response.body else "")
        self._check(method, path, reply)
        return reply

    def _check(self, method: str, path: str, reply: Reply) -> None:
        """Every reply is as ``/openapi.json`` declares it; what another server answers is not looked at."""
        if self.url != self.own_url:
            return
        served = path.split("?")[0].removeprefix(self.kaimen.settings.path_prefix)
        body = reply.text if reply.body is None else reply.body
        check_reply(method, served, reply.status, reply.headers.get("Content-Type", ""), body)

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
    given = {
        "env": "development",
        "public_url": "http://kaimen.test",
        "database_url": store.database_url,
        "redis_url": store.redis_url,
        "master_keys": MASTER_KEYS,
        "wechat_api_url": wechat_url,
        "wechat_open_url": wechat_url,
        "wechat_mp_url": wechat_url,
        "apps": DEFAULT_APPS,
        "data_dir": Path(tempfile.gettempdir()) / "kaimen-data",
    }
    return load_settings(**{**given, **overrides})


@asynccontextmanager
async def running_backend(store: Store, simulator: Simulator, **overrides: Any) -> AsyncIterator[Backend]:
    """An instance on a free port, or ``on_port``; several may share a store of servers. ``public_url`` may name it."""
    clock = MovableClock()
    sockets = bind_sockets(overrides.pop("on_port", 0), "127.0.0.1")
    port = sockets[0].getsockname()[1]
    if "public_url" in overrides:
        overrides["public_url"] = overrides["public_url"].replace("{port}", str(port))
    async with AsyncExitStack() as stack:
        for one in sockets:
            stack.callback(one.close)
        settings = make_settings(store, overrides.pop("wechat_api_url", simulator.url), **overrides)
        kaimen = await stack.enter_async_context(open_kaimen(settings, clock))
        server = make_server(make_application(kaimen))
        server.add_sockets(sockets)
        backend = Backend(kaimen, simulator, clock, server, f"http://127.0.0.1:{port}")
        try:
            yield backend
        finally:
            await backend.close()
