"""Redis or the database away in the middle of a QR login."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend import Backend, StartBackend, Store
from core.clock import Clock
from models import migrations
from models.db import open_database
from scan_client import act, confirmed, create, hear, open_page, watching
from servers import MariaDB, Redis


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    """A Redis of this test's own, to be killed; what it was told survives a restart unless it is flushed."""
    with Redis() as server:
        yield server


@pytest.fixture
async def backend(start_backend: StartBackend, server_store: Store, redis: Redis) -> Backend:
    return await start_backend(Store(server_store.database_url, redis.url))


async def recovered(backend: Backend) -> None:
    async with asyncio.timeout(5):
        while (await create(backend)).status != 201:
            await asyncio.sleep(0.05)


async def test_with_redis_killed_everything_is_5002_and_nobody_is_signed_in(backend: Backend, redis: Redis) -> None:
    phone = await backend.login()
    page, other = await open_page(backend), await open_page(backend)
    ticket = await confirmed(backend, page, phone["accessToken"])
    redis.kill()
    token = phone["accessToken"]
    replies = [
        await create(backend),
        await page.redeem(backend, ticket),
        await act(backend, other, "scan", token),
        await act(backend, page, "confirm", token),
        await act(backend, other, "cancel", token),
        await page.poll(backend, query="?wait=0"),
        await page.poll(backend),
        await backend.get(f"/api/scan/{page.id}/qr.svg"),
    ]
    assert [(reply.status, reply.body["code"]) for reply in replies] == [(503, 5002)] * len(replies)
    assert all(reply.headers["Retry-After"] for reply in replies)


async def test_a_socket_on_redis_that_comes_back_empty_is_told_that_its_scan_is_over(
    backend: Backend, redis: Redis
) -> None:
    page = await open_page(backend)
    async with watching(backend, page) as browser:
        assert (await hear(browser))["type"] == "PENDING"
        redis.flush()
        redis.kill()
        await asyncio.to_thread(redis.start)
        told = await hear(browser, 10)
        assert (told["type"], told["state"], told["version"]) == ("EXPIRED", "expired", 2)
        assert await hear(browser) is None
    await recovered(backend)
    assert (await page.poll(backend, query="?wait=0")).body["code"] == 4040


async def test_a_socket_goes_on_when_redis_comes_back_with_what_it_knew(backend: Backend, redis: Redis) -> None:
    page = await open_page(backend)
    phone = await backend.login()
    async with watching(backend, page) as browser:
        assert (await hear(browser))["type"] == "PENDING"
        redis.kill()
        await asyncio.to_thread(redis.start)
        await recovered(backend)
        await act(backend, page, "scan", phone["accessToken"])
        assert (await hear(browser, 10))["type"] == "SCANNED"


async def test_what_happened_while_the_subscription_was_away_is_told_when_it_stands_again(
    start_backend: StartBackend, server_store: Store, redis_server: Redis
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    phone = await one.login()
    page = await open_page(one)
    async with watching(two, page) as browser:
        await hear(browser)
        hub: Any = two.kaimen.scan_hub
        for task in hub._tasks[:1]:
            task.cancel()
        await asyncio.gather(*hub._tasks[:1], return_exceptions=True)
        hub._is_live = False
        await confirmed(one, page, phone["accessToken"])
        hub._tasks[0] = asyncio.create_task(hub._keep_listening())
        told = await hear(browser)
        assert (told["type"], told["version"]) == ("LOGIN_SUCCESS", 3)


async def test_a_socket_is_told_of_its_end_though_redis_stays_away(backend: Backend, redis: Redis) -> None:
    page = await open_page(backend)
    async with watching(backend, page) as browser:
        await hear(browser)
        redis.kill()
        backend.clock.advance(121)
        told = await hear(browser, 10)
        assert (told["type"], told["version"]) == ("EXPIRED", 2)


async def test_a_connection_of_redis_that_is_cut_costs_nobody_a_step(
    start_backend: StartBackend, server_store: Store, redis_server: Redis
) -> None:
    backend = await start_backend(server_store)
    phone = await backend.login()
    page = await open_page(backend)
    async with watching(backend, page) as browser:
        await hear(browser)
        with redis_server._client() as client:
            for one in client.client_list(_type="pubsub"):
                client.client_kill_filter(_id=one["id"])
        await act(backend, page, "scan", phone["accessToken"])
        assert (await hear(browser))["type"] == "SCANNED"


@pytest.fixture
async def mariadb_of_its_own() -> AsyncIterator[MariaDB]:
    """To be killed."""
    with MariaDB() as server:
        database = open_database(server.url, Clock())
        await migrations.migrate(database, Clock())
        await database.close()
        yield server


async def test_a_redeem_that_found_the_database_away_may_be_repeated(
    mariadb_of_its_own: MariaDB, redis: Redis, start_backend: StartBackend
) -> None:
    backend = await start_backend(Store(mariadb_of_its_own.url, redis.url))
    phone = await backend.login()
    page = await open_page(backend)
    ticket = await confirmed(backend, page, phone["accessToken"])
    mariadb_of_its_own.kill()
    refused = await page.redeem(backend, ticket)
    assert (refused.status, refused.body["code"]) == (503, 5001)
    await asyncio.to_thread(mariadb_of_its_own.start)
    async with asyncio.timeout(10):
        while (reply := await page.redeem(backend, ticket)).status == 503:
            await asyncio.sleep(0.05)
    assert reply.status == 200
    assert (await page.redeem(backend, ticket)).body["code"] == 4101
