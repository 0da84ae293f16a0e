"""Faults that were found by attack, each with its test."""

import asyncio
import contextlib
import os
import signal
import sqlite3

import pytest

from backend import APPID, PASSWORD, Backend, StartBackend, Store
from core.clock import Clock
from models.db import open_database
from servers import MariaDB, Redis


async def test_an_aborted_upload_leaves_nothing_behind(start_backend: StartBackend, embedded_store: Store) -> None:
    backend = await start_backend(embedded_store)
    port = int(backend.url.rsplit(":", 1)[1])
    for _ in range(50):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + b"x" * 59_000)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(5):
        while waiting_handlers():
            await asyncio.sleep(0.02)
    assert await backend.kaimen.health.wait_idle(1)


def waiting_handlers() -> int:
    return sum("_execute" in repr(task) for task in asyncio.all_tasks())


async def test_sqlite_recovers_from_a_lock_that_outlasted_the_budget(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store)
    other = sqlite3.connect(embedded_store.database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = await backend.auth("login", code=backend.wx_login())
    other.execute("ROLLBACK")
    other.close()
    assert (refused.status, refused.error) == (503, "database_unavailable")
    async with asyncio.timeout(5):
        while (await backend.auth("login", code=backend.wx_login())).status != 200:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("value", ["-1", "1_0", "", "²", "9" * 5000, "2,3"])
async def test_a_content_length_that_is_no_number_is_refused(
    start_backend: StartBackend, embedded_store: Store, value: str
) -> None:
    backend = await start_backend(embedded_store)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(backend.url.rsplit(":", 1)[1]))
    writer.write(f"POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Length: {value}\r\n\r\n".encode("latin-1"))
    answer = await asyncio.wait_for(reader.read(12), 5)
    writer.close()
    assert answer == b"HTTP/1.1 400"


async def test_a_nickname_cut_inside_an_emoji_is_shown_with_a_replacement(backend: Backend) -> None:
    backend.simulator.wechat.users.save({"name": "cut", "nickname": "Cut"})
    login = await backend.login("cut")
    wechat = backend.simulator.wechat
    found = wechat.keys.find_version(APPID, "cut", "current")
    from simulator import crypto

    assert found
    iv = "AAAAAAAAAAAAAAAAAAAAAA=="
    mark = f'{{"appid":"{APPID}","timestamp":{int(wechat.clock())}}}'
    data = crypto.encrypt(found.value, iv, f'{{"nickName":"Cut\\ud83d","watermark":{mark}}}')
    reply = await backend.call("POST", "/api/user/decrypt", {"encryptedData": data, "iv": iv}, login["accessToken"])
    assert (reply.status, reply.data["nickName"]) == (200, "Cut\ufffd")


async def test_an_address_with_a_scope_is_stored_without_it(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, trusted_proxies=("127.0.0.1",))
    for hop in ("fe80::1%" + "x" * 200, "fe80::1%é"):
        body = {"action": "login", "code": backend.wx_login()}
        reply = await backend.call("POST", "/api/auth", body, X_Forwarded_For=hop)
        assert reply.status == 200


async def test_a_registration_never_joins_one_for_another_name(backend: Backend) -> None:
    code = backend.wx_login()
    first = await backend.auth("register", code=code, username="first", password=PASSWORD)
    second = await backend.auth("register", code=code, username="second", password=PASSWORD)
    assert (first.status, second.error) == (200, "wx_code_used")


async def test_the_kelvin_sign_is_no_letter_of_a_username(backend: Backend) -> None:
    await backend.auth("register", username="kate1", password=PASSWORD)
    assert (await backend.auth("login", username="\u212aate1", password=PASSWORD)).error == "wrong_credentials"


@pytest.mark.parametrize("nickname", ["\u3164", "\u2800\u2800", "\ufe0f"])
async def test_a_nickname_that_shows_nothing_is_refused(backend: Backend, nickname: str) -> None:
    login = await backend.login()
    reply = await backend.call("PATCH", "/api/user/info", {"nickname": nickname}, login["accessToken"])
    assert reply.status == 400


async def test_logout_revokes_the_token_of_a_session_that_has_expired(backend: Backend) -> None:
    login = await backend.login()
    database = backend.kaimen.auth._database

    async def expire(tx):  # type: ignore[no-untyped-def]
        await tx.execute("UPDATE sessions SET expires_at = 1")

    await database.run(expire)
    await backend.call("POST", "/api/auth/logout", {}, login["accessToken"])
    assert (await backend.get("/api/token/verify", login["accessToken"])).error == "session_revoked"


async def test_a_token_ends_no_later_than_a_shortened_life_allows(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    long_lived = await start_backend(embedded_store, access_ttl_s=86400)
    login = await long_lived.login()
    short = await start_backend(embedded_store, access_ttl_s=900)
    assert (await short.get("/api/token/verify", login["accessToken"])).status == 204
    short.clock.advance(931)
    assert (await short.get("/api/token/verify", login["accessToken"])).error == "token_expired"
    assert (await long_lived.get("/api/token/verify", login["accessToken"])).status == 204


async def test_the_feed_goes_on_after_an_error_it_did_not_expect(backend: Backend, store: Store) -> None:
    database = open_database(store.database_url, Clock())

    async def rename(one: str, other: str) -> None:
        async def work(tx):  # type: ignore[no-untyped-def]
            await tx.execute(f"ALTER TABLE {one} RENAME TO {other}")

        await database.run(work)

    await rename("revocations", "elsewhere")
    feed = backend.kaimen.guard._revocations
    async with asyncio.timeout(5):
        while feed.is_fresh:
            await asyncio.sleep(0.05)
    await rename("elsewhere", "revocations")
    async with asyncio.timeout(5):
        while not feed.is_fresh:
            await asyncio.sleep(0.05)
    await database.close()


async def test_a_database_that_hangs_keeps_nobody_waiting_for_others(
    start_backend: StartBackend, own_servers: tuple[MariaDB, Redis]
) -> None:
    mariadb, redis = own_servers
    backend = await start_backend(Store(mariadb.url, redis.url))
    login = await backend.login()
    codes = [backend.wx_login() for _ in range(320)]
    with contextlib.ExitStack() as resumed:
        assert mariadb.pid
        os.kill(mariadb.pid, signal.SIGSTOP)
        resumed.callback(os.kill, mariadb.pid, signal.SIGCONT)
        started = Clock().monotonic()
        calls = [backend.auth("login", code=code) for code in codes]
        calls += [backend.get("/api/user/info", login["accessToken"]) for _ in range(100)]
        replies = await asyncio.gather(*calls)
        took = Clock().monotonic() - started
    assert {reply.status for reply in replies} == {503}
    assert took < 7  # five batches of 1.8 s one after the other would be more
