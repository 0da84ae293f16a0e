"""Users and sessions as operators look for them: filtered, newest first, without locks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models import users
from models.db import Database, Row, text
from models.users import User

BUDGET_S = 30.0  # a filter without an index looks at every row
SELECT_USER_IDS = "SELECT id FROM users"
SELECT_IDENTITIES = (
    "SELECT i.appid, i.kind, i.openid, i.bound_at FROM identities i WHERE i.user_id = %s ORDER BY i.bound_at"
)
SELECT_UNIONIDS = "SELECT unionid FROM unionids WHERE user_id = %s ORDER BY bound_at"
SELECT_EXTRA = "SELECT external_id, merged_into FROM users WHERE id = %s"
SELECT_SESSIONS = (
    "SELECT id, user_id, auth_method, appid, created_at, rotated_at, expires_at, ended_at, end_reason, device, address "
    "FROM sessions"
)


@dataclass(frozen=True, slots=True)
class UserFilter:
    """What to list; None is no condition. ``since`` in ms; ``name`` is part of the username or nickname."""

    name: str | None = None
    role: str | None = None
    appid: str | None = None
    disabled: bool | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user with what operators see beyond the profile; ``identities`` are (appid, kind, openid, bound_at)."""

    user: User
    external_id: str | None
    merged_into: str | None
    identities: list[tuple[str, str, str, int]]
    unionids: list[str]


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as listed; times in ms."""

    id: str
    user_id: str
    auth_method: str
    appid: str | None
    created_at: int
    rotated_at: int
    expires_at: int
    ended_at: int | None
    end_reason: str | None
    device: str
    address: str


async def list_users(database: Database, wanted: UserFilter, limit: int) -> list[User]:
    """The newest users that fit."""
    conditions, args = _conditions(wanted)
    where = " AND ".join(conditions) or "1 = 1"
    sql = f"{SELECT_USER_IDS} WHERE {where} ORDER BY created_at DESC, id DESC LIMIT {int(limit)}"
    ids = [row[0] for row in await _fetch(database, sql, args)]
    found = await users.find_users(database, ids)
    return [found[one] for one in ids if one in found]


async def find_user_ids(database: Database, word: str, phone_index: str) -> list[str]:
    """Whom a word may mean: the user of that id, external id or username; else those of that phone."""
    for column, value in (("id", word), ("external_id", word), ("username_key", users.username_key(word))):
        rows = await database.fetch(f"{SELECT_USER_IDS} WHERE {column} = %s", [value])
        if rows:
            return [rows[0][0]]
    rows = await database.fetch(f"{SELECT_USER_IDS} WHERE phone_index = %s ORDER BY id", [phone_index])
    return [row[0] for row in rows]


async def find_record(database: Database, user_id: str) -> UserRecord | None:
    """The user with identities and unionids."""
    user = (await users.find_users(database, [user_id])).get(user_id)
    if user is None:
        return None
    external_id, merged_into = (await database.fetch(SELECT_EXTRA, [user_id]))[0]
    bound = await database.fetch(SELECT_IDENTITIES, [user_id])
    unionids = await database.fetch(SELECT_UNIONIDS, [user_id])
    return UserRecord(
        user,
        external_id.decode() if isinstance(external_id, bytes) else external_id,
        merged_into,
        [(str(text(appid)), kind, str(text(openid)), at) for appid, kind, openid, at in bound],
        [str(text(row[0])) for row in unionids],
    )


async def list_sessions(
    database: Database, *, user_id: str | None, open_at: int | None, limit: int
) -> list[SessionRecord]:
    """The newest sessions, of one user if named; with ``open_at`` (ms) only those open then."""
    conditions = ["1 = 1"]
    args: list[Any] = []
    if user_id is not None:
        conditions.append("user_id = %s")
        args.append(user_id)
    if open_at is not None:
        conditions.append("ended_at IS NULL AND expires_at > %s")
        args.append(open_at)
    where = " AND ".join(conditions)
    sql = f"{SELECT_SESSIONS} WHERE {where} ORDER BY created_at DESC, id DESC LIMIT {int(limit)}"
    return [_session(row) for row in await _fetch(database, sql, args)]


def _conditions(wanted: UserFilter) -> tuple[list[str], list[Any]]:
    conditions = ["merged_into IS NULL"]
    args: list[Any] = []
    if wanted.name is not None:
        conditions.append("(username_key LIKE %s ESCAPE '!' OR nickname LIKE %s ESCAPE '!')")
        args += [_like(users.username_key(wanted.name)), _like(wanted.name)]
    if wanted.role is not None:
        conditions.append("roles LIKE %s ESCAPE '!'")
        args.append(_like(f'"{wanted.role}"'))
    if wanted.appid is not None:
        conditions.append("id IN (SELECT user_id FROM identities WHERE appid = %s)")
        args.append(wanted.appid)
    if wanted.disabled is not None:
        conditions.append(f"disabled_at IS {'NOT ' if wanted.disabled else ''}NULL")
    if wanted.since is not None:
        conditions.append("created_at >= %s")
        args.append(wanted.since)
    return conditions, args


def _like(part: str) -> str:
    for special in "!%_":
        part = part.replace(special, "!" + special)
    return f"%{part}%"


def _session(row: Row) -> SessionRecord:
    return SessionRecord(row[0], row[1], row[2], text(row[3]), *row[4:])


async def _fetch(database: Database, sql: str, args: Sequence[Any]) -> list[Row]:
    return await database.run(lambda tx: tx.fetch(sql, args), BUDGET_S)
