"""What has outlived its retention is deleted in small steps: found without a lock, deleted by primary key."""

from dataclasses import dataclass

from models.db import Database, Row, Tx, marks

SEARCH_S = 60.0  # a search may step over many rows that are still needed; it locks none of them


@dataclass(frozen=True, slots=True)
class Prunable:
    """A table, its key, the indexed time it is walked by, and when a row of it is due (one ``%s``: ms)."""

    table: str
    key: str
    walk: str
    due: str


# A session is over at its revocation, or when its refresh token was not used in time. It cannot have been over for
# longer than it exists, so the walk by created_at ends at the limit. Events nobody was told of are kept.
PRUNABLE = {
    "audit": Prunable("audit", "id", "at", "at < %s"),
    "sessions": Prunable("sessions", "id", "created_at", "COALESCE(ended_at, expires_at) < %s"),
    "outbox": Prunable("outbox", "id", "published_at", "published_at < %s"),
    "deliveries": Prunable("deliveries", "id", "dead_at", "dead_at < %s"),
    "callbacks": Prunable("inbox", "id", "received_at", "state <> 'waiting' AND received_at < %s"),
    "merges": Prunable("merges", "id", "merged_at", "merged_at < %s"),
    "revocations": Prunable("revocations", "session_id", "revoked_at", "revoked_at < %s"),
}


async def count_due(database: Database, what: Prunable, before: int) -> int:
    """How many rows are due."""
    sql = f"SELECT COUNT(*) FROM {what.table} WHERE {what.walk} < %s AND {what.due}"
    return int((await _search(database, sql, [before, before]))[0][0])


async def delete_due(database: Database, what: Prunable, before: int, since: int, limit: int) -> tuple[int, int | None]:
    """Deletes up to ``limit`` due rows from ``since`` on; returns how many, and where to go on (None: at the end)."""
    sql = (
        f"SELECT {what.key}, {what.walk} FROM {what.table} WHERE {what.walk} >= %s AND {what.walk} < %s "
        f"AND {what.due} ORDER BY {what.walk} LIMIT {int(limit)}"
    )
    rows = await _search(database, sql, [since, before, before])
    if rows:
        await _delete(database, what, [row[0] for row in rows])
    return len(rows), rows[-1][1] if len(rows) == limit else None


async def _search(database: Database, sql: str, args: list[int]) -> list[Row]:
    return await database.run(lambda tx: tx.fetch(sql, args), SEARCH_S)


async def _delete(database: Database, what: Prunable, keys: list[str]) -> None:
    async def work(tx: Tx) -> None:
        await tx.execute(f"DELETE FROM {what.table} WHERE {what.key} IN ({marks(len(keys))})", sorted(keys))

    await database.run(work)
