"""A backup comes back: nobody who was logged out is in again, nobody who was deleted exists again."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.auth.keyring import open_keyring
from app.crypto.sealing import BlindIndex
from app.operations.ledger import DatabaseIsOlder, Ledger, LedgerFile
from app.operations.restoring import Restored, make_true
from backend import PASSWORD, StartBackend, Store
from cli.compose import make_sealer
from commands import PRODUCTION, Running, kaimen
from core.clock import Clock
from core.settings import Settings
from models import migrations
from models.db import Database, dumping, open_database
from servers import MariaDB, Redis


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Database]:
    database = open_database(store.database_url, Clock())
    try:
        yield database
    finally:
        await database.close()


async def keep_ledger(store: Store, folder: Path) -> None:
    async with opened(store) as database:
        await Ledger(database, Clock(), folder).keep_once()


async def restore(store: Store, settings: Settings, backup: Path, folder: Path) -> Restored:
    dumping.load(store.database_url, backup)
    async with opened(store) as database:
        sealer, clock = make_sealer(settings), Clock()
        index = BlindIndex((await open_keyring(database, sealer, clock)).index)
        return await make_true(database, sealer, index, LedgerFile(folder), clock, "cli:test")


@pytest.fixture
async def own_store(request: pytest.FixtureRequest, store: Store, mariadb: MariaDB) -> Store:
    """A database that a load may replace: not that of the other tests."""
    if store.database_url.startswith("sqlite:"):
        return store
    made = Store(mariadb.create_database("restored"), store.redis_url)
    async with opened(made) as database:
        await migrations.migrate(database, Clock())
    return made


async def test_what_ended_after_the_backup_stays_ended(
    start_backend: StartBackend, own_store: Store, tmp_path: Path
) -> None:
    before = await start_backend(own_store)
    alice, bob = await before.login("alice"), await before.login("bob")
    carol = (await before.auth("register", username="carol", password=PASSWORD)).data
    dumping.dump(own_store.database_url, tmp_path / "backup.gz")
    assert (await before.call("POST", "/api/auth/logout", {}, alice["accessToken"])).status == 200
    assert (await before.call("DELETE", "/api/user", {}, bob["accessToken"])).status == 200
    await keep_ledger(own_store, tmp_path)
    await before.kaimen.keyring.stop()

    done = await restore(own_store, before.kaimen.settings, tmp_path / "backup.gz", tmp_path)
    assert (done.sessions, done.deleted) == (3, 1)
    after = await start_backend(own_store)
    for login in (alice, bob, carol):
        assert (await after.get("/api/user/info", login["accessToken"])).status == 401
        assert (await after.auth("autoLogin", refreshToken=login["refreshToken"])).status == 401
    assert (await after.login("alice"))["user"]["id"] == alice["user"]["id"]
    again = await after.login("bob")
    assert (again["isNewUser"], again["user"]["id"] != bob["user"]["id"]) == (True, True)
    assert (await after.auth("login", username="carol", password=PASSWORD)).status == 200
    await keep_ledger(own_store, tmp_path)  # no longer older


async def test_a_restore_may_be_made_true_twice(start_backend: StartBackend, own_store: Store, tmp_path: Path) -> None:
    backend = await start_backend(own_store)
    await backend.login("bob")
    dumping.dump(own_store.database_url, tmp_path / "backup.gz")
    await restore(own_store, backend.kaimen.settings, tmp_path / "backup.gz", tmp_path)
    done = await restore(own_store, backend.kaimen.settings, tmp_path / "backup.gz", tmp_path)
    assert done == Restored(1, 0)


async def test_an_older_database_is_known_by_its_mark_and_a_failover_is_not(
    embedded_store: Store, tmp_path: Path
) -> None:
    async with opened(embedded_store) as database:
        ledger = Ledger(database, Clock(), tmp_path)
        await ledger.keep_once()
        seen = LedgerFile(tmp_path).mark()
        await database.run(lambda tx: tx.execute("UPDATE notes SET value = %s WHERE name = 'ledger'", [seen - 60_000]))
        await ledger.check()
        await database.run(lambda tx: tx.execute("UPDATE notes SET value = %s WHERE name = 'ledger'", [seen - 600_000]))
        with pytest.raises(DatabaseIsOlder):
            await ledger.check()
        await database.run(lambda tx: tx.execute("DELETE FROM notes"))
        with pytest.raises(DatabaseIsOlder):
            await ledger.check()


async def test_a_broken_backup_is_refused_before_anything_is_changed(
    start_backend: StartBackend, own_store: Store, tmp_path: Path
) -> None:
    backend = await start_backend(own_store)
    await backend.login()
    dumping.dump(own_store.database_url, tmp_path / "backup.gz")
    whole = (tmp_path / "backup.gz").read_bytes()
    for broken in (whole[: len(whole) // 2], b"no gzip at all", gzip.compress(b"x")[:-1]):
        (tmp_path / "broken.gz").write_bytes(broken)
        with pytest.raises(dumping.DumpFailed, match="no whole backup"):
            dumping.load(own_store.database_url, tmp_path / "broken.gz")
    async with opened(own_store) as database:
        assert await database.fetch("SELECT COUNT(*) FROM users") == [(1,)]


def test_several_processes_may_write_one_ledger(tmp_path: Path) -> None:
    files = [LedgerFile(tmp_path) for _ in range(3)]
    for number, file in enumerate(files):
        file.add(100 - number, [(number, f"user{number}")])
    assert (files[0].mark(), files[0].deleted()) == (100, {"user0", "user1", "user2"})


# --- by the commands, with a server in production ---


@pytest.fixture
def production(mariadb: MariaDB, redis_server: Redis) -> dict[str, str]:
    urls = {"KAIMEN_DATABASE_URL": mariadb.create_database("produced"), "KAIMEN_REDIS_URL": redis_server.url}
    return {**PRODUCTION, **urls, "KAIMEN_PORT": "0", "KAIMEN_ADMIN_PORT": "0"}


def age(mariadb: MariaDB) -> None:
    """As if the database were an hour older: what a restored backup looks like."""
    mariadb.execute("UPDATE produced.notes SET value = CAST(value AS SIGNED) - 3600000 WHERE name = 'ledger'")


def test_a_restored_database_is_not_served_until_it_was_made_true(
    tmp_path: Path, running: list[Running], production: dict[str, str], mariadb: MariaDB
) -> None:
    assert kaimen(tmp_path, "migrate", **production).returncode == 0
    running.append(Running(tmp_path, "serve", **production))
    running[0].wait_until_serving()
    assert running[0].stop() == 0
    made = kaimen(tmp_path, "backup", str(tmp_path / "backups"), "--keep", "2", **production)
    assert made.returncode == 0, made.stderr
    (found,) = (tmp_path / "backups").iterdir()
    assert found.stat().st_mode & 0o077 == 0
    age(mariadb)
    refused = kaimen(tmp_path, "serve", **production)
    assert (refused.returncode, "kaimen restore" in refused.stderr) == (78, True)
    assert kaimen(tmp_path, "restore", str(found), **production).returncode == 1  # asks, and nobody answers
    done = kaimen(tmp_path, "restore", str(found), "--yes", **production)
    assert (done.returncode, "signing keys exchanged" in done.stdout) == (0, True), done.stderr
    running.append(Running(tmp_path, "serve", **production))
    running[-1].wait_until_serving()
    assert running[-1].stop() == 0


def test_a_server_stops_when_its_database_becomes_an_older_one(
    tmp_path: Path, running: list[Running], production: dict[str, str], mariadb: MariaDB
) -> None:
    assert kaimen(tmp_path, "migrate", **production).returncode == 0
    running.append(Running(tmp_path, "serve", **production))
    running[0].wait_until_serving()
    wait_for_ledger(tmp_path / "var/ledger.json")
    age(mariadb)
    assert running[0].process.wait(20) == 78
    assert "older copy" in running[0].output.read_text()


def test_a_data_folder_that_cannot_hold_the_ledger_ends_the_start_with_78(
    tmp_path: Path, production: dict[str, str]
) -> None:
    assert kaimen(tmp_path, "migrate", **production).returncode == 0
    (tmp_path / "file").write_text("")
    refused = kaimen(tmp_path, "serve", **production, KAIMEN_DATA_DIR=str(tmp_path / "file/folder"))
    assert (refused.returncode, "KAIMEN_DATA_DIR" in refused.stderr) == (78, True), refused.stderr
    assert "Traceback" not in refused.stderr


def wait_for_ledger(path: Path) -> None:
    import time

    deadline = time.monotonic() + 15
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
