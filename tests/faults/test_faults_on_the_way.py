"""Replies that never arrive: commits whose outcome nobody knows, clients that hang up, slow networks."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from history import Load, check
from tcp_proxy import TcpProxy
from tornado.httpclient import HTTPClientError, HTTPRequest

from backend import Backend, StartBackend, Store
from servers import MariaDB, Redis


@pytest.fixture
async def to_mariadb(mariadb: MariaDB) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(mariadb.port) as proxy:
        yield proxy


@pytest.fixture
async def to_redis(redis_server: Redis) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
async def backend(
    start_backend: StartBackend, server_store: Store, mariadb: MariaDB, redis_server: Redis, to_mariadb: TcpProxy,
    to_redis: TcpProxy,
) -> Backend:  # fmt: skip
    database = server_store.database_url.replace(str(mariadb.port), str(to_mariadb.port))
    redis = server_store.redis_url.replace(str(redis_server.port), str(to_redis.port))
    return await start_backend(Store(database, redis))


async def test_a_commit_whose_reply_is_lost_is_told_as_a_failure_and_written_once(
    backend: Backend, to_mariadb: TcpProxy, server_store: Store
) -> None:
    to_mariadb.cut_after = b"COMMIT"
    async with Load(backend) as load:
        await load.until(50)
        for _ in range(5):
            to_mariadb.cuts = 1
            await load.until(50)
    assert to_mariadb.cuts == 0
    assert 0 < load.history.failed <= 5 * 8
    await check(load.history, server_store.database_url, backend)


async def test_a_connection_cut_in_the_middle_of_a_transaction_is_seen_by_nobody(
    backend: Backend, to_mariadb: TcpProxy, server_store: Store
) -> None:
    to_mariadb.cut_after = b"INSERT INTO sessions"
    async with Load(backend) as load:
        await load.until(50)
        for _ in range(5):
            to_mariadb.cuts = 1
            await load.until(40)
    assert (to_mariadb.cuts, load.history.failed) == (0, 0), load.history.statuses
    await check(load.history, server_store.database_url, backend)


async def test_clients_that_hang_up_get_nobody_else_s_reply(
    backend: Backend, to_mariadb: TcpProxy, to_redis: TcpProxy, server_store: Store
) -> None:
    """Commands to MariaDB and Redis are under way when their requests are given up, a thousand times."""
    to_mariadb.delay_s = to_redis.delay_s = 0.005
    chance = random.Random(2)

    async def hang_up() -> None:
        body = f'{{"action": "login", "code": "{backend.wx_login()}"}}'
        request = HTTPRequest(
            backend.url + "/api/auth", method="POST", body=body, headers={"Content-Type": "application/json"},
            request_timeout=chance.uniform(0.002, 0.06),
        )  # fmt: skip
        with suppress(HTTPClientError, OSError):
            await backend.http.fetch(request)

    async with Load(backend, workers=4) as load:
        for _ in range(50):
            load.history.codes += 20
            await asyncio.gather(*(hang_up() for _ in range(20)))
        await load.until(20)
    await check(load.history, server_store.database_url, backend)
    assert backend.kaimen.health.under_way() == 0
