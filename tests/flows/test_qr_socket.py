"""``WS /api/scan/{scanId}/ws``: who may open it, what it takes, what it tells, over instances and restarts."""

import asyncio
import json
import time
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from backend import Backend, StartBackend, Store
from handlers import websocket
from scan_client import act, confirmed, hear, open_page, socket, watching
from servers import Redis


async def types(connection: Any, count: int) -> list[tuple[str, int]]:
    heard = [await hear(connection) for _ in range(count)]
    return [(one["type"], one["version"]) for one in heard]


async def test_a_page_on_another_instance_than_the_phone_is_told_of_each_step_at_once(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    phone = await one.login()
    page = await open_page(two)
    async with watching(two, page) as browser:
        assert await types(browser, 1) == [("PENDING", 1)]
        for action, told in (("scan", ("SCANNED", 2)), ("confirm", ("LOGIN_SUCCESS", 3))):
            started = time.monotonic()
            await act(one, page, action, phone["accessToken"])
            assert await types(browser, 1) == [told]
            assert time.monotonic() - started < 0.5
        ticket = (await page.look(one))["ticket"]
        assert (await page.redeem(one, ticket)).status == 200
        assert await types(browser, 1) == [("REDEEMED", 4)]
        assert await hear(browser) is None
        assert browser.close_code == 1000


async def test_all_sockets_of_a_page_are_told_and_nobody_elses(backend: Backend) -> None:
    phone = await backend.login()
    page, other = await open_page(backend), await open_page(backend)
    async with watching(backend, page) as one, watching(backend, page) as two, watching(backend, other) as stranger:
        for browser in (one, two, stranger):
            await hear(browser)
        await act(backend, page, "scan", phone["accessToken"])
        await act(backend, other, "cancel", phone["accessToken"])
        assert [(await hear(browser))["type"] for browser in (one, two)] == ["SCANNED", "SCANNED"]
        assert (await hear(stranger))["type"] == "CANCELLED"


async def test_who_connects_again_is_told_how_it_stands_whatever_it_missed(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    phone = await one.login()
    page = await open_page(one)
    async with watching(one, page) as browser:
        assert await types(browser, 1) == [("PENDING", 1)]
    ticket = await confirmed(two, page, phone["accessToken"])
    async with watching(one, page, version=1) as browser:
        told = await hear(browser)
        assert (told["type"], told["version"], told["ticket"]) == ("LOGIN_SUCCESS", 3, ticket)


async def test_an_instance_that_stops_closes_its_sockets_with_1001_and_another_goes_on(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    phone = await two.login()
    page = await open_page(one)
    async with watching(one, page) as browser, socket(one, f"/api/scan/{page.id}/ws") as silent:
        await hear(browser)
        one.kaimen.scan_hub.close()
        assert (await hear(browser), await hear(silent)) == (None, None)
        assert (browser.close_code, silent.close_code) == (1001, 1001)
    await act(two, page, "scan", phone["accessToken"])
    async with watching(two, page, version=1) as browser:
        assert await types(browser, 1) == [("SCANNED", 2)]


async def test_a_socket_is_told_when_the_time_is_over_and_closed(backend: Backend) -> None:
    page = await open_page(backend)
    async with watching(backend, page) as browser:
        await hear(browser)
        backend.clock.advance(121)
        told = await hear(browser)
        assert (told["type"], told["version"], told["expiresIn"]) == ("EXPIRED", 2, 0)
        assert await hear(browser) is None


@pytest.mark.parametrize("origin", ["", "null", "https://evil.example", "http://kaimen.test.evil.example"])
async def test_a_foreign_origin_or_none_is_refused_before_the_handshake(backend: Backend, origin: str) -> None:
    page = await open_page(backend)
    with pytest.raises(HTTPClientError) as refused:
        async with socket(backend, f"/api/scan/{page.id}/ws", Origin=origin):
            pass
    assert refused.value.code == 403


async def test_an_allowed_origin_always_gets_101(backend: Backend) -> None:
    for scan_id in ("A" * 22, "x"):
        async with socket(backend, f"/api/scan/{scan_id}/ws") as connection:
            assert connection.close_code is None


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        "null",
        '{"type":"PING"}',
        '{"type":"AUTH"}',
        '{"type":"AUTH","pollSecret":7}',
        '{"type":"AUTH","pollSecret":"x","version":"1"}',
        '{"type":"AUTH","pollSecret":"x","version":true}',
        '{"type":"AUTH","type":"AUTH","pollSecret":"x"}',
        '{"type":"AUTH","pollSecret":"\\ud800"}',
        "[" * 4000,
        b"\xff\x00",
        b"",
    ],
    ids=str,
)
async def test_whatever_else_comes_first_closes_with_4401(
    start_backend: StartBackend, embedded_store: Store, message: Any
) -> None:
    backend = await start_backend(embedded_store)
    page = await open_page(backend)
    async with socket(backend, f"/api/scan/{page.id}/ws") as connection:
        await connection.write_message(message, binary=isinstance(message, bytes))
        assert await hear(connection) is None
        assert connection.close_code == 4401


async def test_a_binary_frame_with_the_right_words_is_taken_as_text(backend: Backend) -> None:
    page = await open_page(backend)
    async with socket(backend, f"/api/scan/{page.id}/ws") as connection:
        await connection.write_message(json.dumps({"type": "AUTH", "pollSecret": page.secret}).encode(), binary=True)
        assert (await hear(connection))["type"] == "PENDING"


async def test_what_is_said_after_the_first_message_is_passed_over(backend: Backend) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    async with watching(backend, page) as browser:
        await hear(browser)
        for message in ("{", "x" * 4000, json.dumps({"type": "AUTH", "pollSecret": "wrong"})):
            await browser.write_message(message)
        await act(backend, page, "scan", phone["accessToken"])
        assert (await hear(browser))["type"] == "SCANNED"


async def test_a_frame_of_five_kibibytes_closes_with_1009_before_and_after_auth(backend: Backend) -> None:
    page = await open_page(backend)
    async with socket(backend, f"/api/scan/{page.id}/ws") as silent, watching(backend, page) as browser:
        await hear(browser)
        for connection in (silent, browser):
            await connection.write_message("x" * 5 * 1024)
            assert await hear(connection) is None
            assert connection.close_code == 1009


async def test_a_silent_socket_is_closed_with_4401(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    assert websocket.AUTH_WITHIN_S == 5
    monkeypatch.setattr(websocket, "AUTH_WITHIN_S", 0.1)
    page = await open_page(backend)
    async with socket(backend, f"/api/scan/{page.id}/ws") as connection:
        assert await hear(connection) is None
        assert connection.close_code == 4401


async def test_a_scan_has_five_sockets_and_an_address_twenty(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store)
    pages = [await open_page(backend) for _ in range(4)]
    contexts = [watching(backend, page) for page in pages for _ in range(5)]
    opened = [await one.__aenter__() for one in contexts[:5]]
    assert [(await hear(one))["type"] for one in opened] == ["PENDING"] * 5
    async with watching(backend, pages[0]) as sixth:
        assert await hear(sixth) is None
        assert sixth.close_code == 4429
    opened += [await one.__aenter__() for one in contexts[5:]]
    with pytest.raises(HTTPClientError) as refused:
        async with socket(backend, f"/api/scan/{pages[0].id}/ws"):
            pass
    assert refused.value.code == 429
    for one in contexts:
        await one.__aexit__(None, None, None)
    hub: Any = backend.kaimen.scan_hub
    async with asyncio.timeout(2):
        while hub._all or hub._of_network or any(watch.listeners for watch in hub._watches.values()):
            await asyncio.sleep(0.01)


async def test_all_sockets_of_a_process_share_one_subscription(
    start_backend: StartBackend, server_store: Store, redis_server: Redis
) -> None:
    backend = await start_backend(server_store, rate_limits="off")
    pages = [await open_page(backend) for _ in range(10)]
    contexts = [watching(backend, page) for page in pages for _ in range(3)]
    for one in contexts:
        await hear(await one.__aenter__())
    with redis_server._client() as client:
        assert client.pubsub_numsub("kaimen:scans") == [(b"kaimen:scans", 1)]
    for one in contexts:
        await one.__aexit__(None, None, None)


async def test_an_instance_that_missed_the_confirmation_does_not_call_the_scan_expired(
    start_backend: StartBackend, server_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await start_backend(server_store)
    two = await start_backend(server_store, rate_limits="off")
    phone = await one.login()
    page = await open_page(one)
    assert (await page.poll(two)).data["state"] == "pending"
    monkeypatch.setattr(two.kaimen.scan_hub, "hear", lambda _word: None)
    one.clock.advance(100)
    ticket = await confirmed(one, page, phone["accessToken"])
    two.clock.advance(121)
    seen = (await page.poll(two)).data
    assert (seen["state"], seen["version"], seen["ticket"]) == ("confirmed", 3, ticket)
    one.clock.advance(21)
    assert (await page.redeem(one, ticket)).status == 200
