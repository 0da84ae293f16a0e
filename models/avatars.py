"""The ``avatars`` table: whose which file is, and from when on it is to be removed.

A row comes before its file and goes after it, so that no crash leaves a file that nobody knows of.
"""

from collections.abc import Sequence

from models.db import Database, Tx, marks

UPLOAD_MS = 3_600_000  # an upload that was not finished by then never will be
LEAVE = "UPDATE avatars SET drop_at = %s WHERE user_id = %s AND name <> %s AND drop_at IS NULL"
KEEP = "UPDATE avatars SET drop_at = NULL WHERE user_id = %s AND name = %s"
SELECT_IN_USE = "SELECT name FROM avatars WHERE name = %s AND user_id = %s AND drop_at IS NULL"
SELECT_DUE = "SELECT name FROM avatars WHERE drop_at <= %s ORDER BY drop_at LIMIT {limit}"


async def insert_avatar(database: Database, name: str, user_id: str, at: int) -> None:
    """A file that is about to be written."""

    async def work(tx: Tx) -> None:
        sql = "INSERT INTO avatars (name, user_id, created_at, drop_at) VALUES (%s, %s, %s, %s)"
        await tx.execute(sql, [name, user_id, at, at + UPLOAD_MS])

    await database.run(work)


async def is_in_use(database: Database, name: str, user_id: str) -> bool:
    """Whether it is that user's avatar."""
    return bool(await database.fetch(SELECT_IN_USE, [name, user_id]))


async def use(tx: Tx, user_id: str, url: str, at: int) -> None:
    """The user's avatar is at that URL from now on: the file it names stays, the user's others go."""
    name = url.rpartition("/")[2]
    await tx.execute(KEEP, [user_id, name])
    await tx.execute(LEAVE, [at, user_id, name])


async def disown(tx: Tx, ids: Sequence[str], at: int) -> None:
    """These users are deleted: their files go, nothing tells whose they were. Unfinished uploads keep their time."""
    sql = f"UPDATE avatars SET user_id = '', drop_at = COALESCE(drop_at, %s) WHERE user_id IN ({marks(len(ids))})"
    await tx.execute(sql, [at, *ids])


async def find_due(database: Database, at: int, limit: int) -> list[str]:
    """Files to be removed."""
    rows = await database.fetch(SELECT_DUE.format(limit=int(limit)), [at])
    return [str(row[0]) for row in rows]


async def count_due(database: Database, at: int) -> int:
    """How many there are."""
    return int((await database.fetch("SELECT COUNT(*) FROM avatars WHERE drop_at <= %s", [at]))[0][0])


async def delete_due(database: Database, names: Sequence[str], at: int) -> None:
    """Their files are gone. One that came into use meanwhile keeps its row."""

    async def work(tx: Tx) -> None:
        sql = f"DELETE FROM avatars WHERE name IN ({marks(len(names))}) AND drop_at <= %s"
        await tx.execute(sql, [*sorted(names), at])

    await database.run(work)
