"""Events out of the outbox and into the stream: all of them, in order, soon, by one process at a time."""

import asyncio
import time
from collections import Counter, defaultdict
from typing import Any

from backend import OTHER_APPID, PASSWORD, Backend, StartBackend, Store
from models.event_stream import append_events
from models.event_types import TYPES
from operators import kaimen
from rows import execute, fetch
from servers import Redis
from stream import Entry, kv_of, published_stream, read_stream, unpublished

TAKEOVER_S = 10.0


async def until_leading(backend: Backend, within_s: float = TAKEOVER_S) -> float:
    started = time.monotonic()
    async with asyncio.timeout(within_s):
        while not backend.kaimen.relay.leads:
            await asyncio.sleep(0.01)
    return time.monotonic() - started


def check_order(entries: list[Entry], *, repeats: bool = False) -> None:
    """Each user's events without a gap, in order; an id never twice, unless ``repeats`` are allowed."""
    seqs = defaultdict(list)
    if repeats:
        entries = list({entry["id"]: entry for entry in reversed(entries)}.values())[::-1]
    for entry in entries:
        seqs[entry["subject"]].append(entry["seq"])
    assert all(found == list(range(1, len(found) + 1)) for found in seqs.values())
    assert max(Counter(entry["id"] for entry in entries).values()) == 1


async def test_a_login_is_in_the_stream_as_the_contract_says(backend: Backend, store: Store) -> None:
    login = await backend.login("alice")
    created, session = await published_stream(backend, store)
    assert set(created) == {"id", "seq", "type", "occurredAt", "subject", "data"}
    assert (created["seq"], created["type"], created["subject"]) == (1, "user.created", login["user"]["id"])
    assert (session["seq"], session["type"]) == (2, "session.created")
    assert session["data"]["sessionId"] == login["sessionId"]
    assert session["occurredAt"] == login["user"]["lastLoginAt"]
    rows = await fetch(store, "SELECT id, published_at FROM outbox ORDER BY seq")
    assert [row[0] for row in rows] == [created["id"], session["id"]]


async def everything_happens(backend: Backend, store: Store) -> None:
    """What makes each type of event once at least."""
    alice = await backend.login("alice")
    token = alice["accessToken"]
    await backend.call("PATCH", "/api/user/info", {"nickname": "Alice", "avatarUrl": "https://a.example/a.png"}, token)
    await backend.call("POST", "/api/user/password", {"username": "alice1", "newPassword": PASSWORD}, token)
    backend.simulator.wechat.users.save({"name": "dora", "unionid": False})
    dora = await backend.login("dora")
    other = {"code": backend.wx_login("dora", OTHER_APPID), "appid": OTHER_APPID}
    await backend.call("POST", "/api/user/bind", other, dora["accessToken"])
    await backend.call("POST", "/api/auth/logout", {}, dora["accessToken"])
    bob = await backend.login("bob")
    ids = [one["user"]["id"] for one in (alice, bob)]
    assert (await kaimen(store, "users", "merge", *ids)).status == 0
    assert (await kaimen(store, "users", "unmerge", ids[1])).status == 0
    assert (await kaimen(store, "users", "disable", ids[1])).status == 0
    await published_stream(backend, store)  # what waits of a deleted user keeps ids only
    assert (await kaimen(store, "users", "delete", "--yes", ids[1])).status == 0


async def test_every_type_of_event_happens_and_holds_what_is_documented(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend = await start_backend(server_store)
    await everything_happens(backend, server_store)
    entries = await published_stream(backend, server_store)
    assert {entry["type"] for entry in entries} >= set(FROM_USERS)
    for entry in entries:
        fields, names = TYPES[entry["type"]], set(entry["data"])
        assert set(fields.always) <= names <= {*fields.always, *fields.sometimes}, entry
    check_order(entries)


FROM_USERS = [kind for kind in TYPES if kind.split(".")[0] in ("user", "session")]


async def test_no_field_of_an_event_is_a_value_of_a_profile(backend: Backend, store: Store) -> None:
    login = await backend.login("alice")
    change = {"nickname": "Äußerst geheim", "email": "alice@example.com"}
    await backend.call("PATCH", "/api/user/info", change, login["accessToken"])
    entries = await published_stream(backend, store)
    assert entries[-1]["data"] == {"fields": ["email", "nickname"]}
    openids = await fetch(store, "SELECT openid, unionid FROM identities")
    text = str(entries)
    assert not [value for value in (*openids[0], *change.values()) if value in text]


async def test_an_event_is_in_the_stream_soon_without_waiting_for_a_poll(backend: Backend, store: Store) -> None:
    await until_leading(backend)
    lags = []
    for _ in range(5):
        await asyncio.sleep(0.05)
        started = time.monotonic()
        before = len(await read_stream(kv_of(backend)))
        await backend.login("alice")
        while len(await read_stream(kv_of(backend))) == before:
            await asyncio.sleep(0.005)
        lags.append(time.monotonic() - started)
    assert sorted(lags)[2] < 0.5


async def test_what_another_instance_or_a_command_wrote_is_relayed_too(
    start_backend: StartBackend, server_store: Store
) -> None:
    first = await start_backend(server_store)
    await until_leading(first)
    second = await start_backend(server_store)
    lags = []
    for _ in range(5):
        started = time.monotonic()
        await second.login("alice")
        while await unpublished(server_store):
            await asyncio.sleep(0.005)
        lags.append(time.monotonic() - started)
    assert sorted(lags)[2] < 0.6  # a poll would take half a second on average beside the login
    assert second.kaimen.relay.leads is False
    assert (await kaimen(server_store, "users", "disable", (await second.login("alice"))["user"]["id"])).status == 0
    check_order(await published_stream(first, server_store))


async def test_many_logins_at_once_are_all_told_each_user_in_order(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend = await start_backend(server_store, rate_limits="off", max_sessions=3)
    for number in range(20):
        backend.simulator.wechat.users.save({"name": f"user{number}"})
    for _ in range(8):
        await asyncio.gather(*(backend.login(f"user{number}") for number in range(20)))
    entries = await published_stream(backend, server_store)
    check_order(entries)
    kinds = Counter(entry["type"] for entry in entries)
    assert kinds == {"user.created": 20, "session.created": 160, "session.revoked": 100}


async def test_a_second_instance_takes_over_when_the_first_stops_or_dies(
    start_backend: StartBackend, server_store: Store
) -> None:
    first, second = await start_backend(server_store), await start_backend(server_store)
    await until_leading(first)
    await first.kaimen.relay.stop()
    assert await until_leading(second) < TAKEOVER_S
    assert not first.kaimen.relay.leads
    third = await start_backend(server_store)
    task: Any = second.kaimen.relay._task
    task.cancel()  # as if it had died: the lease stays
    assert await until_leading(third) < TAKEOVER_S
    await third.login("alice")
    check_order(await published_stream(third, server_store))


async def test_a_relay_whose_lease_was_taken_stops(start_backend: StartBackend, server_store: Store) -> None:
    backend = await start_backend(server_store)
    await until_leading(backend)
    later = backend.clock.now_ms() + 4000
    await execute(server_store, "UPDATE leases SET holder = %s, held_until = %s", "f" * 32, later)
    await backend.login("alice")
    async with asyncio.timeout(5):
        while backend.kaimen.relay.leads:
            await asyncio.sleep(0.02)
    assert await unpublished(server_store) == 2
    await until_leading(backend)
    check_order(await published_stream(backend, server_store), repeats=True)


async def test_while_redis_is_away_events_wait_and_then_come_in_order(
    start_backend: StartBackend, mariadb: Any, server_store: Store
) -> None:
    with Redis() as redis:
        own = Store(server_store.database_url, redis.url)
        backend = await start_backend(own)
        await until_leading(backend)
        await backend.login("alice")
        await published_stream(backend, own)
        redis.stop()
        await backend.login("alice")
        await asyncio.sleep(0.3)
        assert await unpublished(own) == 1
        redis.start()
        entries = await published_stream(backend, own, within_s=15)
        assert [entry["seq"] for entry in entries][-3:] == [1, 2, 3]


async def test_the_stream_keeps_about_as_many_as_the_setting_says(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend = await start_backend(server_store, events_kept=1000)
    relay = backend.kaimen.relay
    assert relay._kept == 1000
    kv = kv_of(backend)
    for start in range(0, 5000, 200):
        await append_events(kv, [(f"{start + number}", 1, "t", "", "", "{}") for number in range(200)], 1000)
    assert 1000 <= await kv.run("XLEN", "kaimen:events") < 1200
