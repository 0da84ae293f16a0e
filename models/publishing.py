"""Reads the ``outbox`` for who tells others of it: what is unpublished, and what was published since.

Unpublished rows are taken by user and ``seq``, never by "id greater than the last": with concurrent commits id 2 can
be visible before id 1, while a user's events become visible in their order. ``published_at`` ascends strictly from
one batch to the next, so (published_at, user_id, seq) is an order in which nothing is ever put in behind a reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.db import Database, Tx, marks

LEASE = "relay"
BUDGET_S = 10.0
SKEW_MS = 60_000  # an event may seem to occur that much after its publication, where clocks differ
COLUMNS = "id, user_id, seq, type, data, occurred_at, published_at"
SELECT = f"SELECT {COLUMNS} FROM outbox"
SELECT_UNPUBLISHED = f"{SELECT} WHERE published_at IS NULL AND user_id >= %s ORDER BY user_id, seq LIMIT %s"
SELECT_PUBLISHED = (
    f"{SELECT} WHERE published_at >= %s AND (published_at > %s OR user_id > %s OR (user_id = %s AND seq > %s)) "
    "ORDER BY published_at, user_id, seq LIMIT %s"
)
SELECT_OLDEST = "SELECT MIN(occurred_at), COUNT(*) FROM outbox WHERE published_at IS NULL"
SELECT_NEWEST = "SELECT MAX(published_at) FROM outbox"
MARK = "UPDATE outbox SET published_at = %s WHERE published_at IS NULL AND id IN ({ids})"


class LeaseLost(Exception):
    """Another process relays now: whoever did so before stops."""


@dataclass(frozen=True, slots=True)
class Told:
    """A row of the outbox; ``data`` is JSON as stored, times in ms, ``seq`` 0 without a user."""

    id: str
    user_id: str
    seq: int
    type: str
    data: str
    occurred_at: int
    published_at: int | None = None

    @property
    def subject(self) -> str | None:
        """The user it concerns."""
        return self.user_id if self.seq else None


LAST_USER = "~"  # after every user id, which are hex


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order of publication: everything up to it is done."""

    at: int
    user_id: str = ""
    seq: int = 0


async def find_unpublished(database: Database, from_user: str, limit: int) -> list[Told]:
    """Events to publish, of the users from ``from_user`` on: of each user the oldest first, and none left out."""
    return [Told(*row) for row in await database.fetch(SELECT_UNPUBLISHED, [from_user, limit])]


async def find_published(database: Database, after: Position, limit: int) -> list[Told]:
    """What was published after that place, in its order."""
    args = [after.at, after.at, after.user_id, after.user_id, after.seq, limit]
    return [Told(*row) for row in await database.fetch(SELECT_PUBLISHED, args)]


async def mark_published(database: Database, holder: str, ids: Sequence[str], now: int) -> int:
    """Notes that these are told of; returns their ``published_at``. Raises ``LeaseLost``."""

    async def work(tx: Tx) -> int:
        await hold_fast(tx, holder)
        at = max(now, await find_newest(tx) + 1)
        await tx.execute(MARK.format(ids=marks(len(ids))), [at, *ids])
        return at

    return await database.run(work, BUDGET_S)


async def hold_fast(tx: Tx, holder: str) -> None:
    """Makes sure until commit that no other process relays; raises ``LeaseLost``."""
    sql = f"SELECT holder FROM leases WHERE name = %s{tx.dialect.for_update}"
    if await tx.fetch(sql, [LEASE]) != [(holder,)]:
        raise LeaseLost


async def find_newest(source: Database | Tx) -> int:
    """When the last batch was published, 0 if none is kept."""
    return int((await source.fetch(SELECT_NEWEST))[0][0] or 0)


async def find_waiting(database: Database) -> tuple[int | None, int]:
    """When the oldest unpublished event occurred (None: there is none), and how many wait."""
    oldest, count = (await database.fetch(SELECT_OLDEST))[0]
    return oldest, int(count)


async def find_events(
    database: Database, after: Position, *, until: int | None, user_id: str | None, types: Sequence[str], limit: int
) -> list[Told]:
    """For operators: what occurred after that place (its ``at`` is a time of occurrence) and before ``until`` (ms),
    the oldest first.
    """
    where, args = _chosen(after, until, user_id, types)
    sql = f"{SELECT} WHERE {where} ORDER BY occurred_at, user_id, seq LIMIT %s"
    rows = await database.run(lambda tx: tx.fetch(sql, [*args, limit]), BUDGET_S)
    return [Told(*row) for row in rows]


async def publish_again(database: Database, ids: Sequence[str]) -> int:
    """Lets these events be published once more, with the ids they have; returns how many had been."""
    those = marks(len(ids))

    async def work(tx: Tx) -> int:
        await tx.execute(f"DELETE FROM deliveries WHERE dead_at IS NOT NULL AND event_id IN ({those})", ids)
        sql = f"UPDATE outbox SET published_at = NULL WHERE published_at IS NOT NULL AND id IN ({those})"
        count = await tx.execute(sql, ids)
        tx.has_events = bool(count)
        return count

    return await database.run(work, BUDGET_S)


def _chosen(after: Position, until: int | None, user_id: str | None, types: Sequence[str]) -> tuple[str, list[Any]]:
    where = [
        "occurred_at >= %s AND (occurred_at > %s OR user_id > %s OR (user_id = %s AND seq > %s))",
        "(published_at IS NULL OR published_at >= %s)",
    ]
    args: list[Any] = [after.at, after.at, after.user_id, after.user_id, after.seq, after.at - SKEW_MS]
    for condition, given in (
        ("occurred_at < %s", [until] if until is not None else []),
        ("user_id = %s AND seq > 0", [user_id] if user_id else []),
        (f"type IN ({marks(len(types))})", types),
    ):
        if given:
            where.append(condition)
            args += given
    return " AND ".join(where), args
