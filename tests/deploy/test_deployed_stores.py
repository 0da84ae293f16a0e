"""The set-up of MySQL and Redis that deploy/ shows is enough for everything, and allows nothing more."""

from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
import redis

from app.doctor import stores
from app.doctor.findings import OK
from backend import PASSWORD, StartBackend, Store, make_settings
from core.clock import Clock
from models import migrations
from models.db import open_database
from models.kv import open_kv
from servers import MariaDB, Redis, find_binary

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRET = "Sesame0123456789"


class DeployedRedis(Redis):
    """Started with the file of deploy/redis/ as it is, but for port and password."""

    @property
    def url(self) -> str:
        return f"redis://kaimen:{self.password}@127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        config = self.folder / "kaimen.conf"
        config.write_text((DEPLOY / "redis/kaimen.conf").read_text().replace("CHANGE-ME", self.password))
        folder = ["--port", str(self.port), "--dir", str(self.folder)]
        return [find_binary("redis-server", "redis-server"), str(config), *folder]


@pytest.fixture(scope="module")
def deployed_redis() -> Iterator[Redis]:
    with DeployedRedis() as server:
        yield server


@pytest.fixture(scope="module")
def account(mariadb: MariaDB) -> Iterator[str]:
    """The URL of the account that setup.sql makes; its tables are made by it, too."""
    statements = (DEPLOY / "mysql/setup.sql").read_text().replace("CHANGE-ME", SECRET)
    statements = statements.replace("@localhost", "@'127.0.0.1'").replace("kaimen@", "deployed@")
    statements = statements.replace("EXISTS kaimen", "EXISTS deployed").replace("kaimen.*", "deployed.*")
    lines = [line for line in statements.splitlines() if not line.startswith("--")]
    for _ in range(2):  # it may be run again
        for statement in filter(str.strip, "\n".join(lines).split(";")):
            mariadb.execute(statement)
    yield f"mysql://deployed:{SECRET}@127.0.0.1:{mariadb.port}/deployed"
    mariadb.drop_database("deployed")


async def test_everything_works_with_the_least_privileges(
    account: str, deployed_redis: Redis, start_backend: StartBackend
) -> None:
    database = open_database(account, Clock())
    await migrations.migrate(database, Clock())
    await database.close()
    backend = await start_backend(Store(account, deployed_redis.url))
    login = await backend.login()
    phone = backend.simulator.wechat.phone_code("wx0000000000000001", "alice")
    assert (await backend.call("POST", "/api/user/phone", {"code": phone}, login["accessToken"])).status == 200
    for _ in range(6):
        limited = await backend.auth("login", username="nobody", password=PASSWORD)
    assert limited.error == "too_many_attempts"
    assert (await backend.call("POST", "/api/auth/logout", {}, login["accessToken"])).status == 200
    assert (await backend.get("/readyz")).body == {"status": "ok", "unusable": []}


async def test_the_doctor_finds_nothing_to_complain_about_but_how_the_tests_run_theirs(
    account: str, deployed_redis: Redis
) -> None:
    database, kv = open_database(account, Clock()), open_kv(deployed_redis.url, Clock())
    await migrations.migrate(database, Clock())
    settings = make_settings(Store(account, deployed_redis.url), "http://127.0.0.1:1")
    found = await stores.examine_database(database, Clock()) + await stores.examine_redis(kv, settings, Clock())
    await database.close()
    await kv.close()
    complaints = [one.found for one in found if one.level != OK]
    assert [one for one in complaints if "innodb_flush_log_at_trx_commit" not in one] == []


@pytest.mark.parametrize("command", [["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "SET", "save", ""], ["GET", "other"]])
def test_the_account_of_redis_reaches_nothing_else(deployed_redis: Redis, command: list[str]) -> None:
    with redis.Redis.from_url(deployed_redis.url) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)


@pytest.mark.parametrize("sql", ["SELECT * FROM mysql.user", "CREATE DATABASE other", "SELECT LOAD_FILE('/etc/hosts')"])
def test_the_account_of_mysql_reaches_nothing_else(account: str, mariadb: MariaDB, sql: str) -> None:
    connection = pymysql.connect(
        host="127.0.0.1", port=mariadb.port, user="deployed", password=SECRET, database="deployed"
    )
    with connection, connection.cursor() as cursor:
        if "LOAD_FILE" in sql:
            cursor.execute(sql)
            assert cursor.fetchone() == (None,)
        else:
            with pytest.raises(pymysql.MySQLError):
                cursor.execute(sql)
