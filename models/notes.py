"""The ``notes`` table: small facts that one run leaves for the next."""

from models.db import Database, Tx

SETTINGS_NOTE = "settings"  # JSON: name of a setting → keyed hash of its value
BCRYPT_NOTE = "bcrypt_cost"  # the highest cost among imported hashes; absent when none is left
UPSERT = "INSERT INTO notes (name, value, written_at) VALUES (%s, %s, %s)"


async def find_note(source: Database | Tx, name: str) -> str | None:
    """The note of that name."""
    rows = await source.fetch("SELECT value FROM notes WHERE name = %s", [name])
    return rows[0][0] if rows else None


async def lock_note(tx: Tx, name: str) -> str | None:
    """The same under a lock until commit, if there is one."""
    rows = await tx.fetch(f"SELECT value FROM notes WHERE name = %s{tx.dialect.for_update}", [name])
    return rows[0][0] if rows else None


async def write_note(tx: Tx, name: str, value: str, at: int) -> None:
    """Writes it over what was there; ``at`` in ms."""
    tail = tx.dialect.upsert("name", "value = NEW(value), written_at = NEW(written_at)")
    await tx.execute(UPSERT + tail, [name, value, at])


async def delete_note(database: Database, name: str) -> None:
    """Forgets it."""

    async def work(tx: Tx) -> None:
        await tx.execute("DELETE FROM notes WHERE name = %s", [name])

    await database.run(work)
