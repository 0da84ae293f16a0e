"""The ``inbox`` table: callbacks, written before they are answered and worked on after.

A delivery is ``waiting`` until its work is ``done``, or ``dead`` when it failed too often. ``due_at`` is a claim too:
whoever takes a waiting row moves it on by compare-and-set, so nobody else takes it until then, and a process that
died with it loses it then. An effect and ``finish`` in one transaction happen once, however often they are tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from models.batch import Batcher
from models.db import Database, Row, Tx, marks, rows_of, text

WAITING, DONE, DEAD = "waiting", "done", "dead"
COLUMNS = "id, source, dedup_key, digest, kind, body, answer, state, attempts, due_at, received_at, nonce_key"
SELECT = f"SELECT {COLUMNS} FROM inbox"
INSERT = f"INSERT INTO inbox ({COLUMNS}, cause) VALUES "
FINISH = "UPDATE inbox SET state = %s, ended_at = %s, body = NULL WHERE id = %s AND state = %s"
CLAIM = "UPDATE inbox SET due_at = %s, attempts = attempts + 1 WHERE id = %s AND state = %s AND due_at = %s"
POSTPONE = "UPDATE inbox SET due_at = %s, cause = %s WHERE id = %s AND state = %s"
BURY = "UPDATE inbox SET state = %s, ended_at = %s, cause = %s WHERE id = %s AND state = %s"
CAUSE_MAX = 255


class AlreadyFinished(Exception):
    """Another did this delivery's work: roll back, there is nothing left to do."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row; times in ms. ``source`` is ``wechat:<appid>``, ``wechatpay:<mchid>`` or ``partner:<name>``.

    ``dedup_key`` is the same for repeats, ``digest`` for the same content, ``nonce_key`` is never used twice (each up
    to 64 ASCII characters, hashes where they would tell who it is about). ``body`` is sealed; ``answer`` is what a
    repeat is told again.
    """

    id: str
    source: str
    dedup_key: str
    digest: str
    kind: str
    body: str | None = field(repr=False)
    answer: str = ""
    state: str = WAITING
    attempts: int = 0
    due_at: int = 0
    received_at: int = 0
    nonce_key: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What repeats have in common."""
        return self.source, self.dedup_key


class Inbox:
    """``await put(delivery)``: durable when it returns; deliveries that arrive together share a commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[Delivery, Delivery | None] = Batcher(self._commit, max_items=128, lanes=2)

    async def put(self, delivery: Delivery) -> Delivery | None:
        """None when it is new, else the delivery that it repeats, by nonce first. Raises 5001."""
        return await self._batcher.submit(delivery)

    async def close(self) -> None:
        """Waits for what is under way."""
        await self._batcher.close()

    async def _commit(self, items: list[Delivery]) -> Sequence[Delivery | None]:
        async def work(tx: Tx) -> list[Delivery | None]:
            nonces = [(item.source, item.nonce_key) for item in items if item.nonce_key]
            used = await _find(tx, "nonce_key", nonces)
            known = await find_deliveries(tx, [item.key for item in items])
            results: list[Delivery | None] = []
            new: list[Delivery] = []
            for item in items:
                found = used.get((item.source, item.nonce_key or "")) or known.get(item.key)
                results.append(found)
                if found is None:
                    known[item.key] = used[item.source, item.nonce_key or item.id] = item
                    new.append(item)
            await insert_deliveries(tx, new)
            return results

        return await self._database.run(work)


async def find_deliveries(source: Database | Tx, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Delivery]:
    """Those that exist among these (source, dedup_key)."""
    return await _find(source, "dedup_key", keys)


async def _find(source: Database | Tx, column: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Delivery]:
    where = " OR ".join([f"(source = %s AND {column} = %s)"] * len(keys))
    rows = await source.fetch(f"{SELECT} WHERE {where}", [part for key in keys for part in key]) if keys else []
    return {(one.source, getattr(one, column)): one for one in map(_delivery, rows)}


async def insert_deliveries(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    """New rows in one statement; raises ``DuplicateKey`` where one was faster: read again."""
    if deliveries:
        lists, args = rows_of((*_row(one), "") for one in deliveries)
        await tx.execute(INSERT + lists, args)


async def claim_due(database: Database, now: int, until: int, limit: int) -> list[Delivery]:
    """Waiting deliveries that are due, the oldest first; they are the caller's until ``until``."""

    sql = f"{SELECT} WHERE state = %s AND due_at <= %s ORDER BY due_at, id LIMIT {int(limit)}"
    due = [_delivery(row) for row in await database.fetch(sql, [WAITING, now])]

    async def work(tx: Tx) -> list[Delivery]:
        claimed = [one for one in due if await tx.execute(CLAIM, [until, one.id, WAITING, one.due_at])]
        return [replace(one, attempts=one.attempts + 1, due_at=until) for one in claimed]

    return sorted(await database.run(work), key=lambda one: one.id) if due else []


async def lock_waiting(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Those of them that still wait for their work, under locks until commit."""
    sql = f"SELECT id FROM inbox WHERE id IN ({marks(len(ids))}) AND state = %s ORDER BY id{tx.dialect.for_update}"
    return {row[0] for row in await tx.fetch(sql, [*sorted(ids), WAITING])}


async def finish_all(tx: Tx, ids: Sequence[str], at: int) -> None:
    """Marks work as done that ``lock_waiting`` let the caller do in this transaction."""
    if ids:
        where = f"id IN ({marks(len(ids))})"
        await tx.execute(f"UPDATE inbox SET state = %s, ended_at = %s, body = NULL WHERE {where}", [DONE, at, *ids])


async def finish(tx: Tx, delivery_id: str, at: int) -> None:
    """Marks the work as done in the transaction of its effect, and removes the body; raises ``AlreadyFinished``."""
    if not await tx.execute(FINISH, [DONE, at, delivery_id, WAITING]):
        raise AlreadyFinished


async def finish_later(database: Database, delivery_id: str, at: int) -> None:
    """The same after an effect that may be repeated; nothing if it is marked already."""

    async def work(tx: Tx) -> None:
        await tx.execute(FINISH, [DONE, at, delivery_id, WAITING])

    await database.run(work)


async def postpone(database: Database, delivery_id: str, due_at: int, cause: str) -> None:
    """It failed and is tried again at ``due_at``."""

    async def work(tx: Tx) -> None:
        await tx.execute(POSTPONE, [due_at, cause[:CAUSE_MAX], delivery_id, WAITING])

    await database.run(work)


async def bury(database: Database, delivery_id: str, at: int, cause: str) -> None:
    """It failed too often: kept, body and all, for an operator to look at."""

    async def work(tx: Tx) -> None:
        await tx.execute(BURY, [DEAD, at, cause[:CAUSE_MAX], delivery_id, WAITING])

    await database.run(work)


async def count_waiting(database: Database) -> int:
    """How many wait for their work."""
    return int((await database.fetch("SELECT COUNT(*) FROM inbox WHERE state = %s", [WAITING]))[0][0])


def _row(one: Delivery) -> Row:
    return (
        one.id,
        one.source,
        one.dedup_key,
        one.digest,
        one.kind,
        one.body,
        one.answer,
        one.state,
        one.attempts,
        one.due_at,
        one.received_at,
        one.nonce_key,
    )


def _delivery(row: Row) -> Delivery:
    values: list[Any] = list(row)
    for place in (2, 3, 11):  # bytes in MySQL
        values[place] = text(values[place])
    return Delivery(*values)
