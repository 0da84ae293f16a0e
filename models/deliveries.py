"""The ``deliveries`` table: what a webhook did not take, and what waits behind it; the rest leaves no rows.

Of each user's rows that are not dead, exactly one has a ``due_at``: the others wait for it, so that a webhook hears
of a user in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import uuid_utils

from models import webhooks
from models.db import Database, Tx, marks, rows_of
from models.publishing import Position, Told, hold_fast

COLUMNS = "id, webhook_id, event_id, user_id, seq, attempts, first_at, due_at, dead_at, outcome"
INSERT = f"INSERT INTO deliveries ({COLUMNS}) VALUES "
FAILED_AGAIN = (
    "attempts = NEW(attempts), first_at = NEW(first_at), due_at = NEW(due_at), dead_at = NULL, outcome = NEW(outcome)"
)
HELD_AGAIN = "dead_at = NULL"
SELECT_DUE = "SELECT user_id FROM deliveries WHERE webhook_id = %s AND due_at <= %s ORDER BY due_at LIMIT %s"
SELECT_NEXT = "SELECT MIN(due_at) FROM deliveries WHERE webhook_id = %s"
SELECT_CHAIN = (
    "SELECT d.id, d.attempts, d.first_at, o.id, o.user_id, o.seq, o.type, o.data, o.occurred_at "
    "FROM deliveries d JOIN outbox o ON o.id = d.event_id "
    "WHERE d.webhook_id = %s AND d.user_id = %s AND d.dead_at IS NULL ORDER BY d.seq LIMIT %s"
)
SELECT_HELD = "SELECT DISTINCT user_id FROM deliveries WHERE webhook_id = %s AND dead_at IS NULL AND user_id IN ({ids})"
SELECT_DEAD = (
    "SELECT w.name, d.event_id, d.user_id, d.seq, o.type, d.attempts, d.first_at, d.dead_at, d.outcome "
    "FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id LEFT JOIN outbox o ON o.id = d.event_id "
    "WHERE d.dead_at IS NOT NULL ORDER BY d.dead_at DESC, d.user_id, d.seq LIMIT %s"
)
OF_USER = "webhook_id = %s AND user_id = %s AND dead_at IS NULL"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that is tried again: its row, how often it was tried, and when for the first time (ms)."""

    id: str
    attempts: int
    first_at: int
    event: Told


@dataclass(frozen=True, slots=True)
class Failed:
    """An event that was not taken in its first attempt, when it is due again (ms), and the events behind it."""

    event: Told
    outcome: str
    first_at: int
    due_at: int
    behind: tuple[Told, ...] = ()
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Dead:
    """An event that was given up; ``type`` is None when the outbox no longer has it."""

    webhook: str
    event_id: str
    user_id: str
    seq: int
    type: str | None
    attempts: int
    first_at: int
    dead_at: int
    outcome: str


async def settle_window(
    database: Database,
    holder: str,
    webhook_id: str,
    steps: tuple[Position, Position],
    failed: Sequence[Failed],
    held: Sequence[Told],
    outcome: tuple[str, int] | None,
) -> None:
    """Notes what became of the events between two places; ``held`` are those whose users had others waiting.

    Raises ``LeaseLost``.
    """

    async def work(tx: Tx) -> None:
        await hold_fast(tx, holder)
        await _insert(tx, [_failed_row(webhook_id, one) for one in failed], FAILED_AGAIN)
        behind = [event for one in failed for event in one.behind]
        await _insert(tx, [_held_row(webhook_id, event) for event in [*held, *behind]], HELD_AGAIN)
        await webhooks.reach(tx, webhook_id, *steps)
        if outcome:
            await webhooks.note_outcome(tx, webhook_id, *outcome)

    await database.run(work)


async def find_due_users(database: Database, webhook_id: str, now: int, limit: int) -> list[str]:
    """The users of whom an event is to be tried again now, the longest due first."""
    return [row[0] for row in await database.fetch(SELECT_DUE, [webhook_id, now, limit])]


async def find_next_due(database: Database, webhook_id: str) -> int | None:
    """When something is due again (ms); None if nothing waits."""
    rows = await database.fetch(SELECT_NEXT, [webhook_id])
    return rows[0][0]  # type: ignore[no-any-return]


async def find_chain(database: Database, webhook_id: str, user_id: str, limit: int) -> list[Waiting]:
    """What waits of that user, in order."""
    rows = await database.fetch(SELECT_CHAIN, [webhook_id, user_id, limit])
    return [Waiting(row[0], row[1], row[2], Told(*row[3:])) for row in rows]


async def find_held(database: Database, webhook_id: str, user_ids: Sequence[str]) -> set[str]:
    """Which of these users have events waiting."""
    if not user_ids:
        return set()
    rows = await database.fetch(SELECT_HELD.format(ids=marks(len(user_ids))), [webhook_id, *user_ids])
    return {row[0] for row in rows}


async def settle_chain(
    database: Database,
    holder: str,
    webhook_id: str,
    user_id: str,
    done: Sequence[str],
    failed: Failed | None,
    dead: bool,
    now: int,
) -> None:
    """Notes what became of the events of a user that waited: ``done`` by id, one ``failed``, and ``dead`` if it is
    given up. Those that are left wait for the first of them. Raises ``LeaseLost``.
    """

    async def work(tx: Tx) -> None:
        await hold_fast(tx, holder)
        if done:
            await tx.execute(f"DELETE FROM deliveries WHERE id IN ({marks(len(done))})", done)
        if failed:
            await _note_failure(tx, webhook_id, failed, now if dead else None)
        await _drop_gone(tx, webhook_id, user_id)
        await _make_first_due(tx, webhook_id, user_id, failed.due_at if failed and not dead else now)

    await database.run(work)


async def find_dead(database: Database, limit: int) -> list[Dead]:
    """What was given up, the newest first."""
    return [Dead(*row) for row in await database.fetch(SELECT_DEAD, [limit])]


async def revive(database: Database, webhook_id: str, now: int) -> int:
    """Lets the webhook be told once more of what it was given up for; returns how many."""

    async def work(tx: Tx) -> int:
        sql = "SELECT DISTINCT user_id FROM deliveries WHERE webhook_id = %s AND dead_at IS NOT NULL"
        users = [row[0] for row in await tx.fetch(sql, [webhook_id])]
        sql = (
            "UPDATE deliveries SET dead_at = NULL, due_at = NULL, attempts = 0, first_at = %s "
            "WHERE webhook_id = %s AND dead_at IS NOT NULL"
        )
        count = await tx.execute(sql, [now, webhook_id])
        for user_id in users:
            await _drop_gone(tx, webhook_id, user_id)
            await _make_first_due(tx, webhook_id, user_id, now)
        return count

    return await database.run(work)


async def _note_failure(tx: Tx, webhook_id: str, failed: Failed, dead_at: int | None) -> None:
    sql = (
        "UPDATE deliveries SET attempts = %s, due_at = %s, dead_at = %s, outcome = %s "
        "WHERE webhook_id = %s AND event_id = %s"
    )
    due_at = None if dead_at else failed.due_at
    await tx.execute(sql, [failed.attempts, due_at, dead_at, failed.outcome, webhook_id, failed.event.id])


async def _drop_gone(tx: Tx, webhook_id: str, user_id: str) -> None:
    """What the outbox no longer keeps cannot be told any more."""
    sql = (
        f"SELECT id FROM deliveries WHERE {OF_USER} "
        "AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = deliveries.event_id)"
    )
    gone = [row[0] for row in await tx.fetch(sql, [webhook_id, user_id])]
    if gone:
        await tx.execute(f"DELETE FROM deliveries WHERE id IN ({marks(len(gone))})", gone)


async def _make_first_due(tx: Tx, webhook_id: str, user_id: str, due_at: int) -> None:
    rows = await tx.fetch(f"SELECT id FROM deliveries WHERE {OF_USER} ORDER BY seq LIMIT 1", [webhook_id, user_id])
    if rows:
        await tx.execute(f"UPDATE deliveries SET due_at = NULL WHERE {OF_USER}", [webhook_id, user_id])
        await tx.execute("UPDATE deliveries SET due_at = %s WHERE id = %s", [due_at, rows[0][0]])


async def _insert(tx: Tx, rows: list[tuple[object, ...]], again: str) -> None:
    if rows:
        lists, args = rows_of(rows)
        await tx.execute(INSERT + lists + tx.dialect.upsert("webhook_id, event_id", again), args)


def _failed_row(webhook_id: str, failed: Failed) -> tuple[object, ...]:
    event = failed.event
    times = (failed.attempts, failed.first_at, failed.due_at, None, failed.outcome)
    return uuid_utils.uuid7().hex, webhook_id, event.id, event.user_id, event.seq, *times


def _held_row(webhook_id: str, event: Told) -> tuple[object, ...]:
    waits = (0, 0, None, None, "")
    return uuid_utils.uuid7().hex, webhook_id, event.id, event.user_id, event.seq, *waits
