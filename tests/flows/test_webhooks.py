"""Webhooks: signed, in order for each user, again until taken; a bad one holds up nobody else."""

import asyncio
import time
from typing import Any

from backend import StartBackend, Store
from core.observe import metrics
from rows import fetch
from stream import published_stream, unpublished
from webhooks import NETWORKS, add_webhook, received, seqs, until

DELIVERIES = "SELECT seq, attempts, due_at, dead_at, outcome FROM deliveries ORDER BY user_id, seq"


async def noted(store: Store, count: int) -> list[tuple[Any, ...]]:
    """The deliveries that are not over, once there are so many: what the sink has seen is noted a moment later."""
    async with asyncio.timeout(10):
        while len(rows := await fetch(store, DELIVERIES)) != count:
            await asyncio.sleep(0.02)
    return rows


async def refusal(store: Store) -> None:
    """Until a refusal is noted, with the time at which the event comes again."""
    async with asyncio.timeout(10):
        while not any(row[4] for row in await fetch(store, DELIVERIES)):
            await asyncio.sleep(0.02)


async def test_an_event_arrives_signed_with_what_the_stream_says(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, webhook_networks=NETWORKS)
    await add_webhook(backend, "one")
    login = await backend.login("alice")
    await until(lambda: len(received(backend, "one")) == 2)
    entries = await published_stream(backend, store)
    for got, entry in zip(received(backend, "one"), entries, strict=True):
        assert got.verified
        assert got.event == entry
        assert (got.id, got.headers["content-type"]) == (entry["id"], "application/json")
    assert {one.event["subject"] for one in received(backend, "one")} == {login["user"]["id"]}
    assert await noted(store, 0) == []


async def test_a_webhook_hears_of_what_was_published_after_it_was_added_and_of_its_types_only(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, webhook_networks=NETWORKS)
    await backend.login("alice")
    await published_stream(backend, store)
    await add_webhook(backend, "all")
    await add_webhook(backend, "some", "user.created", "user.deleted")
    await backend.login("alice")
    await backend.login("bob")
    await until(lambda: len(received(backend, "all")) == 3 and received(backend, "some"))
    assert [one.event["type"] for one in received(backend, "some")] == ["user.created"]


async def test_a_refused_event_comes_again_with_its_id_and_later_ones_of_the_user_wait_for_it(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, webhook_networks=NETWORKS)
    await add_webhook(backend, "one", status=500, times=1)
    alice = (await backend.login("alice"))["user"]["id"]
    await until(lambda: received(backend, "one", taken=False))
    refused = received(backend, "one", taken=False)[0]
    await backend.login("alice")
    bob = (await backend.login("bob"))["user"]["id"]
    await until(lambda: len(seqs(received(backend, "one"), bob)) == 2)
    assert seqs(received(backend, "one"), alice) == []
    waiting = await noted(store, 3)
    assert [(row[0], row[1], row[2] is None, row[4]) for row in waiting] == [
        (1, 1, False, "http_500"),
        (2, 0, True, ""),
        (3, 0, True, ""),
    ]
    backend.clock.advance(6)
    await until(lambda: len(seqs(received(backend, "one"), alice)) == 3)
    assert seqs(received(backend, "one"), alice) == [1, 2, 3]
    assert received(backend, "one")[-3].id == refused.id
    assert await noted(store, 0) == []


async def test_a_hanging_webhook_holds_up_neither_another_one_nor_logins(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, webhook_networks=NETWORKS)
    await add_webhook(backend, "slow", delayS=60.0)
    await add_webhook(backend, "good")
    await until(lambda: len(backend.kaimen.relay.webhooks) == 2)
    slowest = 0.0
    for user in ("alice", "bob", "carol") * 3:
        started = time.monotonic()
        await backend.login(user)
        slowest = max(slowest, time.monotonic() - started)
    await until(lambda: len(received(backend, "good")) == 12, within_s=5)
    assert slowest < 1.0
    assert received(backend, "slow") == []
    assert received(backend, "slow", taken=False)


async def test_a_webhook_that_takes_nothing_is_left_alone_and_catches_up_in_order(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend = await start_backend(server_store, webhook_networks=NETWORKS, rate_limits="off")
    await add_webhook(backend, "dead", status=503)
    users = []
    for number in range(12):
        backend.simulator.wechat.users.save({"name": f"user{number}"})
        users.append((await backend.login(f"user{number}"))["user"]["id"])
    await until(lambda: len(received(backend, "dead", taken=False)) >= 5)
    await asyncio.sleep(2.5)  # the time of a look and more
    tried = len(received(backend, "dead", taken=False))
    assert tried < 20
    await asyncio.gather(*(backend.login(f"user{number}") for number in range(12)))
    await asyncio.sleep(2.5)
    assert len(received(backend, "dead", taken=False)) <= tried + 1
    backend.simulator.sinks.set_up("dead", status=204)
    for _ in range(6):
        backend.clock.advance(20)
        await asyncio.sleep(1)
    await until(lambda: len({one.id for one in received(backend, "dead")}) == 36)
    for user_id in users:
        assert seqs(received(backend, "dead"), user_id) == [1, 2, 3]


async def test_an_event_refused_for_a_day_is_given_up_and_the_next_one_goes_on(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, webhook_networks=NETWORKS)
    await add_webhook(backend, "one", secret=None, status=400, times=2)
    await backend.login("alice")
    await refusal(store)
    backend.clock.advance(86_401)
    await until(lambda: len(received(backend, "one")) == 1)
    assert seqs(received(backend, "one")) == [2]
    rows = await noted(store, 1)
    assert [(row[0], row[1], row[2], row[3] is not None, row[4]) for row in rows] == [(1, 2, None, True, "http_400")]


async def test_a_redirect_is_a_refusal_and_is_not_followed(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, webhook_networks=NETWORKS)
    await add_webhook(backend, "one", status=302)
    await backend.login("alice")
    await until(lambda: received(backend, "one", taken=False))
    await asyncio.sleep(0.2)
    assert received(backend, "one-elsewhere", taken=False) == []
    assert [row[4] for row in await fetch(store, DELIVERIES)] == ["http_302", ""]


async def test_a_webhook_into_our_own_network_gets_nothing_unless_the_settings_name_it(
    start_backend: StartBackend, server_store: Store
) -> None:
    allowing = await start_backend(server_store, webhook_networks=NETWORKS)
    await add_webhook(allowing, "one")
    await allowing.kaimen.relay.stop()
    strict = await start_backend(server_store)
    await strict.login("alice")
    async with asyncio.timeout(10):
        while not (rows := await fetch(server_store, DELIVERIES)):
            await asyncio.sleep(0.05)
    assert rows[0][4] == "refused_address"
    assert received(strict, "one", taken=False) == []


async def test_a_second_instance_goes_on_where_the_first_one_was(
    start_backend: StartBackend, server_store: Store
) -> None:
    first = await start_backend(server_store, webhook_networks=NETWORKS)
    await add_webhook(first, "one")
    await first.login("alice")
    await until(lambda: len(received(first, "one")) == 2)
    await asyncio.sleep(0.3)  # for it to note how far it has come
    await first.kaimen.relay.stop()
    second = await start_backend(server_store, webhook_networks=NETWORKS)
    await second.login("alice")
    await until(lambda: len(received(first, "one")) == 3)
    assert seqs(received(first, "one")) == [1, 2, 3]


async def test_what_waits_of_a_user_who_is_deleted_keeps_ids_only(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, webhook_networks=NETWORKS)
    await add_webhook(backend, "one", status=500, times=1)
    login = await backend.login("alice")
    await refusal(store)
    assert (await backend.call("DELETE", "/api/user", None, login["accessToken"])).status == 200
    backend.clock.advance(6)
    await until(lambda: len(received(backend, "one")) == 3)
    kinds = [one.event["type"] for one in received(backend, "one")]
    assert kinds == ["user.created", "session.created", "user.deleted"]
    assert set(received(backend, "one")[1].event["data"]) <= {"sessionId", "appid"}
    assert await unpublished(store) == 0


async def test_metrics_tell_of_events_posts_and_a_webhook_that_takes_nothing(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store, webhook_networks=NETWORKS, rate_limits="off")
    events, good = metrics.EVENTS.value(), metrics.WEBHOOK_POSTS.value("counted", "ok")
    await add_webhook(backend, "counted")
    await add_webhook(backend, "broken", status=500)
    for number in range(6):
        backend.simulator.wechat.users.save({"name": f"user{number}"})
        await backend.login(f"user{number}")
    await until(lambda: len(received(backend, "counted")) == 12 and metrics.WEBHOOK_PAUSED.value("broken") == 1)
    assert metrics.EVENTS.value() - events == 12
    assert metrics.WEBHOOK_POSTS.value("counted", "ok") - good == 12
    assert metrics.WEBHOOK_POSTS.value("broken", "http_500") >= 5
    assert (metrics.RELAY.value(), metrics.RELAY_STALLED_S.value()) == (1, 0)
    assert metrics.WEBHOOK_PAUSED.value("counted") == 0
