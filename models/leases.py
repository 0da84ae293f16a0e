"""The ``leases`` table: work that one process at a time does."""

from models.db import Database, Tx

INSERT = "INSERT INTO leases (name, holder, held_until) VALUES (%s, %s, %s)"
UPDATE = "UPDATE leases SET holder = %s, held_until = %s WHERE name = %s"


async def hold_lease(database: Database, name: str, holder: str, now: int, ttl_ms: int) -> bool:
    """Takes or renews the lease until ``now + ttl_ms``; False while another holds it."""

    async def work(tx: Tx) -> bool:
        sql = f"SELECT holder, held_until FROM leases WHERE name = %s{tx.dialect.for_update}"
        rows = await tx.fetch(sql, [name])
        if rows and rows[0][0] != holder and rows[0][1] > now:
            return False
        if rows:
            await tx.execute(UPDATE, [holder, now + ttl_ms, name])
        else:
            await tx.execute(INSERT, [name, holder, now + ttl_ms])
        return True

    return await database.run(work)


async def find_end(database: Database, name: str) -> int:
    """Until when (ms) the lease is held; 0 if nobody has it."""
    rows = await database.fetch("SELECT held_until FROM leases WHERE name = %s", [name])
    return int(rows[0][0]) if rows else 0


async def release_lease(database: Database, name: str, holder: str) -> None:
    """Gives the lease back, if it is still held."""

    async def work(tx: Tx) -> None:
        await tx.execute("DELETE FROM leases WHERE name = %s AND holder = %s", [name, holder])

    await database.run(work)
