"""Audit entries and sign-ins as one stream in the order of time: the sessions table tells the sign-ins."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from models.db import Database, Row, text

BUDGET_S = 30.0
SELECT_AUDIT = "SELECT at, id, action, actor, user_id, address, detail FROM audit"
SELECT_SESSIONS = "SELECT created_at, id, auth_method, appid, user_id, address, device FROM sessions"


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the stream; ``at`` in ms, ``actor`` as in ``models.audit``."""

    at: int
    id: str
    action: str
    actor: str
    user_id: str | None
    address: str
    detail: dict[str, Any]


async def find_page(database: Database, after: tuple[int, str], user_id: str | None, limit: int) -> list[Told]:
    """The next entries after (ms, id), the oldest first; all users' unless one is named."""
    entries = await _read(database, SELECT_AUDIT, "at", after, user_id, limit, _entry)
    sign_ins = await _read(database, SELECT_SESSIONS, "created_at", after, user_id, limit, _sign_in)
    return sorted([*entries, *sign_ins], key=attrgetter("at", "id"))[:limit]


async def _read(
    database: Database,
    select: str,
    time: str,
    after: tuple[int, str],
    user_id: str | None,
    limit: int,
    build: Callable[[Row], Told],
) -> list[Told]:
    at, last_id = after
    sql, args = f"{select} WHERE {time} >= %s AND ({time} > %s OR id > %s)", [at, at, last_id]
    if user_id is not None:
        sql, args = sql + " AND user_id = %s", [*args, user_id]
    sql += f" ORDER BY {time}, id LIMIT {int(limit)}"
    return [build(row) for row in await database.run(lambda tx: tx.fetch(sql, args), BUDGET_S)]


def _entry(row: Row) -> Told:
    at, entry_id, action, actor, user_id, address, detail = row
    return Told(at, entry_id, action, actor, user_id, address, json.loads(detail))


def _sign_in(row: Row) -> Told:
    at, session_id, method, appid, user_id, address, device = row
    detail = {"method": method, "appid": text(appid), "session": session_id, "device": device}
    kept = {name: value for name, value in detail.items() if value}
    return Told(at, session_id, "sign_in", f"user:{user_id}", user_id, address, kept)
