"""Processes whose clocks are wrong: half a minute is tolerated, and a wrong clock is known and lets nobody in."""

import asyncio
import shutil
import time

import pytest
from history import Load, Seen, check
from processes import Outside, Processes

from backend import Backend, StartBackend, Store
from core.observe import metrics
from simulator import Simulator


async def readiness(backend: Backend, status: int) -> list[str]:
    """What is unusable, once it has that status."""
    async with asyncio.timeout(5):
        while (reply := await backend.get("/readyz")).status != status:
            await asyncio.sleep(0.05)
    unusable: list[str] = reply.body["unusable"]
    return unusable


@pytest.mark.parametrize("ahead_s", [-29, 29])
async def test_half_a_minute_apart_is_tolerated(start_backend: StartBackend, server_store: Store, ahead_s: int) -> None:
    right, wrong = await start_backend(server_store), await start_backend(server_store)
    wrong.clock.advance(ahead_s)
    async with Load(right, wrong) as load:
        await load.until(300)
    assert load.history.failed == 0, load.history.statuses
    await check(load.history, server_store.database_url, right)
    await check(load.history, server_store.database_url, wrong)


@pytest.mark.parametrize("ahead_s", [-600, 6])
async def test_a_clock_that_steps_makes_its_process_unready_until_it_steps_back(
    start_backend: StartBackend, server_store: Store, ahead_s: int, seen: Seen
) -> None:
    backend = await start_backend(server_store)
    assert await readiness(backend, 200) == []
    backend.clock.advance(ahead_s)
    started = time.monotonic()
    assert await readiness(backend, 503) == ["clock"]
    assert metrics.CLOCK_SKEW_S.value() == pytest.approx(ahead_s, abs=1)
    seen(f"not ready after {time.monotonic() - started:.1f} s")
    backend.clock.advance(-ahead_s)
    assert await readiness(backend, 200) == []


async def test_a_process_ten_minutes_ahead_accepts_no_token_that_was_ended_elsewhere(
    start_backend: StartBackend, server_store: Store, embedded_store: Store
) -> None:
    right = await start_backend(server_store)
    wrong = await start_backend(Store(server_store.database_url, "memory://"))  # hears of nothing but by the feed
    wrong.clock.advance(600)
    assert await readiness(wrong, 503) == ["clock"]
    token = (await right.login())["accessToken"]
    assert (await wrong.get("/api/user/info", token)).status == 200
    assert (await right.call("POST", "/api/auth/logout", {}, token)).status == 200
    assert (await wrong.get("/api/user/info", token)).status == 401


@pytest.mark.parametrize("ahead_s", [-30, 30])
async def test_a_process_under_another_clock_serves_and_says_that_it_is_wrong(
    processes: Processes, simulator: Simulator, server_store: Store, ahead_s: int, seen: Seen
) -> None:
    """It starts behind its own first look, as after a machine whose clock was never set."""
    assert shutil.which("faketime"), "faketime is not installed (Debian and Ubuntu: apt-get install faketime)"
    await processes.start(ahead_s=ahead_s)
    client = Outside(simulator, processes.url)
    ready = await client.get("/readyz")
    assert (ready.status, ready.body["unusable"]) == (503, ["clock"])
    login = await client.login()
    assert (await client.get("/api/user/info", login["accessToken"])).status == 200
    seen(f"{ahead_s:+d} s: serves, and is not ready")
    await client.close()
