"""Counts over users, sessions and identities, for ``kaimen stats``."""

from collections.abc import Sequence
from typing import Any

from models.db import Database, Row, text

BUDGET_S = 60.0
COUNT_USERS = "SELECT COUNT(*) FROM users WHERE merged_into IS NULL"
COUNT_OPEN = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND expires_at > %s"
COUNT_SIGN_INS = (
    "SELECT auth_method, COUNT(*) FROM sessions WHERE created_at >= %s AND created_at < %s GROUP BY auth_method"
)
COUNT_IDENTITIES = "SELECT appid, kind, COUNT(*) FROM identities GROUP BY appid, kind ORDER BY appid"
COUNT_BCRYPT = "SELECT COUNT(*) FROM users WHERE password_hash LIKE %s"


async def count_users(database: Database, since: int | None = None) -> int:
    """All users, or those made since (ms)."""
    if since is None:
        return int((await _fetch(database, COUNT_USERS, []))[0][0])
    return int((await _fetch(database, COUNT_USERS + " AND created_at >= %s", [since]))[0][0])


async def count_disabled(database: Database) -> int:
    """Users who may not log in."""
    return int((await _fetch(database, COUNT_USERS + " AND disabled_at IS NOT NULL", []))[0][0])


async def count_bcrypt(database: Database) -> int:
    """Users whose imported bcrypt hash was not replaced yet."""
    return int((await _fetch(database, COUNT_BCRYPT, ["$2%"]))[0][0])


async def count_open_sessions(database: Database, now: int) -> int:
    """Sessions that could be refreshed now."""
    return int((await _fetch(database, COUNT_OPEN, [now]))[0][0])


async def count_sign_ins(database: Database, start: int, end: int) -> dict[str, int]:
    """Method → sign-ins between the two moments (ms)."""
    return dict(await _fetch(database, COUNT_SIGN_INS, [start, end]))


async def count_identities(database: Database) -> list[tuple[str, str, int]]:
    """(appid, kind, identities) for each app."""
    return [(str(text(appid)), kind, count) for appid, kind, count in await _fetch(database, COUNT_IDENTITIES, [])]


async def _fetch(database: Database, sql: str, args: Sequence[Any]) -> list[Row]:
    return await database.run(lambda tx: tx.fetch(sql, args), BUDGET_S)
