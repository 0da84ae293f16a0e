import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import aiomysql
import pytest
import redis.asyncio as aioredis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tornado.curl_httpclient import CurlAsyncHTTPClient
from tornado.web import Application, RequestHandler

from servers import MariaDB, Redis, Server, ServerError, find_binary, port_is_free


@pytest.fixture(params=[MariaDB, Redis])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param() as started:
        yield started


async def query(url: str, sql: str) -> tuple[tuple[object, ...], ...]:
    parts = urlsplit(url)
    connection = await aiomysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password,
        db=parts.path[1:], autocommit=True,
    )  # fmt: skip
    with closing(connection):
        async with connection.cursor() as cursor:
            await cursor.execute(sql)
            return tuple(await cursor.fetchall())


def redis_client(url: str) -> aioredis.Redis:
    return aioredis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), decode_responses=True)


async def test_mariadb_answers_a_query(mariadb: MariaDB) -> None:
    assert await query(mariadb.url, "SELECT DATABASE(), 1 + 1") == (("kaimen", 2),)


async def test_a_created_database_is_empty_every_time(mariadb: MariaDB) -> None:
    for _ in range(2):
        url = mariadb.create_database("fresh")
        assert await query(url, "SHOW TABLES") == ()
        await query(url, "CREATE TABLE t (n INT)")
    mariadb.drop_database("fresh")
    assert await query(mariadb.url, "SHOW DATABASES LIKE 'fresh'") == ()


async def test_mariadb_keeps_its_data_over_a_restart_and_over_a_kill() -> None:
    with MariaDB() as server:
        url = server.url
        await query(url, "CREATE TABLE t (n INT)")
        await query(url, "INSERT INTO t VALUES (1)")
        server.restart()
        await query(url, "INSERT INTO t VALUES (2)")
        server.kill()
        server.restart()
        assert await query(url, "SELECT n FROM t ORDER BY n") == ((1,), (2,))


async def test_redis_answers_and_forgets_when_flushed(redis_server: Redis) -> None:
    async with redis_client(redis_server.url) as client:
        await client.set("k", "v")
        assert await client.get("k") == "v"
        redis_server.flush()
        assert await client.get("k") is None


async def test_redis_keeps_its_data_over_a_restart_and_over_a_kill() -> None:
    with Redis() as server:
        for step in (server.stop, server.kill):
            async with redis_client(server.url) as client:
                await client.incr("n")
            step()
            server.restart()
        async with redis_client(server.url) as client:
            assert await client.get("n") == "2"


def test_kill_frees_the_port(server: Server) -> None:
    assert not port_is_free(server.port)
    server.kill()
    assert port_is_free(server.port)
    assert server.pid is None


def test_close_leaves_neither_process_nor_folder(server: Server) -> None:
    pid = server.pid
    assert pid is not None
    server.close()
    assert not server.folder.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_port_that_is_taken_gives_another_one(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = iter([server.port])
    monkeypatch.setattr("servers.free_port", lambda real=sys.modules["servers"].free_port: next(ports, real()))
    with type(server)() as second:
        assert second.port != server.port


def test_a_server_that_cannot_start_shows_its_log() -> None:
    with Redis() as server:
        server.stop()
        with Redis() as other:
            server.port = other.port
            with pytest.raises(ServerError, match=r"(?i)address already in use"):
                server.start()


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(ServerError, match="apt-get install some-package"):
        find_binary("no-such-server", "some-package")


def test_a_server_does_not_outlive_a_killed_test_run() -> None:
    code = "from servers import Redis; s = Redis(); print(s.pid, s.folder, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        pid, folder = run.stdout.readline().split()
        os.kill(run.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while is_running(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    subprocess.run(["rm", "-r", folder], check=True)


def is_running(pid: int) -> bool:
    """Whether it runs: an init that reaps late may leave a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class TestTornadoFixtures:
    @pytest.fixture
    def app(self) -> Application:
        class Echo(RequestHandler):
            def get(self) -> None:
                self.write(self.get_argument("q"))

        return Application([("/echo", Echo)])

    @pytest.mark.gen_test
    async def test_the_client_reaches_the_app(self, http_client: CurlAsyncHTTPClient, base_url: str) -> None:
        response = await http_client.fetch(f"{base_url}/echo?q=hello")
        assert response.body == b"hello"

    async def test_the_port_is_the_url_s_port(self, http_port: int, base_url: str) -> None:
        assert urlsplit(base_url).port == http_port
