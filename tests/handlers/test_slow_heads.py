"""Slowloris: heads that trickle in are cut off after a while; idle connections and everybody else are not."""

import asyncio
import time

import pytest

from backend import Backend, StartBackend, Store
from handlers import slow_heads

SLOW = 100


@pytest.fixture
async def backend(start_backend: StartBackend, embedded_store: Store, monkeypatch: pytest.MonkeyPatch) -> Backend:
    monkeypatch.setattr(slow_heads, "HEAD_S", 1.0)
    monkeypatch.setattr(slow_heads, "LOOK_MS", 200.0)
    return await start_backend(embedded_store)


def port_of(backend: Backend) -> int:
    return int(backend.url.rsplit(":", 1)[1])


async def trickle(port: int) -> float:
    """Sends the beginning of a head and then a byte now and then; how long it was let."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    ended = asyncio.ensure_future(reader.read())
    while not ended.done():
        writer.write(b"a")
        await asyncio.wait([ended], timeout=0.1)
    assert ended.exception() is not None or ended.result() == b""
    writer.close()
    return time.monotonic() - started


async def test_a_hundred_slow_heads_are_cut_off_and_disturb_nobody(backend: Backend) -> None:
    trickling = [asyncio.create_task(trickle(port_of(backend))) for _ in range(SLOW)]
    slowest = 0.0
    while not all(task.done() for task in trickling):
        started = time.monotonic()
        assert (await backend.get("/healthz")).status == 200
        slowest = max(slowest, time.monotonic() - started)
        await asyncio.sleep(0.02)
    lasted = [task.result() for task in trickling]
    assert min(lasted) > 0.9
    assert max(lasted) < 5.0
    assert slowest < 1.0


async def test_an_idle_connection_and_one_that_goes_on_are_kept(backend: Backend) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(backend))
    for _ in range(3):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = await reader.readuntil(b"ok")
        assert reply.startswith(b"HTTP/1.1 200")
        await asyncio.sleep(1.5)  # longer than a head may take
    writer.write(b"GET /healthz HTTP/1.1\r\n")
    await asyncio.sleep(0.5)
    writer.write(b"Host: x\r\n\r\n")
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_an_idle_connection_is_closed_at_last_and_one_in_use_is_not(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_heads, "IDLE_S", 1.0)
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", port_of(backend))
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(backend))
    ended = asyncio.ensure_future(idle.read())
    while not ended.done():
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        await asyncio.wait([ended], timeout=0.1)
    assert ended.result() == b""
    writer.close()
    idle_writer.close()
