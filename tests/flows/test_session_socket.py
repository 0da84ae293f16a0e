"""``WS /api/session/ws``: a signed-in client hears what happens to its session."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from backend import Backend, StartBackend, Store
from handlers import websocket

ORIGIN = "http://kaimen.test"


@asynccontextmanager
async def socket(backend: Backend, path: str = "/api/session/ws", **headers: str) -> AsyncIterator[Any]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    url = backend.url.replace("http", "ws") + path
    connection = await websocket_connect(HTTPRequest(url, headers=sent))
    try:
        yield connection
    finally:
        connection.close()


async def hear(connection: WebSocketClientConnection, within_s: float = 5.0) -> Any:
    """The next message, or None when the other side has closed."""
    text = await asyncio.wait_for(connection.read_message(), within_s)
    return None if text is None else json.loads(text)


async def sign_in(connection: WebSocketClientConnection, token: str) -> Any:
    await connection.write_message(json.dumps({"type": "AUTH", "token": token}))
    return await hear(connection)


async def cookie_of(backend: Backend) -> str:
    body = {"action": "login", "code": backend.wx_login(), "cookie": True}
    reply = await backend.call("POST", "/api/auth", body, Origin=ORIGIN)
    return str(reply.headers.get_list("Set-Cookie")[0].split(";")[0])


async def test_a_client_is_told_of_its_logout_and_closed(backend: Backend) -> None:
    login = await backend.login()
    async with socket(backend) as connection:
        assert await sign_in(connection, login["accessToken"]) == {"type": "READY"}
        await backend.call("POST", "/api/auth/logout", {}, login["accessToken"])
        assert await hear(connection) == {"type": "LOGGED_OUT", "reason": "logout"}
        assert await hear(connection) is None
        assert connection.close_code == 4401


async def test_a_client_on_another_instance_is_told_at_once(start_backend: StartBackend, server_store: Store) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    login = await one.login()
    async with socket(two) as connection:
        await sign_in(connection, login["accessToken"])
        await one.call("PATCH", "/api/user/info", {"nickname": "阿丽"}, login["accessToken"])
        assert await hear(connection) == {"type": "USER_UPDATED"}
        await one.call("POST", "/api/auth/logout", {"all": True}, login["accessToken"])
        assert await hear(connection, within_s=1.0) == {"type": "LOGGED_OUT", "reason": "logout"}


async def test_others_hear_nothing_of_it(backend: Backend) -> None:
    alice, bob = await backend.login("alice"), await backend.login("bob")
    async with socket(backend) as connection:
        await sign_in(connection, bob["accessToken"])
        await backend.call("PATCH", "/api/user/info", {"nickname": "a"}, alice["accessToken"])
        await backend.call("POST", "/api/auth/logout", {}, alice["accessToken"])
        await backend.call("PATCH", "/api/user/info", {"nickname": "b"}, bob["accessToken"])
        assert await hear(connection) == {"type": "USER_UPDATED"}
        with pytest.raises(TimeoutError):
            await hear(connection, within_s=0.7)


async def test_a_page_of_ours_signs_in_by_its_cookie(backend: Backend) -> None:
    async with socket(backend, Origin=ORIGIN, Cookie=await cookie_of(backend)) as connection:
        assert await hear(connection) == {"type": "READY"}


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://kaimen.test.evil.example"])
async def test_a_foreign_page_is_refused_with_and_without_a_cookie(backend: Backend, origin: str) -> None:
    for headers in ({}, {"Cookie": await cookie_of(backend)}):
        with pytest.raises(HTTPClientError) as refused:
            async with socket(backend, Origin=origin, **headers):
                pass
        assert refused.value.code == 403


async def test_without_an_origin_a_cookie_does_not_count(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "AUTH_WITHIN_S", 0.2)
    async with socket(backend, Cookie=await cookie_of(backend)) as connection:
        assert await hear(connection) is None
        assert connection.close_code == 4401


@pytest.mark.parametrize(
    "message",
    ['{"type":"AUTH","token":"forged"}', '{"type":"AUTH"}', '{"type":"PING"}', "{", "[]", b"\xff\x00"],
    ids=["forged", "tokenless", "other", "cut", "list", "bytes"],
)
async def test_whatever_else_comes_first_closes_with_4401(backend: Backend, message: Any) -> None:
    async with socket(backend) as connection:
        await connection.write_message(message, binary=isinstance(message, bytes))
        assert await hear(connection) is None
        assert connection.close_code == 4401


async def test_a_silent_client_is_closed_with_4401(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    assert websocket.AUTH_WITHIN_S == 5
    monkeypatch.setattr(websocket, "AUTH_WITHIN_S", 0.1)
    async with socket(backend) as connection:
        assert await hear(connection) is None
        assert connection.close_code == 4401


async def test_a_session_that_ended_before_cannot_sign_in(backend: Backend) -> None:
    login = await backend.login()
    await backend.call("POST", "/api/auth/logout", {}, login["accessToken"])
    async with socket(backend) as connection:
        assert await sign_in(connection, login["accessToken"]) is None
        assert connection.close_code == 4401


async def test_a_message_over_four_kibibytes_closes_with_1009(backend: Backend) -> None:
    async with socket(backend) as connection:
        await connection.write_message("x" * 5 * 1024)
        assert await hear(connection) is None
        assert connection.close_code == 1009


async def test_a_token_in_the_url_is_refused(backend: Backend) -> None:
    token = (await backend.login())["accessToken"]
    with pytest.raises(HTTPClientError) as refused:
        async with socket(backend, f"/api/session/ws?token={token}"):
            pass
    assert refused.value.code == 400


async def test_the_twenty_first_socket_of_an_address_that_waits_is_refused_and_those_signed_in_do_not_count(
    backend: Backend,
) -> None:
    logins = [await backend.login(user) for user in ("alice", "bob")]
    waiting = [socket(backend) for _ in range(20)]
    opened = [await one.__aenter__() for one in waiting]
    with pytest.raises(HTTPClientError) as refused:
        async with socket(backend):
            pass
    assert refused.value.code == 429
    for connection, login in zip(opened, logins, strict=False):
        assert await sign_in(connection, login["accessToken"]) == {"type": "READY"}
    async with socket(backend) as connection:
        assert await sign_in(connection, logins[0]["accessToken"]) == {"type": "READY"}
    for one in waiting:
        await one.__aexit__(None, None, None)


async def test_a_session_has_five_sockets_at_most(backend: Backend) -> None:
    token = (await backend.login())["accessToken"]
    sockets = [socket(backend) for _ in range(6)]
    opened = [await one.__aenter__() for one in sockets]
    answers = [await sign_in(connection, token) for connection in opened]
    assert answers == [{"type": "READY"}] * 5 + [None]
    assert opened[5].close_code == 4429
    for one in sockets:
        await one.__aexit__(None, None, None)
    async with socket(backend) as connection:
        assert await sign_in(connection, token) == {"type": "READY"}


async def test_sockets_that_are_gone_are_forgotten(backend: Backend) -> None:
    hub: Any = backend.kaimen.session_hub
    token = (await backend.login())["accessToken"]
    for _ in range(3):
        async with socket(backend) as connection:
            await sign_in(connection, token)
        async with socket(backend):
            pass
    async with asyncio.timeout(2):
        while hub._all or hub._waiting or hub._of_session or hub._of_user:
            await asyncio.sleep(0.01)


async def test_a_process_that_stops_closes_its_sockets_with_1001(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store)
    login = await backend.login()
    async with socket(backend) as signed_in, socket(backend) as waiting:
        await sign_in(signed_in, login["accessToken"])
        backend.kaimen.session_hub.close()
        assert await hear(signed_in) is None
        assert await hear(waiting) is None
        assert (signed_in.close_code, waiting.close_code) == (1001, 1001)
