"""The end of an account: one transaction after which nothing tells who the user was.

The rows of the user and its aliases, their identities, unionids, sessions, consents and devices are deleted. The
audit keeps what was done and when, under a pseudonym. Events that still wait keep ids only (payments stay whole);
``user.deleted`` is the last.
"""

import json
from collections.abc import Sequence
from typing import Any

from models import audit, avatars, outbox, sessions, users
from models.db import Database, Tx, marks

OF_A_USER = ("sessions", "identities", "unionids", "consents", "devices")
MONEY = ("payment.", "refund.")  # of which others must hear in full, and which say nothing of a person
EVENT_IDS = {"sessionId", "userId", "mergedUserId", "restoredUserId", "appid"}  # what an event may keep
ANONYMISE = (
    "UPDATE audit SET actor = CASE WHEN actor IN ({ids}) THEN %s ELSE actor END, user_id = %s, address = '', "
    "detail = '{{}}' WHERE user_id IN ({ids})"
)


async def delete_user(database: Database, user_id: str, pseudonym: str, actor: str | None, at: int) -> list[str] | None:
    """Deletes the user and its aliases; the sessions that ended, or None when there is no such user.

    ``pseudonym`` stands for the user in the audit; ``actor`` None means the user.
    """

    async def work(tx: Tx) -> list[str] | None:
        group = list((locked := await users.lock_with_aliases(tx, user_id)).values())
        if not group:
            return None
        user, ids = group[0], list(locked)
        await _strip_events(tx, ids)
        await users.note_change(tx, user, "user.deleted", {"userId": user.id}, at)
        ended = await _delete_rows(tx, ids, at)
        await _anonymise(tx, ids, pseudonym)
        entry = audit.Entry(at, "user.delete", actor or f"user:{pseudonym}", pseudonym)
        await audit.insert_entries(tx, [entry])
        return ended

    return await database.run(work)


async def _delete_rows(tx: Tx, ids: Sequence[str], at: int) -> list[str]:
    those = marks(len(ids))
    opened = await tx.fetch(f"SELECT id FROM sessions WHERE user_id IN ({those}) AND ended_at IS NULL", ids)
    ended = [row[0] for row in opened]
    await sessions.feed(tx, ended, at)
    for table in OF_A_USER:
        await tx.execute(f"DELETE FROM {table} WHERE user_id IN ({those})", ids)
    await avatars.disown(tx, ids, at)
    await tx.execute(f"DELETE FROM merges WHERE survivor_id IN ({those}) OR merged_id IN ({those})", [*ids, *ids])
    await tx.execute(f"DELETE FROM users WHERE id IN ({those})", ids)
    return ended


async def _strip_events(tx: Tx, ids: Sequence[str]) -> None:
    sql = f"SELECT id, data, type FROM outbox WHERE user_id IN ({marks(len(ids))})"
    for event_id, data, kind in await tx.fetch(sql, ids):
        if kind.startswith(MONEY):
            continue
        kept = outbox.dump({name: value for name, value in _loaded(data).items() if name in EVENT_IDS})
        if kept != data:
            await tx.execute("UPDATE outbox SET data = %s WHERE id = %s", [kept, event_id])


def _loaded(data: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(data)
    return loaded


async def _anonymise(tx: Tx, ids: Sequence[str], pseudonym: str) -> None:
    sql = ANONYMISE.format(ids=marks(len(ids)))
    actors = [f"user:{one}" for one in ids]
    await tx.execute(sql, [*actors, f"user:{pseudonym}", pseudonym, *ids])
