"""The inbox: a delivery is kept once, taken by one, finished once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from backend import Store
from core.clock import Clock
from models import inbox, pruning
from models.db import Database, Tx, open_database
from models.inbox import DEAD, DONE, AlreadyFinished, Delivery, Inbox

CLOCK = Clock()


@pytest.fixture
async def database(store: Store) -> AsyncIterator[Database]:
    opened = open_database(store.database_url, CLOCK)
    yield opened
    await opened.close()


def delivery(key: str, due_at: int = 0) -> Delivery:
    return Delivery(CLOCK.new_id(), "wechat:wx1", key, f"digest of {key}", "event", "sealed", due_at=due_at)


async def rows(database: Database, columns: str = "*") -> list[tuple[object, ...]]:
    return await database.fetch(f"SELECT {columns} FROM inbox ORDER BY id")


async def test_a_repeat_gets_the_first_delivery_and_no_row_of_its_own(database: Database) -> None:
    box = Inbox(database)
    first = replace(delivery("one"), answer="success")
    assert await box.put(first) is None
    repeated = await box.put(delivery("one"))
    assert repeated is not None
    assert (repeated.id, repeated.digest, repeated.answer) == (first.id, first.digest, "success")
    assert len(await rows(database)) == 1


async def test_of_ten_equal_deliveries_at_once_in_two_processes_one_is_new(database: Database, store: Store) -> None:
    other = open_database(store.database_url, CLOCK)
    boxes = [Inbox(database), Inbox(other)]
    outcomes = await asyncio.gather(*(boxes[number % 2].put(delivery("one")) for number in range(10)))
    await other.close()
    assert outcomes.count(None) == 1
    assert len(await rows(database)) == 1


async def test_the_same_key_from_two_sources_is_two_deliveries(database: Database) -> None:
    box = Inbox(database)
    assert await box.put(delivery("one")) is None
    assert await box.put(replace(delivery("one"), source="partner:acme")) is None


async def test_what_is_due_is_taken_by_one_of_many(database: Database, store: Store) -> None:
    other = open_database(store.database_url, CLOCK)
    box = Inbox(database)
    for number in range(5):
        await box.put(delivery(f"key {number}", due_at=10))
    taken = await asyncio.gather(*(inbox.claim_due(one, 20, 100, 10) for one in (database, other) * 3))
    await other.close()
    assert sorted(one.dedup_key for batch in taken for one in batch) == [f"key {number}" for number in range(5)]
    assert {one.attempts for batch in taken for one in batch} == {1}


async def test_a_claim_that_ran_out_is_taken_again(database: Database) -> None:
    await Inbox(database).put(delivery("one", due_at=10))
    assert len(await inbox.claim_due(database, 20, 100, 10)) == 1
    assert await inbox.claim_due(database, 99, 200, 10) == []
    (again,) = await inbox.claim_due(database, 100, 200, 10)
    assert again.attempts == 2


async def test_an_effect_that_shares_its_transaction_with_finish_happens_once(database: Database) -> None:
    one = delivery("one")
    await Inbox(database).put(one)

    async def work(tx: Tx) -> None:
        await tx.execute("INSERT INTO notes (name, value, written_at) VALUES (%s, %s, %s)", [CLOCK.new_id(), "", 0])
        await inbox.finish(tx, one.id, 5)

    outcomes = await asyncio.gather(*(database.run(work) for _ in range(4)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome] == [AlreadyFinished] * 3
    assert len(await database.fetch("SELECT 1 FROM notes")) == 1
    assert await rows(database, "state, body, ended_at") == [(DONE, None, 5)]


async def test_what_was_given_up_keeps_its_body_and_is_not_due(database: Database) -> None:
    one = delivery("one")
    await Inbox(database).put(one)
    await inbox.postpone(database, one.id, 50, "x" * 1000)
    await inbox.bury(database, one.id, 60, "wx_timeout")
    assert await rows(database, "state, body, cause") == [(DEAD, "sealed", "wx_timeout")]
    assert await inbox.claim_due(database, 100, 200, 10) == []
    await inbox.finish_later(database, one.id, 70)
    assert await rows(database, "state") == [(DEAD,)]


async def test_old_deliveries_are_pruned_unless_they_wait(database: Database) -> None:
    box = Inbox(database)
    await box.put(replace(delivery("old and done"), received_at=10, state=DONE))
    await box.put(replace(delivery("old and dead"), received_at=10, state=DEAD))
    await box.put(replace(delivery("old and waiting"), received_at=10))
    await box.put(replace(delivery("young and done"), received_at=90, state=DONE))
    what = pruning.PRUNABLE["callbacks"]
    assert await pruning.count_due(database, what, 50) == 2
    assert await pruning.delete_due(database, what, 50, 0, 100) == (2, None)
    left = {key.decode() if isinstance(key, bytes) else key for (key,) in await rows(database, "dedup_key")}
    assert left == {"old and waiting", "young and done"}


async def test_a_known_nonce_is_told_even_where_the_rest_is_new(database: Database, store: Store) -> None:
    other = open_database(store.database_url, CLOCK)
    boxes = [Inbox(database), Inbox(other)]
    made = [replace(delivery(f"key {number}"), nonce_key="nonce") for number in range(6)]
    outcomes = await asyncio.gather(*(boxes[number % 2].put(one) for number, one in enumerate(made)))
    await other.close()
    assert outcomes.count(None) == 1
    assert {one.nonce_key for one in outcomes if one} == {"nonce"}
    assert len(await rows(database)) == 1
    foreign = replace(delivery("key"), nonce_key="nonce", source="partner:acme")
    assert await Inbox(database).put(foreign) is None
