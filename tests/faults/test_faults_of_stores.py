"""MySQL and Redis fail under load: tabled errors, recovery by itself, and nothing acknowledged is lost."""

import asyncio
import time
from pathlib import Path

import pymysql
import pytest
import redis as redis_client
from history import Load, Seen, check, well_within
from small_disk import SmallDisk, may_mount

from backend import Backend, StartBackend, Store
from core.clock import Clock
from models import migrations
from models.db import open_database
from rows import migrate
from servers import MariaDB, Redis

KILLS = 3
FILLERS = {
    "users": "(id, created_at, updated_at) SELECT CONCAT('filler', seq), 0, 0",
    "sessions": (
        "(id, user_id, generation, refresh_key, auth_method, auth_at, created_at, rotated_at, expires_at, ends_at, "
        "device, address) SELECT CONCAT('filler', seq), CONCAT('filler', seq), 1, '', '', 0, 0, 0, 0, 0, '', ''"
    ),
}
MIGRATIONS = (  # as those of sql/mysql
    "ALTER TABLE {table} ADD COLUMN later BIGINT NOT NULL DEFAULT 0, ALGORITHM=INSTANT, LOCK=DEFAULT",
    "ALTER TABLE {table} ADD INDEX later (later, created_at), ALGORITHM=INPLACE, LOCK=NONE",
)


@pytest.fixture
async def backend(start_backend: StartBackend, own_servers: tuple[MariaDB, Redis]) -> Backend:
    mariadb, redis = own_servers
    return await start_backend(Store(mariadb.url, redis.url))


async def test_mariadb_killed_and_restarted_under_load(
    backend: Backend, own_servers: tuple[MariaDB, Redis], seen: Seen
) -> None:
    mariadb, _ = own_servers
    async with Load(backend) as load:
        await load.until(100)
        mariadb.kill()
        await load.until(5, "fail")
        started = time.monotonic()
        assert (await backend.auth("login", code=backend.wx_login())).error == "database_unavailable"
        assert time.monotonic() - started < 2.2
        await asyncio.to_thread(mariadb.start)
        seen(f"well after {await well_within(load, 5):.2f} s, {load.history.failed} failures before")
    await check(load.history, mariadb.url, backend)


async def test_all_connections_killed_under_load(backend: Backend, own_servers: tuple[MariaDB, Redis]) -> None:
    mariadb, _ = own_servers

    def kill_all() -> None:
        connection = pymysql.connect(
            host="127.0.0.1", port=mariadb.port, user=mariadb.user, password=mariadb.password, autocommit=True
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()")
            for (number,) in cursor.fetchall():
                try:
                    cursor.execute(f"KILL {number}")
                except pymysql.MySQLError:
                    continue  # gone by itself

    async with Load(backend) as load:
        await load.until(100)
        for _ in range(KILLS):
            await asyncio.to_thread(kill_all)
            await load.until(40)
    await check(load.history, mariadb.url, backend)
    # Only where the connection broke during COMMIT, for nobody knows then: all who shared that one, each time.
    assert load.history.failed <= KILLS * load.workers


async def test_a_database_that_becomes_read_only(
    start_backend: StartBackend, backend: Backend, own_servers: tuple[MariaDB, Redis], seen: Seen
) -> None:
    mariadb, redis = own_servers
    login = await backend.login()
    mariadb.execute("CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'Plain-1'")  # read_only does not hold for ours
    mariadb.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON kaimen.* TO plain@'127.0.0.1'")
    plain = await start_backend(Store(f"mysql://plain:Plain-1@127.0.0.1:{mariadb.port}/kaimen", redis.url))
    mariadb.execute("SET GLOBAL read_only = 1")
    assert (await plain.auth("login", code=plain.wx_login())).error == "database_unavailable"
    assert (await plain.get("/api/user/info", login["accessToken"])).status == 200
    mariadb.execute("SET GLOBAL read_only = 0")
    async with Load(plain) as load:
        seen(f"well after {await well_within(load, 5):.2f} s")
    assert load.history.wrong == []


async def test_redis_killed_and_back_empty_under_load(backend: Backend, own_servers: tuple[MariaDB, Redis]) -> None:
    mariadb, redis = own_servers
    async with Load(backend) as load:
        await load.until(100)
        redis.flush()
        redis.kill()
        failed = load.history.failed
        await load.until(100)
        assert load.history.failed == failed, load.history.statuses
        await asyncio.to_thread(redis.start)
        await load.until(50)
    assert load.history.counts["fail"] == 0, load.history.statuses
    await check(load.history, mariadb.url, backend)


async def test_a_redis_without_memory_fails_no_login(backend: Backend, own_servers: tuple[MariaDB, Redis]) -> None:
    mariadb, redis = own_servers
    with redis_client.Redis.from_url(redis.url) as client:
        async with Load(backend) as load:
            await load.until(50)
            client.config_set("maxmemory", 1)
            await load.until(100)
            client.config_set("maxmemory", 0)
            await load.until(50)
    assert load.history.failed == 0, load.history.statuses
    await check(load.history, mariadb.url, backend)


async def test_a_blocked_redis_holds_nobody_up_for_long(backend: Backend, own_servers: tuple[MariaDB, Redis]) -> None:
    mariadb, redis = own_servers

    def block() -> None:
        with redis_client.Redis.from_url(redis.url) as client:
            try:
                client.eval("while true do end", 0)
            except redis_client.RedisError:
                return  # killed

    async with Load(backend) as load:
        await load.until(50)
        blocking = asyncio.create_task(asyncio.to_thread(block))
        await load.until(100)
        started = time.monotonic()
        await backend.login()
        load.history.codes += 1
        assert time.monotonic() - started < 2
        with redis_client.Redis.from_url(redis.url) as client:
            while not blocking.done():
                try:
                    await asyncio.to_thread(client.execute_command, "SCRIPT", "KILL")
                except redis_client.RedisError:
                    await asyncio.sleep(0.1)
        await well_within(load, 3)
    assert load.history.failed == 0, load.history.statuses
    await check(load.history, mariadb.url, backend)


async def test_rows_held_by_somebody_else_are_waited_for_and_then_told(
    backend: Backend, own_servers: tuple[MariaDB, Redis], seen: Seen
) -> None:
    mariadb, _ = own_servers
    async with Load(backend) as load:
        await load.until(100)
        with pymysql.connect(
            host="127.0.0.1", port=mariadb.port, user=mariadb.user, password=mariadb.password, database="kaimen"
        ) as connection:
            await asyncio.to_thread(connection.query, "LOCK TABLES users WRITE")
            await load.until(3, "fail")
            connection.query("UNLOCK TABLES")
        seen(f"well after {await well_within(load, 5):.2f} s, {load.history.failed} failures before")
    await check(load.history, mariadb.url, backend)


@pytest.mark.skipif(not may_mount(), reason="a disk that can be filled needs the right to mount: run as root")
async def test_a_full_disk_under_the_database_stops_writes_and_no_reads(
    start_backend: StartBackend, redis_server: Redis, seen: Seen
) -> None:
    with SmallDisk() as mariadb:
        await migrate(mariadb.url)
        redis_server.flush()
        backend = await start_backend(Store(mariadb.url, redis_server.patient_url))
        login = await backend.login()
        async with Load(backend) as load:
            load.history.codes += 1
            await load.until(50)
            filler = await asyncio.to_thread(mariadb.fill)
            await load.until(20, "fail")
            assert (await backend.get("/api/user/info", login["accessToken"])).status == 200
            filler.unlink()
            seen(f"well after {await well_within(load, 5):.2f} s")
        await check(load.history, mariadb.url, backend)


async def test_a_migration_of_large_tables_under_load_fails_no_request(
    backend: Backend, own_servers: tuple[MariaDB, Redis], tmp_path: Path, full_size: bool, seen: Seen
) -> None:
    mariadb, _ = own_servers
    count = 200_000 if full_size else 20_000
    write_migrations(tmp_path / "mysql")
    for table, rows in FILLERS.items():
        mariadb.execute(f"INSERT INTO kaimen.{table} {rows} FROM kaimen.seq_1_to_{count}")
    database = open_database(mariadb.url, Clock())
    async with Load(backend) as load:
        await load.until(100)
        started, before = time.monotonic(), load.history.counts["ok"]
        assert await migrations.migrate(database, Clock(), folder=tmp_path) == len(FILLERS) * len(MIGRATIONS)
        took_s, during = time.monotonic() - started, load.history.counts["ok"] - before
        await load.until(100)
    await database.close()
    assert load.history.failed == 0, load.history.statuses
    seen(f"{count} rows a table: {took_s:.1f} s, {during} operations meanwhile, 0 failures")
    for table in FILLERS:
        mariadb.execute(f"DELETE FROM kaimen.{table} WHERE id LIKE 'filler%'")
    await check(load.history, mariadb.url, backend)


def write_migrations(folder: Path) -> None:
    folder.mkdir()
    texts = [text.format(table=table) for table in FILLERS for text in MIGRATIONS]
    for number, text in enumerate(texts, 9001):
        (folder / f"{number}_later.sql").write_text(text)
