"""The ``identities`` and ``unionids`` tables: who a user is to WeChat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.db import Database, Tx, marks, rows_of, text

INSERT = (
    "INSERT INTO identities "
    "(appid, openid, kind, user_id, session_key, session_key_mark, session_key_at, bound_at, unionid, "
    "oauth_tokens) VALUES "
)
# The previous key is kept only when the new one differs; MySQL assigns from left to right, so it comes first.
KEEP_PREVIOUS = (
    "previous_session_key = CASE WHEN session_key_mark <> NEW(session_key_mark) THEN session_key "
    "ELSE previous_session_key END, session_key = NEW(session_key), session_key_mark = NEW(session_key_mark), "
    "session_key_at = NEW(session_key_at), "
    "unionid = CASE WHEN unionid = '' THEN unionid ELSE COALESCE(NEW(unionid), unionid) END, "
    "oauth_tokens = COALESCE(NEW(oauth_tokens), oauth_tokens)"
)
KEPT_APART = ""  # in place of the unionid: the operator undid a merge, so the unionid merges no more
SELECT_KEYS = "SELECT session_key, previous_session_key FROM identities WHERE appid = %s AND openid = %s"
SELECT_OAUTH = "SELECT oauth_tokens FROM identities WHERE appid = %s AND openid = %s"
REPLACE_OAUTH = "UPDATE identities SET oauth_tokens = %s WHERE appid = %s AND openid = %s AND oauth_tokens = %s"
SELECT_OPENIDS = "SELECT openid FROM identities WHERE user_id = %s AND appid = %s"


@dataclass(frozen=True, slots=True)
class Identity:
    """(appid, openid) as WeChat's reply gave it: with the session_key sealed and its mark where it came from a
    mini-program, with sealed tokens of the user where it came from a consent page.
    """

    appid: str
    openid: str
    kind: str
    unionid: str | None
    session_key: str | None
    session_key_mark: str | None
    oauth_tokens: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it."""
        return self.appid, self.openid


@dataclass(frozen=True, slots=True)
class Binding:
    """What a user is shown of an identity; ``bound_at`` in ms."""

    appid: str
    kind: str
    bound_at: int


async def insert_identities(tx: Tx, rows: Sequence[tuple[Identity, str, int]]) -> None:
    """New identities as (identity, user id, ms); raises ``DuplicateKey`` if one exists by now."""
    if rows:
        lists, args = rows_of(_row(*row) for row in rows)
        await tx.execute(INSERT + lists, args)


async def keep_session_keys(tx: Tx, rows: Sequence[tuple[Identity, str, int]]) -> None:
    """Stores the newest session_key of identities that exist, and keeps the one before."""
    if rows:
        lists, args = rows_of(_row(*row) for row in sorted(rows, key=lambda row: row[0].key))
        await tx.execute(INSERT + lists + tx.dialect.upsert("appid, openid", KEEP_PREVIOUS), args)


async def insert_unionids(tx: Tx, rows: Sequence[tuple[str, str, int]]) -> None:
    """New unionids as (unionid, user id, ms)."""
    if rows:
        lists, args = rows_of(rows)
        await tx.execute("INSERT INTO unionids (unionid, user_id, bound_at) VALUES " + lists, args)


async def find_bindings(database: Database, user_ids: Sequence[str]) -> dict[str, list[Binding]]:
    """user id → its identities, the oldest first."""
    sql = (
        "SELECT user_id, appid, kind, bound_at FROM identities "
        f"WHERE user_id IN ({marks(len(user_ids))}) ORDER BY bound_at"
    )
    found: dict[str, list[Binding]] = {}
    for user_id, appid, kind, bound_at in await database.fetch(sql, user_ids):
        found.setdefault(user_id, []).append(Binding(str(text(appid)), kind, bound_at))
    return found


async def find_session_keys(database: Database, appid: str, openid: str) -> list[str]:
    """The kept session_keys, sealed, the newest first."""
    rows = await database.fetch(SELECT_KEYS, [appid, openid])
    return [str(text(key)) for key in rows[0] if key] if rows else []


async def find_openid(database: Database, user_id: str, appid: str) -> str | None:
    """The user's openid in that app."""
    rows = await database.fetch(SELECT_OPENIDS, [user_id, appid])
    return text(rows[0][0]) if rows else None


async def find_oauth_tokens(database: Database, appid: str, openid: str) -> str | None:
    """The user's tokens at WeChat, sealed."""
    rows = await database.fetch(SELECT_OAUTH, [appid, openid])
    return text(rows[0][0]) if rows else None


async def replace_oauth_tokens(database: Database, key: tuple[str, str], old: str, new: str | None) -> None:
    """Stores others in their place, or none; nothing if they changed meanwhile."""

    async def work(tx: Tx) -> None:
        await tx.execute(REPLACE_OAUTH, [new, *key, old])

    await database.run(work)


def _row(identity: Identity, user_id: str, at: int) -> tuple[Any, ...]:
    key_at = at if identity.session_key else None
    return (
        *identity.key,
        identity.kind,
        user_id,
        identity.session_key,
        identity.session_key_mark,
        key_at,
        at,
        identity.unionid,
        identity.oauth_tokens,
    )
