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
SELECT = f"SELECT {COLUMNS}, ended_at, seen_at FROM sessions"
INSERT = f"INSERT INTO sessions ({COLUMNS}) VALUES "
END = "UPDATE sessions SET ended_at = %s, end_reason = %s WHERE id IN ({ids}) AND ended_at IS NULL"
SELECT_OPEN = "SELECT id FROM sessions WHERE user_id = %s AND ended_at IS NULL"
EXCESS = """SELECT user_id, id FROM (
    SELECT user_id, id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY id DESC) AS place FROM sessions
    WHERE user_id IN ({ids}) AND ended_at IS NULL AND expires_at > %s
) ranked WHERE place > %s ORDER BY id"""  # ids ascend in time
SELECT_FEED = "SELECT session_id, revoked_at, moved_to, reason FROM revocations WHERE revoked_at >= %s"
SELECT_REVOCATION = "SELECT revoked_at, moved_to, reason FROM revocations WHERE session_id = %s"
INSERT_FEED = "INSERT INTO revocations (session_id, revoked_at, moved_to, reason) VALUES "
FEED_AGAIN = "revoked_at = NEW(revoked_at), moved_to = NEW(moved_to), reason = NEW(reason)"


@dataclass(slots=True)
class Session:
    """A row of ``sessions``; times in ms. ``appid`` and ``openid`` are those it was opened with, if any.

    ``rotated_at`` is the last rotation of its refresh token, ``seen_at`` the last check of its cookie (0: never).
    """

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
    seen_at: int = 0


@dataclass(frozen=True, slots=True)
class Revocation:
    """A line of the feed: the session has ended, or belongs to ``moved_to`` since ``at`` (ms)."""

    at: int
    moved_to: str | None = None
    reason: str = ""


async def insert_sessions(tx: Tx, sessions: Sequence[Session]) -> None:
    """New rows in one statement."""
    lists, args = rows_of(_row(session) for session in sessions)
    await tx.execute(INSERT + lists, args)


async def find_session(database: Database, session_id: str) -> Session | None:
    """The session of that id, ended or not."""
    rows = await database.fetch(SELECT + " WHERE id = %s", [session_id])
    return _session(rows[0]) if rows else None


async def find_ids(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Which of these sessions there are, ended or not."""
    if not ids:
        return set()
    return {row[0] for row in await tx.fetch(f"SELECT id FROM sessions WHERE id IN ({marks(len(ids))})", ids)}


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


async def find_open(tx: Tx, user_id: str) -> list[str]:
    """The ids of the user's sessions that were not ended; an expired one counts, for its access token may live on."""
    return [row[0] for row in await tx.fetch(SELECT_OPEN, [user_id])]


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
        user = await users.lock_survivor(tx, user_id)
        ended = await end_within(tx, user, ids, reason, at) if user else []
        await audit.insert_entries(tx, [entry] if entry and ended else [])
        return ended

    return await database.run(work)


async def end_within(tx: Tx, user: users.User, ids: Sequence[str] | None, reason: str, at: int) -> list[str]:
    """The same inside a transaction that holds the user's row."""
    opened = await find_open(tx, user.id)
    ending = opened if ids is None else [one for one in opened if one in ids]
    if ending:
        await _end(tx, user, ending, reason, at)
    return ending


async def find_open_sessions(database: Database, user_id: str, at: int) -> list[Session]:
    """The user's sessions that can be used at ``at`` (ms), the newest first."""
    where = "WHERE user_id = %s AND ended_at IS NULL AND expires_at > %s ORDER BY id DESC"
    return [_session(row) for row in await database.fetch(f"{SELECT} {where}", [user_id, at])]


async def find_excess(tx: Tx, user_ids: Sequence[str], at: int, keep: int) -> dict[str, list[str]]:
    """User id → ids of the sessions that can be used at ``at`` (ms) beyond the newest ``keep``, the oldest first."""
    found: dict[str, list[str]] = {}
    if user_ids:
        for user_id, session_id in await tx.fetch(EXCESS.format(ids=marks(len(user_ids))), [*user_ids, at, keep]):
            found.setdefault(user_id, []).append(session_id)
    return found


async def mark_ended(tx: Tx, ids: Sequence[str], reason: str, at: int) -> None:
    """Ends sessions and puts them into the feed; the caller holds their users' locks and tells of it."""
    await tx.execute(END.format(ids=marks(len(ids))), [at, reason, *ids])
    await feed(tx, ids, at, reason=reason)


async def touch_sessions(tx: Tx, ids: Sequence[str], at: int, expires_at: int) -> None:
    """Notes a use at ``at`` without a rotation; the session lives until ``expires_at`` (ms), or its ``ends_at``."""
    sets = "seen_at = %s, expires_at = CASE WHEN ends_at < %s THEN ends_at ELSE %s END"
    await tx.execute(f"UPDATE sessions SET {sets} WHERE id IN ({marks(len(ids))})", [at, expires_at, expires_at, *ids])


async def feed(tx: Tx, ids: Sequence[str], at: int, moved_to: str | None = None, reason: str = "") -> None:
    """Tells every process that these sessions have ended, or whose they are now."""
    if ids:
        lists, args = rows_of((session_id, at, moved_to, reason) for session_id in sorted(ids))
        update = tx.dialect.upsert("session_id", FEED_AGAIN)
        await tx.execute(INSERT_FEED + lists + update, args)


async def find_revoked(database: Database, since: int) -> dict[str, Revocation]:
    """The feed: session id → what happened to it, from ``since`` (ms) on."""
    return {row[0]: Revocation(*row[1:]) for row in await database.fetch(SELECT_FEED, [since])}


async def find_revocation(database: Database, session_id: str) -> Revocation | None:
    """Asks the database itself, for when the feed is stale."""
    rows = await database.fetch(SELECT_REVOCATION, [session_id])
    return Revocation(*rows[0]) if rows else None


async def _end(tx: Tx, user: users.User, ids: list[str], reason: str, at: int) -> None:
    await mark_ended(tx, ids, reason, at)
    events = [
        outbox.Event(user.id, user.seq + number, "session.revoked", {"sessionId": one, "reason": reason}, at)
        for number, one in enumerate(ids, start=1)
    ]
    user.seq += len(events)
    await tx.execute("UPDATE users SET seq = %s WHERE id = %s", [user.seq, user.id])
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
