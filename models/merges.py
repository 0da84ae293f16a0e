"""One person, two users: the older one stays, the other becomes an alias of it.

Identities, unionids, sessions, consents and devices move; profile fields fill gaps; the password changed last counts;
who is disabled stays disabled. What was moved and filled is kept for 30 days in ``merges``, so that it can be undone.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uuid_utils

from models import audit, outbox, sessions, users
from models.db import Tx, text
from models.users import User

UNDO_MS = 30 * 24 * 3600 * 1000
FIELDS = {  # what may fill a gap; the first column says whether there is one and whether it was changed since
    "username": ("username_key", "username"),
    "email": ("email_key", "email"),
    "external_id": ("external_id",),
    "phone": ("phone_index", "phone_sealed"),
    "nickname": ("nickname",),
    "avatar_url": ("avatar_url",),
}
UNIQUE = ("username", "email", "external_id")  # two rows cannot both have it, so the alias gives it away
COLUMNS = (
    *(column for columns in FIELDS.values() for column in columns),
    "password_hash",
    "password_changed_at",
    "roles",
    "disabled_at",
    "last_login_at",
    "devices",
)
SELECT = f"SELECT id, {', '.join(COLUMNS)} FROM users WHERE id IN (%s, %s)"
MOVES = {"identities": "appid, openid", "unionids": "unionid", "sessions": "id", "consents": "id", "devices": "id"}
SELECT_ALIASES = "SELECT id FROM users WHERE merged_into = %s"
MOVE_ALIASES = "UPDATE users SET merged_into = %s WHERE merged_into = %s"  # one step leads from any alias to the user
SET_ALIAS = "UPDATE users SET merged_into = %s, updated_at = %s WHERE id = %s"
INSERT = "INSERT INTO merges (id, survivor_id, merged_id, merged_at, undo_data) VALUES (%s, %s, %s, %s, %s)"

Record = dict[str, Any]
Reseal = Callable[[str, str, str], str | None]


@dataclass(frozen=True, slots=True)
class Occasion:
    """When (ms), from where and by whom (None: the user, by logging in); ``reseal(phone, from user id, to user id)``
    is None for a phone that cannot be opened.
    """

    at: int
    reseal: Reseal
    address: str = ""
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did."""

    survivor_id: str
    merged_id: str
    filled: list[str]
    moved: dict[str, int]
    takes_password: bool
    is_disabled: bool
    ended: list[str] = field(default_factory=list)


async def merge_users(tx: Tx, one: User, other: User, occasion: Occasion) -> Merged:
    """Makes one user of two whose rows the caller holds locked; both objects are as before, but for ``seq``."""
    survivor, merged = sorted((one, other), key=lambda user: (user.created_at, user.id))
    keeps, gives = await read_pair(tx, survivor.id, merged.id)
    filled = _gaps(keeps, gives, occasion.reseal)
    changes = {column: value for columns in filled.values() for column, value in columns.items()}
    changes |= _password(keeps, gives) | _rest(keeps, gives)
    opened = await sessions.find_open(tx, merged.id)
    moved = await _move(tx, merged.id, survivor.id)
    await _give_away(tx, merged.id, [name for name in filled if name in UNIQUE])
    await tx.execute(SET_ALIAS, [survivor.id, occasion.at, merged.id])
    survivor.seq += 1
    await update(tx, survivor.id, {**changes, "seq": survivor.seq, "updated_at": occasion.at})
    await _keep_undo(tx, survivor.id, merged.id, _undo(keeps, gives, changes, filled, moved), occasion)
    await _tell(tx, survivor, merged.id, occasion)
    ended = await _sessions(tx, survivor, opened, changes["disabled_at"], occasion.at)
    counts = {table: len(rows) for table, rows in moved.items()}
    disabled = changes["disabled_at"] is not None
    return Merged(survivor.id, merged.id, sorted(filled), counts, "password_hash" in changes, disabled, ended)


async def read_pair(tx: Tx, one: str, other: str) -> tuple[Record, Record]:
    """Both rows as column → value."""
    rows = await tx.fetch(SELECT, [one, other])
    found = {row[0]: dict(zip(("id", *COLUMNS), map(_decoded, row), strict=True)) for row in rows}
    return found[one], found[other]


async def update(tx: Tx, user_id: str, changes: Record) -> None:
    """Writes columns of a user; the names come from this package."""
    sets = ", ".join(f"{column} = %s" for column in changes)
    await tx.execute(f"UPDATE users SET {sets} WHERE id = %s", [*changes.values(), user_id])


def _decoded(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value  # exactly compared columns are bytes in MySQL


def _gaps(keeps: Record, gives: Record, reseal: Reseal) -> dict[str, Record]:
    filled = {}
    for name, columns in FIELDS.items():
        if not keeps[columns[0]] and gives[columns[0]]:
            filled[name] = {column: gives[column] for column in columns}
    if "phone" in filled:
        filled["phone"]["phone_sealed"] = reseal(gives["phone_sealed"], gives["id"], keeps["id"])
        if filled["phone"]["phone_sealed"] is None:
            del filled["phone"]
    return filled


def _password(keeps: Record, gives: Record) -> Record:
    changed_at = gives["password_changed_at"] or 0
    if gives["password_hash"] is None or (keeps["password_hash"] and changed_at <= (keeps["password_changed_at"] or 0)):
        return {}
    return {"password_hash": gives["password_hash"], "password_changed_at": gives["password_changed_at"]}


def _rest(keeps: Record, gives: Record) -> Record:
    disabled_at = keeps["disabled_at"] if keeps["disabled_at"] is not None else gives["disabled_at"]
    last_login_at = max(keeps["last_login_at"] or 0, gives["last_login_at"] or 0) or None
    roles = both_roles(keeps["roles"], gives["roles"])
    devices = users.known_devices(f"{gives['devices']} {keeps['devices']}")
    return {"disabled_at": disabled_at, "last_login_at": last_login_at, "roles": roles, "devices": devices}


def both_roles(one: str, other: str) -> str:
    """Nobody loses a role by being recognised as one person."""
    if set(json.loads(other)) <= set(json.loads(one)):
        return one
    return json.dumps(sorted({*json.loads(one), *json.loads(other)}), ensure_ascii=False)


async def _move(tx: Tx, source: str, target: str) -> dict[str, list[list[str | None]]]:
    moved = {}
    for table, key in MOVES.items():
        rows = await tx.fetch(f"SELECT {key} FROM {table} WHERE user_id = %s", [source])
        moved[table] = [[text(value) for value in row] for row in rows]
        if rows:
            await tx.execute(f"UPDATE {table} SET user_id = %s WHERE user_id = %s", [target, source])
    moved["aliases"] = [[row[0]] for row in await tx.fetch(SELECT_ALIASES, [source])]
    if moved["aliases"]:
        await tx.execute(MOVE_ALIASES, [target, source])
    return moved


async def _give_away(tx: Tx, user_id: str, names: list[str]) -> None:
    columns = [column for name in names for column in FIELDS[name]]
    if columns:
        await update(tx, user_id, dict.fromkeys(columns))


def _undo(keeps: Record, gives: Record, changes: Record, filled: dict[str, Record], moved: Record) -> Record:
    """What undoing needs: what moved, what filled a gap and with what, and what else was there before."""
    before: Record = {column: keeps[column] for column in ("password_hash", "password_changed_at") if column in changes}
    if changes["roles"] != keeps["roles"]:
        before["roles"] = keeps["roles"]
    if changes["disabled_at"] != keeps["disabled_at"]:
        before["disabled_at"] = None
    marks_of_filled = {name: gives[FIELDS[name][0]] for name in filled}
    return {"moved": moved, "filled": marks_of_filled, "before": before}


async def _keep_undo(tx: Tx, survivor_id: str, merged_id: str, undo: Record, occasion: Occasion) -> None:
    record = json.dumps(undo, ensure_ascii=False, separators=(",", ":"))
    merge_id = uuid_utils.uuid7().hex
    await tx.execute(INSERT, [merge_id, survivor_id, merged_id, occasion.at, record])
    detail = {"mergeId": merge_id, "mergedUserId": merged_id, "filled": sorted(undo["filled"])}
    actor = occasion.actor or f"user:{survivor_id}"
    entry = audit.Entry(occasion.at, "user.merge", actor, survivor_id, occasion.address, detail)
    await audit.insert_entries(tx, [entry])


async def _tell(tx: Tx, survivor: User, merged_id: str, occasion: Occasion) -> None:
    data = {"userId": survivor.id, "mergedUserId": merged_id}
    await outbox.insert_events(tx, [outbox.Event(survivor.id, survivor.seq, "user.merged", data, occasion.at)])


async def _sessions(tx: Tx, survivor: User, opened: list[str], disabled_at: int | None, at: int) -> list[str]:
    if disabled_at is not None:
        return await sessions.end_within(tx, survivor, None, "disabled", at)
    await sessions.feed(tx, opened, at, survivor.id)
    return []
