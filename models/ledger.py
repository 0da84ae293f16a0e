"""What tells that a database is the same as before and not an older copy, and what makes an older copy true again."""

from models import audit, notes
from models.db import Database, Tx, marks

MARK_NOTE = "ledger"  # ms; only ever rises
SELECT_DELETED = "SELECT at, user_id FROM audit WHERE at >= %s AND action = 'user.delete' ORDER BY at"
SELECT_USERS = "SELECT id FROM users WHERE id > %s AND merged_into IS NULL ORDER BY id LIMIT %s"
SELECT_OPEN = "SELECT id FROM sessions WHERE id > %s AND ended_at IS NULL ORDER BY id LIMIT %s"
CHUNK = 1000


async def find_mark(database: Database) -> int | None:
    """The mark that stands in the database; None before the first."""
    value = await notes.find_note(database, MARK_NOTE)
    return int(value) if value else None


async def raise_mark(database: Database, now: int, every_ms: int) -> int:
    """Raises the mark to ``now``, unless it was raised within ``every_ms``; returns what stands there then."""

    async def work(tx: Tx) -> int:
        before = int(await notes.lock_note(tx, MARK_NOTE) or 0)
        if now - before < every_ms:
            return before
        await notes.write_note(tx, MARK_NOTE, str(now), now)
        return now

    return await database.run(work)


async def find_deleted(database: Database, since: int) -> list[tuple[int, str]]:
    """When (ms) users were deleted, and the pseudonyms the audit has for them."""
    return [(at, pseudonym) for at, pseudonym in await database.fetch(SELECT_DELETED, [since])]


async def find_user_ids(database: Database, after: str) -> list[str]:
    """The next ids of users that are no aliases, in order."""
    return [row[0] for row in await database.fetch(SELECT_USERS, [after, CHUNK])]


async def end_every_session(database: Database, reason: str, at: int) -> int:
    """Ends all sessions in steps and returns how many; their tokens must be void already, for nobody is told."""
    ended, after = 0, ""
    while True:
        ids = [row[0] for row in await database.fetch(SELECT_OPEN, [after, CHUNK])]
        if not ids:
            return ended
        ended, after = ended + await _end(database, ids, reason, at), ids[-1]


async def note_restore(database: Database, actor: str, mark: int, detail: dict[str, int]) -> None:
    """The audit entry, and the mark from which on this database is the true one."""

    async def work(tx: Tx) -> None:
        await audit.insert_entries(tx, [audit.Entry(mark, "database.restored", actor, detail=detail)])
        await notes.write_note(tx, MARK_NOTE, str(mark), mark)

    await database.run(work)


async def _end(database: Database, ids: list[str], reason: str, at: int) -> int:
    sql = f"UPDATE sessions SET ended_at = %s, end_reason = %s WHERE id IN ({marks(len(ids))}) AND ended_at IS NULL"
    return await database.run(lambda tx: tx.execute(sql, [at, reason, *ids]))
