"""One-time tickets: a session that began in one place is taken over in another, by compare-and-increment in SQL.

There is nothing to store: a ticket is a MAC over the id of its session, and a session whose generation is 0 was never
taken over. So what was redeemed stays redeemed, whatever Redis forgets.
"""

from core.errors import AppError, Code
from models import sessions, users
from models.db import Database, Tx
from models.refreshes import Refreshed

TTL_MS = 60_000


async def redeem(database: Database, session_id: str, at: int, ttl_ms: int) -> Refreshed:
    """The session at its first generation, for the first who asks within a minute; raises 4012 and 4034."""

    async def work(tx: Tx) -> Refreshed:
        session = (await sessions.lock_sessions(tx, [session_id])).get(session_id)
        if session is None or session.ended_at is not None or session.generation or at - session.created_at > TTL_MS:
            raise AppError(Code.REFRESH_INVALID, cause="the ticket was used, is too old, or its session has ended")
        user = (await users.find_users(tx, [session.user_id])).get(session.user_id)
        if user is None or user.disabled_at is not None:
            raise AppError(Code.ACCOUNT_DISABLED if user else Code.REFRESH_INVALID, user_id=session.user_id)
        session.generation, session.rotated_at = 1, at
        session.expires_at = min(at + ttl_ms, session.ends_at)
        await sessions.rotate_sessions(tx, [session])
        return Refreshed(session, user)

    return await database.run(work)
