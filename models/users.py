"""The ``users`` table: rows in and out, and the events that tell of their changes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import AppError, Code
from models import outbox
from models.db import Database, DuplicateKey, Row, Tx, marks, rows_of, text

COLUMNS = (
    "id, username, password_hash, nickname, avatar_url, phone_sealed, email, roles, disabled_at, seq, created_at, "
    "last_login_at"
)
SELECT = f"SELECT {COLUMNS} FROM users"
INSERT = (
    "INSERT INTO users (id, username, username_key, password_hash, seq, created_at, updated_at, last_login_at) VALUES "
)
COLUMNS_OF = {
    "nickname": ("nickname",),
    "avatar_url": ("avatar_url",),
    "email": ("email", "email_key"),
    "phone": ("phone_sealed", "phone_index"),
}


@dataclass(slots=True)
class User:
    """A row of ``users``; times in ms, ``phone_sealed`` and ``password_hash`` never leave the server."""

    id: str
    username: str | None = None
    password_hash: str | None = None
    nickname: str = ""
    avatar_url: str = ""
    phone_sealed: str | None = None
    email: str | None = None
    roles: tuple[str, ...] = ()
    disabled_at: int | None = None
    seq: int = 0
    created_at: int = 0
    last_login_at: int | None = None


def username_key(username: str) -> str:
    """What makes two usernames the same: ASCII without case."""
    return username.lower()


async def find_users(source: Database | Tx, ids: Sequence[str]) -> dict[str, User]:
    """The users that exist among these ids."""
    if not ids:
        return {}
    rows = await source.fetch(f"{SELECT} WHERE id IN ({marks(len(ids))})", ids)
    return {row[0]: _user(row) for row in rows}


async def lock_users(tx: Tx, ids: Iterable[str]) -> dict[str, User]:
    """The same under a lock until commit; always in the order of ids, so that two of us never deadlock."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    sql = f"{SELECT} WHERE id IN ({marks(len(wanted))}) ORDER BY id{tx.dialect.for_update}"
    return {row[0]: _user(row) for row in await tx.fetch(sql, wanted)}


async def find_by_username(database: Database, username: str) -> User | None:
    """The user of that name, whatever its case."""
    rows = await database.fetch(f"{SELECT} WHERE username_key = %s", [username_key(username)])
    return _user(rows[0]) if rows else None


async def find_username_keys(tx: Tx, keys: Sequence[str]) -> set[str]:
    """Which of these folded usernames are taken."""
    if not keys:
        return set()
    sql = f"SELECT username_key FROM users WHERE username_key IN ({marks(len(keys))})"
    return {str(text(row[0])) for row in await tx.fetch(sql, keys)}


async def insert_users(tx: Tx, users: Sequence[User]) -> None:
    """New rows in one statement."""
    if not users:
        return
    lists, args = rows_of(_insert_row(user) for user in users)
    await tx.execute(INSERT + lists, args)


async def touch_users(tx: Tx, ids: Sequence[str], events: int, at: int) -> None:
    """Counts a login of each at ``at`` (ms), and raises ``seq`` by the events written for it."""
    sql = f"UPDATE users SET last_login_at = %s, seq = seq + %s WHERE id IN ({marks(len(ids))})"
    await tx.execute(sql, [at, events, *ids])


async def replace_password_hash(database: Database, user_id: str, old: str, new: str) -> bool:
    """Another hash of the same password; False if the stored one is not ``old`` any more."""

    async def work(tx: Tx) -> bool:
        sql = "UPDATE users SET password_hash = %s WHERE id = %s AND password_hash = %s"
        return await tx.execute(sql, [new, user_id, old]) == 1

    return await database.run(work)


async def update_user(database: Database, user_id: str, changes: dict[str, Any], at: int) -> User:
    """Writes ``nickname``, ``avatar_url``, ``email`` (with its folded key) or ``phone`` (sealed, index), and tells
    of it (``user.updated``). Returns the user as it is now; raises 4092 for an e-mail that is someone else's.
    """

    async def work(tx: Tx) -> User:
        user = (await lock_users(tx, [user_id])).get(user_id)
        if user is None:
            raise AppError(Code.UNAUTHENTICATED, cause="the user is gone")
        columns, values = _assignments(changes)
        sets = ", ".join(f"{column} = %s" for column in [*columns, "seq", "updated_at"])
        await tx.execute(f"UPDATE users SET {sets} WHERE id = %s", [*values, user.seq + 1, at, user_id])
        event = outbox.Event(user_id, user.seq + 1, "user.updated", {"fields": sorted(changes)}, at)
        await outbox.insert_events(tx, [event])
        return (await find_users(tx, [user_id]))[user_id]

    try:
        return await database.run(work)
    except DuplicateKey:
        raise AppError(Code.IDENTITY_CONFLICT, field="email") from None


def _assignments(changes: dict[str, Any]) -> tuple[list[str], list[Any]]:
    columns: list[str] = []
    values: list[Any] = []
    for name, value in changes.items():
        columns += COLUMNS_OF[name]
        values += value if isinstance(value, tuple) else [value]
    return columns, values


def _user(row: Row) -> User:
    return User(row[0], row[1], row[2], row[3], row[4], text(row[5]), row[6], tuple(json.loads(row[7])), *row[8:])


def _insert_row(user: User) -> Row:
    key = username_key(user.username) if user.username else None
    return (
        user.id,
        user.username,
        key,
        user.password_hash,
        user.seq,
        user.created_at,
        user.created_at,
        user.last_login_at,
    )
