"""Retention: what is old enough goes, in small steps, by one process at a time; nothing else does."""

import asyncio
import time
from typing import Any

import pytest

from app.operations.retention import DAY_MS, LEASE, Pruner
from backend import MovableClock, StartBackend, Store, make_settings
from core.clock import Clock
from core.settings import Settings, SettingsInvalid, load_settings
from models import audit, leases
from models.db import Database, Tx, open_database, rows_of
from operators import kaimen

SESSION = (
    "INSERT INTO sessions (id, user_id, generation, refresh_key, auth_method, auth_at, created_at, rotated_at, "
    "expires_at, ends_at, ended_at, device, address) VALUES "
)
EVENT = "INSERT INTO outbox (id, user_id, seq, type, data, occurred_at, published_at) VALUES "
REVOCATION = "INSERT INTO revocations (session_id, revoked_at) VALUES "


async def insert(database: Database, head: str, rows: list[tuple[Any, ...]]) -> None:
    lists, args = rows_of(rows)
    await database.run(lambda tx: tx.execute(head + lists, args))


def session(name: str, created: int, expires: int, ended: int | None) -> tuple[Any, ...]:
    key = name.ljust(32, "0")
    return (key, "u" * 32, 0, "k", "wechat", created, created, created, expires, expires, ended, "", "")


async def fill(database: Database, now: int) -> None:
    """One row of each kind on either side of its limit."""

    def days(count: float) -> int:
        return now - int(count * DAY_MS)

    sessions = [
        session("ended-long-ago", days(60), days(53), days(31)),
        session("ended-lately", days(60), days(35), days(29)),
        session("expired-long-ago", days(60), days(30.1), None),
        session("expired-lately", days(60), days(29.9), None),
        session("old-and-alive", days(80), days(-1), None),
        session("revoked-long-ago-not-expired", days(36), days(-1), days(31)),
    ]
    await insert(database, SESSION, sessions)
    await insert(
        database,
        EVENT,
        [
            ("old", "u", 1, "t", "{}", days(8), days(7.1)),
            ("fresh", "u", 2, "t", "{}", days(8), days(6.9)),
            ("never-told", "u", 3, "t", "{}", days(300), None),
        ],
    )
    await insert(database, REVOCATION, [("old", days(1.1)), ("fresh", days(0.9))])
    entries = [audit.Entry(days(190.1), "old", "system"), audit.Entry(days(189.9), "fresh", "system")]
    await database.run(lambda tx: audit.insert_entries(tx, entries))


async def left(database: Database) -> dict[str, set[str]]:
    columns = {"audit": "action", "sessions": "id", "outbox": "id", "merges": "id", "revocations": "session_id"}
    columns["deliveries"] = "id"
    rows = {table: await database.fetch(f"SELECT {column} FROM {table}") for table, column in columns.items()}
    return {table: {row[0].rstrip("0") for row in found} for table, found in rows.items()}


async def test_each_table_keeps_what_is_younger_than_its_limit(store: Store) -> None:
    database, clock = open_database(store.database_url, Clock()), Clock()
    await fill(database, clock.now_ms())
    pruner = Pruner(database, clock, make_settings(store, "http://127.0.0.1:1"))
    due = {"audit": 1, "sessions": 3, "outbox": 1, "deliveries": 0, "callbacks": 0, "merges": 0, "revocations": 1}
    assert await pruner.count() == due
    assert await pruner.run_once() == due
    assert await left(database) == {
        "audit": {"fresh"},
        "sessions": {"ended-lately", "expired-lately", "old-and-alive"},
        "outbox": {"fresh", "never-told"},
        "deliveries": set(),
        "merges": set(),
        "revocations": {"fresh"},
    }
    assert await pruner.run_once() == dict.fromkeys(due, 0)
    await database.close()


async def test_the_command_counts_first_and_deletes_then(store: Store) -> None:
    database = open_database(store.database_url, Clock())
    await fill(database, Clock().now_ms())
    before = await left(database)
    planned = await kaimen(store, "prune", "--dry-run", "--json")
    assert await left(database) == before
    done = await kaimen(store, "prune", "--json", KAIMEN_RETENTION_DAYS="audit=365,outbox=365")
    await database.close()
    assert {row["table"]: row["rows"] for row in planned.rows} == {
        "audit": 1,
        "sessions": 3,
        "outbox": 1,
        "deliveries": 0,
        "callbacks": 0,
        "merges": 0,
        "revocations": 1,
        "avatars": 0,
    }
    assert {row["table"]: row["rows"] for row in done.rows} == {
        "audit": 0,
        "sessions": 3,
        "outbox": 0,
        "deliveries": 0,
        "callbacks": 0,
        "merges": 0,
        "revocations": 1,
        "avatars": 0,
    }


async def test_one_process_prunes_at_a_time_and_a_lease_that_ran_out_stops_nobody(store: Store) -> None:
    database, clock = open_database(store.database_url, Clock()), MovableClock()
    settings = make_settings(store, "http://127.0.0.1:1")
    assert await leases.hold_lease(database, LEASE, "f" * 32, clock.now_ms(), 300_000)
    assert await Pruner(database, clock, settings).run_once() is None
    busy = await kaimen(store, "prune")
    assert (busy.status, "another process is pruning" in busy.err) == (1, True)
    clock.advance(301)
    assert await Pruner(database, clock, settings).run_once() is not None
    await database.close()


async def test_of_many_who_ask_at_once_one_gets_the_lease(server_store: Store) -> None:
    database = open_database(server_store.database_url, Clock())
    asking = (leases.hold_lease(database, "race", f"{number:032}", 0, 1000) for number in range(10))
    assert sorted(await asyncio.gather(*asking)) == [False] * 9 + [True]
    await database.close()


async def test_logins_are_not_held_up_while_many_rows_are_pruned(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend = await start_backend(server_store)
    database, now = open_database(server_store.database_url, Clock()), Clock().now_ms()
    old = now - 200 * DAY_MS
    for start in range(0, 20_000, 2000):
        entries = [audit.Entry(old + start + number, "old", "system") for number in range(2000)]
        await database.run(lambda tx, entries=entries: audit.insert_entries(tx, entries), 30)  # type: ignore[misc]
    pruning = asyncio.create_task(Pruner(database, Clock(), backend.kaimen.settings).run_once())
    slowest = 0.0
    while not pruning.done():
        started = time.monotonic()
        await backend.login("alice")
        slowest = max(slowest, time.monotonic() - started)
    assert (await pruning or {})["audit"] == 20_000
    assert slowest < 1.0
    await database.close()


async def test_a_pruner_that_loses_its_lease_stops_between_two_steps(server_store: Store) -> None:
    database, clock = open_database(server_store.database_url, Clock()), Clock()
    entries = [audit.Entry(number, "old", "system") for number in range(1500)]
    await database.run(lambda tx: audit.insert_entries(tx, entries))

    async def take_over(tx: Tx) -> None:
        await tx.execute("UPDATE leases SET holder = %s WHERE name = %s", ["f" * 32, LEASE])

    taken: list[asyncio.Task[None]] = []

    def told(_table: str, _count: int) -> None:
        taken.append(asyncio.ensure_future(database.run(take_over)))

    pruner = Pruner(database, clock, make_settings(server_store, "http://127.0.0.1:1"))
    deleted = await pruner.run_once(told)
    await asyncio.gather(*taken)
    assert deleted is not None
    assert deleted["audit"] == 500
    await database.close()


@pytest.mark.parametrize("value", ["audit", "audit=0", "audit=-1", "audit=x", "users=3", "audit=99999", "audit=1.5"])
def test_a_retention_that_makes_no_sense_stops_the_start(value: str) -> None:
    with pytest.raises(SettingsInvalid, match="KAIMEN_RETENTION_DAYS"):
        load_settings(env="development", retention_days=value)


def test_what_retention_does_not_name_keeps_its_default() -> None:
    assert Settings(retention_days="sessions=5").retention == {
        "audit": 190,
        "sessions": 5,
        "outbox": 7,
        "callbacks": 7,
    }
