"""Users as services see them and change them, over ``users``, ``identities`` and ``unionids``."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import AppError, Code
from models import audit, outbox, sessions, users
from models.db import Database, DuplicateKey, Tx, marks, text
from models.users import User

# A user that was merged is found as the one it became.
BY_COLUMN = "SELECT COALESCE(merged_into, id) FROM users WHERE {column} IN ({marks})"
BY_OPENID = "SELECT user_id FROM identities WHERE appid IN ({appids}) AND openid IN ({openids})"
SELECT_EXTERNAL = "SELECT id, external_id FROM users WHERE id IN ({ids})"
SELECT_IDENTITIES = "SELECT user_id, appid, openid FROM identities WHERE user_id IN ({ids}) ORDER BY bound_at, appid"
SELECT_UNIONIDS = "SELECT user_id, unionid FROM unionids WHERE user_id IN ({ids}) ORDER BY bound_at, unionid"
COLUMNS = {"ids": "id", "phones": "phone_index", "external_ids": "external_id"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A user with everything a service may know: identities as (appid, openid)."""

    user: User
    external_id: str | None
    identities: tuple[tuple[str, str], ...]
    unionids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change led to: the user's id (another one if it was merged) and the sessions that ended."""

    user_id: str
    ended: list[str]


async def find_ids(database: Database | Tx, by: str, values: Sequence[str]) -> list[str]:
    """The ids of the users with these ``ids``, ``phones`` (blind indexes) or ``external_ids``, ascending."""
    wanted = users.possible_ids(values) if by == "ids" else values
    if not wanted:
        return []
    sql = BY_COLUMN.format(column=COLUMNS[by], marks=marks(len(wanted)))
    return sorted({row[0] for row in await database.fetch(sql, wanted)})


async def find_ids_by_openid(database: Database, appids: Sequence[str], openids: Sequence[str]) -> list[str]:
    """The ids of the users with one of these openids in one of these apps, ascending."""
    if not appids:
        return []
    sql = BY_OPENID.format(appids=marks(len(appids)), openids=marks(len(openids)))
    return sorted({row[0] for row in await database.fetch(sql, [*appids, *openids])})


async def find_listed(database: Database, ids: Sequence[str]) -> list[Listed]:
    """These users, in the order of ``ids``; those that do not exist are left out."""
    found = await users.find_users(database, ids)
    if not found:
        return []
    external = {row[0]: row[1:] for row in await _of_users(database, SELECT_EXTERNAL, list(found))}
    identities = await _of_users(database, SELECT_IDENTITIES, list(found))
    unionids = await _of_users(database, SELECT_UNIONIDS, list(found))
    return [
        Listed(
            found[one],
            _decoded(external[one][0]) if one in external else None,
            tuple((str(text(appid)), str(text(openid))) for user_id, appid, openid in identities if user_id == one),
            tuple(str(text(unionid)) for user_id, unionid in unionids if user_id == one),
        )
        for one in ids
        if one in found
    ]


async def change_user(
    database: Database, user_id: str, wanted: dict[str, Any], actor: str, address: str, at: int
) -> Changed:
    """Writes ``roles`` (list), ``external_id`` or ``disabled`` where they differ, ends all sessions of a user that
    becomes disabled, and tells of it; one transaction. Raises 4040, and 4092 for an external id that is taken.
    """

    async def work(tx: Tx) -> Changed:
        ids = await find_ids(tx, "ids", [user_id])
        user = (await users.lock_users(tx, ids)).get(ids[0]) if ids else None
        if user is None:
            raise AppError(Code.NOT_FOUND)
        before = await _present(tx, user)
        changes = {name: value for name, value in wanted.items() if before[name] != value}
        if not changes:
            return Changed(user.id, [])
        await _write(tx, user, changes, at)
        await audit.insert_entries(tx, [_entry(name, changes, user.id, actor, address, at) for name in sorted(changes)])
        user.seq += 1
        ended = await sessions.end_within(tx, user, None, "disabled", at) if changes.get("disabled") else []
        return Changed(user.id, ended)

    try:
        return await database.run(work)
    except DuplicateKey:
        raise AppError(Code.IDENTITY_CONFLICT, field="externalId") from None


async def _present(tx: Tx, user: User) -> dict[str, Any]:
    rows = await tx.fetch(SELECT_EXTERNAL.format(ids=marks(1)), [user.id])
    external_id = _decoded(rows[0][1])
    return {"roles": list(user.roles), "external_id": external_id, "disabled": user.disabled_at is not None}


async def _write(tx: Tx, user: User, changes: dict[str, Any], at: int) -> None:
    columns = [_column(name, value, at) for name, value in changes.items()]
    sets = ", ".join(f"{column} = %s" for column, _ in columns)
    sql = f"UPDATE users SET {sets}, seq = seq + 1, updated_at = %s WHERE id = %s"
    await tx.execute(sql, [*(value for _, value in columns), at, user.id])
    data: dict[str, Any] = {"fields": outbox.public_names(changes)}
    data |= {"disabled": changes["disabled"]} if "disabled" in changes else {}
    await outbox.insert_events(tx, [outbox.Event(user.id, user.seq + 1, "user.updated", data, at)])


def _column(name: str, value: Any, at: int) -> tuple[str, Any]:
    if name == "disabled":
        return "disabled_at", at if value else None
    return name, json.dumps(value) if name == "roles" else value


def _entry(name: str, changes: dict[str, Any], user_id: str, actor: str, address: str, at: int) -> audit.Entry:
    if name == "disabled":
        return audit.Entry(at, "user.disabled" if changes[name] else "user.enabled", actor, user_id, address)
    detail = {"roles": changes[name]} if name == "roles" else {}  # an external id may tell who somebody is
    return audit.Entry(at, f"user.{name}", actor, user_id, address, detail)


async def _of_users(database: Database, sql: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
    return await database.fetch(sql.format(ids=marks(len(ids))), ids)


def _decoded(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
