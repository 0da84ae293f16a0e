"""Sessions as their user sees them, and the cap on how many there may be."""

import asyncio
import json
from typing import Any

from backend import PASSWORD, Backend, StartBackend, Store
from core.clock import Clock
from models.db import open_database

PHONE = (
    "Mozilla/5.0 (Linux; Android 14; PGT-AN10 Build/HONORPGT-AN10; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/116.0.0.0 Mobile Safari/537.36 XWEB/1160117 MicroMessenger/8.0.49.2600(0x28003156) "
    "MiniProgramEnv/android"
)
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


async def log_in(backend: Backend, user_agent: str = PHONE, user: str = "alice") -> dict[str, Any]:
    body = {"action": "login", "code": backend.wx_login(user)}
    reply = await backend.call("POST", "/api/auth", body, User_Agent=user_agent)
    return reply.data  # type: ignore[no-any-return]


async def list_of(backend: Backend, token: str) -> list[dict[str, Any]]:
    return (await backend.get("/api/sessions", token)).data["sessions"]  # type: ignore[no-any-return]


async def events_of(store: Store, kind: str) -> list[dict[str, Any]]:
    database = open_database(store.database_url, Clock())
    rows = await database.fetch("SELECT data FROM outbox WHERE type = %s ORDER BY seq", [kind])
    await database.close()
    return [json.loads(row[0]) for row in rows]


async def test_a_user_sees_each_session_with_device_address_and_last_use(backend: Backend) -> None:
    phone = await log_in(backend, PHONE)
    backend.clock.advance(60)
    browser = await log_in(backend, BROWSER)
    backend.clock.advance(60)
    await backend.auth("autoLogin", refreshToken=phone["refreshToken"])
    seen = await list_of(backend, phone["accessToken"])
    assert [(one["id"], one["device"], one["current"]) for one in seen] == [
        (phone["sessionId"], "WeChat 8.0 · PGT-AN10", True),
        (browser["sessionId"], "Chrome 142 · Windows", False),
    ]
    assert {one["address"] for one in seen} == {"127.0.0.1"}
    assert seen[0]["lastSeenAt"] > seen[1]["lastSeenAt"] == seen[1]["createdAt"] > seen[0]["createdAt"]


async def test_a_user_ends_a_session_of_the_list_and_its_tokens_with_it(backend: Backend) -> None:
    here, there = await log_in(backend), await log_in(backend, BROWSER)
    reply = await backend.call("DELETE", f"/api/sessions/{there['sessionId']}", None, here["accessToken"])
    assert reply.status == 200
    assert (await backend.get("/api/user/info", there["accessToken"])).error == "session_revoked"
    assert (await backend.auth("autoLogin", refreshToken=there["refreshToken"])).error == "refresh_invalid"
    assert [one["id"] for one in await list_of(backend, here["accessToken"])] == [here["sessionId"]]


async def test_a_session_of_somebody_else_cannot_be_told_from_one_that_does_not_exist(backend: Backend) -> None:
    alice, bob = await log_in(backend), await log_in(backend, user="bob")
    foreign = await backend.call("DELETE", f"/api/sessions/{bob['sessionId']}", None, alice["accessToken"])
    unknown = await backend.call("DELETE", f"/api/sessions/{'0' * 32}", None, alice["accessToken"])
    odd = await backend.call("DELETE", "/api/sessions/%27%20OR%201=1--", None, alice["accessToken"])
    for reply in (foreign, unknown, odd):
        reply.body.pop("requestId")
    assert foreign.body == unknown.body == odd.body
    assert foreign.error == "not_found"
    assert (await backend.get("/api/user/info", bob["accessToken"])).status == 200


async def test_the_oldest_session_gives_way_and_is_told_of(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, max_sessions=3)
    opened = [await log_in(backend) for _ in range(5)]
    states = [(await backend.get("/api/user/info", one["accessToken"])).status for one in opened]
    assert states == [401, 401, 200, 200, 200]
    told = await events_of(store, "session.revoked")
    assert told == [{"sessionId": one["sessionId"], "reason": "too_many"} for one in opened[:2]]
    assert [one["id"] for one in await list_of(backend, opened[4]["accessToken"])] == [
        one["sessionId"] for one in reversed(opened[2:])
    ]


async def test_sessions_that_have_expired_do_not_count_towards_the_cap(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, max_sessions=2)
    await log_in(backend)
    backend.clock.advance(8 * 86400)
    kept = [await log_in(backend) for _ in range(2)]
    assert await events_of(store, "session.revoked") == []
    assert {(await backend.auth("autoLogin", refreshToken=one["refreshToken"])).status for one in kept} == {200}


async def test_forty_logins_at_once_over_two_instances_leave_no_session_above_the_cap(
    start_backend: StartBackend, server_store: Store
) -> None:
    instances = [await start_backend(server_store, max_sessions=5) for _ in range(2)]
    await log_in(instances[0])
    opened = await asyncio.gather(*(log_in(instances[n % 2]) for n in range(40)))
    database = open_database(server_store.database_url, Clock())
    rows = await database.fetch("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL")
    feed = await database.fetch("SELECT COUNT(*) FROM revocations WHERE reason = 'too_many'")
    await database.close()
    assert (rows[0][0], feed[0][0]) == (5, 36)
    await asyncio.sleep(1)  # what the contract allows
    states = [(await instances[0].get("/api/token/verify", one["accessToken"])).status for one in opened]
    assert sorted(states) == [204] * 5 + [401] * 35


async def test_a_login_from_a_device_never_seen_is_told_of_once(backend: Backend, store: Store) -> None:
    for user_agent in (PHONE, PHONE, BROWSER, PHONE.replace("8.0.49", "8.0.50"), BROWSER.replace("142", "143")):
        await log_in(backend, user_agent)
    created = await events_of(store, "session.created")
    assert [one["newDevice"] for one in created] == [False, False, True, False, False]


async def test_the_first_device_of_a_new_user_is_not_news(backend: Backend, store: Store) -> None:
    await backend.auth("register", username="carol", password=PASSWORD)
    created = await events_of(store, "session.created")
    assert [(one["isNewUser"], one["newDevice"]) for one in created] == [(True, False)]
