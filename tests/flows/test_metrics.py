"""What happens is counted: sign-ins, WeChat, the database, Redis, batches, the event loop."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from backend import APPID, PASSWORD, Backend, StartBackend, Store
from core.clock import Clock
from core.observe import metrics
from core.observe.loop_lag import LoopLag
from core.observe.metrics import Counter, Histogram
from models.db import Tx, open_database
from servers import MariaDB, Redis


@pytest.fixture
async def backend(start_backend: StartBackend, server_store: Store) -> Backend:
    return await start_backend(server_store)


def rise(instrument: Counter | Histogram, *labels: str) -> Callable[[], float]:
    """By how much it has risen since."""
    read = instrument.value if isinstance(instrument, Counter) else instrument.count
    before = read(*labels)
    return lambda: read(*labels) - before


async def test_sign_ins_are_counted_by_action_method_and_outcome(backend: Backend) -> None:
    new, known = rise(metrics.LOGINS, "login", "wechat", "new"), rise(metrics.LOGINS, "login", "wechat", "ok")
    registered = rise(metrics.LOGINS, "register", "password", "new")
    wrong = rise(metrics.LOGINS, "login", "password", "wrong_credentials")
    refreshed = rise(metrics.LOGINS, "autoLogin", "refresh", "ok")
    first = await backend.login()
    await backend.login()
    await backend.auth("register", username="alice", password=PASSWORD)
    await backend.auth("login", username="alice", password=PASSWORD + "x")
    await backend.auth("autoLogin", refreshToken=first["refreshToken"])
    assert [new(), known(), registered(), wrong(), refreshed()] == [1, 1, 1, 1, 1]


async def test_a_refresh_token_that_comes_again_is_counted(backend: Backend) -> None:
    reused = rise(metrics.REFRESH_REUSED)
    login = await backend.login()
    await backend.auth("autoLogin", refreshToken=login["refreshToken"])
    backend.clock.advance(11)
    assert (await backend.auth("autoLogin", refreshToken=login["refreshToken"])).error == "refresh_reused"
    assert reused() == 1


@pytest.mark.parametrize(
    ("fault", "outcome", "errcode"),
    [({"errcode": 40029}, "refused", "40029"), ({"reset": True}, "reset", ""), ({"status": 500}, "http_500", "")],
)
async def test_calls_to_wechat_are_counted_by_outcome(
    backend: Backend, fault: dict[str, Any], outcome: str, errcode: str
) -> None:
    failed = rise(metrics.WECHAT_CALLS, "jscode2session", APPID, outcome, errcode)
    went_well = rise(metrics.WECHAT_CALLS, "jscode2session", APPID, "ok", "")
    timed = rise(metrics.WECHAT_S, "jscode2session")
    await backend.login()
    backend.simulator.faults.add({"api": "jscode2session", **fault, "times": 1})
    await backend.auth("login", code=backend.wx_login())
    assert [failed(), went_well(), timed()] == [1, 1, 2]


async def test_an_open_circuit_shows(backend: Backend) -> None:
    assert metrics.WECHAT_BREAKER.value("jscode2session") == 0
    backend.simulator.faults.add({"api": "jscode2session", "status": 500})
    for _ in range(20):
        await backend.auth("login", code=backend.wx_login())
    assert metrics.WECHAT_BREAKER.value("jscode2session") == 2


async def test_a_fight_for_the_access_token_shows(backend: Backend) -> None:
    fetched = rise(metrics.ACCESS_TOKEN_FETCHES, APPID, "normal")
    refused = rise(metrics.ACCESS_TOKEN_REFUSED, APPID)
    token = (await backend.login())["accessToken"]
    for again in (False, True):
        if again:
            backend.simulator.faults.add({"api": "getuserphonenumber", "errcode": 40001, "times": 1})
        code = backend.simulator.wechat.phone_code(APPID, "alice")
        assert (await backend.call("POST", "/api/user/phone", {"code": code}, token)).status == 200
    assert refused() == 1
    assert fetched() >= 2


async def test_open_data_that_does_not_decrypt_is_counted_by_reason(backend: Backend) -> None:
    stale, malformed = rise(metrics.DECRYPT_FAILURES, "stale_session_key"), rise(metrics.DECRYPT_FAILURES, "malformed")
    login = await backend.login()
    data = backend.simulator.wechat.open_data(APPID, "alice", "userInfo")
    await backend.call("POST", "/api/user/decrypt", {**data, "iv": "x"}, login["accessToken"])
    other = backend.simulator.wechat.open_data(APPID, "bob", "userInfo")
    await backend.call("POST", "/api/user/decrypt", other, login["accessToken"])
    assert [stale(), malformed()] == [1, 1]


async def test_logins_that_arrive_together_are_counted_as_one_batch(backend: Backend) -> None:
    batches, transactions = rise(metrics.BATCH, "sign_in"), rise(metrics.DB_S, "transaction")
    codes = [backend.wx_login() for _ in range(30)]
    await asyncio.gather(*(backend.auth("login", code=code) for code in codes))
    assert 1 <= batches() < 30
    assert 1 <= transactions() < 60


async def test_a_limit_that_refuses_is_counted_by_name(backend: Backend) -> None:
    limited = rise(metrics.LIMITED, "password_account")
    for _ in range(6):
        await backend.auth("login", username="nobody", password=PASSWORD)
    assert limited() == 1


async def test_a_deadlock_is_counted_as_one(server_store: Store) -> None:
    database = open_database(server_store.database_url, Clock())
    await database.run(
        lambda tx: tx.execute("INSERT INTO notes (name, value, written_at) VALUES ('a', '', 0), ('b', '', 0)")
    )
    deadlocks, both = rise(metrics.DB_RETRIES, "deadlock"), asyncio.Barrier(2)
    tries = [0, 0]

    def locking(number: int, *names: str) -> Callable[[Tx], Any]:
        async def work(tx: Tx) -> None:
            tries[number] += 1
            await tx.fetch("SELECT 1 FROM notes WHERE name = %s FOR UPDATE", [names[0]])
            if sum(tries) <= 2:
                await both.wait()
            await tx.fetch("SELECT 1 FROM notes WHERE name = %s FOR UPDATE", [names[1]])

        return work

    await asyncio.gather(database.run(locking(0, "a", "b")), database.run(locking(1, "b", "a")))
    await database.close()
    assert deadlocks() == 1
    assert sum(tries) == 3


async def test_a_pool_shows_who_works_and_who_waits(server_store: Store) -> None:
    database = open_database(server_store.database_url, Clock())
    holding, enough = asyncio.Event(), asyncio.Semaphore(0)

    async def hold(_tx: Tx) -> None:
        enough.release()
        await holding.wait()

    held = [asyncio.create_task(database.run(hold)) for _ in range(database.pool_size + 3)]
    for _ in range(database.pool_size):
        await enough.acquire()
    assert database.load() == {("busy",): 16, ("waiting",): 3, ("size",): 16}
    holding.set()
    await asyncio.gather(*held)
    assert database.load()[("busy",)] == 0
    await database.close()


async def test_a_database_that_is_away_counts_as_failures(start_backend: StartBackend, redis_server: Redis) -> None:
    with MariaDB() as mariadb:
        from models import migrations

        database = open_database(mariadb.url, Clock())
        await migrations.migrate(database, Clock())
        await database.close()
        backend = await start_backend(Store(mariadb.url, redis_server.url))
        mariadb.kill()
        failures = rise(metrics.DB_FAILURES)
        assert (await backend.auth("login", code=backend.wx_login())).status == 503
        assert failures() >= 1
        assert metrics.FEED_AGE_S.value() > 0


async def test_a_redis_that_is_away_counts_as_failures(start_backend: StartBackend, embedded_store: Store) -> None:
    with Redis() as redis:
        backend = await start_backend(Store(embedded_store.database_url, redis.url))
        redis.kill()
        failures = rise(metrics.REDIS_FAILURES, "ConnectionError")
        await backend.login()
        assert failures() >= 1


async def test_what_blocks_the_event_loop_shows() -> None:
    lag, late = LoopLag(), rise(metrics.LOOP_LAG_S)
    before = metrics.LOOP_LAG_S.family().samples[-1].value if late() else 0
    lag.start()
    await asyncio.sleep(0.2)
    asyncio.get_running_loop().call_soon(time.sleep, 0.2)
    await asyncio.sleep(0.01)
    lag.stop()
    assert late() == 1
    assert metrics.LOOP_LAG_S.family().samples[-1].value - before > 0.1
    await asyncio.sleep(0.3)
    assert late() == 1
