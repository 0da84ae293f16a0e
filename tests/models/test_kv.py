"""The door to Redis: pipelined, bounded in time, and one error for every trouble."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from fakeredis import FakeAsyncRedis, FakeServer

from backend import Store
from core.clock import Clock
from core.errors import AppError, Code
from models.kv import COMMAND_TIMEOUT_S, Kv, MemoryKv, open_kv
from servers import Redis


@pytest.fixture
async def kv(store: Store) -> AsyncIterator[Kv]:
    opened = open_kv(store.redis_url, Clock())
    yield opened
    await opened.close()


async def test_many_commands_at_once_get_their_own_replies(kv: Kv) -> None:
    await asyncio.gather(*(kv.run("SET", f"k{n}", str(n)) for n in range(500)))
    assert await asyncio.gather(*(kv.run("GET", f"k{n}") for n in range(500))) == [str(n) for n in range(500)]


async def test_a_command_that_is_wrong_fails_alone(kv: Kv) -> None:
    results = await asyncio.gather(
        kv.run("SET", "a", "1"), kv.run("LPUSH", "a", "x"), kv.run("GET", "a"), return_exceptions=True
    )
    assert isinstance(results[1], AppError)
    assert (results[1].code, results[2]) == (Code.CACHE_UNAVAILABLE, "1")


async def test_cancelled_commands_never_leave_their_reply_to_others(kv: Kv) -> None:
    await asyncio.gather(*(kv.run("SET", f"k{n}", str(n)) for n in range(50)))
    for _ in range(20):
        tasks = [asyncio.ensure_future(kv.run("GET", f"k{n}")) for n in range(50)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) or one == str(n) for n, one in enumerate(results))


@pytest.fixture
async def own_redis() -> AsyncIterator[Redis]:
    with Redis() as server:
        yield server


@pytest.mark.parametrize("trouble", ["CONFIG SET maxmemory 1", "REPLICAOF 127.0.0.1 1"])
async def test_an_error_reply_is_an_outage_of_the_cache(own_redis: Redis, trouble: str) -> None:
    kv = open_kv(own_redis.url, Clock())
    await kv.run(*trouble.split())
    with pytest.raises(AppError) as refused:
        await kv.run("SET", "a", "b")
    await kv.close()
    assert refused.value.code is Code.CACHE_UNAVAILABLE


async def test_a_blocked_redis_fails_in_time_and_is_back_by_itself(own_redis: Redis) -> None:
    clock = Clock()
    kv, busy = open_kv(own_redis.url, clock), open_kv(own_redis.url, clock)
    blocking = asyncio.ensure_future(
        busy.run("EVAL", "local t = redis.call('TIME')[1] + 2 while redis.call('TIME')[1] + 0 < t do end", 0)
    )
    await asyncio.wait([blocking], timeout=0.05)
    started = clock.monotonic()
    with pytest.raises(AppError):
        await kv.run("GET", "a")
    assert clock.monotonic() - started < 0.5
    await asyncio.gather(blocking, return_exceptions=True)
    async with asyncio.timeout(4):
        while not await answers(kv):
            await asyncio.sleep(0.05)
    await kv.close()
    await busy.close()


async def test_redis_is_not_blamed_for_an_event_loop_that_is_late(own_redis: Redis) -> None:
    kv = open_kv(own_redis.url, Clock())
    await kv.run("SET", "a", "1")
    answer = asyncio.ensure_future(kv.run("GET", "a"))
    for _ in range(5):  # it is sent
        await asyncio.sleep(0)
    time.sleep(2 * COMMAND_TIMEOUT_S)  # noqa: ASYNC251 - that is what late means
    assert await answer == "1"
    await kv.close()


async def test_the_in_process_redis_forgets_expired_keys_by_itself() -> None:
    class Ahead(Clock):
        seconds = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.seconds

    server, clock = FakeServer(), Ahead()
    kv = MemoryKv(FakeAsyncRedis(server=server, decode_responses=True), clock)
    await asyncio.gather(*(kv.run("SET", f"k{n}", "x", "PX", 1) for n in range(1000)))
    await asyncio.sleep(0.01)
    clock.seconds = 60
    await kv.run("PING")
    assert len(server.dbs[0]._dict) == 0
    await kv.close()


async def answers(kv: Kv) -> bool:
    try:
        await kv.ping()
    except AppError:
        return False
    return True


async def test_a_url_may_ask_for_more_patience(own_redis: Redis) -> None:
    kv, busy = open_kv(own_redis.patient_url, Clock()), open_kv(own_redis.url, Clock())
    blocking = asyncio.ensure_future(
        busy.run("EVAL", "local t = redis.call('TIME')[1] + 2 while redis.call('TIME')[1] + 0 < t do end", 0)
    )
    await asyncio.wait([blocking], timeout=0.05)
    assert await kv.run("GET", "a") is None
    await asyncio.gather(blocking, return_exceptions=True)
    await kv.close()
    await busy.close()
