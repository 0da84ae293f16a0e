"""The same over a primary named by Sentinel and over a cluster, also while they change under load."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from backend import PASSWORD, Backend, StartBackend, Store
from core.clock import Clock
from core.errors import AppError
from core.settings import SettingsInvalid
from models.kv import Kv, open_kv
from redis_topologies import Cluster, SentinelGroup


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture
def group() -> Iterator[SentinelGroup]:
    with SentinelGroup() as running:
        yield running


@pytest.fixture
async def clustered(cluster: Cluster) -> AsyncIterator[Kv]:
    kv = open_kv(cluster.url, Clock())
    yield kv
    await kv.close()


async def test_commands_to_all_parts_of_a_cluster_leave_together_and_come_back_in_order(clustered: Kv) -> None:
    names = [f"kaimen:test:{number}" for number in range(200)]
    await asyncio.gather(*(clustered.run("SET", name, name, "EX", 60) for name in names))
    assert await asyncio.gather(*(clustered.run("GET", name) for name in names)) == names
    await clustered.ping()


async def test_scripts_and_messages_work_over_a_cluster(clustered: Kv, cluster: Cluster) -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def listen() -> None:
        async for message in clustered.listen("kaimen:updates"):
            heard.put_nowait(message)

    listening = asyncio.create_task(listen())
    assert await asyncio.wait_for(heard.get(), 5) == ("", "")
    await clustered.run("PUBLISH", "kaimen:updates", "hello")
    assert await asyncio.wait_for(heard.get(), 5) == ("kaimen:updates", "hello")
    listening.cancel()
    await asyncio.wait([listening])


async def everything(backend: Backend) -> None:
    """A login, its phone (access_token: scripts over several keys), a limit, a logout."""
    login = await backend.login()
    code = backend.simulator.wechat.phone_code("wx0000000000000001", "alice")
    assert (await backend.call("POST", "/api/user/phone", {"code": code}, login["accessToken"])).status == 200
    for _ in range(6):
        refused = await backend.auth("login", username="nobody", password=PASSWORD)
    assert refused.error == "too_many_attempts"
    assert (await backend.call("POST", "/api/auth/logout", {}, login["accessToken"])).status == 200
    assert (await backend.get("/readyz")).body["status"] == "ok"


async def test_kaimen_works_over_a_cluster(
    start_backend: StartBackend, embedded_store: Store, cluster: Cluster
) -> None:
    await everything(await start_backend(Store(embedded_store.database_url, cluster.url)))


async def test_kaimen_works_over_sentinel(
    start_backend: StartBackend, embedded_store: Store, group: SentinelGroup
) -> None:
    await everything(await start_backend(Store(embedded_store.database_url, group.url)))


async def test_slots_that_move_under_load_fail_no_command(clustered: Kv, cluster: Cluster) -> None:
    failed: list[str] = []
    done = asyncio.Event()

    async def load(worker: int) -> int:
        count = 0
        while not done.is_set():
            key = f"kaimen:load:{worker}:{count % 500}"
            try:
                await clustered.run("SET", key, str(count), "EX", 60)
                assert await clustered.run("GET", key) == str(count)
            except AppError as error:
                failed.append(error.cause)
                await asyncio.sleep(0.1)
            count += 1
        return count

    workers = [asyncio.create_task(load(worker)) for worker in range(8)]
    await asyncio.sleep(0.2)
    await asyncio.to_thread(cluster.reshard, 1500)
    done.set()
    assert sum(await asyncio.gather(*workers)) > 100
    assert failed == []


async def test_after_a_failover_the_new_primary_is_found(group: SentinelGroup) -> None:
    kv = open_kv(group.url, Clock())
    await kv.run("SET", "kaimen:before", "1")
    group.kill_primary()
    async with asyncio.timeout(20):
        while True:
            try:
                await kv.run("SET", "kaimen:after", "1")
                break
            except AppError:
                await asyncio.sleep(0.1)
    assert await kv.run("GET", "kaimen:after") == "1"
    await kv.close()


@pytest.mark.parametrize("url", ["redis+sentinel://h:1/", "redis+cluster://h:x", "redis+sentinel://h:1/name/x"])
def test_a_url_that_makes_no_sense_is_a_fault_of_the_settings(url: str) -> None:
    with pytest.raises(SettingsInvalid):
        open_kv(url, Clock())
