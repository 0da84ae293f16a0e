"""MySQL or Redis away: the table of the contract, and healthy again by itself."""

import asyncio
import time

import pytest

from backend import PASSWORD, Backend, StartBackend, Store
from servers import MariaDB, Redis


@pytest.fixture
async def backend(start_backend: StartBackend, own_servers: tuple[MariaDB, Redis]) -> Backend:
    mariadb, redis = own_servers
    return await start_backend(Store(mariadb.url, redis.url))


async def test_with_the_database_killed_requests_fail_in_time_and_recover_by_themselves(
    backend: Backend, own_servers: tuple[MariaDB, Redis]
) -> None:
    mariadb, _ = own_servers
    login = await backend.login()
    mariadb.kill()
    for _ in range(3):
        started = time.monotonic()
        reply = await backend.auth("login", code=backend.wx_login())
        assert (reply.status, reply.error) == (503, "database_unavailable")
        assert reply.headers["Retry-After"]
        assert time.monotonic() - started < 2.2
    ready = await backend.get("/readyz")
    assert (ready.status, ready.body["unusable"]) == (503, ["database"])
    assert (await backend.get("/healthz")).status == 200
    assert (await backend.get("/api/user/info", login["accessToken"])).status == 503
    await asyncio.to_thread(mariadb.start)
    async with asyncio.timeout(5):
        while (await backend.auth("login", code=backend.wx_login())).status != 200:
            await asyncio.sleep(0.05)
    assert (await backend.get("/api/user/info", login["accessToken"])).status == 200
    assert (await backend.get("/readyz")).body == {"status": "ok", "unusable": []}


async def test_tokens_verify_without_the_database_while_the_feed_is_fresh_and_not_after(
    backend: Backend, own_servers: tuple[MariaDB, Redis]
) -> None:
    mariadb, _ = own_servers
    login = await backend.login()
    mariadb.kill()
    assert (await backend.get("/api/token/verify", login["accessToken"])).status == 204
    async with asyncio.timeout(2):
        while (reply := await backend.get("/api/token/verify", login["accessToken"])).status == 204:
            await asyncio.sleep(0.05)
    assert (reply.status, reply.error) == (503, "database_unavailable")


async def test_connections_killed_by_the_server_cost_no_read(
    backend: Backend, own_servers: tuple[MariaDB, Redis]
) -> None:
    mariadb, _ = own_servers
    login = await backend.login()
    for _ in range(5):
        await asyncio.gather(*(backend.get("/api/user/info", login["accessToken"]) for _ in range(20)))
        mariadb.execute(
            "BEGIN NOT ATOMIC FOR one IN (SELECT id FROM information_schema.processlist WHERE user = 'kaimen' "
            "AND id <> CONNECTION_ID()) DO EXECUTE IMMEDIATE CONCAT('KILL ', one.id); END FOR; END"
        )
        replies = await asyncio.gather(*(backend.get("/api/user/info", login["accessToken"]) for _ in range(20)))
        assert {reply.status for reply in replies} == {200}


async def test_with_redis_away_everything_of_a_mini_program_goes_on(
    backend: Backend, own_servers: tuple[MariaDB, Redis]
) -> None:
    _, redis = own_servers
    redis.kill()
    started = time.monotonic()
    login = await backend.login()
    assert (await backend.auth("register", username="alice", password=PASSWORD)).status == 200
    assert (await backend.auth("login", username="alice", password=PASSWORD)).status == 200
    assert (await backend.auth("autoLogin", refreshToken=login["refreshToken"])).status == 200
    assert (await backend.get("/api/user/info", login["accessToken"])).status == 200
    phone_code = backend.simulator.wechat.phone_code("wx0000000000000001", "alice")
    assert (await backend.call("POST", "/api/user/phone", {"code": phone_code}, login["accessToken"])).status == 200
    assert time.monotonic() - started < 3
    ready = await backend.get("/readyz")
    assert (ready.status, ready.body) == (200, {"status": "degraded", "unusable": ["redis"]})
    redis.start()
    async with asyncio.timeout(3):
        while (await backend.get("/readyz")).body["status"] != "ok":
            await asyncio.sleep(0.05)


async def test_without_redis_a_code_sent_twice_at_once_is_still_exchanged_once(
    backend: Backend, own_servers: tuple[MariaDB, Redis]
) -> None:
    _, redis = own_servers
    redis.kill()
    code = backend.wx_login()
    replies = await asyncio.gather(*(backend.auth("login", code=code) for _ in range(10)))
    assert {reply.status for reply in replies} == {200}
    assert backend.count_calls("jscode2session") == 1
    assert (await backend.auth("login", code=code)).error == "wx_code_used"


async def test_a_read_only_database_is_an_outage_for_writes_and_not_for_reads(
    backend: Backend, own_servers: tuple[MariaDB, Redis], start_backend: StartBackend
) -> None:
    mariadb, redis = own_servers
    login = await backend.login()
    mariadb.execute("CREATE USER 'plain'@'127.0.0.1' IDENTIFIED BY 'plain'")
    mariadb.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON kaimen.* TO 'plain'@'127.0.0.1'")
    url = mariadb.url.replace(f"{mariadb.user}:{mariadb.password}", "plain:plain")
    plain = await start_backend(Store(url, redis.url))
    mariadb.execute("SET GLOBAL read_only = 1")
    write = await plain.auth("login", code=plain.wx_login())
    read = await plain.get("/api/user/info", login["accessToken"])
    mariadb.execute("SET GLOBAL read_only = 0")
    assert (write.status, read.status) == (503, 200)
    assert (await plain.auth("login", code=plain.wx_login())).status == 200
