"""A session that has ended is refused everywhere within a second of the answer, whatever happens to Redis."""

import asyncio
import json
import time
from typing import Any

import pytest

from backend import Backend, StartBackend, Store
from core.clock import Clock
from models.db import open_database
from servers import Redis

RACES = 500
AT_ONCE = 25


async def refused_within(backend: Backend, token: str, limit_s: float = 1.0) -> float:
    """Seconds until the instance refuses the token; fails after ``limit_s``."""
    started = time.monotonic()
    async with asyncio.timeout(limit_s):
        while (await backend.get("/api/token/verify", token)).status == 204:
            await asyncio.sleep(0.01)
    return time.monotonic() - started


async def test_with_redis_an_instance_hears_of_a_logout_before_the_feed_brings_it(
    start_backend: StartBackend, server_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.auth.revocation.PERIOD_S", 60)
    monkeypatch.setattr("app.auth.revocation.FRESH_S", 120.0)
    one, two = await start_backend(server_store), await start_backend(server_store)
    await asyncio.sleep(0.2)  # both subscribed
    login = await one.login()
    assert (await two.get("/api/token/verify", login["accessToken"])).status == 204
    await one.call("POST", "/api/auth/logout", {}, login["accessToken"])
    assert await refused_within(two, login["accessToken"]) < 0.5


@pytest.mark.parametrize("deed", ["logout", "everywhere", "list", "reuse"])
async def test_the_feed_alone_refuses_within_a_second(
    start_backend: StartBackend, server_store: Store, deed: str
) -> None:
    with Redis() as redis:
        store = Store(server_store.database_url, redis.url)
        one, two = await start_backend(store), await start_backend(store)
        login = await one.login()
        assert (await two.get("/api/token/verify", login["accessToken"])).status == 204
        redis.kill()
        await end(one, login, deed)
        assert await refused_within(two, login["accessToken"]) < 1.0


async def end(backend: Backend, login: dict[str, Any], deed: str) -> None:
    token = login["accessToken"]
    if deed == "reuse":
        second = await backend.auth("autoLogin", refreshToken=login["refreshToken"])
        await backend.auth("autoLogin", refreshToken=second.data["refreshToken"])
        assert (await backend.auth("autoLogin", refreshToken=login["refreshToken"])).error == "refresh_reused"
    elif deed == "list":
        await backend.call("DELETE", f"/api/sessions/{login['sessionId']}", None, token)
    else:
        await backend.call("POST", "/api/auth/logout", {"all": deed == "everywhere"}, token)


async def test_a_revocation_outlives_an_emptied_redis_and_a_restart(
    start_backend: StartBackend, server_store: Store, redis_server: Redis
) -> None:
    one = await start_backend(server_store)
    login, kept = await one.login(), await one.login()
    await one.call("POST", "/api/auth/logout", {}, login["accessToken"])
    redis_server.flush()
    assert (await one.get("/api/token/verify", login["accessToken"])).status == 401
    later = await start_backend(server_store)
    assert (await later.get("/api/token/verify", login["accessToken"])).error == "session_revoked"
    assert (await later.get("/api/token/verify", kept["accessToken"])).status == 204


async def test_the_subscription_stands_again_after_redis_was_away(
    start_backend: StartBackend, server_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.auth.revocation.PERIOD_S", 60)
    monkeypatch.setattr("app.auth.revocation.FRESH_S", 120.0)
    with Redis() as redis:
        store = Store(server_store.database_url, redis.url)
        one, two = await start_backend(store), await start_backend(store)
        redis.kill()
        await asyncio.sleep(0.2)
        redis.start()
        async with asyncio.timeout(5):
            while True:  # until both are subscribed again
                login = await one.login()
                await one.call("POST", "/api/auth/logout", {}, login["accessToken"])
                await asyncio.sleep(0.1)
                if (await two.get("/api/token/verify", login["accessToken"])).status == 401:
                    break


async def test_five_hundred_races_of_revoke_against_refresh_leave_no_token_that_works(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = [await start_backend(server_store, max_sessions=1000, rate_limits="off") for _ in range(2)]
    tokens: list[str] = []
    refreshes: list[str] = []
    minted = 0
    for _ in range(0, RACES, AT_ONCE):
        logins = [await one.login() for _ in range(AT_ONCE)]
        pairs = [race(one, two, login, swap=bool(n % 2), ahead_s=n / 50) for n, login in enumerate(logins)]
        for login, (revoked, refreshed) in zip(logins, await asyncio.gather(*pairs), strict=True):
            assert revoked.status == 200
            assert refreshed.status == 200 or refreshed.error == "refresh_invalid"
            given = [login, refreshed.data] if refreshed.status == 200 else [login]
            minted += len(given) - 1
            tokens += [each["accessToken"] for each in given]
            refreshes += [each["refreshToken"] for each in given]
    await asyncio.sleep(1)
    for backend in (one, two):
        states = [(await backend.get("/api/token/verify", token)).error for token in tokens]
        assert set(states) == {"session_revoked"}
    errors = {(await two.auth("autoLogin", refreshToken=token)).error for token in refreshes}
    assert errors <= {"refresh_invalid", "refresh_reused"}
    assert 0 < minted < RACES, "both orders must have happened"


async def race(one: Backend, two: Backend, login: dict[str, Any], *, swap: bool, ahead_s: float) -> tuple[Any, Any]:
    """Both at once; now and then one has a head start, so that both orders happen on any machine."""
    revoke = asyncio.ensure_future(one.call("POST", "/api/auth/logout", {}, login["accessToken"]))
    if not swap:
        await asyncio.wait([revoke], timeout=ahead_s)
    refresh = asyncio.ensure_future(two.auth("autoLogin", refreshToken=login["refreshToken"]))
    return await revoke, await refresh


async def test_a_reuse_is_told_of_with_its_reason_even_between_rotations_of_one_second(
    backend: Backend, store: Store
) -> None:
    login = await backend.login()
    await end(backend, login, "reuse")
    database = open_database(store.database_url, Clock())
    rows = await database.fetch("SELECT data FROM outbox WHERE type = 'session.revoked'")
    ends = await database.fetch("SELECT end_reason FROM sessions")
    await database.close()
    assert [json.loads(row[0]) for row in rows] == [{"sessionId": login["sessionId"], "reason": "reused"}]
    assert [tuple(row) for row in ends] == [("reused",)]
