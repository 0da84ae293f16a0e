"""The door to the database: parameters, retries, and what a driver would do by itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend import Store
from core.clock import Clock
from core.errors import AppError, Code
from models.db import Database, DuplicateKey, Tx, open_database
from models.db.mysql import MySQL
from servers import MariaDB

CLOCK = Clock()


@pytest.fixture
async def database(store: Store) -> AsyncIterator[Database]:
    opened = open_database(store.database_url, CLOCK)
    yield opened
    await opened.close()


@pytest.fixture
async def mysql(server_store: Store) -> AsyncIterator[Database]:
    opened = open_database(server_store.database_url, CLOCK)
    yield opened
    await opened.close()


async def insert(tx: Tx, user_id: str, nickname: str = "") -> None:
    await tx.execute(
        "INSERT INTO users (id, nickname, created_at, updated_at) VALUES (%s, %s, 0, 0)", [user_id, nickname]
    )


@pytest.mark.parametrize("text", ["😀", "🍺", "'; DROP TABLE users; --", "%s", '\\"', "\u0000", "用户"])
async def test_any_text_comes_back_as_it_was_stored(database: Database, text: str) -> None:
    async def work(tx: Tx) -> list[Any]:
        await insert(tx, "u1", text)
        return await tx.fetch("SELECT nickname FROM users WHERE nickname = %s", [text])

    assert await database.run(work) == [(text,)]


async def test_every_character_of_the_basic_plane_comes_back_as_it_was_sent(database: Database) -> None:
    plane = [chr(number) for number in range(0x10000) if not 0xD800 <= number < 0xE000]
    texts = ["".join(plane[start : start + 1000]) for start in range(0, len(plane), 1000)]
    assert await database.fetch("SELECT " + ", ".join(["%s"] * len(texts)), texts) == [tuple(texts)]
    ends = [f"{left}x{right}" for left in "\\'\"%\0\n" for right in "\\'\"%\0\n"]
    assert await database.fetch("SELECT " + ", ".join(["%s"] * len(ends)), ends) == [tuple(ends)]


async def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    async def work(tx: Tx) -> None:
        await insert(tx, "u1")
        raise AppError(Code.FORBIDDEN)

    with pytest.raises(AppError):
        await database.run(work)
    assert await database.fetch("SELECT id FROM users") == []


async def test_a_duplicate_key_is_tried_again_and_then_told(database: Database) -> None:
    tries = []

    async def work(tx: Tx) -> None:
        tries.append(1)
        await insert(tx, "u1")
        await insert(tx, "u1")

    with pytest.raises(DuplicateKey):
        await database.run(work)
    assert len(tries) > 1
    assert await database.fetch("SELECT id FROM users") == []


async def test_opposite_locks_end_in_two_commits(mysql: Database) -> None:
    await mysql.run(lambda tx: insert(tx, "a"))
    await mysql.run(lambda tx: insert(tx, "b"))
    both_hold_one = asyncio.Barrier(2)
    first_round = {"ab": True, "ba": True}

    async def cross(order: str) -> None:
        async def work(tx: Tx) -> None:
            await tx.execute("UPDATE users SET seq = seq + 1 WHERE id = %s", [order[0]])
            if first_round.pop(order, False):
                await both_hold_one.wait()
            await tx.execute("UPDATE users SET seq = seq + 1 WHERE id = %s", [order[1]])

        await mysql.run(work)

    await asyncio.gather(cross("ab"), cross("ba"))
    assert await mysql.fetch("SELECT seq FROM users ORDER BY id") == [(2,), (2,)]


async def test_a_second_statement_in_one_call_is_refused(mysql: Database) -> None:
    with pytest.raises(Exception, match="SQL syntax"):
        await mysql.fetch("SELECT 1; SELECT 2")


async def test_a_number_never_matches_a_text_key(database: Database) -> None:
    await database.run(lambda tx: insert(tx, "alice"))
    assert await database.fetch("SELECT id FROM users WHERE id = %s", ["0"]) == []


async def test_a_statement_without_an_answer_ends_in_time(mysql: Database) -> None:
    started = CLOCK.monotonic()
    with pytest.raises(AppError) as refused:
        await mysql.fetch("SELECT SLEEP(30)")
    assert refused.value.code is Code.DATABASE_UNAVAILABLE
    assert CLOCK.monotonic() - started < 2.2
    assert await mysql.fetch("SELECT 1") == [(1,)]


@pytest.mark.parametrize("number", [1047, 1180, 1290, 1836])
async def test_a_connection_whose_server_refuses_to_work_is_not_kept(mysql: Database, number: int) -> None:
    before = await mysql.fetch("SELECT CONNECTION_ID()")
    assert await mysql.fetch("SELECT CONNECTION_ID()") == before
    with pytest.raises(AppError) as raised:
        await mysql.run(lambda tx: tx.execute(f"SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = {number}"))
    assert raised.value.code is Code.DATABASE_UNAVAILABLE
    assert await mysql.fetch("SELECT CONNECTION_ID()") != before


async def test_a_cancelled_caller_never_leaves_its_answer_to_another(mysql: Database) -> None:
    async def ask(number: int) -> int:
        return int((await mysql.fetch("SELECT %s + SLEEP(0.001)", [number]))[0][0])

    for _ in range(5):
        tasks = [asyncio.ensure_future(ask(number)) for number in range(40)]
        await asyncio.sleep(0.003)
        for task in tasks[::3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, result in enumerate(results):
            assert isinstance(result, asyncio.CancelledError) or result == number


async def test_tls_that_was_asked_for_but_is_not_offered_sends_no_password(mariadb: MariaDB) -> None:
    database = MySQL(mariadb.url + "?ssl=true", CLOCK)
    with pytest.raises(AppError) as refused:
        await database.fetch("SELECT 1")
    await database.close()
    assert refused.value.code is Code.DATABASE_UNAVAILABLE


async def test_keys_that_must_be_exact_are_compared_byte_by_byte(database: Database) -> None:
    async def work(tx: Tx) -> None:
        await tx.execute("INSERT INTO unionids (unionid, user_id, bound_at) VALUES ('uABC', 'a', 0)")
        await tx.execute("INSERT INTO unionids (unionid, user_id, bound_at) VALUES ('uabc', 'b', 0)")
        await tx.execute("INSERT INTO unionids (unionid, user_id, bound_at) VALUES ('uabc ', 'c', 0)")

    await database.run(work)
    assert await database.fetch("SELECT user_id FROM unionids WHERE unionid = %s", ["uabc"]) == [("b",)]
