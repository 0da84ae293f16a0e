"""The ``sessions`` table and the ``revocations`` feed: what a refresh token stands for, and how it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models import audit, outbox, users
from models.db import Database, Row, Tx, marks, rows_of, text

COLUMNS = (
    "id, user_id, appid, openid, generation, refresh_key, auth_method, auth_at, created_at, rotated_at, expires_at, "
    "ends_at, device, address"
)
SELECT = f"SELECT {COLUMNS}, ended_at FROM sessions"
INSERT = f"INSERT INTO sessions ({COLUMNS}) VALUES "
END = "UPDATE sessions SET ended_at = %s, end_reason = %s WHERE id IN ({ids}) AND ended_at IS NULL"
SELECT_OPEN = "SELECT id FROM sessions WHERE user_id = %s AND ended_at IS NULL AND expires_at > %s"
SELECT_FEED = "SELECT session_id, revoked_at FROM revocations WHERE revoked_at >= %s"


@dataclass(slots=True)
class Session:
    """A row of ``sessions``; times in ms. ``appid`` and ``openid`` are those it was opened with, if any."""

    id: str
    user_id: str
    appid: str | None
    openid: str | None
    generation: int
    refresh_key: str
    auth_method: str
    auth_at: int
    created_at: int
    rotated_at: int
    expires_at: int
    ends_at: int
    device: str
    address: str
    ended_at: int | None = None


async def insert_sessions(tx: Tx, sessions: Sequence[Session]) -> None:
    """New rows in one statement."""
    lists, args = rows_of(_row(session) for session in sessions)
    await tx.execute(INSERT + lists, args)


async def find_session(database: Database, session_id: str) -> Session | None:
    """The session of that id, ended or not."""
    rows = await database.fetch(SELECT + " WHERE id = %s", [session_id])
    return _session(rows[0]) if rows else None


async def lock_sessions(tx: Tx, ids: Sequence[str]) -> dict[str, Session]:
    """Sessions under a lock until commit, in the order of ids."""
    wanted = sorted(set(ids))
    sql = f"{SELECT} WHERE id IN ({marks(len(wanted))}) ORDER BY id{tx.dialect.for_update}"
    return {row[0]: _session(row) for row in await tx.fetch(sql, wanted)}


async def rotate_sessions(tx: Tx, sessions: Sequence[Session]) -> None:
    """Writes generation, rotation and expiry of sessions that the caller holds locked and has raised by one.

    All were rotated at the same moment; ``expires_at`` is the sliding end, never past ``ends_at``.
    """
    for (rotated_at, expires_at), ids in _by_times(sessions).items():
        sql = (
            "UPDATE sessions SET generation = generation + 1, rotated_at = %s, expires_at = %s "
            f"WHERE id IN ({marks(len(ids))})"
        )
        await tx.execute(sql, [rotated_at, expires_at, *ids])


async def end_sessions(
    database: Database,
    user_id: str,
    ids: Sequence[str] | None,
    reason: str,
    at: int,
    entry: audit.Entry | None = None,
) -> list[str]:
    """Ends these sessions of the user (all open ones when ``ids`` is None) and tells of it; returns those ended.

    ``entry`` is for the audit, and written if any was ended.
    """

    async def work(tx: Tx) -> list[str]:
        user = (await users.lock_users(tx, [user_id])).get(user_id)
        opened = [row[0] for row in await tx.fetch(SELECT_OPEN, [user_id, at])]
        ending = opened if ids is None else [one for one in opened if one in ids]
        if user and ending:
            await _end(tx, user, ending, reason, at)
            await audit.insert_entries(tx, [entry] if entry else [])
        return ending

    return await database.run(work)


async def find_revoked(database: Database, since: int) -> dict[str, int]:
    """The feed: session id → when it was revoked (ms), from ``since`` on."""
    return dict(await database.fetch(SELECT_FEED, [since]))


async def is_revoked(database: Database, session_id: str) -> bool:
    """Asks the database itself, for when the feed is stale."""
    return bool(await database.fetch("SELECT 1 FROM revocations WHERE session_id = %s", [session_id]))


async def _end(tx: Tx, user: users.User, ids: list[str], reason: str, at: int) -> None:
    await tx.execute(END.format(ids=marks(len(ids))), [at, reason, *ids])
    lists, args = rows_of((session_id, at) for session_id in ids)
    await tx.execute("INSERT INTO revocations (session_id, revoked_at) VALUES " + lists, args)
    events = [
        outbox.Event(user.id, user.seq + number, "session.revoked", {"sessionId": one, "reason": reason}, at)
        for number, one in enumerate(ids, start=1)
    ]
    await tx.execute("UPDATE users SET seq = seq + %s WHERE id = %s", [len(events), user.id])
    await outbox.insert_events(tx, events)


def _by_times(sessions: Sequence[Session]) -> dict[tuple[int, int], list[str]]:
    groups: dict[tuple[int, int], list[str]] = {}
    for session in sessions:
        groups.setdefault((session.rotated_at, session.expires_at), []).append(session.id)
    return groups


def _session(row: Row) -> Session:
    return Session(row[0], row[1], text(row[2]), text(row[3]), *row[4:])


def _row(session: Session) -> tuple[Any, ...]:
    return (
        session.id,
        session.user_id,
        session.appid,
        session.openid,
        session.generation,
        session.refresh_key,
        session.auth_method,
        session.auth_at,
        session.created_at,
        session.rotated_at,
        session.expires_at,
        session.ends_at,
        session.device,
        session.address,
    )
