"""Three instances over three nodes of a Galera cluster: conflicts between them, and the loss of one node and of two."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from history import Load, Seen, check, well_within

from backend import Backend, StartBackend, Store
from core.observe import metrics
from galera import Galera
from rows import TABLES, migrate
from servers import MariaDB, Redis


@pytest.fixture(scope="module")
def cluster() -> Iterator[Galera]:
    with MariaDB() as seed:
        asyncio.run(migrate(seed.url))
        seed.stop()
        with Galera(seed) as made:
            yield made


@pytest.fixture
def galera(cluster: Galera) -> Galera:
    """Its tables emptied."""
    for table in TABLES:
        cluster.nodes[0].execute(f"DELETE FROM kaimen.{table}")
    return cluster


@pytest.fixture
async def backends(start_backend: StartBackend, galera: Galera, redis_server: Redis) -> list[Backend]:
    """One for each node, with one Redis."""
    redis_server.flush()
    return [await start_backend(Store(node.url, redis_server.patient_url)) for node in galera.nodes]


async def test_the_same_users_on_all_nodes_at_once(backends: list[Backend], galera: Galera, seen: Seen) -> None:
    before = metrics.DB_RETRIES.value("deadlock")
    async with Load(*backends, workers=12) as load:
        await load.until(1000)
    retries = metrics.DB_RETRIES.value("deadlock") - before
    assert retries > 0
    # A group commit that loses four times in a row is given up, with all who share it.
    assert load.history.failed <= load.workers, load.history.statuses
    seen(f"{load.history.counts['ok']} operations, {retries:.0f} conflicts retried, {load.history.failed} failures")
    for node in galera.nodes:
        await check(load.history, node.url, backends[0])


async def test_what_one_node_acknowledged_is_seen_on_a_node_that_lags(backends: list[Backend], galera: Galera) -> None:
    with closing(galera.nodes[1].connect()) as connection:
        connection.query("FLUSH TABLES WITH READ LOCK")  # which keeps it from applying what the others write
        token = (await backends[0].login())["refreshToken"]
        refreshed = asyncio.create_task(backends[1].auth("autoLogin", refreshToken=token))
        await asyncio.wait([refreshed], timeout=0.3)
        connection.query("UNLOCK TABLES")
    assert (await refreshed).status == 200


async def test_a_node_that_is_killed_is_missed_by_its_own_instance_only(
    backends: list[Backend], galera: Galera, seen: Seen
) -> None:
    doomed = galera.nodes[2]
    async with Load(*backends[:2]) as load:
        await load.until(100)
        await asyncio.to_thread(doomed.kill)
        seen(f"well on the others after {await well_within(load, 5):.2f} s, {load.history.failed} failures")
        assert (await backends[2].auth("login", code=backends[2].wx_login())).error == "database_unavailable"
        await asyncio.to_thread(doomed.start)
        load.backends.append(backends[2])
        await well_within(load, 5)
    await check(load.history, doomed.url, backends[2])


async def test_a_node_that_has_lost_both_others_lets_nobody_in_until_they_are_back(
    backends: list[Backend], galera: Galera, seen: Seen
) -> None:
    alone, *others = galera.nodes
    async with Load(*backends, workers=6) as load:
        await load.until(100)
        login = await backends[0].login()
        load.history.codes += 1
        for node in others:
            await asyncio.to_thread(node.kill)
        while alone.status("wsrep_cluster_status") == "Primary":
            await asyncio.sleep(0.1)
        async with asyncio.timeout(3):  # until the feed is stale
            while (info := await backends[0].get("/api/user/info", login["accessToken"])).status == 200:
                await asyncio.sleep(0.05)
        assert info.error == "database_unavailable"
        started = time.monotonic()
        assert (await backends[0].auth("login", code=backends[0].wx_login())).error == "database_unavailable"
        assert time.monotonic() - started < 0.5  # at once: the node itself says so
        assert (await backends[0].get("/readyz")).status == 503
        await asyncio.to_thread(galera.start, *others)
        seen(f"well {await well_within(load, 5):.2f} s after the others are back")
    for node in galera.nodes:
        await check(load.history, node.url, backends[0])
