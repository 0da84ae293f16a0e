"""The ``webhooks`` table: where events are posted to, and how far each has come."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from models import audit
from models.db import Database, DuplicateKey, Row, Tx, rows_of
from models.publishing import LAST_USER, Position, find_newest

COLUMNS = (
    "id, name, url, sealed, previous_sealed, previous_until, types, reached_at, reached_user, reached_seq, outcome, "
    "outcome_at, created_at"
)
SELECT = f"SELECT {COLUMNS} FROM webhooks ORDER BY name"
INSERT = (
    "INSERT INTO webhooks (id, name, url, sealed, types, reached_at, reached_user, reached_seq, created_at) VALUES "
)
REPLACE = (
    "UPDATE webhooks SET previous_sealed = sealed, previous_until = %s, sealed = %s WHERE name = %s AND sealed = %s"
)
SELECT_COUNTS = (
    "SELECT webhook_id, SUM(CASE WHEN dead_at IS NULL THEN 1 ELSE 0 END), "
    "SUM(CASE WHEN dead_at IS NULL THEN 0 ELSE 1 END) FROM deliveries GROUP BY webhook_id"
)
REACH = (
    "UPDATE webhooks SET reached_at = %s, reached_user = %s, reached_seq = %s "
    "WHERE id = %s AND reached_at = %s AND reached_user = %s AND reached_seq = %s"
)
BACK = "UPDATE webhooks SET reached_at = %s, reached_user = '', reached_seq = 0 WHERE id = %s"
NOTE = "UPDATE webhooks SET outcome = %s, outcome_at = %s WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A row; ``sealed`` and ``previous_sealed`` hold secrets, times are in ms, no ``types`` means all."""

    id: str
    name: str
    url: str
    sealed: str = field(repr=False)
    previous_sealed: str | None = field(repr=False)
    previous_until: int
    types: tuple[str, ...]
    reached: Position
    outcome: str
    outcome_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many events wait to be tried again, or behind one that does; and how many were given up."""

    waiting: int = 0
    dead: int = 0


async def find_webhooks(source: Database | Tx) -> list[Webhook]:
    """All of them, by name; there are few."""
    return [_webhook(row) for row in await source.fetch(SELECT)]


async def count_deliveries(database: Database) -> dict[str, Counts]:
    """Webhook id → what did not arrive."""
    return {row[0]: Counts(int(row[1]), int(row[2])) for row in await database.fetch(SELECT_COUNTS)}


async def insert_webhook(
    database: Database, webhook_id: str, name: str, url: str, sealed: str, types: Sequence[str], actor: str, at: int
) -> bool:
    """Stores a webhook that hears of what is published from now on; False if the name is taken."""

    async def work(tx: Tx) -> None:
        row = (webhook_id, name, url, sealed, json.dumps(list(types)), await find_newest(tx), LAST_USER, 0, at)
        lists, args = rows_of([row])
        await tx.execute(INSERT + lists, args)
        await audit.insert_entries(tx, [_entry(at, "webhook.added", actor, name)])

    try:
        await database.run(work)
    except DuplicateKey:
        return False
    return True


async def delete_webhook(database: Database, name: str, actor: str, at: int) -> bool:
    """Removes it with all that waits for it; False if there is none of that name."""

    async def work(tx: Tx) -> bool:
        rows = await tx.fetch("SELECT id FROM webhooks WHERE name = %s", [name])
        for (webhook_id,) in rows:
            await tx.execute("DELETE FROM webhooks WHERE id = %s", [webhook_id])
            await tx.execute("DELETE FROM deliveries WHERE webhook_id = %s", [webhook_id])
            await audit.insert_entries(tx, [_entry(at, "webhook.removed", actor, name)])
        return bool(rows)

    return await database.run(work)


async def replace_secret(database: Database, webhook: Webhook, sealed: str, until: int, actor: str, at: int) -> bool:
    """Another secret; the one before signs too until then (ms). False if it was replaced or removed meanwhile."""

    async def work(tx: Tx) -> bool:
        if not await tx.execute(REPLACE, [until, sealed, webhook.name, webhook.sealed]):
            return False
        await audit.insert_entries(tx, [_entry(at, "webhook.secret_rotated", actor, webhook.name)])
        return True

    return await database.run(work)


async def reach(tx: Tx, webhook_id: str, left: Position, reached: Position) -> None:
    """Everything up to there was delivered, or stands among the deliveries; unless an operator moved it meanwhile."""
    places = [value for place in (reached, left) for value in (place.at, place.user_id, place.seq)]
    await tx.execute(REACH, [*places[:3], webhook_id, *places[3:]])


async def send_back(database: Database, webhook: Webhook, at: int, actor: str, now: int) -> None:
    """Lets the webhook hear again of all that was published since ``at`` (ms)."""

    async def work(tx: Tx) -> None:
        await tx.execute(BACK, [at - 1, webhook.id])
        await audit.insert_entries(tx, [_entry(now, "webhook.sent_back", actor, webhook.name)])

    await database.run(work)


async def note_outcome(tx: Tx, webhook_id: str, outcome: str, at: int) -> None:
    """What its last answer was, for operators."""
    await tx.execute(NOTE, [outcome, at, webhook_id])


def _entry(at: int, action: str, actor: str, name: str) -> audit.Entry:
    return audit.Entry(at, action, actor, detail={"webhook": name})


def _webhook(row: Row) -> Webhook:
    typed = (tuple(json.loads(row[6])), Position(row[7], row[8], row[9]))
    return Webhook(*(*row[:6], *typed, *row[10:]))
