"""Undoes a merge of the last 30 days: what moved goes back, what filled a gap and is unchanged is taken out again."""

import json
from dataclasses import dataclass
from typing import Any

from core.errors import AppError, Code
from models import audit, merges, outbox, sessions, users
from models.db import Database, Tx, marks
from models.identities import KEPT_APART
from models.merges import FIELDS, UNIQUE, Record
from models.users import User

SELECT = (
    "SELECT id, survivor_id, undo_data FROM merges WHERE merged_id = %s AND merged_at > %s "
    "ORDER BY merged_at DESC LIMIT 1"
)
IDENTITY_BACK = "UPDATE identities SET user_id = %s, unionid = %s WHERE appid = %s AND openid = %s AND user_id = %s"
SESSIONS_BACK = "UPDATE sessions SET user_id = %s WHERE appid = %s AND openid = %s AND user_id = %s"
BLANK = {"nickname": "", "avatar_url": ""}


@dataclass(frozen=True, slots=True)
class Unmerged:
    """The two users that are separate again."""

    survivor_id: str
    restored_id: str


async def unmerge_users(database: Database, merged_id: str, actor: str, at: int) -> Unmerged:
    """Makes the alias a user of its own again; raises 4040 with the reason as its cause."""

    async def work(tx: Tx) -> Unmerged:
        rows = await tx.fetch(SELECT, [merged_id, at - merges.UNDO_MS])
        if not rows:
            raise AppError(Code.NOT_FOUND, cause="no merge of the last 30 days made this user an alias")
        merge_id, survivor_id, undo = rows[0][0], rows[0][1], json.loads(rows[0][2])
        locked = await users.lock_users(tx, [merged_id, survivor_id])
        survivor = _check(locked, merged_id, survivor_id)
        await _move_back(tx, undo["moved"], merged_id, survivor_id)
        await _restore(tx, undo, merged_id, survivor, at)
        await tx.execute("DELETE FROM merges WHERE id = %s", [merge_id])
        await sessions.feed(tx, await sessions.find_open(tx, merged_id), at, merged_id)
        await _tell(tx, survivor, merged_id, actor, at)
        return Unmerged(survivor_id, merged_id)

    return await database.run(work)


def _check(locked: dict[str, User], merged_id: str, survivor_id: str) -> User:
    merged, survivor = locked.get(merged_id), locked.get(survivor_id)
    if merged is None or survivor is None or merged.merged_into is None:
        raise AppError(Code.NOT_FOUND, cause="the merge was undone already")
    if merged.merged_into != survivor_id:
        raise AppError(Code.NOT_FOUND, cause=f"user {survivor_id} was itself merged; undo that first")
    return survivor


async def _move_back(tx: Tx, moved: dict[str, list[list[str]]], merged_id: str, survivor_id: str) -> None:
    for appid, openid in moved["identities"]:
        await tx.execute(IDENTITY_BACK, [merged_id, KEPT_APART, appid, openid, survivor_id])
        await tx.execute(SESSIONS_BACK, [merged_id, appid, openid, survivor_id])  # those opened since, too
    for table, key in (("unionids", "unionid"), ("sessions", "id"), ("consents", "id"), ("devices", "id")):
        keys = [row[0] for row in moved.get(table, [])]  # none of a table that is younger than the merge
        if keys:
            sql = f"UPDATE {table} SET user_id = %s WHERE user_id = %s AND {key} IN ({marks(len(keys))})"
            await tx.execute(sql, [merged_id, survivor_id, *keys])
    for (alias,) in moved["aliases"]:
        await tx.execute("UPDATE users SET merged_into = %s WHERE id = %s", [merged_id, alias])


async def _restore(tx: Tx, undo: Record, merged_id: str, survivor: User, at: int) -> None:
    now, alias = await merges.read_pair(tx, survivor.id, merged_id)
    unchanged = [name for name, value in undo["filled"].items() if now[FIELDS[name][0]] == value]
    taken = {column: BLANK.get(column) for name in unchanged for column in FIELDS[name]}
    given = {column: now[column] for name in unchanged if name in UNIQUE for column in FIELDS[name]}
    survivor.seq += 1
    changes = {**taken, **_before(undo["before"], now, alias), "seq": survivor.seq, "updated_at": at}
    await merges.update(tx, survivor.id, changes)
    await merges.update(tx, merged_id, {**given, "merged_into": None, "updated_at": at})


def _before(before: Record, now: Record, alias: Record) -> dict[str, Any]:
    """What the merge replaced, unless it was changed since."""
    restored = dict(before)
    if now["password_hash"] != alias["password_hash"]:
        restored.pop("password_hash", None)
        restored.pop("password_changed_at", None)
    if "roles" in before and now["roles"] != merges.both_roles(before["roles"], alias["roles"]):
        del restored["roles"]
    if now["disabled_at"] != alias["disabled_at"]:
        restored.pop("disabled_at", None)
    return restored


async def _tell(tx: Tx, survivor: User, merged_id: str, actor: str, at: int) -> None:
    data = {"userId": survivor.id, "restoredUserId": merged_id}
    await outbox.insert_events(tx, [outbox.Event(survivor.id, survivor.seq, "user.unmerged", data, at)])
    entry = audit.Entry(at, "user.unmerge", actor, survivor.id, detail={"restoredUserId": merged_id})
    await audit.insert_entries(tx, [entry])
