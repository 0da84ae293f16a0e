"""The order in which the outbox is read: of each user by seq, in strictly ascending batches, by one process."""

import asyncio
from typing import Any

import pytest

from backend import Store
from core.clock import Clock
from models import leases, publishing
from models.db import Database, Tx, open_database, rows_of
from models.publishing import LEASE, LeaseLost, Position

INSERT = "INSERT INTO outbox (id, user_id, seq, type, data, occurred_at) VALUES "
HOLDER, OTHER = "a" * 32, "b" * 32


async def write(database: Database, *events: tuple[str, str, int]) -> None:
    """(id, user, seq) each."""
    lists, args = rows_of((*event, "user.updated", "{}", 1000) for event in events)
    await database.run(lambda tx: tx.execute(INSERT + lists, args))


async def opened(store: Store) -> Database:
    database = open_database(store.database_url, Clock())
    await leases.hold_lease(database, LEASE, HOLDER, Clock().now_ms(), 60_000)
    return database


async def take(database: Database, limit: int = 100) -> list[tuple[str, int]]:
    return [(one.user_id, one.seq) for one in await publishing.find_unpublished(database, "", limit)]


async def test_an_event_whose_id_is_smaller_but_visible_later_is_not_passed_over(store: Store) -> None:
    database = await opened(store)
    await write(database, ("2", "u", 1))
    first = await publishing.find_unpublished(database, "", 100)
    await publishing.mark_published(database, HOLDER, [one.id for one in first], 5000)
    await write(database, ("1", "u", 2))
    assert [one.id for one in await publishing.find_unpublished(database, "", 100)] == ["1"]
    await database.close()


async def test_events_of_a_user_come_by_seq_whatever_their_ids_and_a_short_batch_cuts_at_the_end(store: Store) -> None:
    database = await opened(store)
    await write(database, ("9", "u1", 1), ("8", "u1", 2), ("7", "u2", 1), ("6", "u1", 3), ("5", "u3", 1))
    assert await take(database) == [("u1", 1), ("u1", 2), ("u1", 3), ("u2", 1), ("u3", 1)]
    assert await take(database, 2) == [("u1", 1), ("u1", 2)]
    from_there = await publishing.find_unpublished(database, "u2", 100)
    assert [one.user_id for one in from_there] == ["u2", "u3"]
    await database.close()


async def test_each_batch_is_published_after_the_one_before_even_when_the_clock_steps_back(store: Store) -> None:
    database = await opened(store)
    await write(database, ("1", "u1", 1), ("2", "u1", 2), ("3", "u0", 1))
    times = [await publishing.mark_published(database, HOLDER, [one], at) for one, at in (("1", 9), ("2", 9), ("3", 4))]
    assert times == [9, 10, 11]
    read = await publishing.find_published(database, Position(0), 100)
    assert [one.id for one in read] == ["1", "2", "3"]
    await database.close()


async def test_a_reader_goes_on_where_it_was_within_and_between_batches(store: Store) -> None:
    database = await opened(store)
    await write(database, *((f"{user}{seq}", user, seq) for user in ("ua", "ub") for seq in (1, 2, 3)))
    await publishing.mark_published(database, HOLDER, ["ub1", "ua1", "ua2", "ub2"], 100)
    await publishing.mark_published(database, HOLDER, ["ua3", "ub3"], 100)
    place, read = Position(0), []
    while page := await publishing.find_published(database, place, 2):
        read += [one.id for one in page]
        place = Position(page[-1].published_at or 0, page[-1].user_id, page[-1].seq)
    assert read == ["ua1", "ua2", "ub1", "ub2", "ua3", "ub3"]
    await database.close()


async def test_who_lost_the_lease_marks_nothing(store: Store) -> None:
    database = await opened(store)
    await write(database, ("1", "u", 1))
    for holder in (OTHER, ""):
        with pytest.raises(LeaseLost):
            await publishing.mark_published(database, holder, ["1"], 5000)
    await leases.release_lease(database, LEASE, HOLDER)
    with pytest.raises(LeaseLost):
        await publishing.mark_published(database, HOLDER, ["1"], 5000)
    assert await take(database) == [("u", 1)]
    await database.close()


async def test_batches_marked_at_once_never_share_a_time(server_store: Store) -> None:
    database = await opened(server_store)
    await write(database, *((f"{number:02}", f"u{number}", 1) for number in range(20)))
    marking = (publishing.mark_published(database, HOLDER, [f"{number:02}"], 7000) for number in range(20))
    times = await asyncio.gather(*marking)
    assert sorted(times) == list(range(7000, 7020))
    await database.close()


async def test_publishing_again_keeps_the_ids_and_forgets_dead_letters(store: Store) -> None:
    database = await opened(store)
    await write(database, ("1", "u", 1), ("2", "u", 2))
    await publishing.mark_published(database, HOLDER, ["1"], 5000)

    async def bury(tx: Tx) -> Any:
        lists, args = rows_of([("d", "w" * 32, "1", "u", 1, 3, 1, None, 9, "http_500")])
        columns = "id, webhook_id, event_id, user_id, seq, attempts, first_at, due_at, dead_at, outcome"
        return await tx.execute(f"INSERT INTO deliveries ({columns}) VALUES {lists}", args)

    await database.run(bury)
    assert await publishing.publish_again(database, ["1", "2"]) == 1
    assert await take(database) == [("u", 1), ("u", 2)]
    assert await database.fetch("SELECT id FROM deliveries") == []
    await database.close()


async def test_an_event_without_a_user_has_no_subject(store: Store) -> None:
    database = await opened(store)
    await write(database, ("1", "1", 0), ("2", "u", 1))
    found = await publishing.find_unpublished(database, "", 100)
    assert [(one.id, one.subject) for one in found] == [("1", None), ("2", "u")]
    await database.close()
