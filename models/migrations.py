"""Applies ``sql/<dialect>/NNNN_reason.sql``, forward only, each file once.

A file for MySQL holds one DDL statement, for MySQL commits at each: a file that fails has changed nothing, is
named with its cause, and is tried again by the next run. A run that dies between the statement and its note
leaves the file as begun (``applied_at`` 0): what it finds done then, the next run takes as done. Two runs at once
wait for each other.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from models.db import AlreadyThere, Database, Tx

MIGRATION_BUDGET_S = 24 * 3600  # a large table may take its time
SQL = Path(__file__).parent.parent / "sql"
TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_migrations "
    "(version INTEGER NOT NULL PRIMARY KEY, name VARCHAR(100) NOT NULL, checksum CHAR(64) NOT NULL, "
    "applied_at BIGINT NOT NULL)"
)
TABLES_LIKE_OURS = {
    "mysql": "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = %s",
}
SELECT_APPLIED = "SELECT version, checksum, applied_at FROM schema_migrations WHERE applied_at > 0"
INSERT_BEGUN = "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (%s, %s, %s, 0)"
DELETE_BEGUN = "DELETE FROM schema_migrations WHERE version = %s AND applied_at = 0"
UPDATE_APPLIED = "UPDATE schema_migrations SET name = %s, checksum = %s, applied_at = %s WHERE version = %s"


class MigrationFailed(Exception):
    """A file could not be applied, or was changed after it had been; the message names it and the cause."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; ``applied_at`` in ms, None while it is pending."""

    version: int
    name: str
    sql: str
    applied_at: int | None = None

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, so that an edited file is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The statements without the comment lines."""
        lines = [line for line in self.sql.splitlines() if not line.startswith("--")]
        return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


def read_files(dialect: str, folder: Path = SQL) -> list[Migration]:
    """The files of a dialect in their order."""
    paths = sorted((folder / dialect).glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [Migration(int(path.stem[:4]), path.stem, path.read_text("utf-8")) for path in paths]


async def status(database: Database, folder: Path = SQL) -> list[Migration]:
    """Every file with its state; writes nothing. Raises ``MigrationFailed`` for a file that was edited since."""
    applied = await _find_applied(database)
    return [_with_state(migration, applied) for migration in read_files(database.dialect.name, folder)]


async def pending(database: Database, folder: Path = SQL) -> list[Migration]:
    """The files not applied yet."""
    return [migration for migration in await status(database, folder) if migration.applied_at is None]


async def migrate(
    database: Database, clock: Clock, told: Callable[[Migration], None] = lambda _: None, folder: Path = SQL
) -> int:
    """Applies what is pending and returns how many files; ``told`` hears of each when it is done."""
    async with database.migration_lock():
        await database.run(_create_table)
        applied = [one for one in await pending(database, folder) if await _apply(database, clock, one, told)]
    return len(applied)


async def _find_applied(database: Database) -> dict[int, tuple[str, int]]:
    if not await database.fetch(TABLES_LIKE_OURS[database.dialect.name], ["schema_migrations"]):
        return {}
    rows = await database.fetch(SELECT_APPLIED)
    return {version: (checksum, applied_at) for version, checksum, applied_at in rows}


def _with_state(migration: Migration, applied: dict[int, tuple[str, int]]) -> Migration:
    checksum, applied_at = applied.get(migration.version, (migration.checksum, None))
    if checksum != migration.checksum:
        raise MigrationFailed(f"{migration.name}.sql was changed after it was applied; add a new file instead")
    return Migration(migration.version, migration.name, migration.sql, applied_at)


async def _create_table(tx: Tx) -> None:
    await tx.execute(TABLE)


async def _apply(database: Database, clock: Clock, migration: Migration, told: Callable[[Migration], None]) -> bool:
    async def work(tx: Tx) -> bool:
        if await _find_applied_at(tx, migration):
            return False  # another run was faster (SQLite has no lock around the whole run)
        for statement in migration.statements:
            await _execute(tx, statement, begun=begun)
        row = [migration.name, migration.checksum, clock.now_ms(), migration.version]
        await tx.execute(UPDATE_APPLIED, row)
        return True

    try:
        begun = await database.run(lambda tx: _begin(tx, migration))
        done = await database.run(work, budget_s=MIGRATION_BUDGET_S)
    except Exception as error:
        if isinstance(error, AlreadyThere):  # somebody else's: it will not be taken as ours
            await database.run(lambda tx: tx.execute(DELETE_BEGUN, [migration.version]))
        raise MigrationFailed(f"{migration.name}.sql failed: {error}") from error
    if done:
        told(migration)
    return done


async def _begin(tx: Tx, migration: Migration) -> bool:
    """Notes that the file is begun; whether it was before, so that a run ended between the DDL and the last note."""
    if await _find_applied_at(tx, migration) is not None:
        return True
    await tx.execute(INSERT_BEGUN, [migration.version, migration.name, migration.checksum])
    return False


async def _find_applied_at(tx: Tx, migration: Migration) -> int | None:
    rows = await tx.fetch("SELECT applied_at FROM schema_migrations WHERE version = %s", [migration.version])
    return int(rows[0][0]) if rows else None


async def _execute(tx: Tx, statement: str, *, begun: bool) -> None:
    try:
        await tx.execute(statement)
    except AlreadyThere:
        if not begun:
            raise
