"""Disabling and enabling a user: the change, its event and its audit entry in one transaction."""

from models import audit, outbox, users
from models.audit import Entry
from models.db import Database, Tx

UPDATE = "UPDATE users SET disabled_at = %s, seq = seq + 1, updated_at = %s WHERE id = %s"


async def set_disabled(database: Database, user_id: str, *, disabled: bool, actor: str, at: int) -> bool:
    """False if the user is gone or was so already; the caller ends the sessions of one disabled."""

    async def work(tx: Tx) -> bool:
        user = await users.lock_survivor(tx, user_id)
        if user is None or (user.disabled_at is not None) == disabled:
            return False
        await tx.execute(UPDATE, [at if disabled else None, at, user.id])
        data = {"fields": ["disabled"], "disabled": disabled}
        await outbox.insert_events(tx, [outbox.Event(user.id, user.seq + 1, "user.updated", data, at)])
        action = "user.disabled" if disabled else "user.enabled"
        await audit.insert_entries(tx, [Entry(at, action, actor, user.id)])
        return True

    return await database.run(work)
