"""Migrations: each once, in order, a failure named and resumed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.clock import Clock
from models import migrations
from models.db import Database, open_database
from models.migrations import MigrationFailed, migrate, pending, read_files
from servers import MariaDB

CLOCK = Clock()


@pytest.fixture(params=["sqlite", "mysql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of each kind."""
    url = f"sqlite:////{tmp_path}/empty.db"
    if request.param == "mysql":
        mariadb: MariaDB = request.getfixturevalue("mariadb")
        url = mariadb.create_database("migrations")
    opened = open_database(url, CLOCK)
    yield opened
    await opened.close()


def write(folder: Path, database: Database, **files: str) -> Path:
    (folder / database.dialect.name).mkdir(exist_ok=True)
    for name, sql in files.items():
        (folder / database.dialect.name / f"{name.removeprefix('m')}.sql").write_text(f"-- why\n{sql};\n")
    return folder


async def test_status_of_an_empty_database_writes_nothing(database: Database) -> None:
    waiting = await pending(database)
    assert len(waiting) == len(read_files(database.dialect.name)) > 0
    assert await pending(database) == waiting


async def test_a_failed_file_is_named_with_its_cause_and_resumed(database: Database, tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        database,
        m0001_one="CREATE TABLE one (id INTEGER)",
        m0002_two="CREATE TABLE two (id NONSENSE NONSENSE (",
        m0003_three="CREATE TABLE three (id INTEGER)",
    )
    with pytest.raises(MigrationFailed, match="0002_two"):
        await migrate(database, CLOCK, folder=folder)
    assert [one.name for one in await pending(database, folder)] == ["0002_two", "0003_three"]
    write(tmp_path, database, m0002_two="CREATE TABLE two (id INTEGER)")
    assert await migrate(database, CLOCK, folder=folder) == 2
    assert await pending(database, folder) == []


@pytest.mark.parametrize("sql", ["ALTER TABLE one ADD COLUMN name INTEGER", "ALTER TABLE one ADD INDEX one_id (id)"])
async def test_a_run_that_died_after_the_statement_and_before_its_note_is_resumed(
    mariadb: MariaDB, tmp_path: Path, sql: str
) -> None:
    database = open_database(mariadb.create_database("begun"), CLOCK)
    folder = write(tmp_path, database, m0001_one="CREATE TABLE one (id INTEGER)", m0002_two=sql)
    await migrate(database, CLOCK, folder=folder)
    await database.run(lambda tx: tx.execute("UPDATE schema_migrations SET applied_at = 0 WHERE version = 2"))
    assert [one.name for one in await pending(database, folder)] == ["0002_two"]
    assert await migrate(database, CLOCK, folder=folder) == 1
    assert await pending(database, folder) == []
    await database.close()


async def test_what_is_there_without_having_been_begun_is_a_failure(mariadb: MariaDB, tmp_path: Path) -> None:
    database = open_database(mariadb.create_database("foreign"), CLOCK)
    await database.run(lambda tx: tx.execute("CREATE TABLE one (id INTEGER)"))
    folder = write(tmp_path, database, m0001_one="ALTER TABLE one ADD COLUMN id INTEGER")
    for _ in range(2):
        with pytest.raises(MigrationFailed, match="0001_one"):
            await migrate(database, CLOCK, folder=folder)
    await database.close()


async def test_a_file_changed_after_it_was_applied_is_refused(database: Database, tmp_path: Path) -> None:
    folder = write(tmp_path, database, m0001_one="CREATE TABLE one (id INTEGER)")
    await migrate(database, CLOCK, folder=folder)
    write(tmp_path, database, m0001_one="CREATE TABLE one (id BIGINT)")
    with pytest.raises(MigrationFailed, match="changed after it was applied"):
        await pending(database, folder)


def test_both_dialects_have_the_same_files_and_each_gives_its_reason() -> None:
    mysql, sqlite = read_files("mysql"), read_files("sqlite")
    assert [one.name for one in mysql] == [one.name for one in sqlite]
    assert all(one.sql.startswith("-- ") for one in [*mysql, *sqlite])


def test_a_mysql_file_holds_one_statement() -> None:
    assert {one.name: len(one.statements) for one in read_files("mysql") if len(one.statements) != 1} == {}


def test_versions_count_without_a_gap_or_a_twin() -> None:
    versions = [one.version for one in migrations.read_files("mysql")]
    assert versions == sorted(set(versions))
