"""The ``users`` table: rows in and out, and the events that tell of their changes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import AppError, Code
from models import avatars, outbox
from models.db import Conflict, Database, DuplicateKey, Row, Tx, marks, rows_of, text

COLUMNS = (
    "id, username, password_hash, nickname, avatar_url, phone_sealed, email, roles, disabled_at, seq, created_at, "
    "last_login_at, merged_into, devices"
)
SELECT = f"SELECT {COLUMNS} FROM users"
INSERT = (
    "INSERT INTO users (id, username, username_key, password_hash, password_changed_at, seq, created_at, updated_at, "
    "last_login_at, devices) VALUES "
)
KNOWN_DEVICES = 16
COLUMNS_OF = {
    "nickname": ("nickname",),
    "avatar_url": ("avatar_url",),
    "email": ("email", "email_key"),
    "phone": ("phone_sealed", "phone_index"),
}


@dataclass(slots=True)
class User:
    """A row of ``users``; times in ms, ``phone_sealed`` and ``password_hash`` never leave the server.

    With ``merged_into`` it is an alias: its id and its username lead to that user.
    """

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
    merged_into: str | None = None
    devices: str = ""


def username_key(username: str) -> str:
    """What makes two usernames the same: ASCII without case."""
    return username.lower()


def possible_ids(given: Sequence[str]) -> list[str]:
    """Those that may be ids: MySQL has no answer but an error to other characters in an ASCII column."""
    return [one for one in given if one.isascii()]


async def find_users(source: Database | Tx, ids: Sequence[str]) -> dict[str, User]:
    """The users that exist among these ids."""
    possible = possible_ids(ids)
    if not possible:
        return {}
    rows = await source.fetch(f"{SELECT} WHERE id IN ({marks(len(possible))})", possible)
    return {row[0]: _user(row) for row in rows}


async def lock_users(tx: Tx, ids: Iterable[str]) -> dict[str, User]:
    """The same under a lock until commit; always in the order of ids, so that two of us never deadlock."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    sql = f"{SELECT} WHERE id IN ({marks(len(wanted))}) ORDER BY id{tx.dialect.for_update}"
    return {row[0]: _user(row) for row in await tx.fetch(sql, wanted)}


async def lock_survivor(tx: Tx, user_id: str) -> User | None:
    """The user of that id under a lock; for an alias the user it was merged into."""
    user = (await lock_users(tx, [user_id])).get(user_id)
    while user and user.merged_into:
        user = (await lock_users(tx, [user.merged_into])).get(user.merged_into)
    return user


async def lock_self(tx: Tx, user_id: str) -> User:
    """The user of a token under a lock; raises 4010 when it is gone, and 4011 for an alias: refresh."""
    return present((await lock_users(tx, [user_id])).get(user_id))


def present(user: User | None) -> User:
    """The user of a token; raises 4010 when it is gone, and 4011 for an alias."""
    if user is None:
        raise AppError(Code.UNAUTHENTICATED, cause="the user is gone")
    if user.merged_into:
        raise AppError(Code.TOKEN_EXPIRED, cause="the user was merged into another")
    return user


async def lock_with_aliases(tx: Tx, user_id: str) -> dict[str, User]:
    """The user, the first, and all its aliases under locks; empty when there is none."""
    locked = await lock_users(tx, await find_group(tx, user_id))
    group = await find_group(tx, user_id)
    if set(group) != locked.keys():
        raise Conflict("the user was merged before it was locked")
    return {one: locked[one] for one in group}


async def find_group(source: Database | Tx, user_id: str) -> list[str]:
    """The id of the user, or of the user it was merged into, and then the ids of all its aliases."""
    survivor = (await find_survivors(source, [user_id])).get(user_id)
    group, newest = [], [survivor.id] if survivor else []
    while newest:
        group += newest
        sql = f"SELECT id FROM users WHERE merged_into IN ({marks(len(newest))}) ORDER BY id"
        newest = [row[0] for row in await source.fetch(sql, newest)]
    return group


async def note_change(tx: Tx, user: User, event: str, data: dict[str, Any], at: int) -> None:
    """Tells of a change of the locked user: raises its ``seq`` and writes the event."""
    user.seq += 1
    await tx.execute("UPDATE users SET seq = %s, updated_at = %s WHERE id = %s", [user.seq, at, user.id])
    await outbox.insert_events(tx, [outbox.Event(user.id, user.seq, event, data, at)])


async def find_survivors(source: Database | Tx, ids: Sequence[str]) -> dict[str, User]:
    """id → user, where the id of an alias leads to the user it was merged into."""
    found = await find_users(source, ids)
    while aliases := {one: user.merged_into for one, user in found.items() if user.merged_into}:
        targets = await find_users(source, list(set(aliases.values())))
        survivors = {one: targets[target] for one, target in aliases.items() if target in targets}
        found = {one: user for one, user in found.items() if one not in aliases} | survivors
    return found


async def find_by_username(database: Database, username: str) -> User | None:
    """The user of that name, whatever its case; the name of an alias leads to the user it was merged into."""
    rows = await database.fetch(f"{SELECT} WHERE username_key = %s", [username_key(username)])
    user = _user(rows[0]) if rows else None
    return (await find_survivors(database, [user.id])).get(user.id) if user and user.merged_into else user


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


def known_devices(marks: str) -> str:
    """The last of them, separated by blanks, each once."""
    return " ".join([*dict.fromkeys(marks.split())][-KNOWN_DEVICES:])


async def keep_devices(tx: Tx, users: Sequence[User]) -> None:
    """Writes the devices of users who were seen on another one; the caller holds their locks."""
    for user in users:
        await tx.execute("UPDATE users SET devices = %s WHERE id = %s", [user.devices, user.id])


async def replace_password_hash(database: Database, user_id: str, old: str, new: str) -> bool:
    """Another hash of the same password; False if the stored one is not ``old`` any more."""

    async def work(tx: Tx) -> bool:
        sql = "UPDATE users SET password_hash = %s WHERE id = %s AND password_hash = %s"
        return await tx.execute(sql, [new, user_id, old]) == 1

    return await database.run(work)


async def update_user(database: Database, user_id: str, changes: dict[str, Any], at: int) -> User:
    """Writes ``nickname``, ``avatar_url``, ``email`` (with its folded key) or ``phone`` (sealed, index), and tells
    of it (``user.updated``). Returns the user as it is now; raises 4010, 4011, and 4092 for an e-mail that is
    someone else's.
    """

    async def work(tx: Tx) -> User:
        user = await lock_self(tx, user_id)
        columns, values = _assignments(changes)
        sets = ", ".join(f"{column} = %s" for column in [*columns, "seq", "updated_at"])
        await tx.execute(f"UPDATE users SET {sets} WHERE id = %s", [*values, user.seq + 1, at, user_id])
        if "avatar_url" in changes:
            await avatars.use(tx, user_id, changes["avatar_url"], at)
        event = outbox.Event(user_id, user.seq + 1, "user.updated", {"fields": outbox.public_names(changes)}, at)
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
        user.created_at if user.password_hash else None,
        user.seq,
        user.created_at,
        user.created_at,
        user.last_login_at,
        user.devices,
    )
