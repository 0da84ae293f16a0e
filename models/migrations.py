"""Applies ``sql/<dialect>/NNNN_reason.sql``, forward only, each file once.

A file for MySQL holds one DDL statement, for MySQL commits at each: a file that fails has changed nothing, is
named with its cause, and is tried again by the next run. Two runs at once wait for each other.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from models.db import Database, Tx

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
SELECT_APPLIED = "SELECT version, checksum, applied_at FROM schema_migrations"
INSERT_APPLIED = "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (%s, %s, %s, %s)"


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
        if await tx.fetch(SELECT_APPLIED + " WHERE version = %s", [migration.version]):
            return False  # another run was faster (SQLite has no lock around the whole run)
        for statement in migration.statements:
            await tx.execute(statement)
        row = [migration.version, migration.name, migration.checksum, clock.now_ms()]
        await tx.execute(INSERT_APPLIED, row)
        return True

    try:
        done = await database.run(work, budget_s=MIGRATION_BUDGET_S)
    except Exception as error:
        raise MigrationFailed(f"{migration.name}.sql failed: {error}") from error
    if done:
        told(migration)
    return done
