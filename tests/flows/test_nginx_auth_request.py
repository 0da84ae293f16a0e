"""``GET /api/token/verify`` behind a real nginx, configured by the very file the documentation shows."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from backend import Backend, Reply, StartBackend, Store
from nginx_server import Nginx
from servers import MariaDB

CONFIG = Path(__file__).parents[2] / "docs/examples/verify/nginx.conf"


class Upstream(RequestHandler):
    """A service that believes its headers, as it may behind nginx."""

    def prepare(self) -> None:
        names = ("X-User-Id", "X-Session-Id", "X-User-Roles")
        body = self.request.body.decode()
        seen = {name: self.request.headers.get_list(name) for name in names}
        status = int(self.get_query_argument("status", "200"))
        self.set_status(status)
        self.finish(json.dumps({"method": self.request.method, "body": body, **seen}))


@pytest.fixture
async def upstream() -> AsyncIterator[int]:
    server, (listener, port) = HTTPServer(Application([("/.*", Upstream)])), bind_unused_port()
    server.add_socket(listener)
    yield port
    server.stop()
    await server.close_all_connections()


@pytest.fixture
async def backend(start_backend: StartBackend, server_store: Store) -> Backend:
    return await start_backend(server_store)


@pytest.fixture
def nginx(backend: Backend, upstream: int) -> Iterator[Nginx]:
    locations = CONFIG.read_text().replace("http://127.0.0.1:8000", backend.url)
    locations = locations.replace("127.0.0.1:3000", f"127.0.0.1:{upstream}")
    assert str(upstream) in locations
    assert backend.url in locations
    with Nginx(f"server {{ listen 127.0.0.1:{{port}};\n{locations}\n}}") as server:
        yield server


async def ask(nginx: Nginx, backend: Backend, token: str | None = None, **headers: str) -> Reply:
    """Through nginx, with the client of the backend."""
    direct, backend.url = backend.url, nginx.url
    try:
        return await backend.get("/shop/cart", token, **headers)
    finally:
        backend.url = direct


async def test_a_good_token_reaches_the_service_with_who_it_is(nginx: Nginx, backend: Backend) -> None:
    login = await backend.login()
    reply = await ask(nginx, backend, login["accessToken"])
    seen = json.loads(reply.text)
    assert reply.status == 200
    assert (seen["X-User-Id"], seen["X-Session-Id"]) == ([login["user"]["id"]], [login["sessionId"]])


async def test_what_a_client_says_about_itself_is_overwritten(nginx: Nginx, backend: Backend) -> None:
    login = await backend.login()
    forged = {"X_User_Id": "admin", "X_User_Roles": "admin", "X_Session_Id": "x"}
    seen = json.loads((await ask(nginx, backend, login["accessToken"], **forged)).text)
    assert seen["X-User-Id"] == [login["user"]["id"]]
    assert "admin" not in str(seen)
    assert (await ask(nginx, backend, None, **forged)).status == 401


async def test_a_request_with_a_body_passes_whole(nginx: Nginx, backend: Backend) -> None:
    login = await backend.login()
    direct, backend.url = backend.url, nginx.url
    reply = await backend.call("POST", "/shop/cart", b"x" * 100_000, login["accessToken"])
    backend.url = direct
    assert json.loads(reply.text)["body"] == "x" * 100_000


async def test_without_a_good_token_the_answer_is_401_and_the_service_hears_nothing(
    nginx: Nginx, backend: Backend
) -> None:
    for token in (None, "forged", "eyJ.eyJ.x"):
        reply = await ask(nginx, backend, token)
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert "method" not in reply.text


async def test_a_logout_is_noticed_within_a_second(nginx: Nginx, backend: Backend) -> None:
    login = await backend.login()
    assert (await ask(nginx, backend, login["accessToken"])).status == 200
    await backend.call("POST", "/api/auth/logout", {}, login["accessToken"])
    async with asyncio.timeout(1):
        while (await ask(nginx, backend, login["accessToken"])).status != 401:
            pass


async def test_while_kaimen_is_away_the_answer_is_the_documented_503_and_not_500(
    nginx: Nginx, backend: Backend
) -> None:
    login = await backend.login()
    backend.server.stop()
    await backend.server.close_all_connections()
    reply = await ask(nginx, backend, login["accessToken"])
    assert (reply.status, reply.error, reply.body["code"]) == (503, "database_unavailable", 5001)
    assert reply.headers["Retry-After"] == "2"


async def test_while_kaimen_cannot_tell_the_answer_is_the_documented_503(
    nginx: Nginx, backend: Backend, mariadb: MariaDB
) -> None:
    login = await backend.login()
    mariadb.kill()
    try:
        await asyncio.sleep(1.2)  # the copy of the revocations counts for a second
        direct = await backend.get("/api/token/verify", login["accessToken"])
        reply = await ask(nginx, backend, login["accessToken"])
    finally:
        mariadb.start()
    assert (direct.status, direct.error) == (503, "database_unavailable")
    assert (reply.status, reply.error) == (503, "database_unavailable")


async def test_an_error_of_the_service_itself_stays_its_own(nginx: Nginx, backend: Backend) -> None:
    login = await backend.login()
    direct, backend.url = backend.url, nginx.url
    reply = await backend.get("/shop/cart?status=500", login["accessToken"])
    backend.url = direct
    assert (reply.status, json.loads(reply.text)["method"]) == (500, "GET")
