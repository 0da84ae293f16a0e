"""What the relay costs: 5000 events a second through it, and nothing at all. scripts/bench runs it."""

import asyncio
import secrets
import time
from collections.abc import Callable

from redis.asyncio import Redis as Client

from servers import MariaDB

EVENTS_S = 5000
USERS = 500
TICK_S = 0.05
IDLE_S = 10
DATA = (
    '{"sessionId":"01a1faefc83f748885219bacb09136f2","method":"wechat","appid":"wx0000000000000001","isNewUser":false}'
)
INSERT = "INSERT INTO kaimen.outbox (id, user_id, seq, type, data, occurred_at) VALUES "
SELECT_LAG = "SELECT published_at - occurred_at FROM kaimen.outbox WHERE id LIKE '{run}%' ORDER BY 1"
SELECT_LEFT = "SELECT COUNT(*) FROM kaimen.outbox WHERE published_at IS NULL"

Figures = dict[str, float]


async def measure_relay(database: MariaDB, redis_url: str, seconds: int, used: Callable[[], float]) -> Figures:
    """Events written at a steady rate, as logins of many instances would; how soon the stream has them."""
    client, run = Client.from_url(redis_url), secrets.token_hex(3)
    users = [secrets.token_hex(16) for _ in range(USERS)]
    counts, written, cpu_us = dict.fromkeys(users, 0), 0, used()
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds:
        rows = []
        for number in range(written, int(elapsed * EVENTS_S)):
            user = users[number % USERS]
            counts[user] += 1
            at = int(time.time() * 1000)
            rows.append(f"('{run}{number:026}','{user}',{counts[user]},'session.created','{DATA}',{at})")
        if rows:
            written += len(rows)
            await asyncio.to_thread(database.execute, INSERT + ",".join(rows))
            await client.publish("kaimen:outbox", "")
        await asyncio.sleep(TICK_S)
    await _until_published(database)
    cpu_us = used() - cpu_us
    lags = [row[0] for row in database.execute(SELECT_LAG.format(run=run))]
    await client.aclose()
    return {
        "events/s": written / seconds,
        "server µs each": cpu_us / written,
        "core %": cpu_us / 1e4 / (time.monotonic() - started),
        "lag p50 ms": lags[len(lags) // 2],
        "lag p99 ms": lags[int(len(lags) * 0.99)],
    }


async def measure_backlog(database: MariaDB, used: Callable[[], float]) -> Figures:
    """What waited while Redis was away: 50 000 events at once."""
    run, count, cpu_us = secrets.token_hex(3), 50_000, used()
    for start in range(0, count, 5000):
        at = int(time.time() * 1000)
        rows = [
            f"('{run}{number:026}','{number % USERS:032x}',{number // USERS + 1},'session.created','{DATA}',{at})"
            for number in range(start, start + 5000)
        ]
        await asyncio.to_thread(database.execute, INSERT + ",".join(rows))
    started = time.monotonic()
    left = database.execute(SELECT_LEFT)[0][0]
    await _until_published(database)
    return {"events/s": left / (time.monotonic() - started), "server µs each": (used() - cpu_us) / count}


async def measure_idle(used: Callable[[], float]) -> Figures:
    """A server that nobody asks, with its relay, feeds and lease."""
    cpu_us = used()
    await asyncio.sleep(IDLE_S)
    return {"core %": (used() - cpu_us) / 1e4 / IDLE_S}


async def _until_published(database: MariaDB) -> None:
    async with asyncio.timeout(120):
        while database.execute(SELECT_LEFT) != [(0,)]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
